//! A stream into a file that may not grow for ever.

use std::sync::Arc;

use bytes::Bytes;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::{DynOutputStream, OutputStream, Pollable, StreamError, StreamResult};

use super::measure::LEAST;
use super::room::{Charge, Room, cost};

/// WASI's stream, which asks for room before it writes.
pub(super) struct Metered {
    inner: DynOutputStream,
    room: Arc<Room>,
    /// Of the write under way.
    charge: Option<Charge>,
    /// Nothing was left: whoever waits for the stream has it measured.
    wants: bool,
}

impl Metered {
    pub(super) fn wrap(inner: DynOutputStream, room: Arc<Room>) -> DynOutputStream {
        Box::new(Metered { inner, room, charge: None, wants: false })
    }
}

fn full() -> StreamError {
    StreamError::LastOperationFailed(std::io::Error::from(rustix::io::Errno::NOSPC).into())
}

#[async_trait]
impl OutputStream for Metered {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.charge = Some(self.room.take_now(cost(bytes.len())).ok_or_else(full)?);
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.inner.flush()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        let most = self.inner.check_write()?;
        let left = self.room.left() / LEAST * LEAST;
        if most > 0 && left == 0 {
            // the first time it is worth a look; whoever waited for that and finds nothing hears that the directory is full
            return if std::mem::replace(&mut self.wants, true) { Err(full()) } else { Ok(0) };
        }
        self.wants = false;
        Ok(most.min(usize::try_from(left).unwrap_or(usize::MAX)))
    }

    async fn blocking_write_and_flush(&mut self, bytes: Bytes) -> StreamResult<()> {
        let charge = self.room.take(cost(bytes.len())).await.ok_or_else(full)?;
        self.inner.blocking_write_and_flush(bytes).await?;
        drop(charge);
        Ok(())
    }

    async fn cancel(&mut self) {
        self.inner.cancel().await;
    }
}

#[async_trait]
impl Pollable for Metered {
    async fn ready(&mut self) {
        self.inner.ready().await;
        self.charge = None;
        if self.wants {
            self.room.refill(LEAST).await;
        }
    }
}
