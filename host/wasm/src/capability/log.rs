//! `hostler:host/log`: structured lines, escaped, cut and counted. Always granted.

use std::collections::BTreeMap;

use wasmtime::component::Linker;

use super::CallState;
use crate::bindings::hostler::host::log;
use crate::hooks::Level;
use crate::scope::Scope;
use crate::tap::{Tapped, Through};
use crate::text::escape;

const MAX_MESSAGE_BYTES: usize = 8 << 10;
const MAX_FIELDS: usize = 32;
const MAX_FIELD_BYTES: usize = 1 << 10;

/// One call's log.
pub(super) struct Log(Scope);

pub(super) fn link(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    log::add_to_linker::<_, Through<Log>>(linker, |call| Tapped::new(&mut call.log, &call.scope))
}

pub(super) fn build(scope: &Scope) -> Log {
    Log(scope.clone())
}

impl log::Host for Log {
    async fn write(&mut self, level: log::Level, message: String, fields: Vec<(String, String)>) {
        let fields: BTreeMap<String, String> =
            fields.into_iter().take(MAX_FIELDS).map(|(key, value)| (escape(&key, MAX_FIELD_BYTES), escape(&value, MAX_FIELD_BYTES))).collect();
        self.0.line(loudness(level), escape(&message, MAX_MESSAGE_BYTES), fields);
    }
}

fn loudness(level: log::Level) -> Level {
    match level {
        log::Level::Debug => Level::Debug,
        log::Level::Info => Level::Info,
        log::Level::Warn => Level::Warn,
        log::Level::Error => Level::Error,
    }
}
