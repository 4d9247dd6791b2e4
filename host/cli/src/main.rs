//! The one binary, `hostler`.

use std::process::ExitCode;

fn main() -> ExitCode {
    hostler::main(std::env::args_os().collect())
}
