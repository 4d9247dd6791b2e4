//! How a command fails: with a [`Failure`] of the API's own table, or because nobody reads its output any more.

use std::io;

use hostler_api::{Code, Failure};

/// Why a command ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// What, where, why and what to do about it.
    #[error(transparent)]
    Failure(Box<Failure>),
    /// The store is damaged, or a newer version has written it: another start is refused as well.
    #[error(transparent)]
    Unusable(Box<Failure>),
    /// A failure whose mistakes are drawn already, with the source they are in.
    #[error("{failure}")]
    Drawn {
        /// What `--json` says.
        failure: Box<Failure>,
        /// What a person sees.
        drawing: String,
        /// The mistakes with file, line and column, for programs.
        places: serde_json::Value,
    },
    /// Standard output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

/// The exit code by which whoever starts a host again and again learns that this is in vain.
const UNUSABLE: u8 = 6;

impl Error {
    /// The process's exit code.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Error::Failure(failure) | Error::Drawn { failure, .. } => failure.code.exit_code(),
            Error::Unusable(_) => UNUSABLE,
            // Whoever closed the pipe has read enough: `hostler logs | head` is no failure.
            Error::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
            Error::Output(_) => Code::Failed.exit_code(),
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Error {
        Error::Failure(Box::new(failure))
    }
}

/// A failure of the command's own.
pub(crate) fn failed(message: impl Into<String>) -> Failure {
    Failure::new(Code::Failed, message)
}

/// A command line that makes no sense.
pub(crate) fn usage(message: impl Into<String>) -> Failure {
    Failure::new(Code::Invalid, message)
}
