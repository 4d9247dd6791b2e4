//! Records and notices, as they are written.

use hostler_core::{Notice, Run, Saved, ServiceName, Wanted};
use hostler_store::{NewEvent, Txn};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Whom an event is about that is about no service; no service has this name.
pub const OF_THE_HOST: &str = "";

/// What is wanted of one service, and how it was written.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WantedRecord {
    /// What the core hears.
    pub wanted: Wanted,
    /// As in the file, variables filled in; for the operator's view.
    pub written: Written,
    /// Who asked for it, when it was not the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// Who asked for a service that stands in no configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// Somebody who wants replicas of this image.
    Image(String),
    /// Somebody who asked for this very service, as the audit log calls whoever was the first.
    Request {
        /// Who.
        by: String,
    },
    /// A pattern of this backend's discovery, by name.
    Discovery {
        /// The backend.
        backend: String,
        /// The pattern.
        pattern: String,
        /// What the engine calls what was found.
        key: String,
    },
    /// Somebody who took over what ran already.
    Adoption {
        /// The backend.
        backend: String,
        /// What the engine calls it.
        key: String,
    },
    /// Somebody who asked for a service instance, in the words of its document.
    Instance(Box<Instance>),
}

/// What a service instance is beside its service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Instance {
    /// Its id, for as long as it is there.
    pub id: String,
    /// Where it lives: no two instances of a workspace have the same.
    pub folder_path: String,
    /// All that was asked for, as it was asked.
    pub asked: Written,
    /// Who made it.
    pub created_by: Option<String>,
    /// Unix time in milliseconds.
    pub created_at: u64,
    /// When it was last changed.
    pub updated_at: u64,
    /// When it was last deployed; absent of one that never was.
    pub deployed_at: Option<u64>,
}

/// How a service was written, kept as text: as a tree it would be many times as large.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Written(Box<str>);

impl Written {
    /// The value again.
    pub fn value(&self) -> Value {
        serde_json::from_str(&self.0).unwrap_or_default()
    }
}

impl Default for Written {
    fn default() -> Written {
        Written::from(&Value::Null)
    }
}

impl From<&Value> for Written {
    fn from(value: &Value) -> Written {
        Written(value.to_string().into())
    }
}

impl Serialize for Written {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Written, D::Error> {
        Value::deserialize(deserializer).map(|value| Written::from(&value))
    }
}

/// What finds a task again; `H` is what its backend calls a handle.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HandleRecord<H> {
    /// The task's name at its backend.
    pub id: String,
    /// As the backend gave it.
    pub handle: H,
}

/// A value as it stands in the store.
pub fn to_json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("records have no maps with odd keys")
}

/// Adds what the core wants kept.
pub fn save(txn: Txn, saved: Saved) -> Txn {
    match saved {
        Saved::NextRun(run) => txn.put("meta/next-run", to_json(&run)),
        Saved::Reserve(run) => txn.put("meta/reserve", to_json(&run)),
        Saved::Task(run, Some(record)) => txn.put(format!("tasks/{run:020}"), to_json(&record)),
        Saved::Task(run, None) => txn.delete(format!("tasks/{run:020}")).delete(handle_key(run)).delete(released_key(run)),
        Saved::Slot(name, replica, Some(record)) => txn.put(format!("slots/{name}/{replica}"), to_json(&record)),
        Saved::Slot(name, replica, None) => txn.delete(format!("slots/{name}/{replica}")),
    }
}

/// Where the handle of a life is kept.
pub fn handle_key(run: Run) -> String {
    format!("handles/{run:020}")
}

/// Where it is kept that a life is to be let go of instead of stopped.
pub fn released_key(run: Run) -> String {
    format!("released/{run:020}")
}

/// Where it is kept what is wanted of a service: a [`WantedRecord`].
pub fn wanted_key(name: &ServiceName) -> String {
    format!("wanted/{name}")
}

/// A notice as it stands in the event log.
pub fn event(notice: &Notice, at_unix_ms: u64) -> NewEvent {
    let kind = serde_json::to_value(notice.kind).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default();
    let data = json!({ "replica": notice.replica, "run": notice.run, "message": notice.message });
    NewEvent::new(kind, notice.service.as_str(), at_unix_ms, data.to_string())
}
