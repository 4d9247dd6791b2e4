//! A file's text, or a sentence why there is none.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Why a file has no text.
#[derive(Debug)]
pub(crate) struct NoText {
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl NoText {
    fn new(message: impl Into<String>, hint: &str) -> NoText {
        NoText { message: message.into(), hint: Some(hint.to_owned()) }
    }
}

/// Reads a whole file of at most `most` bytes; a byte order mark at its beginning is left out.
pub(crate) fn read_text(path: &Path, most: u64) -> Result<String, NoText> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| {
        if file.metadata()?.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        file.take(most + 1).read_to_end(&mut bytes)
    });
    read.map_err(|error| describe(&error))?;
    if bytes.len() as u64 > most {
        return Err(NoText::new(format!("this file is larger than {} MiB", most >> 20), "split it, or keep data out of it"));
    }
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..at].iter().filter(|b| **b == b'\n').count() + 1;
        NoText::new(
            format!("this file is not UTF-8 text: line {line} contains the byte 0x{:02x}", error.as_bytes()[at]),
            "save it as UTF-8; perhaps it is not the file you meant",
        )
    })?;
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    Ok(text)
}

fn describe(error: &io::Error) -> NoText {
    match error.kind() {
        io::ErrorKind::NotFound => {
            NoText::new("there is no such file", "check the path; it is seen from the directory you are in, or from the file that names it")
        }
        io::ErrorKind::PermissionDenied => NoText::new("you may not read this file", "look at its owner and mode with `ls -l`"),
        io::ErrorKind::IsADirectory => NoText::new("this is a directory", "name a file in it, such as hostler.toml"),
        _ => NoText { message: format!("cannot read it: {error}"), hint: None },
    }
}
