//! Gzip (RFC 1952), as a stream, with memory that does not depend on what is in it.

use crate::Error;
use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZError, MZFlush, MZStatus};
use sha2::{Digest, Sha256};
use std::io::{self, Read};

/// Reads what a gzip file holds, and checks its length and checksum at the end. One member, as every tool writes it.
pub(crate) struct Gunzip<R> {
    input: R,
    state: Box<InflateState>,
    buffer: Vec<u8>,
    begin: usize,
    end: usize,
    crc: u32,
    /// Bytes that came out.
    pub(crate) unpacked: u64,
    /// Bytes that went in.
    pub(crate) packed: u64,
    most_packed: u64,
    digest: Sha256,
    done: bool,
}

impl<R: Read> Gunzip<R> {
    /// Reads the header.
    pub(crate) fn new(input: R, most_packed: u64) -> Result<Self, Error> {
        let mut gunzip = Self {
            input,
            state: InflateState::new_boxed(DataFormat::Raw),
            buffer: vec![0; 64 << 10],
            begin: 0,
            end: 0,
            crc: !0,
            unpacked: 0,
            packed: 0,
            most_packed,
            digest: Sha256::new(),
            done: false,
        };
        gunzip.header()?;
        Ok(gunzip)
    }

    fn header(&mut self) -> Result<(), Error> {
        let mut head = [0; 10];
        for byte in &mut head {
            *byte = self.byte()?;
        }
        if head[..3] != [0x1f, 0x8b, 8] {
            return Err(broken("it does not begin as a gzip file does"));
        }
        let flags = head[3];
        if flags & 0b1110_0000 != 0 {
            return Err(broken("its gzip header has flags that nobody knows"));
        }
        if flags & 4 != 0 {
            let length = u16::from_le_bytes([self.byte()?, self.byte()?]);
            for _ in 0..length {
                self.byte()?;
            }
        }
        for text in [8, 16] {
            if flags & text != 0 {
                while self.byte()? != 0 {}
            }
        }
        if flags & 2 != 0 {
            self.byte()?;
            self.byte()?;
        }
        Ok(())
    }

    fn byte(&mut self) -> Result<u8, Error> {
        if self.begin == self.end {
            self.fill()?;
        }
        if self.begin == self.end {
            return Err(broken("it is cut off"));
        }
        self.begin += 1;
        Ok(self.buffer[self.begin - 1])
    }

    fn fill(&mut self) -> Result<(), Error> {
        self.begin = 0;
        self.end = self.input.read(&mut self.buffer)?;
        self.digest.update(&self.buffer[..self.end]);
        self.packed += self.end as u64;
        if self.packed > self.most_packed {
            return Err(Error::TooLarge(format!("an archive has at most {} bytes", self.most_packed)));
        }
        Ok(())
    }

    /// Fills as much of `out` as there is; less only at the end.
    pub(crate) fn take(&mut self, out: &mut [u8]) -> Result<usize, Error> {
        let mut filled = 0;
        while filled < out.len() && !self.done {
            if self.begin == self.end {
                self.fill()?;
            }
            let dry = self.begin == self.end;
            let step = inflate(&mut self.state, &self.buffer[self.begin..self.end], &mut out[filled..], MZFlush::None);
            self.begin += step.bytes_consumed;
            let fresh = &out[filled..filled + step.bytes_written];
            self.crc = crc32(self.crc, fresh);
            self.unpacked += fresh.len() as u64;
            filled += step.bytes_written;
            match step.status {
                Ok(MZStatus::StreamEnd) => self.trailer()?,
                Ok(MZStatus::Ok | MZStatus::NeedDict) | Err(MZError::Buf) if !dry || step.bytes_written > 0 => {}
                Ok(_) | Err(MZError::Buf) => return Err(broken("it is cut off")),
                Err(_) => return Err(broken("its compressed data are damaged")),
            }
        }
        Ok(filled)
    }

    fn trailer(&mut self) -> Result<(), Error> {
        self.done = true;
        let mut word = || Ok::<u32, Error>(u32::from_le_bytes([self.byte()?, self.byte()?, self.byte()?, self.byte()?]));
        let (crc, length) = (word()?, word()?);
        if crc != !self.crc || length != self.unpacked as u32 {
            return Err(broken("its checksum is wrong"));
        }
        if self.begin == self.end {
            self.fill()?;
        }
        if self.begin != self.end {
            return Err(broken("there is something after its end"));
        }
        Ok(())
    }

    /// The SHA-256 of all that was read of the file, in hexadecimal.
    pub(crate) fn sha256(self) -> String {
        self.digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Compresses; the same bytes come out for the same bytes, and nothing says when.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255];
    out.extend_from_slice(&compress_to_vec(bytes, 9));
    out.extend_from_slice(&(!crc32(!0, bytes)).to_le_bytes());
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out
}

fn crc32(crc: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(crc, |crc, byte| (crc >> 8) ^ CRC[((crc ^ u32::from(*byte)) & 0xff) as usize])
}

const CRC: [u32; 256] = {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let mut crc = at as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
            bit += 1;
        }
        table[at] = crc;
        at += 1;
    }
    table
};

fn broken(what: &str) -> Error {
    Error::Broken(what.to_owned())
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Io(error) => error,
            other => io::Error::new(io::ErrorKind::InvalidData, other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(file: &[u8]) -> Result<Vec<u8>, Error> {
        let mut gunzip = Gunzip::new(file, u64::MAX)?;
        let mut out = vec![0; 1 << 20];
        let length = gunzip.take(&mut out)?;
        out.truncate(length);
        Ok(out)
    }

    #[test]
    fn what_is_written_is_read_back() {
        for bytes in [Vec::new(), b"hello".to_vec(), (0..300_000u32).flat_map(u32::to_le_bytes).take(900_000).collect()] {
            assert_eq!(whole(&gzip(&bytes)).expect("it was written here"), bytes);
        }
    }

    #[test]
    fn a_file_that_is_cut_or_damaged_is_none() {
        let file = gzip(&b"some text that is long enough".repeat(40));
        for end in 0..file.len() {
            assert!(whole(&file[..end]).is_err(), "cut at {end}");
        }
        for at in [0, 2, 12, 20, file.len() - 8, file.len() - 1] {
            let mut damaged = file.clone();
            damaged[at] ^= 0x55;
            assert!(whole(&damaged).is_err(), "damaged at {at}");
        }
        assert!(whole(&[file.as_slice(), b"x"].concat()).is_err(), "something after its end");
    }

    #[test]
    fn other_tools_headers_are_read() {
        // gzip(1) writes the file's name
        let mut file = gzip(b"hello");
        file[3] = 8;
        file.splice(10..10, *b"name.tar\0");
        assert_eq!(whole(&file).expect("a name is allowed"), b"hello");
    }
}
