//! A power cut tears the journal's end: what was synced before it is there all the same.

use hostler_keeper::protocol::State;
use rustix::process::{Pid, Signal, kill_process};

use crate::house::{House, command, exit_of, shell, until};

/// Bytes between two cuts: no divisor of a record's length or of a sector's.
const STEP: usize = 37;

#[test]
fn a_journal_torn_anywhere_after_an_end_keeps_the_end() {
    let mut house = House::new();
    let mut client = house.client();
    client.spawn("done", "plugin", shell("exit 3")).expect("spawns");
    let exit = exit_of(&mut client, "done");
    let journal = house.dir().join("journal");
    let synced = std::fs::read(&journal).expect("reads").len();
    // Their records are only written: a cut ends the processes, and may leave any part of what says that they ran.
    let pids = ["a", "b"].map(|key| client.spawn(key, "plugin", command("/bin/sleep", &["1000"])).expect("spawns").pid.expect("runs"));
    house.kill();
    let whole = std::fs::read(&journal).expect("reads");
    for pid in pids {
        let pid = Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("a pid");
        kill_process(pid, Signal::KILL).expect("kills");
    }
    until("the processes end", || pids.iter().all(|pid| !crate::house::is_alive(*pid)).then_some(()));

    let mut images = 0;
    for cut in (synced..whole.len()).step_by(STEP) {
        // The file ends there, or it has its length already and the rest is not written.
        let ends = whole[..cut].to_vec();
        let mut grown = ends.clone();
        grown.resize(whole.len(), 0);
        for image in [ends, grown] {
            let place = tempfile::tempdir().expect("tempdir");
            let dir = place.path().join("keeper");
            std::fs::create_dir(&dir).expect("makes");
            std::fs::write(dir.join("journal"), image).expect("writes");
            let house = House::at(dir, &[]);
            let mut client = house.client();
            assert_eq!(client.inspect("done").expect("inspects").expect("known").state, State::Exited(exit.clone()), "cut at {cut}");
            client.spawn("after", "plugin", shell("exit 0")).expect("goes on");
            assert_eq!(exit_of(&mut client, "after").code, Some(0), "cut at {cut}");
            images += 1;
        }
    }
    assert!(images > 20, "{images} images of {} bytes after the sync", whole.len() - synced);
}
