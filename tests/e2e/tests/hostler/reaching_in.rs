//! Reaching into what runs: signals, commands, and engines that are not there.

use std::process::Stdio;

use hostler_e2e::{Value, Yard, fixture, json};

use crate::sleeper;

fn scratch(config: &str) -> String {
    let grants = "grants = { processes = { programs = [\"*\"] }, commands = { programs = [\"*\"] } }";
    format!("[plugins.scratch]\nsource = \"{}\"\n{grants}\n{config}\n", fixture("scratch").display())
}

#[test]
fn a_signal_reaches_what_runs_and_nothing_restarts() {
    let yard = Yard::new();
    yard.script("app.sh", "trap 'echo again >> reloads' HUP; echo up > reloads; while :; do sleep 0.02; done");
    yard.up("[services.app]\nbackend = { type = \"process\", binary = \"./app.sh\" }\n[services.still]\nbackend = { type = \"process\", binary = \"true\" }\nkind = \"oneshot\"\n");
    hostler_e2e::until("it is up", || yard.read("reloads") == "up\n");
    let pid = yard.pid("app");
    assert_eq!(yard.run("signal app hup").ok(), "SIGHUP was sent to app\n");
    hostler_e2e::until("it heard", || yard.read("reloads") == "up\nagain\n");
    assert_eq!(yard.pid("app"), pid);
    let sent = yard.run("signal app SIGHUP --json").json();
    assert_eq!([&sent["signal"], &sent["replicas"]], [&json!("SIGHUP"), &json!([0])]);
    let events = yard.run("events --json").ok();
    assert!(events.contains("\"signal-sent\""), "{events}");

    let text = yard.run("signal app SIGHUPP").fails(2);
    assert!(text.contains("backend `process` cannot send `SIGHUPP`") && text.contains("did you mean `SIGHUP`?"), "{text}");
    assert!(yard.run("signal nobody HUP").fails(1).contains("there is no service `nobody`"));
    hostler_e2e::until("it is done", || yard.status("still") == "completed");
    yard.run("signal still HUP").fails(1);
    assert!(yard.run("signal app HUP --replica 7").fails(1).contains("replica 7 of service `app` does not run"));
}

#[test]
fn a_command_runs_inside_a_task() {
    let yard = Yard::new();
    yard.up(&(scratch("") + "[services.task]\nbackend = { type = \"scratch\", seconds = 1000 }\n" + &sleeper("web", "")));
    let run = |words: &[&str]| {
        let mut command = yard.command("exec task --env GREETING=hello");
        command.args(words);
        hostler_e2e::Ran::of(&mut command)
    };
    assert_eq!(run(&["--", "sh", "-c", "echo $GREETING $SCRATCH_TASK; echo \"$1\"", "sh", "a  b;c"]).ok(), "hello yes\na  b;c\n");
    assert!(run(&["--", "sh", "-c", "echo wrong >&2; exit 3"]).fails(1).contains("sh exited with 3"));
    assert!(run(&["--timeout", "200ms", "--", "sleep", "1000"]).fails(1).contains("task"));
    let document = run(&["--json", "--", "printf", "\\377"]).json();
    assert_eq!([&document["code"], &document["out"]["bytes_base64"]], [&json!(0), &json!("/w==")]);
    let text = yard.run("exec web -- true").fails(2);
    assert!(text.contains("backend `process` of service `web` lacks the ability `exec`"), "{text}");
    let events = yard.run("events --json").ok();
    assert!(events.contains("\"command-run\"") && !events.contains("SCRATCH_TASK"), "{events}");
}

#[test]
fn commands_without_end_keep_nothing_else_from_their_task() {
    let yard = Yard::new();
    yard.up(&(scratch("limits = { concurrency = 4 }") + "[services.task]\nbackend = { type = \"scratch\", seconds = 1000 }\n"));
    let (begun, before) = (yard.file("begun"), yard.pid("task"));
    let endless = format!("echo >> {}; exec sleep 1000", begun.display());
    let callers: Vec<_> = (0..6)
        .map(|_| yard.command("exec task --timeout 10m").args(["--", "sh", "-c", &endless]).stdin(Stdio::null()).spawn().expect("it can be run"))
        .collect();
    let lines = || std::fs::read_to_string(&begun).map_or(0, |text| text.lines().count());
    hostler_e2e::until("as many run as may", || lines() == 2);
    yard.run("restart task").ok();
    assert_ne!(yard.pid("task"), before);
    yard.until_status("task", "running");
    assert_eq!(lines(), 2, "the others wait");
    for mut caller in callers {
        caller.kill().expect("it waits");
        caller.wait().expect("it is ours");
    }
    yard.run("exec task -- true").ok();
}

#[test]
fn nothing_is_started_on_an_engine_that_is_not_ready() {
    let yard = Yard::new();
    let engine = yard.file("engine");
    let config = scratch(&format!("config = {{ engine = \"{}\" }}", engine.display()));
    yard.up(&sleeper("web", ""));
    yard.config(&(config + "[services.task]\nbackend = { type = \"scratch\", seconds = 1000 }\nrestart = \"never\"\n"));
    yard.run("apply --no-wait").ok();
    let shown = |yard: &Yard| -> Value { yard.run("plugin inspect scratch --json").json()["plugin"]["engine"].clone() };
    hostler_e2e::until("the engine was asked", || shown(&yard)["ready"] == json!(false));
    assert!(yard.run("plugin list").ok().contains("there is no"), "people see it at once");
    hostler_e2e::until("it waits, and says for what", || yard.run("explain task").ok().contains("its engine is not ready"));
    assert_ne!(yard.status("task"), "failed", "no task is to blame");
    yard.write("engine", "");
    yard.until_status("task", "running");
    hostler_e2e::until("that shows", || shown(&yard)["ready"] == json!(true));
}

#[test]
fn a_signal_that_its_backend_cannot_send_is_refused_when_it_is_written() {
    let yard = Yard::new();
    let naughty = |signal: &str| {
        let source = format!("[plugins.naughty]\nsource = \"{}\"\n", fixture("naughty").display());
        source + &format!("[services.task]\nbackend = {{ type = \"naughty\" }}\nstop = {{ signal = \"{signal}\" }}\n")
    };
    yard.config(&naughty("SIGUSR1"));
    let text = yard.run("up --detach").fails(3);
    assert!(text.contains("backend `naughty` cannot send `SIGUSR1`") && text.contains("it can send SIGHUP"), "{text}");
    yard.config(&(naughty("hup") + &sleeper("web", "stop = { signal = \"SIGABRT\" }")));
    yard.run("plan").fails(4);
    yard.run("up --detach").ok();
}
