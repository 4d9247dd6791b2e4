//! The built-in checks against real servers and real commands.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hostler_wasm::words::{ExecCommand, ExecOutput, Exit, Report, Verdict};
use hostler_wasm::{Call, CallError, Failure, Plugin, TaskExec, Wait};
use serde_json::json;

use crate::support::web::Web;
use crate::support::{Host, built_in, call, target_of, until};

const LOCAL: &str = r#"{"http": {"hosts": ["http://127.0.0.1:*"]}}"#;

pub(crate) async fn judge(plugin: &Plugin, call: Call<'_>, settings: serde_json::Value) -> Result<Report, CallError> {
    let settings = plugin.with_defaults(&settings).to_string();
    plugin.health_check().expect("a check").check(call, &target_of("story"), &settings, None).await
}

/// As [`judge`], of what lasts longer than its call may. A guest has a moment to say so; where a stall took that from it, it is asked again.
pub(crate) async fn judge_late(plugin: &Plugin, call: Call<'_>, settings: serde_json::Value) -> Result<Report, CallError> {
    match judge(plugin, call, settings.clone()).await {
        Err(error) if matches!(error.why, Failure::Deadline { .. }) => judge(plugin, call, settings).await,
        judged => judged,
    }
}

#[tokio::test]
async fn an_http_check_judges_by_status_and_body() {
    let (host, web) = (Host::new(), Web::start());
    let http = host.load("http", built_in("http"), LOCAL).await;
    let verdict = async |settings: serde_json::Value| judge(&http, call(), settings).await.expect("judged").verdict;
    assert_eq!(verdict(json!({"url": web.url("/ok")})).await, Verdict::Pass);
    assert_eq!(verdict(json!({"url": web.url("/ok"), "body_contains": "is well"})).await, Verdict::Pass);
    assert_eq!(verdict(json!({"url": web.url("/ok"), "body_contains": "nothing like it"})).await, Verdict::Fail);
    assert_eq!(verdict(json!({"url": web.url("/broken")})).await, Verdict::Fail);
    assert_eq!(verdict(json!({"url": web.url("/broken"), "expected_status": [200, "500-599"]})).await, Verdict::Pass);
    let report = judge(&http, call(), json!({"url": "http://127.0.0.1:1/"})).await.expect("judged");
    assert_eq!(report.verdict, Verdict::Fail, "{report:?}");
}

#[tokio::test]
async fn checks_of_one_target_share_a_connection_and_others_do_not() {
    let (host, web) = (Host::new(), Web::start());
    let http = host.load("http", built_in("http"), LOCAL).await;
    for _ in 0..5 {
        judge(&http, call(), json!({"url": web.url("/ok")})).await.expect("judged");
    }
    // a body that was not read to its end is read in passing
    until("the connection is kept", async || {
        let before = web.connections();
        judge(&http, call(), json!({"url": web.url("/ok")})).await.expect("judged");
        web.connections() == before
    })
    .await;
    let before = web.connections();
    judge(&http, call().about("another/task"), json!({"url": web.url("/ok")})).await.expect("judged");
    assert_eq!(web.connections(), before + 1);
}

#[tokio::test]
async fn a_connection_judged_under_other_grants_is_not_used_again() {
    let (host, web) = (Host::new(), Web::start());
    let wide = host.load("http", built_in("http"), LOCAL).await;
    until("the connection is kept", async || {
        let before = web.connections();
        judge(&wide, call(), json!({"url": web.url("/ok")})).await.expect("judged");
        web.connections() == before
    })
    .await;
    let narrow = host.load("http", built_in("http"), &json!({"http": {"hosts": [web.url("/ok")]}}).to_string()).await;
    let before = web.connections();
    judge(&narrow, call(), json!({"url": web.url("/ok")})).await.expect("judged");
    assert_eq!(web.connections(), before + 1);
}

