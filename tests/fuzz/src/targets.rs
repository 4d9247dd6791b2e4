//! One file for each kind of input.

pub(crate) mod answers;
pub(crate) mod compose;
pub(crate) mod core;
pub(crate) mod frames;
pub(crate) mod http;
pub(crate) mod journal;
pub(crate) mod log;
pub(crate) mod spec;
pub(crate) mod words;
