//! What services have written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Shape;
use crate::base64;
use crate::routes;
use crate::stamp::Timestamp;

/// `?` of `GET /services/{name}/logs`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogsQuery {
    /// The last so many lines of each replica.
    pub tail: Option<u32>,
    /// Only what was written since, in Unix milliseconds.
    pub since_ms: Option<u64>,
    /// Continue after an earlier answer's cursor.
    pub cursor: Option<String>,
    /// Only this replica.
    pub replica: Option<u32>,
    /// Keep the answer open, and send lines as they are written.
    pub follow: bool,
}

impl LogsQuery {
    /// The path with this query.
    pub fn path(&self, service: &str) -> String {
        let pairs = [
            ("tail", self.tail.map(|n| n.to_string())),
            ("since_ms", self.since_ms.map(|n| n.to_string())),
            ("cursor", self.cursor.clone()),
            ("replica", self.replica.map(|n| n.to_string())),
            ("follow", self.follow.then(|| "true".to_owned())),
        ];
        routes::with(&routes::of(routes::LOGS, service), &pairs)
    }
}

/// Where a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// One document of the stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum LogItem {
    /// A line.
    Line(LogLine),
    /// Lines before the next one were rotated away.
    Gap {
        /// Version of this shape.
        version: Shape,
        /// Of which service.
        service: String,
        /// Of which replica.
        replica: u32,
    },
    /// The rest of this replica's log cannot be read now. An answer that follows goes on, and tells it once until it can be read again.
    Error {
        /// Version of this shape.
        version: Shape,
        /// Of which service.
        service: String,
        /// Of which replica.
        replica: u32,
        /// Why.
        message: String,
    },
    /// The last document of an answer that does not follow.
    Cursor {
        /// Version of this shape.
        version: Shape,
        /// Of which service.
        service: String,
        /// Continues exactly after the last line.
        cursor: String,
    },
}

/// One line, without its newline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogLine {
    /// Version of this shape.
    pub version: Shape,
    /// Who wrote it.
    pub service: String,
    /// Which replica.
    pub replica: u32,
    /// When it was read.
    pub at: Option<Timestamp>,
    /// Where it came from.
    pub origin: Origin,
    /// What was written; what is not UTF-8 is replaced by U+FFFD, and `bytes_base64` has it as it was.
    pub text: String,
    /// The bytes, when they are not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_base64: Option<String>,
    /// The next line of this origin continues it.
    #[serde(default)]
    pub continued: bool,
}

impl LogLine {
    /// A line of any bytes.
    pub fn new(service: &str, replica: u32, at: Option<Timestamp>, origin: Origin, bytes: Vec<u8>) -> LogLine {
        let (text, bytes_base64) = match String::from_utf8(bytes) {
            Ok(text) => (text, None),
            Err(odd) => (String::from_utf8_lossy(odd.as_bytes()).into_owned(), Some(base64::encode(odd.as_bytes()))),
        };
        LogLine { version: Shape, service: service.to_owned(), replica, at, origin, text, bytes_base64, continued: false }
    }

    /// Exactly what was written.
    pub fn bytes(&self) -> Vec<u8> {
        self.bytes_base64.as_deref().and_then(base64::decode).unwrap_or_else(|| self.text.clone().into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_survive_the_wire() {
        for bytes in [&b"plain"[..], b"", b"\xff\x00\x9b31m", "grüße".as_bytes(), b"\xf0\x9f", b"\xf0"] {
            let line = LogLine::new("db", 0, Some(Timestamp(5)), Origin::Err, bytes.to_vec());
            let text = serde_json::to_string(&LogItem::Line(line.clone())).expect("a line is plain JSON");
            let LogItem::Line(back) = serde_json::from_str(&text).expect("what it wrote") else { panic!("{text} is a line") };
            assert_eq!(back, line);
            assert_eq!(back.bytes(), bytes);
        }
    }
}
