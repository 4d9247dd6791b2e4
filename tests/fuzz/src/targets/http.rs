//! The native API: any bytes on the host's socket get answers that a client can read.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use hostler::door::BUILT_INS;
use hostler_api::{ApplyRequest, routes};
use hostler_server::door::Room;
use hostler_server::{HostOptions, StoreEngine};
use serde_json::{Value, json};

const PREFIX: &str = "hostler-fuzz-http-";

/// The host that all inputs of this process talk to. It is never dropped: a process that ends takes it along.
static HOUSE: Mutex<Option<House>> = Mutex::new(None);

/// One host, and where it keeps what it knows.
struct House {
    room: Room,
    dir: PathBuf,
}

/// Raw bytes, as they may come from anybody who reaches the socket. At a line of `---` another connection begins.
pub(crate) fn http(data: &[u8]) {
    let mut house = HOUSE.lock().unwrap_or_else(PoisonError::into_inner);
    for request in connections(data).into_iter().take(4) {
        // One that an earlier input broke is not there any more.
        let alive = house.take().unwrap_or_else(|| House::open(own_directory()));
        *house = Some(one_connection(alive, request));
    }
}

fn connections(data: &[u8]) -> Vec<&[u8]> {
    let mark = b"\n---\n";
    let mut rest = data;
    let mut parts = Vec::new();
    while let Some(at) = rest.windows(mark.len()).position(|window| window == mark) {
        parts.push(&rest[..at]);
        rest = &rest[at + mark.len()..];
    }
    parts.push(rest);
    parts
}

impl House {
    /// A host with two services that nobody can start, because it has no keeper.
    fn open(dir: PathBuf) -> House {
        let mut options = HostOptions::new(dir.clone(), BUILT_INS, "/nowhere".into());
        options.store = StoreEngine::Memory;
        options.initial = (!BUILT_INS.is_empty()).then(document);
        House { room: Room::new(options), dir }
    }

    /// The same as at the beginning.
    fn anew(self) -> House {
        let House { room, dir } = self;
        drop(room);
        House::open(dir)
    }
}

/// A place of this process; those of processes that are gone are removed on the way.
fn own_directory() -> PathBuf {
    let place = std::env::temp_dir();
    for entry in fs::read_dir(&place).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            fs::remove_dir_all(entry.path()).ok();
        }
    }
    place.join(format!("{PREFIX}{}", std::process::id()))
}

/// Is there a route in it that changes something?
fn may_change(request: &[u8]) -> bool {
    let has = |word: &[u8]| request.windows(word.len()).any(|part| part == word);
    let changing = [routes::START, routes::STOP, routes::RESTART, routes::APPLY, routes::DOWN, routes::SHUTDOWN, routes::CHECK_NOW];
    has(b"POST") && changing.iter().any(|route| has(route.as_bytes()))
}

fn document() -> ApplyRequest {
    let service = |needs: &[&str]| json!({ "backend": { "type": "process", "binary": "/bin/true" }, "dependencies": needs });
    let document = json!({ "version": "1.0", "services": { "db": service(&[]), "web": service(&["db"]) } });
    serde_json::from_value(json!({ "document": document, "base_dir": "/" })).expect("a request")
}

/// What the host is after this connection: as it was, or new where it was changed.
fn one_connection(house: House, request: &[u8]) -> House {
    // Whatever was said before, the connection ends behind it.
    let mut bytes = request.to_vec();
    bytes.extend_from_slice(b"\r\n\r\nGET /api/v1/none HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n");
    let (answer, closed) = house.room.ask(&bytes).expect("a host that was asked to end is not asked again");
    let has_head = request.windows(4).any(|word| word == b"HEAD");
    // What could have been asked to change, and gave no whole answer, may have changed.
    let changed = Answers { rest: &answer, closed, has_head }.judge(may_change(request));
    if changed { house.anew() } else { house }
}

/// What came back.
struct Answers<'a> {
    rest: &'a [u8],
    /// Nothing more will come.
    closed: bool,
    /// An answer may have a length and no body.
    has_head: bool,
}

