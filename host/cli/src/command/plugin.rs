//! `hostler plugin`: one file per subcommand.

mod add;
mod build;
mod call;
mod check;
mod configuration;
mod dev;
mod doctor;
mod examine;
mod grants;
mod inspect;
mod list;
mod lock;
mod named;
mod new;
mod record;
mod remove;
mod renew;
mod replay;
mod rollback;
mod text;
mod trial;
mod upgrade;

use crate::context::Context;
use crate::error::Error;

/// Make plugins, look at them, try, add and upgrade them.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: PluginCommand,
}

#[derive(Debug, clap::Subcommand)]
enum PluginCommand {
    List(list::Args),
    Inspect(inspect::Args),
    New(new::Args),
    Build(build::Args),
    Renew(renew::Args),
    Dev(dev::Args),
    Doctor(doctor::Args),
    Check(check::Args),
    Add(add::Args),
    Upgrade(upgrade::Args),
    Rollback(rollback::Args),
    Remove(remove::Args),
    Call(call::Args),
    Record(record::Args),
    Replay(replay::Args),
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    match args.command {
        PluginCommand::List(args) => list::run(args, context).await,
        PluginCommand::Inspect(args) => inspect::run(args, context).await,
        PluginCommand::New(args) => new::run(args, context),
        PluginCommand::Build(args) => build::run(args, context),
        PluginCommand::Renew(args) => renew::run(args, context),
        PluginCommand::Dev(args) => Box::pin(dev::run(args, context)).await,
        PluginCommand::Doctor(args) => doctor::run(args, context),
        PluginCommand::Check(args) => Box::pin(check::run(args, context)).await,
        PluginCommand::Upgrade(args) => upgrade::run(args, context).await,
        PluginCommand::Rollback(args) => rollback::run(args, context).await,
        PluginCommand::Call(args) => Box::pin(call::run(args, context)).await,
        PluginCommand::Record(args) => record::run(args, context).await,
        PluginCommand::Replay(args) => Box::pin(replay::run(args, context)).await,
        PluginCommand::Add(args) => Box::pin(add::run(args, context)).await,
        PluginCommand::Remove(args) => remove::run(args, context).await,
    }
}
