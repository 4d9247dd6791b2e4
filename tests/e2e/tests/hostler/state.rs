//! The state directory: whose it is, and what happens when it is damaged, full, taken or not to be written.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use hostler_e2e::{Yard, alive, can, is_root, program, until};

use crate::sleeper;

#[test]
fn it_is_private_and_so_is_its_socket() {
    let yard = Yard::bare();
    yard.up(&sleeper("db", ""));
    let mode = |path: &std::path::Path| {
        let about = fs::symlink_metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        about.permissions().mode() & 0o7777
    };
    assert_eq!(mode(yard.state()), 0o700);
    assert_eq!(mode(&yard.socket()), 0o600);
    for name in ["cache", "keeper", "services"] {
        assert_eq!(mode(&yard.state().join(name)), 0o700, "{name}");
    }
    for name in ["store.db", "host.lock", "host.log", "keeper/keeper.sock"] {
        assert_eq!(mode(&yard.state().join(name)), 0o600, "{name}");
    }
}

#[test]
fn one_that_others_may_read_is_closed_and_one_that_all_may_write_is_refused() {
    let yard = Yard::bare();
    fs::create_dir(yard.state()).expect("the yard is ours");
    let set = |mode| fs::set_permissions(yard.state(), fs::Permissions::from_mode(mode)).expect("it is ours");
    set(0o777);
    yard.config(&sleeper("db", ""));
    let text = yard.run("up --detach").fails(1);
    assert!(text.contains("everybody may write to it (mode 0777)") && text.contains("hint: "), "{text}");
    set(0o755);
    yard.up(&sleeper("db", ""));
    assert_eq!(fs::metadata(yard.state()).expect("it is ours").permissions().mode() & 0o777, 0o700);
}

#[test]
fn two_hosts_on_one_directory_do_not_meet() {
    let yard = Yard::new();
    yard.up(&sleeper("db", ""));
    let (host, db) = (yard.host_pid(), yard.pid("db"));
    for line in ["serve", "serve --detach"] {
        let text = yard.run(line).fails(1);
        assert!(
            text.contains(&format!("pid {host}")) && text.contains(yard.state().to_str().expect("a plain path")) && text.contains("hint: "),
            "{line}: {text}"
        );
    }
    assert_eq!((yard.host_pid(), yard.pid("db")), (host, db));
}

#[test]
fn garbage_in_the_store_is_refused_and_left_as_it_is() {
    let yard = Yard::new();
    yard.up(&sleeper("db", ""));
    let db = yard.pid("db");
    yard.kill_host();
    for name in ["store.db-wal", "store.db-shm"] {
        let _ = fs::remove_file(yard.state().join(name));
    }
    let store = yard.state().join("store.db");
    fs::write(&store, b"this was a database once\n".repeat(500)).expect("it is ours");
    let before = fs::read(&store).expect("it is ours");
    for line in ["serve", "serve --detach", "up", "up --detach", "down"] {
        let text = yard.run(line).fails(6);
        assert!(
            text.contains("store.db cannot be used as a store") && text.contains("hint: nothing was changed") && text.contains("cp COPY"),
            "{line}: {text}"
        );
    }
    assert_eq!(fs::read(&store).expect("it is ours"), before, "not a byte was changed");
    assert!(alive(db), "what runs goes on");
}

#[test]
fn a_store_of_a_newer_version_is_refused_and_left_as_it_is() {
    let yard = Yard::new();
    yard.up(&sleeper("db", ""));
    yard.run("down --keep").ok();
    let store = yard.state().join("store.db");
    let script = "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1])\nv = c.execute('pragma user_version').fetchone()[0]\nassert v > 0\nc.execute('pragma user_version = %d' % (v + 1))\nc.commit()\nc.close()";
    let changed = Command::new("/usr/bin/python3").args(["-c", script]).arg(&store).status().expect("python is there");
    assert!(changed.success());
    let before = fs::read(&store).expect("it is ours");
    for line in ["serve", "up --detach"] {
        let text = yard.run(line).fails(6);
        assert!(text.contains("schema version") && text.contains("start the newer Hostler again"), "{line}: {text}");
    }
    assert_eq!(fs::read(&store).expect("it is ours"), before, "not a byte was changed");
}

#[test]
fn a_place_that_cannot_be_one_is_refused() {
    let yard = Yard::new();
    yard.config(&sleeper("db", ""));
    yard.write("file", "in the way");
    let below = yard.file("file").join("state");
    for command in ["up", "up --detach", "serve", "serve --detach"] {
        let line = format!("{command} --state-dir {}", below.display());
        let ran = yard.run(&line);
        let text = ran.clone().fails(ran.code);
        assert!(matches!(ran.code, 1 | 5), "{line}: {text}");
        assert!(text.contains(below.to_str().expect("a plain path")) && text.contains("--state-dir"), "{line}: {text}");
    }
    assert_eq!(yard.read("file"), "in the way");
    let text = yard.run("up --detach --state-dir /proc/hostler").clone();
    assert!(matches!(text.code, 1 | 5) && text.err.contains("/proc/hostler"), "{}", text.err);
}

