//! The keeper's memory, as a crash, a full disk or a stranger may have left it.

use std::fs;
use std::path::Path;

use hostler_keeper::door;

use crate::directory;

const BOOT: &str = "this boot";

/// Lines: one that starts with `!` stands in the file as it is (its mark aside), any other is a record's JSON and gets its checksum.
/// A last line without its newline is torn.
pub(crate) fn journal(data: &[u8]) {
    let mut bytes = Vec::new();
    for line in data.split_inclusive(|byte| *byte == b'\n') {
        let text = line.strip_suffix(b"\n");
        match (line.strip_prefix(b"!"), text) {
            (Some(raw), _) => bytes.extend_from_slice(raw),
            (None, Some(text)) => bytes.extend(door::journal_line(text)),
            (None, None) => {
                let whole = door::journal_line(line);
                bytes.extend_from_slice(&whole[..whole.len() - 1]);
            }
        }
    }
    let dir = directory::fresh();
    let file = dir.path().join("journal");
    for boot in ["", BOOT] {
        fs::write(&file, &bytes).expect("ours");
        opens_or_changes_nothing(dir.path(), &file, boot, &bytes);
    }
}

fn opens_or_changes_nothing(dir: &Path, file: &Path, boot: &str, bytes: &[u8]) {
    let records = match door::journal(dir, boot, None) {
        Ok(records) => records,
        Err(why) => {
            assert!(!why.is_empty());
            assert_eq!(fs::read(file).expect("it is there"), bytes, "what is refused is not touched");
            return;
        }
    };
    let kept = fs::read(file).expect("it is there");
    // An empty one has its header now.
    if bytes.starts_with(&kept) {
        let torn = fs::read(dir.join("journal.torn")).unwrap_or_default();
        assert!(kept.len() == bytes.len() || torn == bytes[kept.len()..], "what was cut off is kept beside it");
    } else {
        assert!(records.is_empty() && kept.iter().filter(|byte| **byte == b'\n').count() == 1, "only a header was added");
    }
    assert_eq!(door::journal(dir, boot, Some("added")).as_ref(), Ok(&records), "what was read is read again");
    let mut more = records.clone();
    more.push(r#"{"gone":{"key":"added"}}"#.to_owned());
    assert_eq!(door::journal(dir, boot, None).as_ref(), Ok(&more), "what is added stands behind it");
    assert_eq!(door::compacted_journal(dir, boot).as_ref(), Ok(&more), "a compaction forgets nothing it is given");
}
