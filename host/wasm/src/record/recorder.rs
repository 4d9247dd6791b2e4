//! Listens to a plugin and writes down what it hears.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::redact::Redactor;
use super::{Event, Header, RECORDING, RecordedCall};
use crate::plugin::Plugin;
use crate::tap::{CallInfo, Decision, ImportCall, Tap, UNSEEN};
use crate::words::Role;

/// Most bytes of the events of one call.
const MOST_OF_A_CALL: usize = 4 << 20;

/// The last line, when there was no room for the next call.
const FULL: &[u8] = b"{\"full\":true}\n";

/// Where lines go; `false` when nobody takes them any more.
type Line = Box<dyn Fn(Vec<u8>) -> bool + Send + Sync>;

/// A tap that keeps every call. Lines are handed on as soon as their call has ended, until `most` bytes are written.
pub struct Recorder {
    state: Mutex<State>,
    line: Line,
    settings_schema: Value,
}

struct State {
    secrets: Redactor,
    calls: BTreeMap<u64, Open>,
    left: usize,
}

struct Open {
    call: RecordedCall,
    bytes: usize,
    /// At which place of its events each import is, by its number: requests are under way while the guest calls others.
    places: BTreeMap<u64, usize>,
}

impl Open {
    /// Makes room for something; false when there is none, and the call is cut.
    fn takes(&mut self, value: &impl serde::Serialize) -> bool {
        self.bytes += serde_json::to_string(value).map_or(0, |text| text.len());
        self.call.cut |= self.bytes > MOST_OF_A_CALL;
        !self.call.cut
    }
}

impl Recorder {
    /// Writes the header at once. Each line ends with a newline.
    pub fn new(plugin: &Plugin, most: usize, line: impl Fn(Vec<u8>) -> bool + Send + Sync + 'static) -> Recorder {
        let description = plugin.description();
        let config: Value = serde_json::from_str(&plugin.identity.config).unwrap_or(Value::Null);
        let mut secrets = Redactor::default();
        secrets.learn(&description.config_schema, &config);
        let header = Header {
            recording: RECORDING,
            plugin: plugin.name().to_owned(),
            role: if plugin.role() == Role::Backend { "backend" } else { "health-check" }.to_owned(),
            digest: plugin.digest().to_owned(),
            owner: plugin.identity.owner.clone(),
            config: secrets.take_out(config),
            at: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX)),
            not_recorded: plugin.imports.iter().filter(|import| is_out_of_sight(import)).cloned().collect(),
        };
        Recorder::headed(&header, secrets, description.settings_schema.clone(), most, Box::new(line))
    }

    fn headed(header: &Header, secrets: Redactor, settings_schema: Value, most: usize, line: Line) -> Recorder {
        let recorder = Recorder { state: Mutex::new(State { secrets, calls: BTreeMap::new(), left: most }), line, settings_schema };
        recorder.write(header);
        recorder
    }

    fn write(&self, line: &impl serde::Serialize) {
        let mut bytes = serde_json::to_vec(line).expect("a recording is plain data");
        bytes.push(b'\n');
        let mut state = self.lock();
        if state.left == 0 {
            return;
        }
        let length = bytes.len();
        if length <= state.left {
            state.left = if (self.line)(bytes) { state.left - length } else { 0 };
            return;
        }
        state.left = 0;
        state.calls.clear();
        (self.line)(FULL.to_vec());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while it holds this lock")
    }

    fn event(&self, call: &CallInfo, event: Event) {
        if let Some(open) = self.lock().calls.get_mut(&call.id)
            && open.takes(&event)
        {
            open.call.events.push(event);
        }
    }

    /// Settings travel as JSON in a text, within a task or beside a target.
    fn learn(&self, secrets: &mut Redactor, value: &Value) {
        match value {
            Value::String(text) if text.starts_with('{') => {
                if let Ok(settings) = serde_json::from_str::<Value>(text) {
                    secrets.learn(&self.settings_schema, &settings);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.learn(secrets, item)),
            Value::Object(fields) => fields.values().for_each(|field| self.learn(secrets, field)),
            _ => {}
        }
    }
}

/// Nothing of these is seen call by call.
fn is_out_of_sight(import: &str) -> bool {
    ["wasi:sockets/tcp@", "wasi:sockets/ip-name-lookup@", "wasi:filesystem/types@"].iter().any(|prefix| import.starts_with(prefix))
}

impl Tap for Recorder {
    fn hides(&self, secrets: &[String]) {
        let mut state = self.lock();
        secrets.iter().for_each(|secret| state.secrets.learn_text(secret));
    }

    fn begun(&self, call: &CallInfo, arguments: Value) {
        let mut state = self.lock();
        if state.left == 0 {
            return;
        }
        self.learn(&mut state.secrets, &arguments);
        let cut = arguments == UNSEEN;
        let open = RecordedCall {
            call: call.id,
            function: call.function.to_owned(),
            arguments,
            events: Vec::new(),
            seed: blake3::Hash::from_bytes(seed(call)).to_hex().to_string(),
            answer: None,
            failed: None,
            cut,
        };
        state.calls.insert(call.id, Open { call: open, bytes: 0, places: BTreeMap::new() });
    }