#[test]
fn a_directory_of_somebody_else_is_refused() {
    let yard = Yard::bare();
    yard.config(&sleeper("db", ""));
    fs::create_dir(yard.file("theirs")).expect("the yard is ours");
    let mut command = if is_root() {
        if !can("setpriv", Command::new("setpriv").arg("--version").output().is_ok()) {
            return;
        }
        fs::copy(program(), yard.file("hostler")).expect("there is room for a program");
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(yard.file("hostler"));
        command
    } else {
        fs::set_permissions(yard.file("theirs"), fs::Permissions::from_mode(0o555)).expect("it is ours");
        Command::new(program())
    };
    let state = yard.file("theirs").join("state");
    let ran = hostler_e2e::Ran::of(command.args(["up", "--detach", "--state-dir"]).arg(&state).current_dir(yard.path()));
    assert!(matches!(ran.code, 1 | 5), "{}", ran.err);
    assert!(ran.err.contains(state.to_str().expect("a plain path")) && ran.err.contains("hint: "), "{}", ran.err);
    until("nothing was started", || yard.processes().is_empty());
}

/// How `unshare` gets a file system of its own: as root, or as root of a namespace of one's own.
fn unshare_flags() -> Option<&'static str> {
    let mounts = |flags: &&str| {
        let tried = Command::new("unshare").args([*flags, "sh", "-c", "mount -t tmpfs none /mnt"]).output();
        tried.is_ok_and(|output| output.status.success())
    };
    let flags = ["-m", "-rm"].into_iter().find(mounts);
    can("mounting a small disk (unshare -m)", flags.is_some()).then_some(flags).flatten()
}

#[test]
fn a_host_on_a_full_disk_leaves_when_it_is_told_to_and_starts_nothing_on_its_way() {
    let Some(flags) = unshare_flags() else { return };
    let yard = Yard::new();
    fs::create_dir(yard.file("disk")).expect("the yard is ours");
    let script = format!(
        "set -e\nmount -t tmpfs -o size=12m none {disk}\nexport HOSTLER_STATE_DIR={disk}/state\n\
         {hostler} serve hostler.toml > serve.out 2>&1 & host=$!\n\
         until {hostler} ps web --json | grep -q '\"status\":\"running\"'; do sleep 0.02; done\n\
         dd if=/dev/zero of={disk}/filler bs=4k 2> /dev/null || true\n\
         until grep -q 'nothing can be committed' serve.out; do\n\
         pid=$(cat web.pid); grep -q web-canary /proc/$pid/environ && kill -9 $pid || true; sleep 0.05; done\n\
         code=0; kill -TERM $host; wait $host || code=$?; echo $code > serve.code\n\
         rm {disk}/filler\n{hostler} serve --detach\n\
         until {hostler} ps web --json | grep -q '\"status\":\"running\"'; do sleep 0.02; done\n\
         {hostler} events --json > events.json\n\
         grep -l web-canary /proc/[0-9]*/environ | wc -l > count\n{hostler} down\n",
        disk = yard.file("disk").display(),
        hostler = program().display()
    );
    let more = "env = { NAME = \"web-canary\" }\nrestart = { max_attempts = \"unlimited\", backoff = { initial = \"10ms\", max = \"10ms\" } }";
    yard.config(&crate::script(&yard, "web", "echo $$ > web.pid; exec sleep 1000", more));
    let script = yard.script("full.sh", &script);
    hostler_e2e::Ran::of(Command::new("unshare").arg(flags).arg(script).current_dir(yard.path())).ok();
    assert_eq!((yard.read("serve.code").as_str(), yard.read("count").as_str()), ("0\n", "1\n"), "{}", yard.read("serve.out"));
    assert!(!yard.read("events.json").contains("stranger"), "every life was remembered before it began");
}

