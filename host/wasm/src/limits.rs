//! How much one plugin may use, per call and at a time.

use serde::{Deserialize, Deserializer, Serialize};

/// Largest component file that loads, in bytes.
pub const MAX_COMPONENT_BYTES: u64 = 96 << 20;
/// Largest JSON document that crosses the contract.
pub(crate) const MAX_JSON_BYTES: usize = 256 << 10;
/// Largest opaque state of a handle.
pub(crate) const MAX_HANDLE_BYTES: usize = 4 << 10;
/// Longest text in faults, problems, statuses and reports.
pub(crate) const MAX_TEXT_BYTES: usize = 4 << 10;
/// Longest text of what a plugin was refused, as it stands in the event log.
pub(crate) const MAX_DENIAL_BYTES: usize = 1 << 10;
/// Most bytes of the endpoints and attributes of one status: the host keeps them for every task.
pub(crate) const MAX_STATUS_BYTES: usize = 64 << 10;
/// Most bytes of one `list`, all its pages together.
pub(crate) const MAX_LIST_BYTES: usize = 64 << 20;
/// Most entries of any small list: endpoints, attributes, problems, details.
pub(crate) const MAX_ENTRIES: usize = 256;
/// Most tasks on one page of `list`.
pub(crate) const MAX_PAGE: usize = 10_000;
/// Most pages of one `list`.
pub(crate) const MAX_PAGES: usize = 1_000;
/// Longest part of a line of a log; the keeper cuts at 16 KiB, other engines later.
pub(crate) const MAX_LINE_BYTES: usize = 1 << 20;
/// Most bytes of one output of a command.
pub(crate) const MAX_OUTPUT_BYTES: usize = 16 << 20;

/// The `limits` table of a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Memory per call, over all linear memories: bytes, or text such as `"64Mi"`. At most what the host's pool was made for (128 MiB).
    #[serde(deserialize_with = "bytes")]
    pub memory: u64,
    /// Calls that may run at the same time; more wait, within their deadline.
    pub concurrency: u32,
    /// Bytes that one call may hand to the host at a time: in the arguments of one host call, or in its own answer.
    #[serde(deserialize_with = "bytes")]
    pub transfer: u64,
    /// Host resources (connections, bodies, timers) open at a time within one call.
    pub handles: u32,
    /// Log lines kept of one call; more are counted and dropped.
    pub log_lines: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { memory: 64 << 20, concurrency: 64, transfer: 48 << 20, handles: 1_024, log_lines: 256 }
    }
}

/// Reads a number of bytes, or text such as `"64Mi"`.
pub(crate) fn bytes<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Size {
        Number(u64),
        Text(String),
    }
    match Size::deserialize(from)? {
        Size::Number(number) => Ok(number),
        Size::Text(text) => hostler_core::parse_size(&text)
            .ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no size; write bytes or, for example, \"64Mi\""))),
    }
}

/// As [`bytes`], where the key may be absent.
pub(crate) fn some_bytes<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    bytes(from).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_limits_are_refused_by_name() {
        let error = serde_json::from_str::<Limits>(r#"{"memroy": 1}"#).expect_err("a typo");
        assert!(error.to_string().contains("memroy"), "{error}");
    }
}