#[tokio::test]
async fn a_connection_that_died_in_between_is_no_failure() {
    let (host, web) = (Host::new(), Web::start());
    let http = host.load("http", built_in("http"), LOCAL).await;
    for _ in 0..20 {
        let report = judge(&http, call(), json!({"url": web.url("/close"), "body_contains": "bye"})).await.expect("judged");
        assert_eq!(report.verdict, Verdict::Pass, "{report:?}");
    }
    assert_eq!(web.requests(), 20);
}

#[tokio::test]
async fn a_silent_server_fails_in_time() {
    let (host, web) = (Host::new(), Web::start());
    let http = host.load("http", built_in("http"), LOCAL).await;
    let begun = Instant::now();
    let report = judge_late(&http, Call::within(Duration::from_secs(2)), json!({"url": web.url("/silent")})).await.expect("judged");
    assert_eq!(report.verdict, Verdict::Fail, "a slow target fails, it is not unknown: {report:?}");
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn an_endless_body_is_cut_off() {
    let (host, web) = (Host::new(), Web::start());
    let grants = r#"{"http": {"hosts": ["http://127.0.0.1:*"], "max_response_bytes": 65536}}"#;
    let http = host.load("http", built_in("http"), grants).await;
    let begun = Instant::now();
    let answer = judge(&http, call(), json!({"url": web.url("/huge"), "body_contains": "needle"})).await;
    assert!(answer.as_ref().map_or(true, |report| report.verdict != Verdict::Pass), "{answer:?}");
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_tcp_check_connects_or_says_why_not() {
    let host = Host::new();
    let tcp = host.load("tcp", built_in("tcp"), r#"{"tcp": {"connect": ["127.0.0.1:*", "localhost:*"]}}"#).await;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let open = judge(&tcp, call(), json!({"port": port})).await.expect("judged");
    assert_eq!(open.verdict, Verdict::Pass, "{open:?}");
    let named = judge(&tcp, call(), json!({"host": "localhost", "port": port})).await.expect("judged");
    assert_eq!(named.verdict, Verdict::Pass, "{named:?}");
    drop(listener);
    let closed = judge(&tcp, call(), json!({"port": port})).await.expect("judged");
    assert_eq!(closed.verdict, Verdict::Fail, "{closed:?}");
    let denied = judge(&tcp, call(), json!({"host": "127.0.0.2", "port": port})).await;
    assert!(denied.as_ref().map_or(true, |report| report.verdict == Verdict::Unknown), "{denied:?}");
    assert_eq!(host.heard.denied(), [format!("tcp: connect 127.0.0.2:{port}")]);
}

const COMMANDS: &str = r#"{"commands": {"programs": ["*"]}, "task-exec": true}"#;

#[tokio::test]
async fn a_command_check_judges_by_exit_code() {
    let host = Host::new();
    let command = host.load("command", built_in("command"), COMMANDS).await;
    let verdict = async |settings: serde_json::Value| judge(&command, call(), settings).await.expect("judged").verdict;
    assert_eq!(verdict(json!({"command": "true"})).await, Verdict::Pass);
    assert_eq!(verdict(json!({"command": "false"})).await, Verdict::Fail);
    assert_eq!(verdict(json!({"command": "sh", "args": ["-c", "exit 7"], "expected_exit_code": 7})).await, Verdict::Pass);
    // a megabyte nobody reads, an input nobody gives, a grandchild that stays behind
    assert_eq!(verdict(json!({"command": ["sh", "-c", "head -c 1000000 /dev/zero; cat; sleep 1000 & exit 0"]})).await, Verdict::Pass);
}

#[tokio::test]
async fn arguments_arrive_as_they_are() {
    let host = Host::new();
    let command = host.load("command", built_in("command"), COMMANDS).await;
    for odd in ["; rm -rf /", "$(touch /tmp/x)", "a\nb", "-oProxyCommand=x", "`id`", "'\""] {
        let settings = json!({"command": ["sh", "-c", "[ \"$1\" = \"$EXPECTED\" ]", "sh", odd], "env": {"EXPECTED": odd}});
        let report = judge(&command, call(), settings).await.expect("judged");
        assert_eq!(report.verdict, Verdict::Pass, "{odd:?}: {report:?}");
    }
}

#[tokio::test]
async fn a_command_over_its_time_is_killed_with_all_it_started() {
    let host = Host::new();
    let command = host.load("command", built_in("command"), COMMANDS).await;
    let mark = format!("hostler-test-{}", std::process::id());
    let alive = || {
        let named =
            |entry: std::fs::DirEntry| std::fs::read(entry.path().join("cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains(&mark));
        std::fs::read_dir("/proc").expect("/proc").flatten().any(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok() && named(entry))
    };
    let script = "trap '' TERM; sh -c 'trap \"\" TERM; while :; do sleep 0.1; done' \"$0\" & while :; do sleep 0.1; done";
    let begun = Instant::now();
    let answer = judge_late(&command, Call::within(Duration::from_secs(1)), json!({"command": ["sh", "-c", script, mark]})).await;
    let report = answer.expect("the guest is told of the timeout and judges");
    assert_eq!(report.verdict, Verdict::Fail, "{report:?}");
    assert!(begun.elapsed() < Duration::from_secs(20));
    until("nothing of it is alive", async || !alive()).await;
}

#[tokio::test]
async fn a_script_check_runs_a_file() {
    use std::os::unix::fs::PermissionsExt;
    let host = Host::new();
    let script = host.load("script", built_in("script"), r#"{"commands": {"programs": ["*"]}}"#).await;
    let path = host.dir.path().join("check.sh");
    std::fs::write(&path, "#!/bin/sh\n[ \"$1\" = ok ]\n").expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("chmod");
    let verdict = async |args: &[&str]| judge(&script, call(), json!({"path": path, "args": args})).await.expect("judged").verdict;
    assert_eq!(verdict(&["ok"]).await, Verdict::Pass);
    assert_eq!(verdict(&["no"]).await, Verdict::Fail);
    let missing = judge(&script, call(), json!({"path": "/no/such/script"})).await;
    assert!(missing.as_ref().map_or(true, |report| report.verdict != Verdict::Pass), "{missing:?}");
}

/// A task whose backend can run commands inside it.
#[derive(Default)]
struct Inside {
    asked: AtomicBool,
}

impl TaskExec for Inside {
    fn available(&self) -> bool {
        true
    }

    fn run(&self, command: ExecCommand) -> Wait<'_, Result<ExecOutput, CallError>> {
        Box::pin(async move {
            self.asked.store(true, Ordering::SeqCst);
            assert!(command.deadline > 0);
            let code = if command.program == "pg_isready" { 0 } else { 1 };
            let exit = Exit { code: Some(code), signal: None, out_of_memory: false, at: None, reason: None };
            Ok(ExecOutput { exit, out: vec![b'x'; 1 << 20], err: Vec::new(), truncated: false })
        })
    }
}

#[tokio::test]
async fn a_command_check_runs_inside_the_task_where_the_backend_can() {
    let host = Host::new();
    let command = host.load("command", built_in("command"), COMMANDS).await;
    let check = command.health_check().expect("a check");
    let inside = Arc::new(Inside::default());
    let hook: Arc<dyn TaskExec> = Arc::clone(&inside) as _;
    let report = check.check(call(), &target_of("db"), r#"{"command": "pg_isready"}"#, Some(hook)).await.expect("judged");
    assert_eq!(report.verdict, Verdict::Pass, "{report:?}");
    assert!(inside.asked.load(Ordering::SeqCst));
    let outside = check.check(call(), &target_of("db"), r#"{"command": "true", "run_in": "task"}"#, None).await;
    assert!(outside.as_ref().map_or(true, |report| report.verdict == Verdict::Unknown), "{outside:?}");
}
