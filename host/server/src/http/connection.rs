//! One connection: its place among all, and the patience with whoever is at its other end.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hostler_api::{Code, Failure};
use rustix::process::{Resource, getrlimit};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Sleep;

use super::caller::Caller;
use super::metrics::Traffic;
use crate::front::Seat;

/// Connections that ask and are answered; more wait to be accepted. An eighth of what there is of files where that is less: of all, three sixteenths
/// are left for the store, the keeper and what plugins open (the other shares: `front.rs`, and kept connections of checks in the wasm room).
const CONNECTIONS: usize = 1_024;
/// So many ask even where there are hardly any files.
const FEW: usize = 16;
/// Connections that only listen, beside them, where the host may have twice as many files open.
const STREAMS: usize = 16_384;
/// Of them, with one token.
const OF_ONE: usize = 4_096;
/// Who listens, and takes nothing of what there is for so long, is hung up on.
const STALLED: Duration = Duration::from_secs(30);
/// Who was answered may take his time, but not for ever without taking anything.
const SLOW: Duration = Duration::from_secs(120);

/// Places for connections of both kinds.
#[derive(Clone)]
pub(super) struct Places {
    asking: Arc<Semaphore>,
    /// How many there are of these.
    most: usize,
    listening: Arc<Semaphore>,
    /// How many listen with each token.
    of_tokens: Arc<Tally>,
    /// Whoever waits for the end of all connections is told by the end of all receivers.
    ending: watch::Receiver<()>,
    traffic: Arc<Traffic>,
}

impl Places {
    pub(super) fn new(ending: watch::Receiver<()>, traffic: Arc<Traffic>) -> Places {
        let files = getrlimit(Resource::Nofile).current.and_then(|files| usize::try_from(files).ok());
        let (most, streams) = shares(files);
        let (asking, listening) = (Arc::new(Semaphore::new(most)), Arc::new(Semaphore::new(streams)));
        Places { asking, most, listening, of_tokens: Arc::default(), ending, traffic }
    }

    /// As many places again for those who ask; those who listen share theirs.
    pub(super) fn beside(&self) -> Places {
        Places { asking: Arc::new(Semaphore::new(self.most)), ..self.clone() }
    }

    /// Waits for a place for one more.
    pub(super) async fn take(&self) -> Wire {
        let place = Arc::clone(&self.asking).acquire_owned().await.expect("the semaphore is never closed");
        let (listening, of_tokens, ending) = (Arc::clone(&self.listening), Arc::clone(&self.of_tokens), self.ending.clone());
        let (traffic, kept) = (Arc::clone(&self.traffic), Mutex::new(Kept { _place: place, seat: None, _count: None }));
        Wire(Arc::new(Held { kept, listening, of_tokens, hurried: AtomicBool::new(false), ending, traffic }))
    }
}

/// How many may ask, and how many listen, with so many files at most.
fn shares(files: Option<usize>) -> (usize, usize) {
    let files = files.unwrap_or(usize::MAX);
    ((files / 8).clamp(FEW, CONNECTIONS), (files / 2).min(STREAMS))
}

/// A connection, as those see it who answer on it. Its place is free when the last of them lets go.
#[derive(Clone)]
pub(super) struct Wire(Arc<Held>);

struct Held {
    kept: Mutex<Kept>,
    listening: Arc<Semaphore>,
    of_tokens: Arc<Tally>,
    /// Is it to end when it takes nothing?
    hurried: AtomicBool,
    ending: watch::Receiver<()>,
    traffic: Arc<Traffic>,
}

/// What a connection counts as, until the last who answers on it lets go.
struct Kept {
    _place: OwnedSemaphorePermit,
    /// At the TCP door, among those of its address.
    seat: Option<Seat>,
    /// Among the streams of a token.
    _count: Option<Counted>,
}

/// How many there are of each.
#[derive(Default)]
struct Tally(Mutex<BTreeMap<String, usize>>);

/// One of them.
struct Counted {
    tally: Arc<Tally>,
    of: String,
}

