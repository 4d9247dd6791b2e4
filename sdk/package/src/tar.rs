//! Headers of tar archives, as POSIX (`ustar`) and GNU write them.

use crate::Error;

/// Bytes of a header, and what contents are filled up to.
pub(crate) const BLOCK: usize = 512;

/// What one header says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) path: String,
    pub(crate) mode: u32,
    pub(crate) size: u64,
    pub(crate) kind: u8,
    pub(crate) link: String,
}

impl Header {
    /// Reads one; nothing at the archive's end, which is a block of zeros.
    pub(crate) fn parse(block: &[u8; BLOCK]) -> Result<Option<Self>, Error> {
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let said = octal(&block[148..156]).ok_or_else(|| broken("a header without a checksum"))?;
        if said != u64::from(checksum(block)) {
            return Err(broken("a header whose checksum is wrong"));
        }
        let name = text(&block[..100])?;
        let prefix = if &block[257..263] == b"ustar\0" { text(&block[345..500])? } else { String::new() };
        let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        let mode = octal(&block[100..108]).and_then(|mode| u32::try_from(mode).ok()).ok_or_else(|| broken("a header without a mode"))?;
        // a size in base 256 is for files of 8 GiB and more, which no package has
        let size = octal(&block[124..136]).ok_or_else(|| Error::refused(&path, "its size is not readable"))?;
        Ok(Some(Self { path, mode, size, kind: block[156], link: text(&block[157..257])? }))
    }

    /// Writes one: no owner, no time, nothing of the machine it was made on. Nothing when a name does not fit.
    pub(crate) fn write(&self) -> Option<[u8; BLOCK]> {
        let mut block = [0; BLOCK];
        let (prefix, name) = split(&self.path)?;
        put(&mut block[..100], name.as_bytes())?;
        put(&mut block[345..500], prefix.as_bytes())?;
        put(&mut block[100..108], format!("{:07o}", self.mode).as_bytes())?;
        put(&mut block[108..116], b"0000000")?;
        put(&mut block[116..124], b"0000000")?;
        put(&mut block[124..136], format!("{:011o}", self.size).as_bytes())?;
        put(&mut block[136..148], b"00000000000")?;
        block[156] = self.kind;
        put(&mut block[157..257], self.link.as_bytes())?;
        block[257..265].copy_from_slice(b"ustar\x0000");
        let sum = format!("{:06o}\0 ", checksum(&block));
        block[148..156].copy_from_slice(sum.as_bytes());
        Some(block)
    }
}

/// Sum of all bytes, the checksum's own counted as blanks.
fn checksum(block: &[u8; BLOCK]) -> u32 {
    block.iter().enumerate().map(|(at, byte)| if (148..156).contains(&at) { u32::from(b' ') } else { u32::from(*byte) }).sum()
}

fn octal(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?.trim_matches(|c| c == '\0' || c == ' ');
    if text.is_empty() { Some(0) } else { u64::from_str_radix(text, 8).ok() }
}

fn text(field: &[u8]) -> Result<String, Error> {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    String::from_utf8(field[..end].to_vec()).map_err(|_| broken("a name that is not UTF-8"))
}

fn put(field: &mut [u8], bytes: &[u8]) -> Option<()> {
    field.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(())
}

/// A long path is cut at a slash: 155 bytes before, 100 after.
fn split(path: &str) -> Option<(&str, &str)> {
    if path.len() <= 100 {
        return Some(("", path));
    }
    path.match_indices('/')
        .map(|(at, _)| (&path[..at], &path[at + 1..]))
        .find(|(prefix, name)| prefix.len() <= 155 && !name.is_empty() && name.len() <= 100)
}

fn broken(what: &str) -> Error {
    Error::Broken(what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for path in ["bin/x".to_owned(), format!("lib/{}/{}", "a".repeat(120), "b".repeat(100))] {
            let header = Header { path, mode: 0o755, size: 1234, kind: b'2', link: "../x".into() };
            let block = header.write().expect("it fits");
            assert_eq!(Header::parse(&block).expect("it was written here"), Some(header));
        }
    }

    #[test]
    fn a_name_that_does_not_fit_is_not_cut() {
        assert!(Header { path: "x".repeat(101), mode: 0, size: 0, kind: b'0', link: String::new() }.write().is_none());
    }

    #[test]
    fn each_changed_byte_is_noticed() {
        let block = Header { path: "bin/x".into(), mode: 0o644, size: 5, kind: b'0', link: String::new() }.write().expect("it fits");
        for at in [0, 100, 124, 156, 300] {
            let mut changed = block;
            changed[at] ^= 1;
            assert!(Header::parse(&changed).is_err(), "{at}");
        }
    }
}
