//! A disk that fails in the middle of a write: whoever asks learns whether it was done, was not done, or that nobody knows.

use std::fs;
use std::process::{Child, Command, Stdio};

use hostler_e2e::{Answer, Ran, Value, Yard, can, json, parse, program, request_with, until};

use crate::operations::{over, until_it_is};
use crate::{script, sleeper};

/// `unshare` with what it takes here to mount, if anything does.
fn unshare() -> Option<Command> {
    let mounts = |flags: &&str| {
        let tried = Command::new("unshare").args([*flags, "sh", "-c", "mount -t tmpfs none /mnt"]).output();
        tried.is_ok_and(|output| output.status.success())
    };
    let flags = ["-m", "-rm"].into_iter().find(mounts);
    let curl = Command::new("curl").arg("--version").output().is_ok();
    if !can("mounting a small disk (unshare -m), and curl", flags.is_some() && curl) {
        return None;
    }
    let mut command = Command::new("unshare");
    command.args(flags);
    Some(command)
}

#[test]
fn on_a_full_disk_nothing_is_changed_and_what_is_under_way_goes_on_later() {
    let Some(mut unshare) = unshare() else { return };
    let yard = Yard::new();
    fs::create_dir(yard.file("disk")).expect("the yard is ours");
    yard.script("check.sh", "[ -f go ]");
    let check = "health_check = { type = \"command\", command = \"./check.sh\", interval = \"50ms\", failure_threshold = 1000 }";
    yard.config(&(script(&yard, "db", "echo start >> db.starts; exec sleep 1000", "") + &sleeper("slow", &format!("enabled = true\n{check}"))));
    // Name of the answer, header, path, body.
    let script = format!(
        "set -ex\nmount -t tmpfs -o size=48m none {disk}\nexport HOSTLER_STATE_DIR={disk}/state\n\
         ask() {{ curl -s -o $1.json -w '%{{http_code}}' --unix-socket {disk}/state/api.sock -X POST -H \"$2\" http://hostler/api/v1/$3 -d \"$4\" > $1.code; }}\n\
         {hostler} serve --detach\n{hostler} apply --no-start --no-wait\n{hostler} start db\n\
         ask slow 'x: y' services/slow/deploy '{{}}'\n\
         until {hostler} operations | grep -q running; do sleep 0.02; done\n\
         until {hostler} ps slow --json | grep -q '\"status\":\"starting\"'; do sleep 0.02; done\n\
         dd if=/dev/zero of={disk}/filler bs=4k 2> /dev/null || true\n\
         ask sync 'x: y' services/restart '{{\"services\": [\"db\"]}}'\n\
         ask late 'prefer: respond-async' services/restart '{{\"services\": [\"db\"]}}'\n\
         ask keyed 'idempotency-key: k' services/restart '{{\"services\": [\"db\"]}}'\n\
         touch go\nsleep 1\n{hostler} operations --json > full.json\ncp db.starts full.starts\nrm {disk}/filler\n\
         until ask again 'idempotency-key: k' services/restart '{{\"services\": [\"db\"]}}'; grep -q 200 again.code; do sleep 0.1; done\n\
         ask replayed 'idempotency-key: k' services/restart '{{\"services\": [\"db\"]}}'\n\
         until {hostler} operations --json | grep -q succeeded; do sleep 0.05; done\n\
         {hostler} operations --json > after.json\n\
         until [ $(wc -l < db.starts) = 2 ]; do sleep 0.05; done\n{hostler} down\n",
        disk = yard.file("disk").display(),
        hostler = program().display()
    );
    let script = yard.script("full.sh", &script);
    Ran::of(unshare.arg(script).current_dir(yard.path())).ok();
    let told =
        |name: &str| -> (String, Value) { (yard.read(&format!("{name}.code")), parse(&yard.read(&format!("{name}.json"))).unwrap_or_default()) };
    assert_eq!(told("slow").0, "202");
    for name in ["sync", "late", "keyed"] {
        let (status, said) = told(name);
        assert_eq!((status.as_str(), &said["code"]), ("503", &json!("unavailable")), "{name}: {said}");
        assert!(said["message"].as_str().is_some_and(|text| text.starts_with("nothing was changed")), "{name}: {said}");
    }
    assert_eq!(yard.read("full.starts"), "start\n");
    assert_eq!((told("again").0.as_str(), told("replayed")), ("200", ("200".to_owned(), told("again").1)));
    assert_eq!(yard.read("db.starts"), "start\nstart\n", "one restart, and no more");
    let only = |name: &str| -> Value { parse::<Value>(&yard.read(name)).expect("a list")["operations"].clone() };
    let (full, after) = (only("full.json"), only("after.json"));
    assert_eq!([full.as_array().map(Vec::len), after.as_array().map(Vec::len)], [Some(1), Some(1)], "what was refused was not queued");
    assert_eq!([&full[0]["status"], &after[0]["status"]], ["running", "succeeded"]);
}

/// Makes every sync of the host fail from now on.
struct Failing(Child);

