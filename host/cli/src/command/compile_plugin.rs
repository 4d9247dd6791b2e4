//! `hostler compile-plugin`: not for people. The host runs it for every plugin whose compiled code it does not have.

use std::ffi::OsString;
use std::process::ExitCode;

use hostler_api::Code;

use crate::out::note;

/// Is this the compiler's own command line? Looked at before anything else: nothing else is needed in its process.
pub(crate) fn asked_for(args: &[OsString]) -> bool {
    matches!(args, [_, word] if word == hostler_server::COMPILE_PLUGIN)
}

/// From the component on standard input to code on standard output.
pub(crate) fn run() -> ExitCode {
    match hostler_server::compile_plugin() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            note(&why);
            ExitCode::from(Code::Failed.exit_code())
        }
    }
}
