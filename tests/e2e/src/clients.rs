//! Clients in other languages, each written from a document alone.

use std::process::Command;
use std::time::Duration;

use crate::place::root;
use crate::ran::Ran;
use crate::yard::Yard;

/// Images may be pulled in vain meanwhile, several times.
const LONGEST: Duration = Duration::from_secs(300);

impl Yard {
    /// Plays a part of a client in Python, `fog_client.py`, against the host of this yard; more words are the client's own.
    ///
    /// # Panics
    /// When something was not as the client's document has it.
    #[track_caller]
    pub fn plays(&self, client: &str, part: &str, more: &[&str]) {
        let mut command = Command::new("/usr/bin/python3");
        // Nothing is to be left beside the sources.
        command.arg("-B").arg(root().join("tests/e2e/clients").join(client)).arg(self.socket()).arg(part).args(more);
        Ran::within(LONGEST, &mut command).ok();
    }
}
