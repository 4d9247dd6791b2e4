//! Somebody who is told things by POST, and takes them as a test says.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::wait::until_some;

/// How he takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Takes {
    /// With this status; 200 is that he took it.
    Answering(u16),
    /// With a redirect to this place.
    Elsewhere(String),
    /// Not at all, until he is let go: then the connection ends without an answer.
    Hanging,
}

/// A request that came, whatever became of it.
#[derive(Debug, Clone)]
pub struct Told {
    /// The head, in lower case.
    pub head: String,
    /// The body as it came.
    pub raw: Vec<u8>,
    /// The body.
    pub body: Value,
    /// Was it answered by 200?
    pub taken: bool,
}

/// The receiver. His thread ends with the test's process.
#[derive(Debug, Clone)]
pub struct Hook {
    /// Where he listens on the loopback address.
    pub port: u16,
    state: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Debug, Default)]
struct State {
    told: Vec<Told>,
    next: Vec<Takes>,
    always: Option<Takes>,
}

impl Hook {
    /// One who takes everything.
    ///
    /// # Panics
    /// When there is no free port.
    pub fn new() -> Hook {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let hook = Hook { port: listener.local_addr().expect("it is bound").port(), state: Arc::default() };
        let own = hook.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let own = own.clone();
                thread::spawn(move || own.hear(stream));
            }
        });
        hook
    }

    /// Where he is told.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    /// How he takes the next requests, one after the other; those behind them as always.
    pub fn takes_next(&self, next: &[Takes]) {
        let mut state = self.state();
        state.next = next.iter().rev().cloned().collect();
    }

    /// How he takes all others from now on. Whoever hangs is let go.
    pub fn takes(&self, always: Takes) {
        self.state().always = Some(always);
        self.state.1.notify_all();
    }

    /// Every request until now.
    pub fn told(&self) -> Vec<Told> {
        self.state().told.clone()
    }

    /// The bodies that he took.
    pub fn taken(&self) -> Vec<Value> {
        self.told().into_iter().filter(|told| told.taken).map(|told| told.body).collect()
    }

    /// Waits until he took so many; all of them.
    ///
    /// # Panics
    /// When he never does.
    #[track_caller]
    pub fn until_taken(&self, count: usize) -> Vec<Value> {
        until_some(&format!("{count} messages are taken"), || Some(self.taken()).filter(|taken| taken.len() >= count))
    }

    fn hear(&self, mut stream: TcpStream) {
        let Some((head, raw)) = read(&mut stream) else { return };
        let body = serde_json::from_slice(&raw).unwrap_or_default();
        let mut state = self.state();
        let takes = state.next.pop().or_else(|| state.always.clone()).unwrap_or(Takes::Answering(200));
        state.told.push(Told { head, raw, body, taken: takes == Takes::Answering(200) });
        let (status, more) = match takes {
            Takes::Answering(status) => (status, String::new()),
            Takes::Elsewhere(place) => (302, format!("location: {place}\r\n")),
            Takes::Hanging => {
                let hangs = |state: &mut State| state.always == Some(Takes::Hanging);
                drop(self.state.1.wait_timeout_while(state, Duration::from_secs(60), hangs));
                return;
            }
        };
        drop(state);
        // Whoever asked may have gone.
        let _ = stream.write_all(format!("HTTP/1.1 {status} x\r\n{more}content-length: 0\r\nconnection: close\r\n\r\n").as_bytes());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Hook {
    fn default() -> Self {
        Hook::new()
    }
}

/// A request with a length; nothing when it breaks off.
fn read(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    stream.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
    let mut bytes = Vec::new();
    let mut buffer = [0_u8; 4096];
    loop {
        let length = stream.read(&mut buffer).ok().filter(|length| *length > 0)?;
        bytes.extend_from_slice(&buffer[..length]);
        let Some(split) = bytes.windows(4).position(|part| part == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..split]).to_lowercase();
        let announced = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok()).unwrap_or(0);
        if bytes.len() >= split + 4 + announced {
            return Some((head, bytes[split + 4..split + 4 + announced].to_vec()));
        }
    }
}
