//! Who is asking, with what configuration, and how long there is.

use crate::{Problem, imports::context, settings};
use serde::de::DeserializeOwned;
use std::time::Duration;

/// The plugin's own configuration, `plugins.NAME.config` of the host's file.
pub fn config<T: DeserializeOwned>() -> Result<T, Vec<Problem>> {
    settings::parse(&context::config())
}

/// The tag that everything this host owns must carry: `[a-z0-9-]`, at most 32 bytes.
pub fn owner() -> String {
    context::owner()
}

/// What is left for this call; nothing once the deadline has passed.
pub fn remaining() -> Duration {
    Duration::from_millis(context::remaining())
}
