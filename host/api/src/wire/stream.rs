//! What happened, in order: as lines, as server-sent events, or as messages of a WebSocket.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Shape;
use crate::routes;
use crate::stamp::Timestamp;

/// `?` of `GET /events`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EventsQuery {
    /// Only what came after this sequence number; from the oldest kept when absent.
    pub after: Option<u64>,
    /// At most so many, when not following; the oldest of them first.
    pub limit: Option<usize>,
    /// Only of these services, separated by commas.
    pub services: Option<String>,
    /// Only of these kinds, separated by commas.
    pub kinds: Option<String>,
    /// Keep the answer open, and send events as they happen.
    pub follow: bool,
    /// Wait so long for the first of them; what comes last is a [`EventItem::Cursor`].
    pub wait_ms: Option<u64>,
}

impl EventsQuery {
    /// The path with this query.
    pub fn path(&self) -> String {
        self.path_of(routes::EVENTS)
    }

    /// The path with this query, of another route that takes it.
    pub fn path_of(&self, route: &str) -> String {
        let pairs = [
            ("after", self.after.map(|n| n.to_string())),
            ("limit", self.limit.map(|n| n.to_string())),
            ("services", self.services.clone()),
            ("kinds", self.kinds.clone()),
            ("follow", self.follow.then(|| "true".to_owned())),
            ("wait_ms", self.wait_ms.map(|ms| ms.to_string())),
        ];
        routes::with(route, &pairs)
    }
}

/// One document of the stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum EventItem {
    /// Something happened.
    Event(EventRecord),
    /// What came after `after` and before `next` is no longer kept.
    Gap {
        /// Version of this shape.
        version: Shape,
        /// The next event's sequence number.
        next: u64,
    },
    /// This is all for now: an answer to `wait_ms` ends with it.
    Cursor {
        /// Version of this shape.
        version: Shape,
        /// The `after` to go on with.
        after: u64,
    },
    /// The reader was too slow: the answer ends here, and nothing is lost to whoever asks again.
    Cut {
        /// Version of this shape.
        version: Shape,
        /// The `after` to go on with.
        after: u64,
    },
    /// What comes after cannot be read: the answer ends here.
    Error {
        /// Version of this shape.
        version: Shape,
        /// Why.
        message: String,
    },
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventRecord {
    /// Version of this shape.
    pub version: Shape,
    /// Counts up by one, without gaps but for those that are said.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// What: the word of an [`EventKind`](crate::EventKind).
    pub kind: String,
    /// To whom.
    pub service: Option<String>,
    /// Of which workspace, where that is not `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// To which replica.
    pub replica: Option<u32>,
    /// To which life of it.
    pub run: Option<u64>,
    /// For people: one sentence.
    pub message: String,
    /// For programs; never a secret.
    #[serde(default)]
    pub data: Value,
}
