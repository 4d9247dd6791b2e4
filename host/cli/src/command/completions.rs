//! `hostler completions`

use clap::{Command, CommandFactory};

use crate::args::Cli;
use crate::context::Context;
use crate::error::Error;

/// Print a completion script for a shell.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which shell
    #[arg(value_name = "SHELL")]
    shell: clap_complete::Shell,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Error> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut for_people(&Cli::command()), "hostler", &mut script);
    context.out.raw(&script)
}

/// The same without commands that are hidden: a completion would offer them all the same.
fn for_people(whole: &Command) -> Command {
    let commands = whole.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    Command::new("hostler").args(whole.get_arguments().cloned()).subcommands(commands)
}
