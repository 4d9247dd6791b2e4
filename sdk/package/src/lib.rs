//! Service packages: a gzipped tar archive of one release of one service, which anybody can build and nobody has to trust.
//!
//! ```text
//! manifest.yaml       name, version, and what to run
//! bin/                programs
//! config/             what they read
//! scripts/            pre-start.sh, post-start.sh, health-check.sh
//! lib/                what they load
//! ```
//!
//! [`pack`] writes one: the same files make the same bytes, on any machine. [`read`] reads one from any [`std::io::Read`], refuses what
//! does not belong there, and hands the rest to a [`Sink`] as it goes; handed to [`Nowhere`] first, it is checked whole before
//! anything is written. Pure: it opens no file, runs nothing and knows no clock, so that a guest and the command line share it.

mod gzip;
mod limits;
mod manifest;
mod pack;
mod path;
mod read;
mod tar;

pub use limits::Limits;
pub use manifest::{HEALTH_CHECK, Manifest, POST_START, PRE_START};
pub use pack::{Source, pack};
pub use path::{is_inside, refuse_path};
pub use read::{Contents, Entry, Kind, Nowhere, Sink, read};

/// Why a package is none.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be read, or what was read from it not be put anywhere.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// It is no gzipped tar archive, or a broken one.
    #[error("it is no package: {0}")]
    Broken(String),
    /// One entry does not belong into a package.
    #[error("`{}` is refused: {why}", path.escape_debug())]
    Refused {
        /// As the archive names it.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// It is larger than allowed.
    #[error("it is too large: {0}")]
    TooLarge(String),
    /// Its manifest cannot be used.
    #[error("manifest.yaml: {0}")]
    Manifest(String),
}

impl Error {
    fn refused(path: &str, why: impl Into<String>) -> Self {
        Self::Refused { path: path.to_owned(), why: why.into() }
    }
}
