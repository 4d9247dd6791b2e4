//! How much one plugin may use, per call and at a time.

use serde::{Deserialize, Deserializer, Serialize};

/// Largest component file the host will compile.
pub(crate) const MAX_COMPONENT_BYTES: u64 = 96 << 20;
/// Largest JSON document that crosses the contract.
pub(crate) const MAX_JSON_BYTES: usize = 256 << 10;
/// Largest opaque state of a handle.
pub(crate) const MAX_HANDLE_BYTES: usize = 4 << 10;
/// Longest text in faults, problems, statuses and reports.
pub(crate) const MAX_TEXT_BYTES: usize = 4 << 10;
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
    /// Linear memory per call: bytes, or text such as `"64Mi"`. At most what the host's pool was made for (128 MiB).
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

/// Reads `1048576`, `"64Mi"`, `"1G"`, `"512k"`.
pub(crate) fn bytes<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Size {
        Number(u64),
        Text(String),
    }
    match Size::deserialize(from)? {
        Size::Number(number) => Ok(number),
        Size::Text(text) => {
            parse_bytes(&text).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no size; write bytes or, for example, \"64Mi\"")))
        }
    }
}

fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let unit: u64 = match text[digits..].trim() {
        "" | "B" => 1,
        "k" | "K" | "kB" => 1_000,
        "M" | "MB" => 1_000_000,
        "G" | "GB" => 1_000_000_000,
        "Ki" | "KiB" => 1 << 10,
        "Mi" | "MiB" => 1 << 20,
        "Gi" | "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        let check = |text: &str, expected: Option<u64>| assert_eq!(parse_bytes(text), expected, "{text}");
        check("1024", Some(1024));
        check("64Mi", Some(64 << 20));
        check("2 GiB", Some(2 << 30));
        check("512k", Some(512_000));
        check("64 flops", None);
        check("-1", None);
        check("99999999999Gi", None);
    }

    #[test]
    fn unknown_limits_are_refused_by_name() {
        let error = serde_json::from_str::<Limits>(r#"{"memroy": 1}"#).expect_err("a typo");
        assert!(error.to_string().contains("memroy"), "{error}");
    }
}
