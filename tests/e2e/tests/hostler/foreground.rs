//! `up` in the foreground, `serve`, `down`, and how each of them ends.

use std::time::{Duration, Instant};

use hostler_e2e::{Live, Signal, Value, Yard, alive, descendants, until};

use crate::{script, sleeper};

/// A service that writes down its end, and takes a moment for it.
fn mourned(yard: &Yard, name: &str, more: &str) -> String {
    script(yard, name, &format!("trap 'echo {name} >> ends; exit 0' TERM; echo up; while :; do sleep 0.02; done"), more)
}

/// A service that does not end when asked, and neither does its grandchild.
fn stubborn(yard: &Yard) -> String {
    yard.script("grandchild.sh", "trap '' TERM INT HUP; echo $$ > grandchild.pid; while :; do sleep 0.05; done");
    script(yard, "stubborn", "trap '' TERM INT HUP; ./grandchild.sh & wait; while :; do sleep 0.05; done", "stop = { grace = \"1h\" }")
}

fn three(yard: &Yard) {
    yard.config(&(mourned(yard, "db", "") + &mourned(yard, "api", "dependencies = [\"db\"]") + &mourned(yard, "web", "dependencies = [\"api\"]")));
}

/// Waits until each has set its trap: whoever is asked to end before that does not write down its end.
#[track_caller]
fn until_three_hear(yard: &Yard) {
    until("all three hear", || ["db", "api", "web"].iter().all(|name| yard.log(name) == ["up"]));
}

#[test]
fn up_shows_progress_and_ctrl_c_stops_in_reverse() {
    let yard = Yard::new();
    three(&yard);
    let mut up = yard.stay_on_terminal("up");
    up.says("Ctrl-C stops it in reverse order");
    for name in ["db", "api", "web"] {
        up.says(&format!("pid {}", yard.pid(name)));
    }
    until_three_hear(&yard);
    let everybody: Vec<u32> = ["db", "api", "web"].map(|name| yard.pid(name)).into_iter().chain([yard.keeper_pid()]).collect();
    up.types(b"\x03");
    up.says("stopping in reverse order; Ctrl-C again stops without grace");
    let (code, said) = up.ends();
    assert_eq!(code, 0, "{said}");
    assert_eq!(yard.read("ends"), "web\napi\ndb\n");
    until("nothing is left", || !everybody.iter().any(|pid| alive(*pid)) && yard.processes().is_empty());
    assert!(!said.contains("WARN") && !said.contains("ERROR"), "{said}");
}

#[test]
fn up_with_json_prints_the_picture_and_then_every_event() {
    let yard = Yard::new();
    three(&yard);
    let output = yard.file("documents");
    let mut command = yard.command("up --json");
    let mut up = command.stdout(std::fs::File::create(&output).expect("it is ours")).spawn().expect("it can be started");
    until("everything is up", || ["db", "api", "web"].iter().all(|name| yard.get("/services").is_some() && yard.status(name) == "running"));
    hostler_e2e::signal(up.id(), Signal::INT);
    assert!(up.wait().expect("it is our child").success());
    let documents: Vec<Value> = yard.read("documents").lines().map(|line| hostler_e2e::parse(line).expect("each line is a document")).collect();
    assert!(documents.iter().all(|document| document["version"] == 1), "{documents:#?}");
    let (picture, events) = documents.split_first().expect("it said something");
    assert_eq!(picture["services"].as_array().map(Vec::len), Some(3), "{picture:#}");
    let first = picture["last_event"].as_u64().expect("a number") + 1;
    let seqs: Vec<u64> = events.iter().filter_map(|event| event["seq"].as_u64()).collect();
    assert_eq!(seqs, (first..first + events.len() as u64).collect::<Vec<u64>>(), "none is missing, none is told twice");
    let stops: Vec<&str> = events.iter().filter(|event| event["kind"] == "stopped").filter_map(|event| event["service"].as_str()).collect();
    assert_eq!(stops, ["web", "api", "db"]);
}

#[test]
fn serve_with_json_says_which_host_there_is() {
    let yard = Yard::new();
    let host = yard.run("serve --detach --json").json();
    assert_eq!(host["pid"], yard.host_pid());
    assert_eq!(host["state_dir"].as_str(), yard.state().to_str());
    yard.run("down").ok();
    let serve = yard.stay("serve --json");
    serve.says("\"state_dir\"");
    serve.signal(Signal::TERM);
    assert_eq!(serve.ends().0, 0);
}

#[test]
fn up_on_a_pipe_has_no_escapes_and_takes_sigint_and_sigterm_alike() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let yard = Yard::new();
        three(&yard);
        let up = yard.stay("up");
        up.says("everything is up");
        until_three_hear(&yard);
        up.signal(signal);
        let (code, said) = up.ends();
        assert_eq!(code, 0, "{said}");
        assert!(!said.contains('\x1b'), "{said:?}");
        assert_eq!(yard.read("ends"), "web\napi\ndb\n");
        until("nothing is left", || yard.processes().is_empty());
    }
}

