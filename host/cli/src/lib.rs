//! The command line `hostler`, and the only room that prints.
//!
//! Every command is a caller of the native API, over the host's unix socket or with `--host` over TCP, through one [`client::Client`]; `up` and
//! `serve` are that and the host itself in one process. [`config`] reads configuration files. `args` defines the command line, once.
//!
//! - Standard output is a command's result: text for people, or with `--json` the wire's documents as they came.
//! - Standard error is for what went wrong: what, where, why and what to do, or with `--json` one JSON document.
//! - The kind of failure sets the exit code: 1 the operation failed, 2 usage, 3 configuration, 4 no host to be reached, 5 denied,
//!   6 the store is damaged, or of a newer version.
//!
//! ```no_run
//! # async fn example() -> Result<hostler_api::ServiceList, hostler_api::Failure> {
//! let client = hostler::client::Client::new(std::path::Path::new("/var/lib/hostler"));
//! client.services(&hostler_api::ServicesQuery::default()).await
//! # }
//! ```

mod args;
pub mod client;
mod command;
pub mod config;
mod context;
mod document;
#[doc(hidden)]
pub mod door;
mod error;
mod executor;
mod host;
mod out;
mod picture;
mod progress;
mod service_manager;
mod signals;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};
use context::Context;
use error::Error;

/// Runs one command line, the program's name first, to the process's exit code.
pub fn main(args: Vec<OsString>) -> ExitCode {
    if let Some(dir) = command::keeper::asked_for(&args) {
        return command::keeper::run(dir);
    }
    if command::compile_plugin::asked_for(&args) {
        return command::compile_plugin::run();
    }
    let json = args.iter().any(|word| word == "--json");
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(answer) => return answered(&answer, json),
    };
    let (json, no_color) = (cli.global.json, cli.global.no_color);
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            out::report(&error, json, no_color);
            ExitCode::from(error.exit_code())
        }
    }
}

/// Help and version are answers; everything else is a mistake in the command line.
fn answered(answer: &clap::Error, json: bool) -> ExitCode {
    if json && answer.use_stderr() {
        out::report(&args::mistake(answer).into(), json, true);
    } else {
        // Nobody reads it: nothing more can be said.
        let _ = answer.print();
    }
    ExitCode::from(u8::try_from(answer.exit_code()).unwrap_or(2))
}

fn run(cli: Cli) -> Result<(), Error> {
    let context = Context::new(cli.global);
    match cli.command {
        Command::Import(args) => command::import::run(args, &context),
        Command::Package(args) => command::package::run(args, &context),
        Command::Completions(args) => command::completions::run(&args, &context),
        Command::Version => command::version::run(&context),
        Command::Keeper(args) => command::keeper::run_late(args),
        command @ (Command::Up(_) | Command::Serve(_) | Command::Down(_)) => executor::with_many_threads(dispatch(command, &context)),
        command => {
            let runtime = executor::one_thread()?;
            let done = runtime.block_on(dispatch(command, &context));
            runtime.shutdown_background();
            done
        }
    }
}

async fn dispatch(command: Command, context: &Context) -> Result<(), Error> {
    match command {
        Command::Up(args) => Box::pin(command::up::run(args, context)).await,
        Command::Serve(args) => Box::pin(command::serve::run(args, context)).await,
        Command::Apply(args) => command::apply::run(args, context).await,
        Command::Plan(args) => command::plan::run(args, context).await,
        Command::Validate(args) => command::validate::run(args, context).await,
        Command::Ps(args) => command::ps::run(args, context).await,
        Command::Status(args) => command::status::run(args, context).await,
        Command::Explain(args) => command::explain::run(args, context).await,
        Command::Deploy(args) => command::deploy::run(args, context).await,
        Command::Operations(args) => command::operations::run(args, context).await,
        Command::Start(args) => command::start::run(args, context).await,
        Command::Stop(args) => command::stop::run(args, context).await,
        Command::Restart(args) => command::restart::run(args, context).await,
        Command::Scale(args) => command::scale::run(args, context).await,
        Command::Signal(args) => command::signal::run(args, context).await,
        Command::Exec(args) => command::exec::run(args, context).await,
        Command::Stats(args) => command::stats::run(args, context).await,
        Command::Logs(args) => command::logs::run(args, context).await,
        Command::Events(args) => command::events::run(args, context).await,
        Command::Alerts(args) => command::alerts::run(args, context).await,
        Command::Silence(args) => command::silence::run(args, context).await,
        Command::Health(args) => command::health::run(args, context).await,
        Command::Registry(args) => command::registry::run(args, context).await,
        Command::Heartbeat(args) => command::heartbeat::run(args, context).await,
        Command::Graph(args) => command::graph::run(args, context).await,
        Command::Image(args) => command::image::run(args, context).await,
        Command::Discover(args) => command::discover::run(args, context).await,
        Command::Adopt(args) => command::adopt::run(args, context).await,
        Command::Release(args) => command::release::run(args, context).await,
        Command::Strangers(args) => command::strangers::run(args, context).await,
        Command::Token(args) => command::token::run(args, context).await,
        Command::Workspace(args) => command::workspace::run(args, context).await,
        Command::Team(args) => command::team::run(args, context).await,
        Command::Audit(args) => command::audit::run(args, context).await,
        Command::Backup(args) => command::backup::run(args, context).await,
        Command::Restore(args) => command::restore::run(args, context).await,
        Command::Down(args) => Box::pin(command::down::run(args, context)).await,
        Command::Plugin(args) => command::plugin::run(args, context).await,
        Command::Import(args) => command::import::run(args, context),
        Command::Package(args) => command::package::run(args, context),
        Command::Completions(args) => command::completions::run(&args, context),
        Command::Version => command::version::run(context),
        Command::Keeper(args) => command::keeper::run_late(args),
    }
}

#[cfg(test)]
mod tests;
