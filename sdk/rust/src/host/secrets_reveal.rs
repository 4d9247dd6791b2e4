//! Secrets themselves, where [`secrets`](super::secrets) does not do. The operator is told of each use.

use super::Result;
use crate::imports::secrets_reveal;

/// The value of a secret as it is now. Keep it out of handles, attributes, messages, faults and log lines.
pub fn reveal(name: &str) -> Result<String> {
    secrets_reveal::reveal(name)
}
