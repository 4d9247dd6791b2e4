//! What the journal holds, one line each: `crc32 json\n`.

use serde::{Deserialize, Serialize};

use crate::identity::Identity;
use crate::protocol::State;

/// The first record of every journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Header {
    /// Format version.
    pub(crate) version: u32,
    /// Random name of this state directory, so that keepers of one machine never claim each other's processes.
    pub(crate) instance: String,
    /// No spawn of an earlier journal has a number at or above this.
    #[serde(default)]
    pub(crate) next_run: u64,
}

/// A thing that happened to a key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Record {
    /// It is about to be started.
    Intent(Intent),
    /// It runs.
    Started { key: String, identity: Identity, at: u64, notes: Vec<String> },
    /// A stop runs; `deadline` is in milliseconds of this boot.
    Stopping { key: String, signal: String, deadline: u64, boot_id: String },
    /// It has ended, or is lost.
    Ended { key: String, state: State },
    /// It is forgotten, or never came to be.
    Gone { key: String },
}

/// All that a later keeper needs to find a process again, and to know whether a second spawn is the same one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Intent {
    pub(crate) key: String,
    pub(crate) owner: String,
    /// Of the command; the command itself may hold secrets and is not kept.
    pub(crate) digest: String,
    pub(crate) log_name: String,
    /// Counts spawns; part of the marker in the child's environment.
    pub(crate) run: u64,
    /// Which pair of pipes its output comes through; a later run may have been given the same.
    pub(crate) pipes: u64,
    pub(crate) boot_id: String,
    pub(crate) at: u64,
    #[serde(default)]
    pub(crate) memory_bytes: Option<u64>,
    #[serde(default)]
    pub(crate) labels: Vec<(String, String)>,
}

const CRC_DIGITS: usize = 8;

/// One line, newline included.
pub(super) fn line<T: Serialize>(record: &T) -> Vec<u8> {
    framed(&serde_json::to_vec(record).expect("records are plain data"))
}

/// The line around a record's JSON.
pub(crate) fn framed(json: &[u8]) -> Vec<u8> {
    let mut line = format!("{:08x} ", crc32(json)).into_bytes();
    line.extend_from_slice(json);
    line.push(b'\n');
    line
}

/// The record of a line without its newline; `None` when it is damaged.
pub(super) fn parse<T: for<'a> Deserialize<'a>>(line: &[u8]) -> Option<T> {
    let (crc, rest) = line.split_at_checked(CRC_DIGITS)?;
    let json = rest.strip_prefix(b" ")?;
    let crc = u32::from_str_radix(str::from_utf8(crc).ok()?, 16).ok()?;
    if crc != crc32(json) {
        return None;
    }
    serde_json::from_slice(json).ok()
}

/// Is the line whole, whatever it says? Tells a damaged record from one that a newer keeper wrote.
pub(super) fn is_whole(line: &[u8]) -> bool {
    parse::<serde::de::IgnoredAny>(line).is_some()
}

/// CRC-32 as in zip and ethernet.
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = crc_table();
    let step = |crc: u32, byte: &u8| TABLE[((crc ^ u32::from(*byte)) & 0xff) as usize] ^ (crc >> 8);
    !bytes.iter().fold(!0, step)
}

const fn crc_table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut crc = index as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crc_is_the_usual_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn a_line_comes_back_and_any_flipped_bit_is_noticed() {
        let record = Record::Gone { key: "web".into() };
        let line = line(&record);
        let line = &line[..line.len() - 1];
        assert_eq!(parse::<Record>(line), Some(record));
        for bit in 0..line.len() * 8 {
            let mut damaged = line.to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            // an upper-case hex digit is the same number
            if !damaged[..CRC_DIGITS].eq_ignore_ascii_case(&line[..CRC_DIGITS]) || damaged[CRC_DIGITS..] != line[CRC_DIGITS..] {
                assert_eq!(parse::<Record>(&damaged), None, "bit {bit}");
            }
        }
    }
}
