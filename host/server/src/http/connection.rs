//! One connection: its place among all, and the patience with whoever is at its other end.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hostler_api::{Code, Failure};
use rustix::process::{Resource, getrlimit};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Sleep;

use super::metrics::Traffic;

/// Connections that ask and are answered; more wait to be accepted.
const CONNECTIONS: usize = 1_024;
/// Connections that only listen, beside them, where the host may have twice as many files open.
const STREAMS: usize = 16_384;
/// Who listens, and takes nothing of what there is for so long, is hung up on.
const STALLED: Duration = Duration::from_secs(30);

/// Places for connections of both kinds.
#[derive(Clone)]
pub(super) struct Places {
    asking: Arc<Semaphore>,
    listening: Arc<Semaphore>,
    /// Whoever waits for the end of all connections is told by the end of all receivers.
    ending: watch::Receiver<()>,
    traffic: Arc<Traffic>,
}

impl Places {
    pub(super) fn new(ending: watch::Receiver<()>, traffic: Arc<Traffic>) -> Places {
        let files = getrlimit(Resource::Nofile).current.and_then(|files| usize::try_from(files).ok());
        let streams = files.map_or(STREAMS, |files| (files / 2).min(STREAMS));
        Places { asking: Arc::new(Semaphore::new(CONNECTIONS)), listening: Arc::new(Semaphore::new(streams)), ending, traffic }
    }

    /// As many places again for those who ask; those who listen share theirs.
    pub(super) fn beside(&self) -> Places {
        Places { asking: Arc::new(Semaphore::new(CONNECTIONS)), ..self.clone() }
    }

    /// Waits for a place for one more.
    pub(super) async fn take(&self) -> Wire {
        let place = Arc::clone(&self.asking).acquire_owned().await.expect("the semaphore is never closed");
        let (listening, ending) = (Arc::clone(&self.listening), self.ending.clone());
        let traffic = Arc::clone(&self.traffic);
        Wire(Arc::new(Held { place: Mutex::new(place), listening, hurried: AtomicBool::new(false), ending, traffic }))
    }
}

/// A connection, as those see it who answer on it. Its place is free when the last of them lets go.
#[derive(Clone)]
pub(super) struct Wire(Arc<Held>);

struct Held {
    place: Mutex<OwnedSemaphorePermit>,
    listening: Arc<Semaphore>,
    /// Is it to end when it takes nothing?
    hurried: AtomicBool,
    ending: watch::Receiver<()>,
    traffic: Arc<Traffic>,
}

impl Drop for Held {
    fn drop(&mut self) {
        if *self.hurried.get_mut() {
            self.traffic.streams.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Wire {
    /// Changes once, when the host ends.
    pub(super) fn ending(&self) -> watch::Receiver<()> {
        self.0.ending.clone()
    }

    /// From now on it only listens, to its end.
    ///
    /// # Errors
    /// Too many do.
    pub(super) fn become_stream(&self) -> Result<(), Failure> {
        let place = Arc::clone(&self.0.listening).try_acquire_owned().map_err(|_| {
            Failure::new(Code::Unavailable, "so many streams are open that there is no place for one more")
                .hint("close some; how many there may be is half of the files that the host may have open (`LimitNOFILE=`), and 16384 at most")
        })?;
        *self.0.place.lock().unwrap_or_else(PoisonError::into_inner) = place;
        if !self.0.hurried.swap(true, Ordering::Relaxed) {
            self.0.traffic.streams.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    fn is_hurried(&self) -> bool {
        self.0.hurried.load(Ordering::Relaxed)
    }
}

/// A stream of bytes that ends when it is a [`Wire`] that listens and takes nothing for too long.
pub(super) struct Paced<S> {
    inner: S,
    wire: Wire,
    patience: Duration,
    /// Runs while a write waits.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Paced<S> {
    pub(super) fn new(inner: S, wire: Wire) -> Paced<S> {
        Paced { inner, wire, patience: STALLED, stalled: None }
    }

    /// What became of a write: one that waits for too long has failed.
    fn paced<T>(&mut self, context: &mut Context<'_>, went: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if went.is_ready() {
            self.stalled = None;
            return went;
        }
        if self.wire.is_hurried() {
            let patience = self.patience;
            let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
            ready!(stalled.as_mut().poll(context));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let went = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.paced(context, went)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let went = Pin::new(&mut self.inner).poll_write_vectored(context, bytes);
        self.paced(context, went)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn who_listens_and_takes_nothing_is_hung_up_on() {
        let places = Places::new(watch::channel(()).1, Arc::default());
        let wire = places.take().await;
        let (mut far, near) = tokio::io::duplex(8);
        let patience = Duration::from_millis(40);
        let mut near = Paced { patience, ..Paced::new(near, wire.clone()) };
        let asking = tokio::time::timeout(patience * 4, near.write_all(&[0; 16])).await;
        assert!(asking.is_err(), "who is answered may take his time");
        wire.become_stream().expect("there is a place");
        far.read_exact(&mut [0; 8]).await.expect("it was written");
        let begun = tokio::time::Instant::now();
        let ended = near.write_all(&[0; 32]).await.expect_err("nobody reads");
        assert_eq!((ended.kind(), begun.elapsed() >= patience), (io::ErrorKind::TimedOut, true));
    }

    #[tokio::test]
    async fn a_stream_gives_back_the_place_that_it_asked_from() {
        let (_, ending) = watch::channel(());
        let places = Places { asking: Arc::new(Semaphore::new(1)), listening: Arc::new(Semaphore::new(1)), ending, traffic: Arc::default() };
        let first = places.take().await;
        first.become_stream().expect("there is a place");
        let second = places.take().await;
        assert!(second.become_stream().is_err(), "one listens already");
        assert_eq!(places.traffic.streams.load(Ordering::Relaxed), 1);
        drop(first);
        assert_eq!(places.traffic.streams.load(Ordering::Relaxed), 0);
        assert!(second.become_stream().is_ok());
    }
}
