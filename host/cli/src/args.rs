//! The command line, defined once: parser, help and completions come from here and from each command's own arguments.

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};
use hostler_api::Failure;

use crate::command;
use crate::error::usage;

/// Tends services: starts them in order, watches them, restarts them. Every backend and every health check is a WebAssembly plugin.
#[derive(Debug, Parser)]
#[command(name = "hostler", version, arg_required_else_help = true, disable_help_subcommand = true, after_help = AFTER)]
pub(crate) struct Cli {
    /// What every command understands.
    #[command(flatten)]
    pub(crate) global: Global,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER: &str = "Exit codes: 0 done · 1 the operation failed · 2 usage · 3 the configuration was refused · 4 no host to be reached · 5 denied · 6 the store cannot be used\n\
                     With --json a failure is one JSON document on standard error.";

/// Options of every command.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Directory of the host's state [default: the file's `state_dir`, else /var/lib/hostler for root and ~/.local/state/hostler for others]
    #[arg(long, global = true, value_name = "DIR", env = "HOSTLER_STATE_DIR", hide_env_values = true)]
    pub(crate) state_dir: Option<PathBuf>,
    /// Configuration file [default: hostler.toml, hostler.yaml or hostler.yml of the current directory]
    #[arg(long, short, global = true, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Ask a host over TCP, such as https://hostler.example:7070, with the token of HOSTLER_TOKEN or of --token-file
    #[arg(long, global = true, value_name = "URL", env = "HOSTLER_HOST", hide_env_values = true)]
    pub(crate) host: Option<String>,
    /// Ask about the services of this workspace, or of every one with `*` [default: default]
    #[arg(long, global = true, value_name = "NAME", env = "HOSTLER_WORKSPACE", hide_env_values = true)]
    pub(crate) workspace: Option<String>,
    /// File that holds the token
    #[arg(long, global = true, value_name = "FILE", env = "HOSTLER_TOKEN_FILE", hide_env_values = true)]
    pub(crate) token_file: Option<PathBuf>,
    /// File of the authorities that vouch for the host over TCP [default: the machine's own]
    #[arg(long, global = true, value_name = "FILE", env = "HOSTLER_CA", hide_env_values = true)]
    pub(crate) ca: Option<PathBuf>,
    /// File of a certificate to show to a host over TCP that wants one
    #[arg(long, global = true, value_name = "FILE", env = "HOSTLER_CLIENT_CERTIFICATE", hide_env_values = true)]
    pub(crate) client_certificate: Option<PathBuf>,
    /// File of the key to it
    #[arg(long, global = true, value_name = "FILE", env = "HOSTLER_CLIENT_KEY", hide_env_values = true)]
    pub(crate) client_key: Option<PathBuf>,
    /// Print the wire's documents instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// No colours (as NO_COLOR=1)
    #[arg(long, global = true)]
    pub(crate) no_color: bool,
    /// Say more of what the host does; twice for everything
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// Every command.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start everything and stay; Ctrl-C stops it in reverse order
    Up(command::up::Args),
    /// Be the host: stay, and leave the services running when ended
    Serve(command::serve::Args),
    /// Change what runs to what the file says, and only that
    Apply(command::apply::Args),
    /// Show what apply would do
    Plan(command::plan::Args),
    /// Check the file; nothing is changed
    Validate(command::validate::Args),
    /// List the services
    Ps(command::ps::Args),
    /// Show one service in detail, or the host
    Status(command::status::Args),
    /// Say why a service is as it is, and what happens next
    Explain(command::explain::Args),
    /// Bring a service into force, start it, and wait until it is well
    Deploy(command::deploy::Args),
    /// Show what the host was asked to do and does by itself; wait for it, call it off
    Operations(command::operations::Args),
    /// Start services and what they depend on
    Start(command::start::Args),
    /// Stop services and what depends on them
    Stop(command::stop::Args),
    /// Restart services
    Restart(command::restart::Args),
    /// Change how many replicas of services there are
    Scale(command::scale::Args),
    /// Send a signal to a service
    Signal(command::signal::Args),
    /// Run a command inside a service
    Exec(command::exec::Args),
    /// Show what services use
    Stats(command::stats::Args),
    /// Show what services have written
    Logs(command::logs::Args),
    /// Show what happened
    Events(command::events::Args),
    /// Show what is wrong and somebody is told of; tell a sink something
    Alerts(command::alerts::Args),
    /// Tell nobody of some alerts for a while
    Silence(command::silence::Args),
    /// Show how well services are
    Health(command::health::Args),
    /// Show where services listen, and to which work may be sent
    Registry(command::registry::Args),
    /// Say that a service is alive
    Heartbeat(command::heartbeat::Args),
    /// Draw who starts after whom
    Graph(command::graph::Args),
    /// Keep so many containers of an image
    Image(command::image::Args),
    /// Show what already runs on engines and is not managed
    Discover(command::discover::Args),
    /// Take over something that runs already, as it is
    Adopt(command::adopt::Args),
    /// Let go of what was taken over; it goes on as it is
    Release(command::release::Args),
    /// Show what bears a host's tag and is nobody's here; end or ignore it
    Strangers(command::strangers::Args),
    /// Stop everything in reverse order, forget it, and end the host
    Down(command::down::Args),
    /// Make a service file of a Compose file
    Import(command::import::Args),
    /// Make, list and take back tokens for callers over TCP
    Token(command::token::Args),
    /// Make, list, change and remove workspaces
    Workspace(command::workspace::Args),
    /// Make, list, change and remove teams
    Team(command::team::Args),
    /// Show who has asked for what, and what became of it
    Audit(command::audit::Args),
    /// Write everything that the host remembers into one file
    Backup(command::backup::Args),
    /// Put a backup back, while no host runs
    Restore(command::restore::Args),
    /// Look at plugins, add and upgrade them
    Plugin(command::plugin::Args),
    /// Build and look at packages
    Package(command::package::Args),
    /// Print a completion script for a shell
    Completions(command::completions::Args),
    /// Print the version
    Version,
    /// Hold local processes (started by the host)
    #[command(hide = true)]
    Keeper(command::keeper::Args),
}

/// A mistake in the command line, as a failure like any other: what the parser says, and what it says to do.
pub(crate) fn mistake(answer: &clap::Error) -> Failure {
    if answer.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return usage("there is no command").hint("`hostler --help` lists them");
    }
    let text = answer.to_string();
    let mut parts = text.split("\n\n").map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "));
    let message = parts.next().unwrap_or_default();
    let failure = usage(message.strip_prefix("error: ").unwrap_or(&message));
    match parts.next() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
