//! One client: what it sent and what it has yet to read.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;

use rustix::event::epoll;
use rustix::fd::{AsFd, BorrowedFd};
use serde::Serialize;

use crate::protocol::{Decoder, Frame, FrameError, encode};

/// Most bytes read from one client in one turn.
const READ_BYTES: usize = 256 * 1024;
/// A client that has so much to read is not listened to until it has read some.
const PAUSE_BYTES: usize = 4 * 1024 * 1024;
/// A client that lets so much pile up is gone for all practical purposes.
const DROP_BYTES: usize = 64 * 1024 * 1024;

/// A connected client.
pub(super) struct Connection {
    stream: UnixStream,
    decoder: Decoder,
    out: Vec<u8>,
    sent: usize,
    /// What epoll was last told to watch for.
    pub(super) interest: epoll::EventFlags,
    pub(super) is_introduced: bool,
    pub(super) is_exclusive: bool,
    pub(super) is_subscribed: bool,
    /// It closed, failed, or spoke in no frames of ours; removed at the end of the turn.
    pub(super) is_over: bool,
}

impl Connection {
    pub(super) fn new(stream: UnixStream) -> Connection {
        Connection {
            stream,
            decoder: Decoder::new(),
            out: Vec::new(),
            sent: 0,
            interest: epoll::EventFlags::IN,
            is_introduced: false,
            is_exclusive: false,
            is_subscribed: false,
            is_over: false,
        }
    }

    /// Reads what is there, up to the turn's share.
    pub(super) fn read(&mut self) {
        if self.is_full() {
            return;
        }
        let mut buffer = [0; 16 * 1024];
        for _ in 0..READ_BYTES / buffer.len() {
            match self.stream.read(&mut buffer) {
                Ok(0) => {
                    self.is_over = true;
                    return;
                }
                Ok(read) => {
                    self.decoder.push(&buffer[..read]);
                    if read < buffer.len() {
                        // that was all; what comes now, epoll tells
                        return;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.is_over |= error.kind() != ErrorKind::WouldBlock;
                    return;
                }
            }
        }
    }

    /// The next whole request, unless the client has too much to read first.
    pub(super) fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        if self.is_full() { Ok(None) } else { self.decoder.next_frame() }
    }

    /// Queues a frame; it goes out at the end of the turn.
    pub(super) fn send<T: Serialize>(&mut self, id: u64, message: &T, body: &[u8]) {
        self.out.extend(encode(id, message, body));
        self.is_over |= self.unsent() > DROP_BYTES;
    }

    /// Writes what it takes.
    pub(super) fn flush(&mut self) {
        while self.unsent() > 0 {
            match self.stream.write(&self.out[self.sent..]) {
                Ok(written) => self.sent += written,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => {
                    self.is_over = true;
                    return;
                }
            }
        }
        self.out.clear();
        self.out.shrink_to(64 * 1024);
        self.sent = 0;
    }

    /// What epoll should watch for now.
    pub(super) fn wanted(&self) -> epoll::EventFlags {
        let reading = if self.is_full() { epoll::EventFlags::empty() } else { epoll::EventFlags::IN };
        let writing = if self.unsent() > 0 { epoll::EventFlags::OUT } else { epoll::EventFlags::empty() };
        reading | writing
    }

    fn unsent(&self) -> usize {
        self.out.len() - self.sent
    }

    fn is_full(&self) -> bool {
        self.unsent() > PAUSE_BYTES
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
