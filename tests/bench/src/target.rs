//! What is checked over HTTP: a process of its own that says `200 OK` on many ports, keeps connections, and counts.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::process::{Child, ExitCode, Stdio};

use rustix::buffer::spare_capacity;
use rustix::event::epoll;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::Fallible;
use crate::place::Place;

/// What it has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Served {
    /// Answers given.
    pub(crate) requests: u64,
    /// Connections taken.
    pub(crate) connections: u64,
}

/// The process.
#[derive(Debug)]
pub(crate) struct Target {
    child: Child,
    counts: File,
    /// The ports of 127.0.0.1 that it serves.
    pub(crate) ports: Vec<u16>,
}

impl Target {
    /// Starts it; it ends with this value, or with the place.
    pub(crate) fn start(place: &Place, ports: usize) -> Fallible<Target> {
        let path = place.write("served", &"\0".repeat(16))?;
        let mut command = place.program(std::env::current_exe()?);
        let mut child = command.args(["target", &ports.to_string()]).arg(&path).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no output to read")?).read_line(&mut line)?;
        let said = line.split_whitespace().map(str::parse).collect::<Result<Vec<u16>, _>>()?;
        let target = Target { child, counts: File::open(path)?, ports: said };
        if target.ports.len() == ports { Ok(target) } else { Err(format!("{ports} ports could not be opened: ulimit -Hn says how many can").into()) }
    }

    /// What it has done up to now.
    pub(crate) fn served(&self) -> Fallible<Served> {
        let mut bytes = [0; 16];
        self.counts.read_exact_at(&mut bytes, 0)?;
        let both = u128::from_le_bytes(bytes);
        Ok(Served { requests: both as u64, connections: (both >> 64) as u64 })
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The life of that process: words are how many ports, and the file it counts in.
pub(crate) fn live(mut words: impl Iterator<Item = OsString>) -> ExitCode {
    let count = words.next().and_then(|word| word.to_str()?.parse().ok());
    let (Some(count), Some(counts)) = (count, words.next()) else { return ExitCode::from(2) };
    match serve(count, &counts) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hostler-bench target: {error}");
            ExitCode::FAILURE
        }
    }
}

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok";

/// A connection, and how much of the end of a request's head it has said: four characters.
#[derive(Debug)]
struct Talk(TcpStream, usize);

fn serve(count: usize, counts: &OsString) -> Fallible<()> {
    // A listener and a connection for each port. If the machine does not allow that, a listener will say so.
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    let counts = OpenOptions::new().write(true).open(counts)?;
    let listeners = (0..count).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<Result<Vec<_>, _>>()?;
    let ready = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    for (index, listener) in listeners.iter().enumerate() {
        listener.set_nonblocking(true)?;
        epoll::add(&ready, listener, epoll::EventData::new_u64(index as u64), epoll::EventFlags::IN)?;
    }
    let ports = listeners.iter().map(|listener| Ok(listener.local_addr()?.port().to_string())).collect::<Fallible<Vec<_>>>()?;
    println!("{}", ports.join(" "));
    let (mut talks, mut served, mut events) = (HashMap::new(), Served::default(), Vec::with_capacity(256));
    loop {
        events.clear();
        match epoll::wait(&ready, spare_capacity(&mut events), None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            let key = event.data.u64();
            if let Some(listener) = listeners.get(key as usize) {
                let Ok((stream, _)) = listener.accept() else { continue };
                stream.set_nonblocking(true)?;
                stream.set_nodelay(true)?;
                served.connections += 1;
                let key = count as u64 + served.connections;
                epoll::add(&ready, &stream, epoll::EventData::new_u64(key), epoll::EventFlags::IN)?;
                talks.insert(key, Talk(stream, 0));
            } else if let Some(talk) = talks.get_mut(&key) {
                match talk.answer() {
                    Some(answered) => served.requests += answered,
                    // Closing it also takes it out of the set that is waited for.
                    None => drop(talks.remove(&key)),
                }
            }
        }
        let both = u128::from(served.requests) | u128::from(served.connections) << 64;
        counts.write_all_at(&both.to_le_bytes(), 0)?;
    }
}

impl Talk {
    /// Answers every request whose head has come to its end; how many, or nothing when the other side has hung up.
    fn answer(&mut self) -> Option<u64> {
        let mut bytes = [0; 4096];
        let read = match self.0.read(&mut bytes) {
            Ok(0) => return None,
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => 0,
            Err(_) => return None,
        };
        let answers = bytes[..read].iter().filter(|byte| self.ends(**byte)).count() as u64;
        // The answer is smaller than any buffer of a socket that is read from.
        (0..answers).try_for_each(|_| self.0.write_all(ANSWER)).ok().map(|()| answers)
    }

    /// Is this the last byte of a request's head?
    fn ends(&mut self, byte: u8) -> bool {
        self.1 = match (self.1, byte) {
            (0 | 2, b'\r') | (1 | 3, b'\n') => self.1 + 1,
            (_, b'\r') => 1,
            _ => 0,
        };
        let over = self.1 == 4;
        if over {
            self.1 = 0;
        }
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_ends_with_an_empty_line_wherever_it_was_cut() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let stream = TcpStream::connect(listener.local_addr().expect("its address")).expect("it connects");
        let mut talk = Talk(stream, 0);
        let ends = |talk: &mut Talk, text: &str| text.bytes().filter(|byte| talk.ends(*byte)).count();
        assert_eq!(ends(&mut talk, "GET / HTTP/1.1\r\nhost: x\r\n\r"), 0);
        assert_eq!(ends(&mut talk, "\nGET / HTTP/1.1\r\n\r\n\r\n"), 1 + 1);
    }
}
