//! The built-in backend against a real keeper: the life of a task.

use std::time::{Duration, Instant};

use hostler_wasm::words::{Exit, Fault, Handle, Phase, Verdict};
use hostler_wasm::{Call, Failure, NextMove, PoolOptions};
use serde_json::json;

use crate::keeper::{self, Keeper};
use crate::support::{Host, built_in, call, target_of, task, until};

const ANY: &str = r#"{"processes": {"programs": ["*"]}}"#;

async fn host() -> (Keeper, Host) {
    let (keeper, link) = keeper::start().await;
    (keeper, Host::with(Some(link), PoolOptions { instances: 64, ..PoolOptions::default() }))
}

fn sleeper() -> serde_json::Value {
    json!({"binary": "sleep", "args": ["60"]})
}

#[tokio::test]
async fn a_task_lives_from_start_to_destroy() {
    let (_keeper, host) = host().await;
    let plugin = host.load("process", built_in("process"), ANY).await;
    let backend = plugin.backend().expect("a backend");
    assert!(backend.fingerprint(call()).await.expect("an engine").ready);

    let task = task("test-story-0-1", "d1", sleeper());
    let handle = backend.start(call(), &task).await.expect("started");
    let again = backend.start(call(), &task).await.expect("started already");
    assert_eq!(handle, again);
    let other = backend.start(call(), &crate::support::task("test-story-0-1", "d2", json!({"binary": "sleep", "args": ["61"]}))).await;
    let error = other.expect_err("another digest");
    assert!(matches!(error.fault(), Some(Fault::Conflict(_))) && error.next_move() == NextMove::Report, "{error}");

    let status = backend.inspect(call(), std::slice::from_ref(&handle)).await.expect("looked").remove(0);
    assert_eq!(status.phase, Phase::Running);
    assert!(status.attributes.iter().any(|(name, _)| name == "pid"), "{:?}", status.attributes);
    let found = backend.list(call()).await.expect("listed");
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].id.as_str(), &found[0].handle), ("test-story-0-1", &handle));

    let error = backend.destroy(call(), &handle, false).await.expect_err("it runs");
    assert!(matches!(error.why, Failure::Fault(_)), "{error}");
    let stopped = backend.stop(call(), &handle, None, 5_000).await.expect("stopped");
    assert!(matches!(&stopped.phase, Phase::Exited(Exit { signal: Some(signal), code: None, .. }) if signal == "SIGTERM"), "{stopped:?}");
    backend.destroy(call(), &handle, false).await.expect("destroyed");
    backend.destroy(call(), &handle, false).await.expect("destroyed already");
    let status = backend.inspect(call(), &[handle]).await.expect("looked").remove(0);
    assert_eq!(status.phase, Phase::Gone);
    let counts = plugin.counts();
    assert!(counts.calls >= 10 && counts.faults == 2 && counts.traps == 0, "{counts:?}");
}

#[tokio::test]
async fn logs_stats_and_signals_work() {
    let (_keeper, host) = host().await;
    let plugin = host.load("process", built_in("process"), ANY).await;
    let backend = plugin.backend().expect("a backend");
    let script = "trap 'echo got HUP' HUP; echo $GREETING; echo trouble >&2; while :; do sleep 0.02; done";
    let handle = backend.start(call(), &task("t-1", "d", json!({"binary": "/bin/sh", "args": ["-c", script]}))).await.expect("started");

    let mut cursor: Option<String> = None;
    let mut lines: Vec<String> = Vec::new();
    let mut signalled = false;
    until("the log says that the signal arrived", async || {
        let chunk = backend.read_logs(call(), &handle, cursor.as_deref(), None, 65_536).await.expect("read");
        lines.extend(chunk.lines.iter().map(|line| String::from_utf8_lossy(&line.bytes).into_owned()));
        cursor = Some(chunk.next);
        if lines.len() >= 2 && !signalled {
            signalled = true;
            backend.send_signal(call(), &handle, "SIGHUP").await.expect("sent");
        }
        lines.iter().any(|line| line == "got HUP")
    })
    .await;
    for expected in ["hello", "trouble", "got HUP"] {
        assert_eq!(lines.iter().filter(|line| *line == expected).count(), 1, "{expected}: {lines:?}");
    }
    let usage = backend.measure(call(), std::slice::from_ref(&handle)).await.expect("measured").remove(0).expect("it runs");
    assert!(usage.memory_bytes.is_some_and(|bytes| bytes > 0), "{usage:?}");
    assert!(backend.supported_signals(call()).await.expect("names").contains(&"SIGHUP".to_owned()));
    let error = backend.exec(call(), &handle, &exec_command()).await.expect_err("it has no such ability");
    assert_eq!(error.why, Failure::Unsupported);
}

fn exec_command() -> hostler_wasm::words::ExecCommand {
    hostler_wasm::words::ExecCommand { program: "true".into(), args: vec![], env: vec![], stdin: vec![], deadline: 100 }
}

