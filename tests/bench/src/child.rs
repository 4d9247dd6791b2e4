//! The service that is killed: says when it came to life, and stays.

use std::ffi::OsString;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use crate::Fallible;

/// What a service says of itself when it has come to life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Birth {
    /// Its process.
    pub(crate) pid: u32,
    /// When its `main` began, by [`crate::clock::now`].
    pub(crate) at: u64,
}

const BYTES: usize = 12;

/// The life of the service: tells the socket that it is there, and stays until it is killed.
pub(crate) fn live(born: u64, socket: Option<OsString>) -> ExitCode {
    let birth = Birth { pid: std::process::id(), at: born };
    let told = UnixDatagram::unbound().and_then(|own| own.send_to(&encode(birth), socket.unwrap_or_default()));
    if let Err(error) = told {
        eprintln!("hostler-bench child: nobody hears of it: {error}");
        return ExitCode::FAILURE;
    }
    loop {
        std::thread::park();
    }
}

fn encode(birth: Birth) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    bytes[..4].copy_from_slice(&birth.pid.to_le_bytes());
    bytes[4..].copy_from_slice(&birth.at.to_le_bytes());
    bytes
}

fn decode(bytes: [u8; BYTES]) -> Birth {
    let (pid, at) = bytes.split_at(4);
    Birth {
        pid: u32::from_le_bytes(pid.try_into().expect("it was split so")),
        at: u64::from_le_bytes(at.try_into().expect("twelve less four are eight")),
    }
}

/// Where services tell of their births.
#[derive(Debug)]
pub(crate) struct Births(UnixDatagram);

impl Births {
    /// Listens at a path.
    pub(crate) fn listen(path: &Path) -> Fallible<Births> {
        let socket = UnixDatagram::bind(path).map_err(|error| format!("{}: {error}", path.display()))?;
        socket.set_read_timeout(Some(Duration::from_secs(20)))?;
        Ok(Births(socket))
    }

    /// Waits for the next one.
    pub(crate) fn next(&self) -> Fallible<Birth> {
        let mut bytes = [0; BYTES];
        let read = self.0.recv(&mut bytes).map_err(|error| format!("no service came to life within 20 s: {error}"))?;
        if read == BYTES { Ok(decode(bytes)) } else { Err(format!("a birth of {read} bytes").into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_birth_is_heard_as_it_was_told() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("births");
        let births = Births::listen(&path).expect("listens");
        let birth = Birth { pid: 4_711, at: u64::MAX - 3 };
        UnixDatagram::unbound().and_then(|own| own.send_to(&encode(birth), &path)).expect("told");
        assert_eq!(births.next().expect("heard"), birth);
    }
}