impl Answers<'_> {
    /// Reads every answer; says whether one of them may have changed something: a half one has when it `might`.
    fn judge(mut self, might: bool) -> bool {
        let mut changed = might && (!self.closed || self.has_head || self.rest.is_empty());
        while !self.rest.is_empty() {
            let Some(end) = self.rest.windows(4).position(|word| word == b"\r\n\r\n") else {
                assert!(!self.closed, "half a head: {:?}", String::from_utf8_lossy(self.rest));
                return might;
            };
            let head = std::str::from_utf8(&self.rest[..end]).expect("a head is ASCII");
            let (status, headers) = parse(head);
            self.rest = &self.rest[end + 4..];
            if status == 100 {
                continue;
            }
            let body = if self.has_head && self.rest.starts_with(b"HTTP/1.1 ") { Some(Vec::new()) } else { self.body(&headers) };
            let Some(body) = body else { return might };
            if !(self.has_head && body.is_empty()) {
                fits(status, &headers, &body);
            }
            changed |= status == 200 && body.windows(12).any(|word| word == b"\"generation\"");
        }
        changed
    }

    /// The body of an answer; none when the rest of it is still to come.
    fn body(&mut self, headers: &[(String, &str)]) -> Option<Vec<u8>> {
        if let Some(length) = value(headers, "content-length") {
            let length: usize = length.parse().expect("a length is a number");
            if self.rest.len() < length {
                assert!(!self.closed || self.has_head, "an answer of {length} bytes ends after {}", self.rest.len());
                return None;
            }
            let (body, rest) = self.rest.split_at(length);
            self.rest = rest;
            return Some(body.to_vec());
        }
        if value(headers, "transfer-encoding").is_none() {
            // It ends with the connection.
            let body = std::mem::take(&mut self.rest);
            return self.closed.then(|| body.to_vec());
        }
        let mut body = Vec::new();
        loop {
            let end = self.rest.windows(2).position(|word| word == b"\r\n")?;
            let size =
                std::str::from_utf8(&self.rest[..end]).ok().and_then(|text| usize::from_str_radix(text, 16).ok()).expect("the size of a chunk");
            let chunk = self.rest.get(end + 2..end + 2 + size + 2)?;
            body.extend_from_slice(&chunk[..size]);
            self.rest = &self.rest[end + 2 + size + 2..];
            if size == 0 {
                return Some(body);
            }
        }
    }
}

fn parse(head: &str) -> (u16, Vec<(String, &str)>) {
    let mut lines = head.split("\r\n");
    let first = lines.next().expect("split yields a part");
    let status = first.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)).and_then(|code| code.parse().ok());
    let status = status.unwrap_or_else(|| panic!("no status in {first:?}"));
    let headers = lines.map(|line| line.split_once(": ").map(|(name, value)| (name.to_ascii_lowercase(), value)).expect("a header"));
    (status, headers.collect())
}

fn value<'a>(headers: &[(String, &'a str)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
}

/// An answer is a document of its kind; a refusal says what and why, and is nobody's fault but the asker's.
fn fits(status: u16, headers: &[(String, &str)], body: &[u8]) {
    let shown = String::from_utf8_lossy(body);
    // Before there is a request there is no route: hyper itself refuses what is no HTTP.
    if matches!(status, 400 | 414 | 431 | 505) && body.is_empty() && value(headers, "content-type").is_none() {
        return;
    }
    let media = value(headers, "content-type").unwrap_or_else(|| panic!("{status} without a kind: {shown}"));
    match status {
        200 if media == routes::NDJSON => {
            for line in body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                serde_json::from_slice::<Value>(line).expect("a line is a document");
            }
        }
        200 => {
            assert_eq!(media, routes::JSON);
            serde_json::from_slice::<Value>(body).expect("an answer is a document");
        }
        400..500 | 503 | 504 => {
            assert_eq!(media, routes::PROBLEM_JSON, "{status}: {shown}");
            let failure: hostler_api::Failure = serde_json::from_slice(body).unwrap_or_else(|error| panic!("{error}: {shown}"));
            assert!(!failure.message.is_empty());
            assert!(status == 405 || failure.code.http_status() == status, "{status}: {shown}");
        }
        _ => panic!("bad input is answered {status}: {shown}"),
    }
}