#[tokio::test]
async fn a_program_that_was_not_granted_is_denied_and_audited() {
    let (_keeper, host) = host().await;
    let plugin = host.load("process", built_in("process"), r#"{"processes": {"programs": ["/bin/true"]}}"#).await;
    let backend = plugin.backend().expect("a backend");
    let error = backend.start(call(), &task("t-1", "d", sleeper())).await.expect_err("sleep is not granted");
    assert!(matches!(error.fault(), Some(Fault::Denied(text)) if text.contains("program `sleep`")), "{error}");
    assert_eq!(error.next_move(), NextMove::Report);
    assert_eq!(host.heard.denied(), ["processes: program `sleep`"]);
    assert_eq!(plugin.counts().denied, 1);
    let root = backend.start(call(), &task("t-2", "d", json!({"binary": "/bin/true", "user": "nobody"}))).await.expect_err("no user is granted");
    assert!(matches!(root.fault(), Some(Fault::Denied(_))), "{root}");
    assert!(backend.list(call()).await.expect("listed").is_empty(), "nothing is left");
}

#[tokio::test]
async fn what_cannot_run_is_invalid_and_leaves_nothing() {
    let (_keeper, host) = host().await;
    let plugin = host.load("process", built_in("process"), ANY).await;
    let backend = plugin.backend().expect("a backend");
    for binary in ["/no/such/program", "no-such-program", "/etc/passwd", "/tmp"] {
        let error = backend.start(call(), &task("t-1", "d", json!({"binary": binary}))).await.expect_err(binary);
        assert!(matches!(error.fault(), Some(Fault::Invalid(_))), "{error}");
        assert_eq!(error.next_move(), NextMove::Report);
    }
    assert!(backend.list(call()).await.expect("listed").is_empty());
}

#[tokio::test]
async fn plugins_do_not_see_each_others_processes() {
    let (_keeper, host) = host().await;
    let one = host.load("process", built_in("process"), ANY).await;
    let two = host.load("process-two", built_in("process"), ANY).await;
    let (one, two) = (one.backend().expect("a backend"), two.backend().expect("a backend"));
    let handle = one.start(call(), &task("same", "d", sleeper())).await.expect("started");
    assert!(two.list(call()).await.expect("listed").is_empty());
    assert_eq!(two.inspect(call(), std::slice::from_ref(&handle)).await.expect("looked")[0].phase, Phase::Gone);
    let other = two.start(call(), &task("same", "another", json!({"binary": "sleep", "args": ["59"]}))).await.expect("a process of its own");
    assert_eq!(one.list(call()).await.expect("listed").len(), 1);
    two.stop(call(), &other, None, 1_000).await.expect("stopped");
    assert_eq!(one.inspect(call(), &[handle]).await.expect("looked")[0].phase, Phase::Running);
}

#[tokio::test]
async fn a_thousand_tasks_are_looked_at_in_one_cheap_call() {
    let (_keeper, host) = host().await;
    let plugin = host.load("process", built_in("process"), ANY).await;
    let backend = plugin.backend().expect("a backend");
    let handle = backend.start(call(), &task("t-1", "d", sleeper())).await.expect("started");
    let mut handles: Vec<Handle> = vec![handle; 1_000];
    handles[500] = Handle { version: handles[0].version, state: br#"{"key":"other","log":"other"}"#.to_vec() };
    backend.inspect(call(), &handles).await.expect("looked");
    // the shortest of some: a stall is not its doing
    let mut shortest = Duration::MAX;
    for _ in 0..5 {
        let begun = Instant::now();
        let statuses = backend.inspect(call(), &handles).await.expect("looked");
        shortest = shortest.min(begun.elapsed());
        assert_eq!(statuses.len(), 1_000);
        assert_eq!(statuses[500].phase, Phase::Gone);
        assert!(statuses.iter().enumerate().all(|(place, status)| place == 500 || status.phase == Phase::Running));
    }
    assert!(shortest < Duration::from_millis(250), "{shortest:?}");
}

#[tokio::test]
async fn a_stop_that_takes_longer_than_its_call_goes_on_and_is_joined() {
    let (_keeper, host) = host().await;
    let plugin = host.load("process", built_in("process"), ANY).await;
    let backend = plugin.backend().expect("a backend");
    let script = "trap '' TERM; echo ready; while :; do sleep 0.05; done";
    let handle = backend.start(call(), &task("t-1", "d", json!({"binary": "/bin/sh", "args": ["-c", script]}))).await.expect("started");
    until("it ignores TERM", async || !backend.read_logs(call(), &handle, None, None, 1_024).await.expect("read").lines.is_empty()).await;
    let begun = Instant::now();
    let error = backend.stop(Call::within(Duration::from_secs(1)), &handle, None, 3_000).await.expect_err("too slow for this call");
    assert_eq!(error.next_move(), NextMove::Look, "{error}");
    let status = backend.stop(call(), &handle, None, 60_000).await.expect("stopped");
    assert!(matches!(&status.phase, Phase::Exited(Exit { signal: Some(signal), .. }) if signal == "SIGKILL"), "{status:?}");
    assert!(begun.elapsed() < Duration::from_secs(30), "the grace of the first call counted: {:?}", begun.elapsed());
}

#[tokio::test]
async fn a_command_check_runs_beside_it() {
    let (_keeper, host) = host().await;
    let plugin = host.load("command", built_in("command"), r#"{"commands": {"programs": ["*"]}, "task-exec": true}"#).await;
    let check = plugin.health_check().expect("a check");
    let report = check.check(call(), &target_of("story"), r#"{"command": "true"}"#, None).await.expect("judged");
    assert_eq!(report.verdict, Verdict::Pass, "{report:?}");
}
