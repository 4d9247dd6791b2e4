//! What the services are: this program again, with a part to play.
//!
//! Each life writes into `NAME.account`: `S run pid time mark` when it starts, `E run code time` just before it ends by itself, and
//! `D run pid time` when it finds another life of the same service. A lock that dies with its process tells them apart.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use crate::clock::now_ms;
use crate::random::Random;

/// How many lines of some 4,000 bytes are 60 MiB.
pub const PAGES: u64 = 15_000;

/// Plays `part`, with its account in `dir`; `port` is for who listens.
///
/// # Panics
/// When it is no service of a host, or cannot keep its account.
pub fn play(part: &str, dir: &Path, port: Option<u16>) -> ExitCode {
    let variable = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: the host starts this, not a person"));
    let (name, run) = (variable("HOSTLER_SERVICE"), variable("HOSTLER_RUN"));
    let pid = std::process::id();
    let account = File::options().append(true).create(true).open(dir.join(format!("{name}.account"))).expect("the directory is ours");
    let write = |line: String| (&account).write_all(line.as_bytes()).expect("the disk has space");
    let lock = File::options().append(true).create(true).open(dir.join(format!("{name}.lock"))).expect("the directory is ours");
    if lock.try_lock().is_err() {
        write(format!("D {run} {pid} {}\n", now_ms()));
    }
    write(format!("S {run} {pid} {} {}\n", now_ms(), std::env::var("MARK").unwrap_or_else(|_| "-".into())));
    let mut random = Random::new(now_ms() ^ (u64::from(pid) << 32));
    let mut end = |least: u64, spread: u64, code: u8| {
        std::thread::sleep(Duration::from_millis(least + random.below(spread)));
        println!("{run} ends");
        write(format!("E {run} {code} {}\n", now_ms()));
        ExitCode::from(code)
    };
    match part {
        "count" => count(&run, 1),
        "flood" => count(&run, 20),
        "pages" => pages(&run),
        "listen" => listen(port.expect("it was told where")),
        "once" => end(50, 1500, 0),
        // a code of its own for each life
        "crash" => end(10, 900, u8::try_from(1 + run.parse::<u64>().unwrap_or_default() % 100).expect("at most 100")),
        _ => panic!("nobody plays {part}"),
    }
}

/// Numbered lines, so many in a row.
fn count(run: &str, in_a_row: u64) -> ExitCode {
    for number in 1_u64.. {
        println!("{run} {number}");
        if number.is_multiple_of(in_a_row) {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    ExitCode::SUCCESS
}

/// Numbered lines of a page each, more than a log keeps; and then nothing more.
fn pages(run: &str) -> ExitCode {
    for number in 1..=PAGES {
        println!("{run} {number:04000}");
    }
    loop {
        std::thread::park();
    }
}

fn listen(port: u16) -> ExitCode {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("the port was free a moment ago");
    for mut stream in listener.incoming().flatten() {
        // Whoever hangs up early asks again.
        let _ = stream.set_read_timeout(Some(Duration::from_millis(200)));
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
    }
    ExitCode::SUCCESS
}
