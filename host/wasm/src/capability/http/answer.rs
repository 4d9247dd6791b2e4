//! The body of an answer: cut off at its size and deadline; read to its end, it gives its connection back.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep};
use wasmtime_wasi_http::Error;

use super::transport::Lease;

/// What a guest left unread is worth this much reading, to keep the connection.
const DRAIN_BYTES: u64 = 256 << 10;
const DRAIN_TIME: Duration = Duration::from_secs(1);

/// Wraps an answer's body.
pub(super) fn guard(body: Incoming, lease: Lease, most: u64, until: Instant) -> Answer {
    let mut answer = Answer { inner: Some((body, lease)), left: most, most, deadline: Box::pin(tokio::time::sleep_until(until)) };
    answer.finish_if_ended();
    answer
}

/// A body as the guest reads it.
pub(super) struct Answer {
    /// Absent once the end, an error or a limit was reached.
    inner: Option<(Incoming, Lease)>,
    left: u64,
    most: u64,
    deadline: Pin<Box<Sleep>>,
}

impl Answer {
    fn finish_if_ended(&mut self) {
        if self.inner.as_ref().is_some_and(|(body, _)| body.is_end_stream())
            && let Some((_, lease)) = self.inner.take()
        {
            lease.give_back();
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let Some((body, _)) = &mut self.inner else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(context);
        if polled.is_pending() && self.deadline.as_mut().poll(context).is_ready() {
            self.inner = None;
            return Poll::Ready(Some(Err(Error::HttpResponseTimeout)));
        }
        let frame = match ready!(polled) {
            None => {
                if let Some((_, lease)) = self.inner.take() {
                    lease.give_back();
                }
                return Poll::Ready(None);
            }
            Some(Err(error)) => {
                self.inner = None;
                return Poll::Ready(Some(Err(Error::Hyper(error))));
            }
            Some(Ok(frame)) => frame,
        };
        let length = frame.data_ref().map_or(0, |data| data.len() as u64);
        match self.left.checked_sub(length) {
            Some(left) => self.left = left,
            None => {
                self.inner = None;
                return Poll::Ready(Some(Err(Error::HttpResponseBodySize(Some(self.most)))));
            }
        }
        self.finish_if_ended();
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), |(body, _)| body.size_hint())
    }
}

/// A check often looks at the status alone. The rest of a small answer is read for it, so that the next check needs no new
/// connection; a large one is hung up on.
impl Drop for Answer {
    fn drop(&mut self) {
        let Some((body, lease)) = self.inner.take() else { return };
        let small = body.size_hint().upper().is_some_and(|bytes| bytes <= DRAIN_BYTES);
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if small {
            runtime.spawn(async move {
                if let Ok(Ok(_)) = tokio::time::timeout(DRAIN_TIME, body.collect()).await {
                    lease.give_back();
                }
            });
        }
    }
}