impl Tally {
    /// One more, unless there are so many already.
    fn count(self: &Arc<Self>, of: &str, most: usize) -> Option<Counted> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(of.to_owned()).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Counted { tally: Arc::clone(self), of: of.to_owned() })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut counts = self.tally.0.lock().unwrap_or_else(PoisonError::into_inner);
        match counts.get_mut(&self.of) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(counts.remove(&self.of)),
        }
    }
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

    /// It came through the TCP door, and sits there until its end.
    pub(super) fn sit(&self, seat: Seat) {
        self.kept().seat = Some(seat);
    }

    /// From now on it only listens, to its end. Who has shown a token is counted by that, and not among those of his address any more: many
    /// may come from one, through a proxy.
    ///
    /// # Errors
    /// Too many do.
    pub(super) fn become_stream(&self, caller: &Caller) -> Result<(), Failure> {
        let count = caller.token.as_deref().map(|token| {
            self.0.of_tokens.count(token, OF_ONE).ok_or_else(|| {
                Failure::new(Code::TooMany, format!("{OF_ONE} streams are open with this token")).hint("close some, or use a token for each client")
            })
        });
        let count = count.transpose()?;
        let place = Arc::clone(&self.0.listening).try_acquire_owned().map_err(|_| {
            Failure::new(Code::Unavailable, "so many streams are open that there is no place for one more")
                .hint("close some; how many there may be is half of the files that the host may have open (`LimitNOFILE=`), and 16384 at most")
        })?;
        let before = std::mem::replace(&mut *self.kept(), Kept { _place: place, seat: None, _count: count });
        // Its own socket's and a client's that shows only its certificate go on being counted as they were.
        if caller.token.is_none() {
            self.kept().seat = before.seat;
        }
        if !self.0.hurried.swap(true, Ordering::Relaxed) {
            self.0.traffic.streams.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_hurried(&self) -> bool {
        self.0.hurried.load(Ordering::Relaxed)
    }
}

/// A stream of bytes that ends when nothing is taken of what there is for too long.
pub(super) struct Paced<S> {
    inner: S,
    wire: Wire,
    /// With a [`Wire`] that listens, and with one that asks.
    patience: [Duration; 2],
    /// Runs while a write waits.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Paced<S> {
    pub(super) fn new(inner: S, wire: Wire) -> Paced<S> {
        Paced { inner, wire, patience: [STALLED, SLOW], stalled: None }
    }

    /// What became of a write: one that waits for too long has failed.
    fn paced<T>(&mut self, context: &mut Context<'_>, went: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if went.is_ready() {
            self.stalled = None;
            return went;
        }
        let [listening, asking] = self.patience;
        let patience = if self.wire.is_hurried() { listening } else { asking };
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        ready!(stalled.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
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

    fn local() -> Caller {
        Caller::local(Some(0)).expect("root may do everything")
    }

    #[test]
    fn few_files_are_not_all_taken_by_connections() {
        let most = (CONNECTIONS, STREAMS);
        for (files, asking_and_listening) in [(Some(64), (16, 32)), (Some(1_024), (128, 512)), (Some(1 << 20), most), (None, most)] {
            assert_eq!(shares(files), asking_and_listening, "{files:?}");
        }
    }

    #[tokio::test]
    async fn who_listens_and_takes_nothing_is_hung_up_on() {
        let places = Places::new(watch::channel(()).1, Arc::default());
        let wire = places.take().await;
        let (mut far, near) = tokio::io::duplex(8);
        let patience = [Duration::from_millis(40), Duration::from_millis(400)];
        let mut near = Paced { patience, ..Paced::new(near, wire.clone()) };
        let begun = tokio::time::Instant::now();
        let ended = near.write_all(&[0; 16]).await.expect_err("nobody reads");
        assert_eq!((ended.kind(), begun.elapsed() >= patience[1]), (io::ErrorKind::TimedOut, true), "who is answered may take his time");
        wire.become_stream(&local()).expect("there is a place");
        far.read_exact(&mut [0; 8]).await.expect("it was written");
        let begun = tokio::time::Instant::now();
        let ended = near.write_all(&[0; 32]).await.expect_err("nobody reads");
        assert_eq!((ended.kind(), begun.elapsed() >= patience[0]), (io::ErrorKind::TimedOut, true));
    }

    #[tokio::test]
    async fn a_stream_gives_back_the_place_that_it_asked_from() {
        let (_, ending) = watch::channel(());
        let (asking, listening) = (Arc::new(Semaphore::new(1)), Arc::new(Semaphore::new(1)));
        let places = Places { asking, most: 1, listening, of_tokens: Arc::default(), ending, traffic: Arc::default() };
        let first = places.take().await;
        first.become_stream(&local()).expect("there is a place");
        let second = places.take().await;
        assert!(second.become_stream(&local()).is_err(), "one listens already");
        assert_eq!(places.traffic.streams.load(Ordering::Relaxed), 1);
        drop(first);
        assert_eq!(places.traffic.streams.load(Ordering::Relaxed), 0);
        assert!(second.become_stream(&local()).is_ok());
    }

    #[test]
    fn streams_of_one_token_are_counted_until_they_end() {
        let tally = Arc::new(Tally::default());
        let first = tally.count("t", 2).expect("there is room");
        let second = tally.count("t", 2).expect("there is room");
        assert!(tally.count("t", 2).is_none() && tally.count("other", 2).is_some());
        drop(first);
        assert!(tally.count("t", 2).is_some());
        drop(second);
        assert!(tally.0.lock().expect("nobody panicked").is_empty());
    }
}
