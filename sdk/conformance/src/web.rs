//! Servers on loopback, each with one manner of answering.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType};

/// How a server answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// 200, at once.
    Good,
    /// 500, at once.
    Broken,
    /// Takes the connection and says nothing.
    Silent,
    /// What is no HTTP.
    Nonsense,
    /// A tenth of what it promised, then hangs up.
    Cut,
    /// A body without an end.
    Endless,
    /// Headers without an end.
    Headers,
    /// Hangs up at once.
    Closed,
    /// Nobody listens.
    Refused,
    /// Takes no connection: its queue is full, and stays so.
    Full,
}

/// A running server; ends when dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    over: Arc<AtomicBool>,
    /// Those that fill its queue.
    _waiting: Vec<TcpStream>,
    /// The socket of one that has no thread.
    held: Option<TcpListener>,
}

/// A queue of length 0 holds one or two.
const MOST_WAITING: usize = 16;

/// Nobody waits longer for a silent server.
const PATIENCE: Duration = Duration::from_secs(20);

impl Server {
    pub(crate) fn start(manner: Manner) -> std::io::Result<Server> {
        match manner {
            Manner::Full => return Server::full(),
            Manner::Refused => return Server::refused(),
            _ => {}
        }
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let over = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&over);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                let ended = Arc::clone(&ended);
                // whoever hangs up first has heard enough
                std::thread::spawn(move || drop(serve(stream, manner, &ended)));
            }
        });
        Ok(Server { address, over, _waiting: Vec::new(), held: None })
    }

    /// A port that is taken, and does not listen.
    fn refused() -> std::io::Result<Server> {
        let socket = bound()?;
        Ok(Server { address: socket.local_addr()?, over: Arc::default(), _waiting: Vec::new(), held: Some(socket) })
    }

    /// Linux answers no further connection once the queue is full; the other side waits.
    fn full() -> std::io::Result<Server> {
        let listener = bound()?;
        rustix::net::listen(&listener, 0)?;
        let address = listener.local_addr()?;
        let mut waiting = Vec::new();
        while waiting.len() < MOST_WAITING
            && let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(100))
        {
            waiting.push(stream);
        }
        Ok(Server { address, over: Arc::default(), _waiting: waiting, held: Some(listener) })
    }
}

/// A socket with a port of its own, on which `listen` was not called yet.
fn bound() -> std::io::Result<TcpListener> {
    let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    rustix::net::bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0)))?;
    Ok(TcpListener::from(socket))
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.held.is_some() {
            return;
        }
        self.over.store(true, Ordering::SeqCst);
        // wakes the thread that waits for the next connection
        drop(TcpStream::connect_timeout(&self.address, Duration::from_millis(100)));
    }
}

fn serve(mut stream: TcpStream, manner: Manner, over: &AtomicBool) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    if manner == Manner::Closed {
        return Ok(());
    }
    let mut reader = BufReader::new(stream.try_clone()?);
    while !over.load(Ordering::SeqCst) && heard(&mut reader)? {
        match manner {
            Manner::Good => {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 16\r\n\r\n{\"status\":\"ok\"}\n")?
            }
            Manner::Broken => stream.write_all(b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n")?,
            Manner::Silent => {
                let _ = reader.read(&mut [0])?;
                return Ok(());
            }
            Manner::Nonsense => return stream.write_all(b"\xff\x00 what do you mean?\r\n\r\n"),
            Manner::Cut => return stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n0123456789"),
            Manner::Endless => {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")?;
                loop {
                    stream.write_all(&[b'x'; 1 << 14])?;
                }
            }
            Manner::Headers => {
                stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
                loop {
                    stream.write_all(b"x-more: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n")?;
                }
            }
            Manner::Closed | Manner::Refused | Manner::Full => return Ok(()),
        }
    }
    Ok(())
}

/// Reads one request's head; `false` when the other side has gone.
fn heard(reader: &mut BufReader<TcpStream>) -> std::io::Result<bool> {
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(false);
        }
        if line.trim().is_empty() {
            return Ok(true);
        }
    }
}
