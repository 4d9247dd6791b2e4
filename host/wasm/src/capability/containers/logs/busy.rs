//! The log of a container that writes as fast as it can, on an engine that is played.

use std::sync::{Arc, Mutex};

use serde_json::json;

use super::super::engine::{Engine, Engines, Known};
use super::super::played::{EngineReply, EngineRequest, EngineRole};
use super::{Place, read};
use crate::grant::EngineGrant;
use crate::hooks::Wait;

/// Lines, a hundred each millisecond.
const LINES: u64 = 100_000;
const BEGUN: u64 = 1_800_000_000_000_000_000;

/// Answers as many of the last lines as it is asked for, and remembers how many that were.
#[derive(Default)]
struct Busy(Mutex<Vec<Option<u64>>>);

impl EngineRole for Busy {
    fn answer(&self, request: EngineRequest) -> Wait<'_, EngineReply> {
        let body = if request.path == "/version" {
            json!({ "Version": "1", "ApiVersion": "1.41", "MinAPIVersion": "1.12" }).to_string().into_bytes()
        } else {
            let tail = request.query.iter().find(|(name, _)| name == "tail").and_then(|(_, tail)| tail.parse().ok());
            self.0.lock().expect("nobody panics while holding it").push(tail);
            (LINES - tail.unwrap_or(LINES).min(LINES)..LINES).flat_map(frame).collect()
        };
        Box::pin(async { EngineReply { status: 200, body } })
    }
}

fn frame(line: u64) -> Vec<u8> {
    let text = format!("2027-01-15T08:00:00.{:09}Z line {line}\n", line * 10_000);
    [&[1, 0, 0, 0][..], &u32::try_from(text.len()).expect("it is short").to_be_bytes(), text.as_bytes()].concat()
}

fn engine() -> (Arc<Engine>, Arc<Busy>, Known) {
    let (engines, busy) = (Engines::new("owner".to_owned()), Arc::new(Busy::default()));
    engines.play(Arc::<Busy>::clone(&busy));
    let grant: EngineGrant = serde_json::from_value(json!({ "endpoint": "unix:///nowhere/docker.sock" })).expect("a grant");
    let engine = engines.at(&grant).expect("nothing is connected to");
    (engine, busy, Known { id: "web".to_owned(), ours: true, tagged: true, tty: false })
}

#[tokio::test]
async fn the_end_of_a_log_is_read_without_its_beginning() {
    let (engine, busy, web) = engine();
    let lines = read(&engine, &web, None, Some(20), 1 << 20).await.expect("it answers");
    assert_eq!(lines.lines.len(), 20);
    assert_eq!(lines.next, format!("{}.1", BEGUN + (LINES - 1) * 10_000));
    let asked = std::mem::take(&mut *busy.0.lock().expect("nobody panics while holding it"));
    assert!(asked.iter().all(Option::is_some), "all of the log was asked for: {asked:?}");
}

#[tokio::test]
async fn a_place_near_the_end_is_found_without_the_beginning() {
    let (engine, busy, web) = engine();
    let place = Place { at: BEGUN + LINES / 2 * 10_000, lines: 1 };
    let lines = read(&engine, &web, Some(place), None, 64).await.expect("it answers");
    assert!(!lines.gap && lines.next != place.to_string(), "{}", lines.next);
    let asked = std::mem::take(&mut *busy.0.lock().expect("nobody panics while holding it"));
    assert!(asked.iter().all(Option::is_some), "all of the log was asked for: {asked:?}");
}
