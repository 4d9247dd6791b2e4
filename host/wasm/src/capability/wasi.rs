//! The WASI baseline: always there and inert. Clocks and random work; the environment is empty, stdin closed, and what is
//! written to stdout and stderr goes to the plugin's log. Directories are there when they are granted.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime::component::Linker;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder};

use super::{CallState, sockets};
use crate::hooks::Level;
use crate::scope::Scope;
use crate::tap::clocks;
use crate::text::escape;

const MAX_LINE_BYTES: usize = 8 << 10;
const WRITE_AT_ONCE: usize = 64 << 10;
/// Larger wishes trap: the host would have to allocate them.
const MAX_RANDOM_BYTES: u64 = 1 << 20;

pub(super) fn link(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)
}

/// Sockets are in the baseline's interfaces and closed, unless TCP was granted.
pub(super) fn build(scope: &Scope, sockets: Option<&Arc<sockets::Settled>>) -> WasiCtx {
    let mut wasi = WasiCtxBuilder::new();
    wasi.stdout(Captured::new(scope, Level::Info)).stderr(Captured::new(scope, Level::Warn)).max_random_size(MAX_RANDOM_BYTES);
    sockets::build(&mut wasi, sockets, scope);
    if let Some(tap) = scope.tap() {
        clocks::build(&mut wasi, tap);
    }
    wasi.build()
}

/// An output whose lines become lines of the plugin's log.
#[derive(Clone)]
struct Captured(Arc<Lines>);

struct Lines {
    scope: Scope,
    level: Level,
    partial: Mutex<Vec<u8>>,
}

impl Captured {
    fn new(scope: &Scope, level: Level) -> Captured {
        Captured(Arc::new(Lines { scope: scope.clone(), level, partial: Mutex::new(Vec::new()) }))
    }
}

impl Lines {
    fn write(&self, bytes: &[u8]) {
        let mut partial = self.partial.lock().expect("no code panics while it holds this lock");
        for chunk in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ended) = match chunk.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (chunk, false),
            };
            let room = MAX_LINE_BYTES.saturating_sub(partial.len());
            partial.extend_from_slice(&text[..text.len().min(room)]);
            if ended {
                self.flush(&mut partial);
            }
        }
    }

    fn flush(&self, partial: &mut Vec<u8>) {
        let text = String::from_utf8_lossy(partial);
        self.scope.line(self.level, escape(&text, MAX_LINE_BYTES), std::collections::BTreeMap::new());
        partial.clear();
    }
}

/// A last line without a newline counts as one.
impl Drop for Lines {
    fn drop(&mut self) {
        let mut partial = std::mem::take(self.partial.get_mut().expect("no code panics while it holds this lock"));
        if !partial.is_empty() {
            self.flush(&mut partial);
        }
    }
}

impl IsTerminal for Captured {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Captured {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl AsyncWrite for Captured {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.0.write(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl OutputStream for Captured {
    fn write(&mut self, bytes: Bytes) -> Result<(), StreamError> {
        self.0.write(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StreamError> {
        Ok(())
    }

    fn check_write(&mut self) -> Result<usize, StreamError> {
        Ok(WRITE_AT_ONCE)
    }
}

impl Pollable for Captured {
    fn ready<'a, 'b>(&'a mut self) -> Pin<Box<dyn Future<Output = ()> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(std::future::ready(()))
    }
}
