//! Plays a recording back: every call again, with the answers of then, until something differs.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hostler_wasm::record::{Event, Header, RECORDING, RecordedCall};
use hostler_wasm::{Call, CallInfo, Decision, ImportCall, JsonCallError, Spelling, Tap};
use serde_json::{Value, json};

use crate::Error;
use crate::stand::{Against, Subject, World};

/// A recording, read.
#[derive(Debug, Clone)]
pub struct Recording {
    /// What was recorded.
    pub header: Header,
    /// In the order in which they began.
    pub calls: Vec<RecordedCall>,
    /// There was no room for more.
    pub full: bool,
}

/// What came of playing it back.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Replay {
    /// Calls that went as they did then.
    pub same: usize,
    /// Calls that cannot be played back, and why, with how many of each.
    pub skipped: BTreeMap<String, usize>,
    /// The first that went otherwise.
    pub difference: Option<Difference>,
}

/// Where a call leaves the recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The number of the call in the recording.
    pub call: u64,
    /// Interface and function.
    pub function: String,
    /// In words.
    pub what: String,
    /// What was recorded.
    pub recorded: Value,
    /// What happens now.
    pub now: Value,
}

/// A line that is no recording.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct NotARecording {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: String,
}

impl Recording {
    /// Reads the lines of a file. A last line that was cut off is left out.
    pub fn read(text: &str) -> Result<Recording, NotARecording> {
        let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).peekable();
        let Some((_, first)) = lines.next() else { return Err(NotARecording { line: 1, why: "the file is empty".to_owned() }) };
        let header: Header =
            serde_json::from_str(first).map_err(|error| NotARecording { line: 1, why: format!("this is no header of a recording: {error}") })?;
        if header.recording != RECORDING {
            return Err(NotARecording { line: 1, why: format!("it is of version {}, and this program reads version {RECORDING}", header.recording) });
        }
        let (mut calls, mut full): (Vec<RecordedCall>, bool) = (Vec::new(), false);
        while let Some((nth, line)) = lines.next() {
            match serde_json::from_str(line) {
                Ok(call) => calls.push(call),
                Err(_) if serde_json::from_str(line).is_ok_and(|value: Value| value == json!({ "full": true })) => full = true,
                Err(_) if lines.peek().is_none() && !text.ends_with('\n') => {}
                Err(error) => return Err(NotARecording { line: nth + 1, why: error.to_string() }),
            }
        }
        calls.sort_by_key(|call| call.call);
        Ok(Recording { header, calls, full })
    }
}

/// Time for one call: it waits for nothing but its own timers.
const DEADLINE: Duration = Duration::from_secs(60);

/// Makes every call of a recording again, on a component that may be another one.
pub async fn replay(recording: &Recording, bytes: Vec<u8>, origin: String) -> Result<Replay, Error> {
    let config = recording.header.config.clone();
    let subject = Subject { name: recording.header.plugin.clone(), bytes, origin, config, settings: None, grants: None, against: Against::Fake };
    let world = World::new(subject).map_err(Error::Host)?;
    let grants = world.grants().await.map_err(Error::Load)?;
    let stand = world.stand_with(grants).await.map_err(Error::Load)?;
    let player = Arc::new(Player::default());
    stand.plugin.set_tap(Some(Arc::clone(&player) as Arc<dyn Tap>));
    let mut played = Replay::default();
    for call in &recording.calls {
        if let Some(why) = unplayable(&recording.header, call) {
            *played.skipped.entry(why).or_default() += 1;
            continue;
        }
        player.begin(call);
        let exec = stand.task_behind(0);
        let asked = Call::within(DEADLINE).about("replay");
        let answer = stand.plugin.call_json(&call.function, &call.arguments, Spelling::Stored, asked, exec).await;
        if let Some(difference) = player.end().or_else(|| compared(call, answer)) {
            played.difference = Some(difference);
            break;
        }
        played.same += 1;
    }
    Ok(played)
}

fn unplayable(header: &Header, call: &RecordedCall) -> Option<String> {
    if call.cut {
        return Some("it was too long to be kept whole".to_owned());
    }
    if let (None, Some(why)) = (&call.answer, &call.failed) {
        // what ended it was the clock of the machine
        return why.starts_with("no answer within").then(|| "it ran out of time".to_owned());
    }
    let acts = !call.function.ends_with(".describe") && !call.function.ends_with(".validate") && call.function != "handles.migrate";
    (acts && !header.not_recorded.is_empty()).then(|| format!("answers of {} are not kept", header.not_recorded.join(", ")))
}

