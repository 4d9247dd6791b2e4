//! Very many who listen at once: each a connection that is read as soon as there is something, all by one thread.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

use crate::Fallible;

/// What stands before the number of an event.
const MARK: &[u8] = b"id: ";
/// As much of the end of what was read as the end of one event can be long.
const TAIL: usize = 2_048;
/// Nothing that works takes so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Connections, and the last event that each has heard of.
#[derive(Debug)]
pub(crate) struct Listeners {
    all: Vec<Listener>,
    ready: std::os::fd::OwnedFd,
}

#[derive(Debug)]
struct Listener {
    stream: UnixStream,
    tail: Vec<u8>,
    last: u64,
}

impl Listeners {
    /// These connections.
    pub(crate) fn of(streams: Vec<UnixStream>) -> Fallible<Listeners> {
        let ready = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        for (place, stream) in streams.iter().enumerate() {
            stream.set_nonblocking(true)?;
            epoll::add(&ready, stream, epoll::EventData::new_u64(place as u64), epoll::EventFlags::IN)?;
        }
        let all = streams.into_iter().map(|stream| Listener { stream, tail: Vec::new(), last: 0 }).collect();
        Ok(Listeners { all, ready })
    }

    /// So many that follow the events of a host as server-sent events, from this one on.
    pub(crate) fn follow(socket: &Path, count: usize, after: u64) -> Fallible<Listeners> {
        let request = format!("GET /api/v1/events?after={after} HTTP/1.1\r\nhost: hostler\r\naccept: text/event-stream\r\n\r\n");
        let one = |_| -> Fallible<UnixStream> {
            let mut stream = UnixStream::connect(socket)?;
            stream.write_all(request.as_bytes())?;
            // The head and the greeting: from then on it is followed.
            let mut begun = Vec::new();
            while !begun.ends_with(b"retry: 1000\n\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte)?;
                begun.push(byte[0]);
            }
            Ok(stream)
        };
        Listeners::of((0..count).map(one).collect::<Fallible<_>>()?)
    }

    /// How many they are.
    pub(crate) fn count(&self) -> usize {
        self.all.len()
    }

    /// Reads until each has heard of this event.
    pub(crate) fn until(&mut self, last: u64) -> Fallible<()> {
        let end = Instant::now() + PATIENCE;
        let mut missing = self.all.iter().filter(|listener| listener.last < last).count();
        let (mut events, mut bytes) = (Vec::with_capacity(256), vec![0; 64 << 10]);
        while missing > 0 {
            events.clear();
            let patience = Timespec::try_from(Duration::from_millis(100)).ok();
            match epoll::wait(&self.ready, spare_capacity(&mut events), patience.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for event in &events {
                let listener = &mut self.all[event.data.u64() as usize];
                let before = listener.last;
                listener.hear(&mut bytes)?;
                missing -= usize::from(before < last && listener.last >= last);
            }
            if Instant::now() > end {
                return Err(format!("{missing} of {} have not heard of event {last} after a minute", self.all.len()).into());
            }
        }
        Ok(())
    }
}

impl Listener {
    /// Reads what there is, once.
    fn hear(&mut self, bytes: &mut [u8]) -> Fallible<()> {
        let read = match self.stream.read(bytes) {
            Ok(0) => return Err("a stream has ended".into()),
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        self.tail.extend_from_slice(&bytes[..read]);
        let from = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..from);
        self.last = newest(&self.tail).unwrap_or(self.last);
        Ok(())
    }
}

/// The last number of an event whose line is whole.
fn newest(text: &[u8]) -> Option<u64> {
    (0..text.len()).rev().filter(|at| text[*at..].starts_with(MARK)).find_map(|at| {
        let rest = &text[at + MARK.len()..];
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        std::str::from_utf8(&rest[..end]).ok()?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_whole_number_is_found() {
        assert_eq!(newest(b"id: 7\nevent: x\n\nid: 12\ndata: y\n\nid: 13"), Some(12));
        assert_eq!(newest(b"data: nothing\n"), None);
    }
}