#[test]
fn a_second_ctrl_c_takes_the_grace_away() {
    let yard = Yard::new();
    yard.config(&stubborn(&yard));
    let mut up = yard.stay_on_terminal("up");
    up.says("everything is up");
    until("the grandchild is there", || yard.read("grandchild.pid").ends_with('\n'));
    let child = yard.pid("stubborn");
    let grandchild: u32 = yard.read("grandchild.pid").trim().parse().expect("its pid");
    assert!(descendants(child).contains(&grandchild));
    up.types(b"\x03");
    yard.until_status("stubborn", "stopping");
    assert!(alive(child) && alive(grandchild), "they ignore the first one");
    let asked = Instant::now();
    up.types(b"\x03");
    up.says("stopping without grace");
    let (code, said) = up.ends();
    assert_eq!(code, 0, "{said}");
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    assert!(!alive(child) && !alive(grandchild), "nothing is alive when the stop returns");
    until("nothing is left", || yard.processes().is_empty());
}

#[test]
fn up_ends_by_itself_when_everything_has_completed() {
    let yard = Yard::new();
    let one = |name: &str, code: u8| script(&yard, name, &format!("exit {code}"), "kind = \"oneshot\"\nrestart = \"never\"");
    yard.config(&(one("a", 0) + &one("b", 0)));
    let (code, said) = yard.stay("up").ends();
    assert_eq!(code, 0, "{said}");
    until("nothing is left", || yard.processes().is_empty());
    yard.config(&(one("a", 0) + &one("c", 5)));
    let (code, said) = yard.stay("up").ends();
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("exited with code 5") && said.contains("error: c is failed"), "{said}");
}

#[test]
fn up_goes_on_with_what_runs_unless_told_to_abort() {
    let yard = Yard::new();
    let broken = "[services.broken]\nbackend = { type = \"process\", binary = \"./not-there\" }\nrestart = \"never\"\n";
    yard.config(&(mourned(&yard, "db", "") + broken));
    let up = yard.stay("up");
    up.says("not everything is up:");
    assert_eq!(yard.status("db"), "running");
    up.signal(Signal::INT);
    let (code, said) = up.ends();
    assert_eq!(code, 1, "something failed: {said}");

    let (code, said) = yard.stay("up --abort-on-failure").ends();
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("broken is failed"), "{said}");
    until("nothing is left", || yard.processes().is_empty());
}

#[test]
fn up_takes_some_services_and_what_they_need() {
    let yard = Yard::new();
    three(&yard);
    yard.run("up hostler.toml api --detach").ok();
    assert_eq!([yard.status("db"), yard.status("api"), yard.status("web")], ["running", "running", "stopped"]);
}

#[test]
fn up_in_the_foreground_does_not_push_another_host_aside() {
    let yard = Yard::new();
    yard.up(&sleeper("db", ""));
    let (host, db) = (yard.host_pid(), yard.pid("db"));
    let text = yard.run("up").fails(1);
    assert!(text.contains("a host is running on") && text.contains("hostler apply"), "{text}");
    assert_eq!((yard.host_pid(), yard.pid("db")), (host, db));
    yard.up(&(sleeper("db", "") + &sleeper("web", "")));
    assert_eq!((yard.host_pid(), yard.pid("db"), yard.status("web").as_str()), (host, db, "running"), "--detach applies");
}

#[test]
fn up_that_was_killed_is_taken_up_by_the_next_one() {
    let yard = Yard::new();
    three(&yard);
    let up = yard.stay("up");
    up.says("everything is up");
    until_three_hear(&yard);
    let pids = ["db", "api", "web"].map(|name| yard.pid(name));
    up.signal(Signal::KILL);
    drop(up);
    assert!(pids.into_iter().all(alive));
    let up = yard.stay("up");
    up.says("everything is up");
    assert_eq!(["db", "api", "web"].map(|name| yard.pid(name)), pids);
    up.signal(Signal::INT);
    assert_eq!(up.ends().0, 0);
    assert_eq!(yard.read("ends"), "web\napi\ndb\n");
    until("nothing is left", || yard.processes().is_empty());
}

#[test]
fn several_at_once_make_one_host() {
    let yard = Yard::new();
    yard.config(&script(&yard, "db", "echo start >> starts; exec sleep 1000", ""));
    let all: Vec<_> = (0..5).map(|_| yard.stay("up --detach")).collect();
    let ended: Vec<(i32, String)> = all.into_iter().map(hostler_e2e::Live::ends).collect();
    assert!(ended.iter().any(|(code, _)| *code == 0), "{ended:#?}");
    assert!(ended.iter().all(|(code, said)| *code == 0 || said.contains("another host")), "{ended:#?}");
    yard.until_status("db", "running");
    assert_eq!(yard.read("starts"), "start\n");
    let hosts = yard
        .processes()
        .into_iter()
        .filter(|pid| std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.windows(10).any(|part| part == b"--detached")));
    until("one host is left", || hosts.clone().filter(|pid| alive(*pid)).count() == 1);
}

