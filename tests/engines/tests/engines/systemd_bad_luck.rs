//! Backend `systemd`: bad input, and bad luck.

use std::time::{Duration, Instant};

use hostler_e2e::until;
use hostler_engines::Hosted;

use crate::systemd::{QUICKLY, SLEEPS, property, script, unit, units};

#[test]
fn a_killed_host_and_a_new_systemd_disturb_no_task() {
    let Some(host) = Hosted::boot() else { return };
    let names = ["a", "b", "c"];
    host.up(&names.map(|name| script(&host, name, SLEEPS, "", QUICKLY)).concat());
    let pids = names.map(|name| host.pid(name));
    for what in ["daemon-reload", "daemon-reexec", "kill -9", "daemon-reexec", "kill -9"] {
        match what {
            "kill -9" => {
                host.kill_host();
                host.serve();
            }
            verb => drop(host.run(&["systemctl", verb]).ok()),
        }
        // Every task is looked at at least once more.
        let looks = || host.get("/plugins/systemd").map_or(0, |plugin| plugin["plugin"]["counters"]["calls"].as_u64().unwrap_or_default());
        let before = looks();
        until("the host has looked again", || looks() > before + 2);
        assert_eq!(names.map(|name| host.pid(name)), pids, "after {what}");
    }
    for name in names {
        let service = host.service(name);
        assert_eq!([&service["restart_count"], &service["failure_count"]], [0, 0], "{service:#}");
        let story = host.story(name);
        assert!(!story.iter().any(|line| line.starts_with("exited")), "{story:#?}");
    }
}

#[test]
fn a_stop_leaves_nothing_alive_and_its_grace_outlives_the_host() {
    let Some(host) = Hosted::boot() else { return };
    // A leader that goes on TERM, and a grandchild in a session of its own that does not.
    let stubborn = "setsid sh -c 'trap \"\" TERM; while :; do sleep 1; done' & trap 'exit 0' TERM; while :; do sleep 0.1; done";
    let deaf = "trap '' TERM; echo deaf; while :; do sleep 0.1; done";
    host.up(&(script(&host, "tree", stubborn, "", "stop = { grace = \"1s\" }") + &script(&host, "deaf", deaf, "", "stop = { grace = \"8s\" }")));
    until("it is deaf", || host.log("deaf") == ["deaf"]);
    let tree = unit(&host, "tree");
    host.hostler("stop tree").ok();
    assert_eq!(property(&host, &tree, "TasksCurrent"), "[not set]", "its group is empty");
    assert_eq!(host.run(&["pgrep", "-f", "trap \"\" TERM"]).code, 1);

    let asked = Instant::now();
    let mut stopping = host.command("stop deaf").spawn().expect("docker can be started");
    until("the grace runs", || units(&host).iter().any(|line| line.contains("-kill.timer")));
    host.kill_host();
    host.serve();
    let pid = property(&host, &unit(&host, "deaf"), "MainPID");
    until("it was killed when its grace was over", || pid == "0" || host.run(&["test", "-d", &format!("/proc/{pid}")]).code == 1);
    assert!(asked.elapsed() > Duration::from_secs(7), "not before its grace was over");
    assert!(asked.elapsed() < Duration::from_secs(60), "the grace began once");
    host.until_status("deaf", "stopped");
    drop(stopping.wait());
    host.hostler("down").ok();
    until("nothing is left", || units(&host).is_empty());
}

#[test]
fn a_start_that_fails_leaves_nothing() {
    let Some(host) = Hosted::boot() else { return };
    let never = "restart = { policy = \"never\" }";
    let service = |name: &str, backend: &str| format!("[services.{name}]\nbackend = {{ type = \"systemd\", {backend} }}\n{never}\n");
    let file = host.script("text", "");
    host.run(&["chmod", "644", &file]).ok();
    let all = [
        service("nothing", "binary = \"/nonexistent/program\""),
        service("text", &format!("binary = \"{file}\"")),
        service("place", "binary = \"/bin/sleep\", args = [1000], working_dir = \"/nonexistent\""),
        service("nobody", "binary = \"/bin/sleep\", args = [1000], user = \"no-such-user\""),
        service("value", "binary = \"/bin/sleep\", args = [1000], properties = { TasksMax = \"many\" }"),
    ];
    host.config(&all.concat());
    host.hostler("up --detach");
    for (name, word) in [("nothing", "binary"), ("text", "binary"), ("place", "working_dir"), ("nobody", "user"), ("value", "TasksMax")] {
        until(&format!("the start of `{name}` has failed, and says where"), || {
            host.story(name).iter().any(|line| line.contains(word) && line.contains("fail"))
        });
    }
    assert_eq!(units(&host), [""; 0]);
    assert_eq!(host.run(&["systemctl", "is-system-running"]).out.trim(), "running");
}