impl Failing {
    fn of(yard: &Yard) -> Failing {
        let pid = yard.host_pid();
        let mut strace = Command::new("strace");
        strace.args(["-f", "-q", "-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO", "-o", "/dev/null", "-p"]);
        let child = strace.arg(pid.to_string()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it was there a moment ago");
        until("every thread is watched", || {
            let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
            let watched = |status: String| status.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0"));
            tasks.map(|task| fs::read_to_string(task.path().join("status"))).all(|status| status.is_ok_and(watched))
        });
        Failing(child)
    }
}

impl Drop for Failing {
    fn drop(&mut self) {
        // The kernel lets go of the host when it is gone. Asked to end, it would do that itself, thread by thread: and wait for one that waits
        // for a child it has stopped (vfork).
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn can_fail() -> bool {
    let works = Command::new("strace").args(["-q", "-e", "inject=fsync:error=EIO", "-o", "/dev/null", "true"]).output();
    can("failing system calls of another process (strace)", works.is_ok_and(|output| output.status.success()))
}

#[track_caller]
fn send(yard: &Yard, headers: &[(&str, &str)], path: &str, body: &Value) -> Answer {
    let sent = request_with(&yard.socket(), "POST", &format!("/api/v1{path}"), headers, body.to_string().as_bytes());
    sent.unwrap_or_else(|| panic!("{path}: no answer"))
}

#[track_caller]
fn is_unknown(answer: &Answer) -> Value {
    assert_eq!((answer.status, &answer.json()["code"]), (520, &json!("unknown")), "{answer:?}");
    answer.json()
}

#[test]
fn when_a_sync_fails_nobody_knows_until_the_next_start_which_does() {
    if !can_fail() {
        return;
    }
    let yard = Yard::new();
    yard.up(&script(&yard, "db", "echo start >> db.starts; exec sleep 1000", ""));
    until("it has begun", || yard.read("db.starts") == "start\n");
    let restart = json!({ "services": ["db"] });
    let failing = Failing::of(&yard);
    let said = is_unknown(&send(&yard, &[], "/services/restart", &restart));
    assert!(said["hint"].as_str().is_some_and(|hint| hint.contains("start it again")), "{said}");
    let refused = send(&yard, &[], "/services/restart", &restart);
    assert_eq!(refused.status, 503, "from then on nothing is written, and that is known: {refused:?}");
    // Whoever only looks is answered.
    assert_eq!((yard.status("db"), yard.read("db.starts")), ("running".to_owned(), "start\n".to_owned()));
    drop(failing);
    yard.kill_host();
    yard.serve();
    yard.until_status("db", "running");
    let generation = yard.service("db")["restart_count"].as_u64().expect("a number");
    until("it is as the disk says", || yard.read("db.starts").lines().count() as u64 == 1 + generation);

    // One that is put off is to be asked for by its id.
    let failing = Failing::of(&yard);
    let said = is_unknown(&send(&yard, &[("prefer", "respond-async")], "/services/restart", &restart));
    let hint = said["hint"].as_str().expect("it says whom to ask").to_owned();
    let id = hint.split('`').nth(1).and_then(|command| command.strip_prefix("hostler operations show ")).expect("it names the operation").to_owned();
    drop(failing);
    yard.kill_host();
    yard.serve();
    let before = 1 + generation;
    match yard.get(&format!("/operations/{id}")) {
        Some(operation) if operation["id"] == *id => {
            over(&yard, &operation, "succeeded");
            until("it was done once", || yard.read("db.starts").lines().count() as u64 == before + 1);
        }
        _ => assert_eq!(yard.read("db.starts").lines().count() as u64, before, "it was never queued"),
    }
}

#[test]
fn whether_a_silence_was_made_is_not_known_either() {
    if !can_fail() {
        return;
    }
    let yard = Yard::new();
    yard.up(&sleeper("db", ""));
    let silence = json!({ "rule": "*", "for_ms": 60_000 });
    let failing = Failing::of(&yard);
    is_unknown(&send(&yard, &[], "/silences", &silence));
    assert_eq!(send(&yard, &[], "/silences", &silence).status, 503, "from then on nothing is written, and that is known");
    drop(failing);
}

#[test]
fn a_key_says_what_became_of_it_once_the_host_is_back() {
    if !can_fail() {
        return;
    }
    let yard = Yard::new();
    yard.script("check.sh", "[ -f go ]");
    let check = "health_check = { type = \"command\", command = \"./check.sh\", interval = \"50ms\", failure_threshold = 1000 }";
    yard.config(&(script(&yard, "db", "echo start >> db.starts; exec sleep 1000", "") + &sleeper("slow", check)));
    yard.run("serve --detach").ok();
    yard.run("apply --no-start --no-wait").ok();
    yard.run("start db").ok();
    let slow = send(&yard, &[], "/services/slow/deploy", &json!({})).json();
    until_it_is(&yard, &slow, "running");
    yard.until_status("slow", "starting");
    let restart = || send(&yard, &[("idempotency-key", "k")], "/services/restart", &json!({ "services": ["db"] }));
    let failing = Failing::of(&yard);
    let refused = restart();
    assert_eq!(refused.status, 503, "what cannot be begun is not: {refused:?}");
    assert_eq!(yard.read("db.starts"), "start\n");
    drop(failing);
    yard.kill_host();
    yard.serve();
    assert_eq!(restart().status, 200);
    until("it was restarted", || yard.read("db.starts") == "start\nstart\n");
    assert_eq!(restart().header("idempotency-replayed"), Some("true"));
    // What was under way when the disk failed goes on.
    yard.write("go", "");
    over(&yard, &slow, "succeeded");
    assert_eq!(yard.read("db.starts"), "start\nstart\n");
}