    fn ended(&self, call: &CallInfo, answer: Result<Value, String>) {
        let mut state = self.lock();
        let Some(Open { mut call, .. }) = state.calls.remove(&call.id) else { return };
        match answer {
            Ok(answer) => call.answer = Some(answer),
            Err(why) => call.failed = Some(why),
        }
        let redacted = state.secrets.take_out(serde_json::to_value(&call).expect("a recording is plain data"));
        drop(state);
        self.write(&redacted);
    }

    fn before(&self, import: &ImportCall<'_>) -> Decision {
        let name = format!("{}.{}", import.interface, import.function);
        let event = Event::Import { name, arguments: import.arguments.clone(), answer: None };
        if import.interface == "hostler:host/containers" && import.function == "pull" {
            self.lock().secrets.learn_all(&import.arguments[3]["password"]);
        }
        if let Some(open) = self.lock().calls.get_mut(&import.call.id) {
            open.call.cut |= import.arguments == UNSEEN;
            if open.takes(&event) {
                open.places.insert(import.nth, open.call.events.len());
                open.call.events.push(event);
            }
        }
        Decision::Pass
    }

    fn after(&self, import: &ImportCall<'_>, answer: &Value) -> Decision {
        let mut state = self.lock();
        if import.interface == "hostler:host/secrets-reveal" {
            state.secrets.learn_all(answer);
        }
        let Some(open) = state.calls.get_mut(&import.call.id) else { return Decision::Pass };
        open.call.cut |= *answer == UNSEEN;
        if open.takes(answer)
            && let Some(Event::Import { answer: kept, .. }) = open.places.get(&import.nth).and_then(|place| open.call.events.get_mut(*place))
        {
            *kept = Some(answer.clone());
        }
        Decision::Pass
    }

    fn wall_clock(&self, call: &CallInfo, real: Duration) -> Duration {
        let nanos = u64::try_from(real.as_nanos()).unwrap_or(u64::MAX);
        self.event(call, Event::Wall(nanos));
        Duration::from_nanos(nanos)
    }

    fn monotonic_clock(&self, call: &CallInfo, real: u64) -> u64 {
        self.event(call, Event::Monotonic(real));
        real
    }

    fn seed(&self, call: &CallInfo) -> Option<[u8; 32]> {
        Some(seed(call))
    }
}

/// Random for everybody who was not there: made from a key that this process alone has. The line of the call says it.
fn seed(call: &CallInfo) -> [u8; 32] {
    static KEY: std::sync::OnceLock<[u8; 32]> = std::sync::OnceLock::new();
    let key = KEY.get_or_init(|| {
        let mut key = [0; 32];
        // without the machine's randomness there is none for guests either
        let _ = rustix::rand::getrandom(&mut key, rustix::rand::GetRandomFlags::empty());
        key
    });
    *blake3::keyed_hash(key, &call.id.to_le_bytes()).as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::sync::Arc;

    /// A recorder, and the lines that it has told.
    fn recording() -> (Recorder, Arc<Mutex<Vec<Vec<u8>>>>) {
        let header = Header {
            recording: RECORDING,
            plugin: "p".to_owned(),
            role: "backend".to_owned(),
            digest: String::new(),
            owner: String::new(),
            config: Value::Null,
            at: 0,
            not_recorded: Vec::new(),
        };
        let lines: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let told = Arc::clone(&lines);
        let line = Box::new(move |line| {
            told.lock().expect("lock").push(line);
            true
        });
        let recorder = Recorder::headed(&header, Redactor::default(), Value::Null, 1 << 20, line);
        (recorder, lines)
    }

    #[test]
    fn the_password_of_a_registry_is_not_kept() {
        let (recorder, lines) = recording();
        let call = CallInfo { id: 1, function: "backend.start", subject: String::new() };
        let arguments = json!(["default", "web:1", null, { "user": "someone", "password": "hunter2" }]);
        recorder.begun(&call, json!([]));
        recorder.before(&ImportCall { call: &call, nth: 1, interface: "hostler:host/containers", function: "pull", arguments });
        recorder.ended(&call, Ok(json!("it was hunter2")));
        let text = String::from_utf8(lines.lock().expect("lock").concat()).expect("text");
        assert!(!text.contains("hunter2") && text.contains("someone"), "{text}");
    }

    #[test]
    fn an_answer_that_comes_late_is_its_own_questions() {
        let (recorder, lines) = recording();
        let call = CallInfo { id: 1, function: "health-check.check", subject: String::new() };
        let import = |nth: u64, function: &'static str| ImportCall { call: &call, nth, interface: "x", function, arguments: json!([nth]) };
        recorder.begun(&call, json!([]));
        for (nth, function) in [(1, "request"), (2, "request"), (3, "log")] {
            recorder.before(&import(nth, function));
        }
        for (nth, function) in [(3, "log"), (2, "request"), (1, "request")] {
            recorder.after(&import(nth, function), &json!(format!("to {nth}")));
        }
        recorder.ended(&call, Ok(Value::Null));
        let call: RecordedCall = serde_json::from_slice(&lines.lock().expect("lock")[1]).expect("a call");
        let answers: Vec<Value> = call.events.into_iter().map(|event| json!(event)["import"]["answer"].clone()).collect();
        assert_eq!(answers, ["to 1", "to 2", "to 3"]);
    }
}