#[test]
fn a_full_disk_is_said_and_nothing_is_lost() {
    let Some(flags) = unshare_flags() else { return };
    let yard = Yard::new();
    fs::create_dir(yard.file("disk")).expect("the yard is ours");
    // The host's whole life is inside the namespace of the mount; its state is on a disk that somebody else fills.
    let script = format!(
        "set -ex\nmount -t tmpfs -o size=12m none {disk}\nexport HOSTLER_STATE_DIR={disk}/state\n{hostler} up --detach\n{hostler} ps --json > before.json\n\
         dd if=/dev/zero of={disk}/filler bs=4k 2> /dev/null || true\n\
         code=0; {hostler} stop db --timeout 5s > stop.out 2> stop.err || code=$?; echo $code > stop.code\n\
         {hostler} ps --json > full.json\n\
         rm {disk}/filler\n{hostler} stop db\n{hostler} ps --json > after.json\n\
         kill -9 $({hostler} status --json | sed 's/.*\"pid\":\\([0-9]*\\),\"state_dir.*/\\1/')\n\
         {hostler} serve --detach\n\
         until {hostler} ps web --json | grep -q '\"status\":\"running\"'; do sleep 0.02; done\n{hostler} ps --json > again.json\n{hostler} down\n",
        disk = yard.file("disk").display(),
        hostler = program().display()
    );
    yard.config(&(sleeper("db", "") + &sleeper("web", "")));
    let script = yard.script("full.sh", &script);
    let ran = hostler_e2e::Ran::of(Command::new("unshare").arg(flags).arg(script).current_dir(yard.path()));
    ran.ok();
    let list = |name: &str| -> hostler_e2e::Value { hostler_e2e::parse(&yard.read(name)).expect("a list of services") };
    let (before, full, after, again) = (list("before.json"), list("full.json"), list("after.json"), list("again.json"));
    assert_eq!(yard.read("stop.code"), "1\n", "{}", yard.read("stop.out"));
    assert!(yard.read("stop.err").contains("full") && yard.read("stop.err").contains("free some space"), "{}", yard.read("stop.err"));
    assert_eq!(
        [&full["services"][0]["status"], &full["services"][0]["pid"]],
        [&before["services"][0]["status"], &before["services"][0]["pid"]],
        "a refusal changes nothing"
    );
    assert_eq!([&after["services"][0]["status"], &again["services"][0]["status"]], ["stopped", "stopped"], "what was said to be done is remembered");
    assert_eq!([&again["services"][1]["pid"], &after["services"][1]["pid"]], [&before["services"][1]["pid"], &before["services"][1]["pid"]]);
}

#[test]
fn plugins_are_compiled_once_also_where_nothing_may_be_executed() {
    let Some(flags) = unshare_flags() else { return };
    let yard = Yard::new();
    fs::create_dir(yard.file("disk")).expect("the yard is ours");
    let script = format!(
        "set -e\nmount -t tmpfs -o noexec none {disk}\nexport HOSTLER_STATE_DIR={disk}/state\n\
         {hostler} up --detach\n{hostler} down\nls -i {disk}/state/cache > first\n\
         {hostler} up --detach\n{hostler} ps --json > ps.json\n{hostler} down\nls -i {disk}/state/cache > second\ncp {disk}/state/host.log .\n",
        disk = yard.file("disk").display(),
        hostler = program().display()
    );
    yard.config(&sleeper("db", ""));
    let script = yard.script("noexec.sh", &script);
    hostler_e2e::Ran::of(Command::new("unshare").arg(flags).arg(script).current_dir(yard.path())).ok();
    let list: hostler_e2e::Value = hostler_e2e::parse(&yard.read("ps.json")).expect("a list of services");
    assert_eq!(list["services"][0]["status"], "running");
    assert!(yard.read("first").contains(".cwasm") && yard.read("first") == yard.read("second"), "the same files: {}", yard.read("second"));
    assert!(!yard.read("host.log").contains("damaged"), "{}", yard.read("host.log"));
}

#[test]
fn a_long_path_is_no_obstacle() {
    let yard = Yard::bare();
    let long = yard.file(&"long-".repeat(30));
    yard.config(&sleeper("db", ""));
    let line = format!("--state-dir {}", long.display());
    yard.run(&format!("up --detach {line}")).ok();
    assert_eq!(yard.run(&format!("ps --json {line}")).json()["services"][0]["status"], "running");
    yard.run(&format!("down {line}")).ok();
}

#[test]
fn the_file_names_its_own_state_directory() {
    let yard = Yard::bare();
    yard.config(&format!("[settings]\nstate_dir = \"./own\"\n{}", sleeper("db", "")));
    let run = |line: &str| hostler_e2e::Ran::of(yard.command(line).env_remove("HOSTLER_STATE_DIR"));
    run("up --detach").ok();
    assert!(yard.file("own").join("store.db").exists() && !yard.state().exists());
    assert_eq!(run("ps --json").json()["services"][0]["status"], "running");
    run("down").ok();
}

#[test]
fn a_store_in_memory_forgets_with_the_host() {
    let yard = Yard::new();
    yard.config(&format!("[settings]\nstore = {{ type = \"memory\" }}\n{}", sleeper("db", "")));
    let up = yard.stay("up");
    up.says("everything is up");
    assert!(!yard.state().join("store.db").exists());
    up.signal(hostler_e2e::Signal::INT);
    assert_eq!(up.ends().0, 0);
    until("nothing is left", || yard.processes().is_empty());
}