#[test]
fn serve_ends_on_sigterm_and_leaves_its_tasks() {
    let yard = Yard::new();
    yard.config(&sleeper("db", ""));
    let serve = yard.stay("serve hostler.toml");
    serve.says("serves");
    yard.until_status("db", "running");
    let db = yard.pid("db");
    serve.signal(Signal::TERM);
    let (code, said) = serve.ends();
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("the services keep running under the keeper"), "{said}");
    assert!(alive(db) && yard.get("/host").is_none());
    yard.serve();
    assert_eq!((yard.status("db").as_str(), yard.pid("db")), ("running", db));
    assert!(yard.story("db").iter().any(|line| line.starts_with("adopted")), "{:#?}", yard.story("db"));
}

/// A host that systemd, which says that it is about this, has started with three services.
fn managed(yard: &mut Yard, about: &str) -> Live {
    three(yard);
    yard.search_first(&yard.script("systemctl", &format!("echo \"$@\" > asked; {about}")).with_file_name(""));
    let serve = Live::piped(yard.command("serve hostler.toml").env("NOTIFY_SOCKET", yard.file("nobody-hears")));
    serve.says("serves");
    for name in ["db", "api", "web"] {
        yard.until_status(name, "running");
    }
    until_three_hear(yard);
    serve
}

#[test]
fn serve_stops_its_services_in_reverse_when_the_machine_goes_down_and_they_are_wanted_still() {
    let mut yard = Yard::new();
    let serve = managed(&mut yard, "echo stopping; exit 1");
    serve.signal(Signal::TERM);
    let (code, said) = serve.ends();
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("the machine goes down"), "{said}");
    assert_eq!(yard.read("ends"), "web\napi\ndb\n");
    assert_eq!(yard.read("asked"), "is-system-running\n");
    until("nothing is left", || yard.processes().is_empty());
    yard.serve();
    for name in ["db", "api", "web"] {
        yard.until_status(name, "running");
    }
}

#[test]
fn serve_leaves_its_services_to_the_next_host_when_only_it_has_to_end() {
    for about in ["echo running", "exit 1"] {
        let mut yard = Yard::new();
        let serve = managed(&mut yard, about);
        let db = yard.pid("db");
        serve.signal(Signal::TERM);
        assert!(serve.ends().1.contains("the services keep running under the keeper"));
        assert_eq!((yard.read("asked").as_str(), yard.read("ends").as_str(), alive(db)), ("is-system-running\n", "", true), "{about}");
    }
}

#[test]
fn down_stops_in_reverse_and_forgets() {
    let yard = Yard::new();
    three(&yard);
    yard.run("up --detach").ok();
    until_three_hear(&yard);
    let text = yard.run("down").ok();
    assert!(text.contains("everything is down; the host has ended"), "{text}");
    assert_eq!(yard.read("ends"), "web\napi\ndb\n");
    assert!(yard.get("/host").is_none());
    until("nothing is left", || yard.processes().is_empty());
    yard.serve();
    assert_eq!(yard.run("ps").ok(), "there are no services; `hostler apply FILE` makes some\n");
}

#[test]
fn down_with_keep_remembers_what_there_was() {
    let yard = Yard::new();
    three(&yard);
    yard.run("up --detach").ok();
    yard.run("down --keep").ok();
    until("nothing is left", || yard.processes().is_empty());
    yard.serve();
    assert_eq!([yard.status("db"), yard.status("api"), yard.status("web")], ["stopped", "stopped", "stopped"]);
    yard.run("start").ok();
    assert_eq!([yard.status("db"), yard.status("api"), yard.status("web")], ["running", "running", "running"]);
}

#[test]
fn down_stops_what_an_earlier_host_left() {
    let yard = Yard::new();
    three(&yard);
    yard.run("up --detach").ok();
    until_three_hear(&yard);
    let pids = ["db", "api", "web"].map(|name| yard.pid(name));
    yard.kill_host();
    assert!(pids.into_iter().all(alive));
    yard.run("down").ok();
    assert_eq!(yard.read("ends"), "web\napi\ndb\n");
    until("nothing is left", || yard.processes().is_empty());
}

#[test]
fn down_with_force_does_not_wait_for_the_stubborn() {
    let yard = Yard::new();
    yard.up(&stubborn(&yard));
    until("the grandchild is there", || yard.read("grandchild.pid").ends_with('\n'));
    let text = yard.run("down --timeout 500ms").fails(1);
    assert!(text.contains("not everything is down after") && text.contains("down --force"), "{text}");
    yard.run("down --force").ok();
    until("nothing is left", || yard.processes().is_empty());
}
