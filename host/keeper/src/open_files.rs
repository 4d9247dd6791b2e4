//! How many files the host may have open: as many as it can get. What it starts keeps what it began with itself: programs that wait by `select`, or
//! close whatever they may have inherited, fare badly with a million.

use std::sync::OnceLock;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};

/// Tells a keeper what the host began with: the limit that it inherits is a raised one.
pub(crate) const VARIABLE: &str = "HOSTLER_KEEPER_OPEN_FILES";

/// What this process began with, once it has more.
static BEFORE: OnceLock<Rlimit> = OnceLock::new();

/// More is of no use to a host; and what it starts may close each that it could have, before it is told.
const MOST: u64 = 131_072;

/// Raises this process's soft limit to its hard one, 131,072 at most; what it starts from then on is to be told by [`give_back`].
pub fn raise() {
    let limit = getrlimit(Resource::Nofile);
    let most = Rlimit { current: Some(limit.maximum.map_or(MOST, |most| most.min(MOST))), ..limit };
    if limit.current.is_none_or(|now| now >= MOST) {
        return;
    }
    // with the lower limit there are fewer connections, and what is short says so
    if limit != most && setrlimit(Resource::Nofile, most).is_ok() {
        BEFORE.get_or_init(|| limit);
    }
}

/// Gives a child of this process the limit that this one began with. It has begun already, and has hardly opened anything.
pub fn give_back(child: Option<u32>) {
    let child = child.and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    if let (Some(before), Some(child)) = (BEFORE.get(), child) {
        // one that has ended, or is somebody else's by now, is none of ours any more
        let _ = prlimit(Some(child), Resource::Nofile, *before);
    }
}

/// What a keeper is to be told.
pub(crate) fn told() -> Option<String> {
    BEFORE.get()?.current.map(|files| files.to_string())
}

/// What a keeper's processes begin with: what it was told, or else what it has itself.
pub(crate) fn of_processes(own: Rlimit, told: Option<&str>) -> Rlimit {
    let Some(files) = told.and_then(|files| files.parse::<u64>().ok()) else { return own };
    Rlimit { current: Some(own.maximum.map_or(files, |most| files.min(most))), ..own }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn the_host_has_all_it_can_get_and_its_children_what_it_began_with() {
        let given = getrlimit(Resource::Nofile);
        let began = Rlimit { current: given.current.map_or(Some(4_096), |files| Some((files - 1).min(4_096))), ..given };
        setrlimit(Resource::Nofile, began).expect("it is lower");
        raise();
        assert_eq!(getrlimit(Resource::Nofile).current, Some(given.maximum.map_or(MOST, |most| most.min(MOST))));
        let mut shell = Command::new("/bin/sh");
        let child = shell.args(["-c", "read _; ulimit -Sn"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a shell");
        give_back(Some(child.id()));
        let said = child.wait_with_output().expect("it ends with its input").stdout;
        let files = began.current.expect("it is finite").to_string();
        assert_eq!((String::from_utf8_lossy(&said).trim(), told()), (files.as_str(), Some(files.clone())));
    }

    #[test]
    fn a_keeper_gives_its_processes_what_it_was_told_within_what_it_may() {
        let own = Rlimit { current: Some(20_000), maximum: Some(20_000) };
        for (told, files) in [(None, 20_000), (Some("1024"), 1_024), (Some("many"), 20_000), (Some("30000"), 20_000)] {
            assert_eq!(of_processes(own, told).current, Some(files), "{told:?}");
        }
    }
}
