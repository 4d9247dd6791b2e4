//! Structured log lines of the plugin itself, kept with its name, its service and its revision.
//!
//! ```no_run
//! hostler_sdk::host::log::info("started", &[("pid", &4711), ("program", &"/usr/bin/redis-server")]);
//! ```

use crate::imports::log;
use std::fmt::Display;

/// For the plugin's author.
pub fn debug(message: &str, fields: &[(&str, &dyn Display)]) {
    write(log::Level::Debug, message, fields);
}

/// For whoever looks.
pub fn info(message: &str, fields: &[(&str, &dyn Display)]) {
    write(log::Level::Info, message, fields);
}

/// Something is odd, and goes on.
pub fn warn(message: &str, fields: &[(&str, &dyn Display)]) {
    write(log::Level::Warn, message, fields);
}

/// Something failed. A panic is reported here too.
pub fn error(message: &str, fields: &[(&str, &dyn Display)]) {
    write(log::Level::Error, message, fields);
}

fn write(level: log::Level, message: &str, fields: &[(&str, &dyn Display)]) {
    let fields: Vec<_> = fields.iter().map(|(name, value)| ((*name).to_owned(), value.to_string())).collect();
    log::write(level, message, &fields);
}
