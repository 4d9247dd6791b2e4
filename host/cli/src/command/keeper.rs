//! `hostler keeper`: not for people. The host starts it, and it outlives the host.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use hostler_api::Code;
use hostler_keeper::keeper::Options;

use crate::error::{Error, failed};
use crate::out::note;

/// Hold local processes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its directory
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: PathBuf,
}

/// Is this the keeper's own command line? Looked at before anything else, so that nothing else is touched in the keeper's process.
pub(crate) fn asked_for(args: &[OsString]) -> Option<PathBuf> {
    match args {
        [_, keeper, flag, dir] if keeper == "keeper" && flag == "--dir" => Some(PathBuf::from(dir)),
        _ => None,
    }
}

/// The whole life of the keeper.
pub(crate) fn run(dir: PathBuf) -> ExitCode {
    match hostler_keeper::keeper::run(Options::new(dir)) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            note(&format!("error: the keeper cannot go on: {error}"));
            ExitCode::from(Code::Failed.exit_code())
        }
    }
}

/// The same, asked for in another order of words.
pub(crate) fn run_late(args: Args) -> Result<(), Error> {
    hostler_keeper::keeper::run(Options::new(args.dir)).map(|_| ()).map_err(|error| failed(format!("the keeper cannot go on: {error}")).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_command_line_branches_early() {
        let of = |text: &str| asked_for(&text.split(' ').map(OsString::from).collect::<Vec<_>>());
        assert_eq!(of("hostler keeper --dir /x"), Some(PathBuf::from("/x")));
        for other in ["hostler keeper --help", "hostler keeper", "hostler ps --dir /x", "hostler keeper --dir /x --json"] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