#[test]
fn every_byte_of_an_argument_arrives_and_none_is_an_option() {
    let Some(host) = Hosted::boot() else { return };
    let path =
        host.script("args.sh", "for arg in \"$@\"; do printf '<%s>' \"$arg\"; done > /srv/hostler/args; env > /srv/hostler/env; exec sleep 100000");
    // The file itself says `$$` for a `$` where it would mean a variable.
    let args = r#"["; touch /tmp/evil", "$(touch /tmp/evil)", "$HOME", "$${HOME}", "$$$$", "%n%%", "--help", "-p", "a\nb", "\\x20", "", " two  words ", "'\"", "ü"]"#;
    let env = r#"{ A = "$B", B = "x\ny", LD_PRELOAD = "", PATH = "/usr/bin:/bin", "_" = "-p" }"#;
    host.up(&format!("[services.web]\nbackend = {{ type = \"systemd\", binary = \"{path}\", args = {args}, env = {env} }}\n"));
    until("it has run", || !host.read("/srv/hostler/env").is_empty());
    let expected = "<; touch /tmp/evil><$(touch /tmp/evil)><$HOME><${HOME}><$$><%n%%><--help><-p><a\nb><\\x20><>< two  words ><'\"><ü>";
    assert_eq!(host.read("/srv/hostler/args"), expected);
    assert!(
        host.read("/srv/hostler/env").contains("\nA=$B\n") || host.read("/srv/hostler/env").starts_with("A=$B\n"),
        "{}",
        host.read("/srv/hostler/env")
    );
    assert_eq!(host.run(&["test", "-e", "/tmp/evil"]).code, 1);
    host.hostler("down").ok();
    for (backend, word) in [
        (r#"binary = "/bin/sleep", args = ["a\u0000b"]"#, "NUL"),
        (r#"binary = "/bin/sleep", user = "-x""#, "is no user"),
        (r#"binary = "/bin/sleep", env = { "A B" = "x" }"#, "no name for a variable"),
        (r#"binary = "/bin/sleep", properties = { ExecStartPre = "/bin/true" }"#, "no property that a service can set"),
        (r#"binary = "/bin/sleep", properties = { Nice = "1\nExecStartPre=/bin/true" }"#, "control character"),
    ] {
        host.config(&format!("[services.a]\nbackend = {{ type = \"systemd\", {backend} }}"));
        let said = host.hostler("up --detach");
        assert!(said.code != 0 && said.err.contains(word), "{backend}: {said:?}");
    }
    assert_eq!(units(&host), [""; 0]);
}

#[test]
fn an_engine_that_is_away_makes_tasks_unknown_and_restarts_none() {
    let Some(host) = Hosted::boot() else { return };
    host.up(&script(&host, "web", SLEEPS, "", QUICKLY));
    let pid = host.pid("web");
    host.run(&["mv", "/usr/bin/systemctl", "/usr/bin/systemctl.away"]).ok();
    host.until_status("web", "unknown");
    assert_eq!(host.run(&["test", "-d", &format!("/proc/{pid}")]).code, 0);
    host.run(&["mv", "/usr/bin/systemctl.away", "/usr/bin/systemctl"]).ok();
    host.until_status("web", "running");
    assert_eq!((host.pid("web"), host.service("web")["restart_count"].clone()), (pid, 0.into()));
}

#[test]
fn a_reboot_ends_transient_units_and_they_start_anew() {
    let Some(host) = Hosted::boot() else { return };
    host.up(&script(&host, "web", "echo up >> /srv/hostler/web.starts; exec sleep 100000", "", QUICKLY));
    host.reboot();
    host.serve();
    host.until_status("web", "running");
    assert_eq!(host.read("/srv/hostler/web.starts"), "up\nup\n");
    assert_eq!(host.run(&["pgrep", "-c", "sleep"]).out.trim(), "1");
}