fn compared(call: &RecordedCall, answer: Result<Value, JsonCallError>) -> Option<Difference> {
    let differs = |what: &str, recorded: Value, now: Value| {
        Some(Difference { call: call.call, function: call.function.clone(), what: what.to_owned(), recorded, now })
    };
    match (&call.answer, answer) {
        (Some(recorded), Ok(now)) if *recorded == now => None,
        (Some(recorded), Ok(now)) => differs("it answers something else", recorded.clone(), now),
        (Some(recorded), Err(error)) => differs("it answered, and breaks now", recorded.clone(), json!(error.to_string())),
        (None, Ok(now)) => differs("it broke, and answers now", json!(call.failed), now),
        (None, Err(_)) => None,
    }
}

/// Answers imports from one recorded call.
#[derive(Default)]
struct Player(Mutex<Playing>);

#[derive(Default)]
struct Playing {
    call: u64,
    function: String,
    imports: VecDeque<(String, Value, Option<Value>)>,
    wall: VecDeque<u64>,
    monotonic: VecDeque<u64>,
    last: (u64, u64),
    seed: [u8; 32],
    difference: Option<Difference>,
}

impl Player {
    fn lock(&self) -> std::sync::MutexGuard<'_, Playing> {
        self.0.lock().expect("no code panics while it holds this lock")
    }

    fn begin(&self, call: &RecordedCall) {
        let mut playing = Playing { call: call.call, function: call.function.clone(), seed: seed(&call.seed), ..Playing::default() };
        for event in &call.events {
            match event {
                Event::Import { name, arguments, answer } => playing.imports.push_back((name.clone(), arguments.clone(), answer.clone())),
                Event::Wall(nanos) => playing.wall.push_back(*nanos),
                Event::Monotonic(nanos) => playing.monotonic.push_back(*nanos),
            }
        }
        *self.lock() = playing;
    }

    /// What differed, or what was recorded and has not happened.
    fn end(&self) -> Option<Difference> {
        let mut playing = self.lock();
        let (call, function) = (playing.call, playing.function.clone());
        let left = playing.imports.pop_front();
        playing.difference.take().or_else(|| {
            let (name, arguments, _) = left?;
            Some(Difference { call, function, what: format!("it called {name}, and does not now"), recorded: arguments, now: Value::Null })
        })
    }
}

/// A seed that cannot be read is another one: what it made differs then.
fn seed(text: &str) -> [u8; 32] {
    let mut seed = [0; 32];
    for (byte, digits) in seed.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = std::str::from_utf8(digits).ok().and_then(|digits| u8::from_str_radix(digits, 16).ok()).unwrap_or(0);
    }
    seed
}

impl Tap for Player {
    fn before(&self, import: &ImportCall<'_>) -> Decision {
        let mut playing = self.lock();
        let name = format!("{}.{}", import.interface, import.function);
        let differs = |what: String, recorded: Value| Difference {
            call: playing.call,
            function: playing.function.clone(),
            what,
            recorded,
            now: import.arguments.clone(),
        };
        let difference = match playing.imports.front() {
            None => differs(format!("it calls {name}, which it did not"), Value::Null),
            Some((recorded, arguments, _)) if *recorded != name => differs(format!("it calls {name}, where it called {recorded}"), arguments.clone()),
            Some((_, arguments, _)) if *arguments != import.arguments => differs(format!("it calls {name} with other arguments"), arguments.clone()),
            Some(_) => {
                let answer = playing.imports.pop_front().and_then(|(_, _, answer)| answer);
                // it never came: the call ended there
                return answer.map_or(Decision::Kill, Decision::Answer);
            }
        };
        playing.imports.clear();
        playing.difference.get_or_insert(difference);
        Decision::Kill
    }

    fn wall_clock(&self, _call: &CallInfo, _real: Duration) -> Duration {
        let mut playing = self.lock();
        let now = playing.wall.pop_front().unwrap_or(playing.last.0);
        playing.last.0 = now;
        Duration::from_nanos(now)
    }

    fn monotonic_clock(&self, _call: &CallInfo, _real: u64) -> u64 {
        let mut playing = self.lock();
        let now = playing.monotonic.pop_front().unwrap_or(playing.last.1);
        playing.last.1 = now;
        now
    }

    fn seed(&self, _call: &CallInfo) -> Option<[u8; 32]> {
        Some(self.lock().seed)
    }
}
