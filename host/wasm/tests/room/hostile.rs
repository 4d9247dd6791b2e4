//! Guests that trap, loop, eat, hang, flood and lie: one call fails with its reason, everything else goes on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hostler_wasm::words::{Fault, Handle, Verdict};
use hostler_wasm::{Call, CallError, Failure, LoadError, NextMove, Plugin};
use serde_json::json;

use crate::support::{Host, call, fixture, source, target_of, task};

/// For deeds that last until their deadline. Those that end by themselves have all the time there is: a stall is not their doing.
fn brief() -> Call<'static> {
    Call::within(Duration::from_millis(400)).about("test/story")
}

fn time_for(deed: &str) -> Call<'static> {
    if ["loop", "hang"].contains(&deed) { brief() } else { call() }
}

async fn naughty(host: &Host) -> Arc<Plugin> {
    host.load("naughty", fixture("naughty"), "{}").await
}

/// A naughty plugin whose configuration makes it misbehave, for calls that see no task.
async fn naughty_at(host: &Host, at: &str, deed: &str) -> Arc<Plugin> {
    let mut source = source("naughty", fixture("naughty"), "{}");
    source.config = json!({"at": at, "do": deed});
    host.runtime.load(source).await.expect("loads")
}

async fn start(plugin: &Plugin, settings: serde_json::Value) -> Result<Handle, CallError> {
    plugin.backend().expect("a backend").start(call(), &task("t-1", "d", settings)).await
}

async fn inspect(plugin: &Plugin, deed: &str) -> CallError {
    let handle = start(plugin, json!({"at": "inspect", "do": deed})).await.expect("started");
    plugin.backend().expect("a backend").inspect(time_for(deed), &[handle]).await.expect_err(deed)
}

#[tokio::test]
async fn a_panic_costs_one_call_and_tells_its_words() {
    let host = Host::new();
    let plugin = naughty(&host).await;
    let error = inspect(&plugin, "panic").await;
    assert!(matches!(&error.why, Failure::Trapped { message } if message.contains("naughty on purpose, in Inspect")), "{error}");
    assert!(error.to_string().starts_with("plugin `naughty`: backend.inspect: "), "{error}");
    assert_eq!(error.next_move(), NextMove::Retry { after: None });
    assert!(host.heard.said().iter().any(|line| line.contains("naughty on purpose")), "{:?}", host.heard.said());
    assert_eq!(host.heard.failures.lock().expect("lock").as_slice(), [error]);
    let handle = start(&plugin, json!({})).await.expect("the next call works");
    plugin.backend().expect("a backend").inspect(call(), &[handle]).await.expect("and the next");
}

#[tokio::test]
async fn a_changing_call_that_breaks_may_have_happened() {
    let host = Host::new();
    let plugin = naughty(&host).await;
    for deed in ["panic", "loop", "hang", "recurse"] {
        let task = task("t-1", "d", json!({"at": "start", "do": deed}));
        let error = plugin.backend().expect("a backend").start(time_for(deed), &task).await.expect_err(deed);
        assert_eq!(error.next_move(), NextMove::Look, "{deed}: {error}");
    }
    for (deed, expected) in [("fail", NextMove::Fail), ("away", NextMove::Retry { after: None }), ("interrupt", NextMove::Look)] {
        let error = start(&plugin, json!({"at": "start", "do": deed})).await.expect_err(deed);
        assert_eq!(error.next_move(), expected, "{deed}: {error}");
        assert!(!error.is_plugins_fault());
    }
}

#[tokio::test]
async fn loops_and_hangs_end_at_the_deadline() {
    let host = Host::new();
    let plugin = naughty(&host).await;
    for deed in ["loop", "hang"] {
        let begun = Instant::now();
        let error = inspect(&plugin, deed).await;
        assert!(matches!(error.why, Failure::Deadline { .. }), "{deed}: {error}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{deed}: {:?}", begun.elapsed());
    }
    assert_eq!(plugin.counts().timeouts, 2);
}

#[tokio::test(flavor = "current_thread")]
async fn a_loop_does_not_hold_the_executor() {
    let host = Host::new();
    let plugin = naughty(&host).await;
    let handle = start(&plugin, json!({"at": "inspect", "do": "loop"})).await.expect("started");
    let backend = plugin.backend().expect("a backend");
    let honest = start(&plugin, json!({})).await.expect("started");
    let handles = [handle];
    let ten_calls = async {
        for _ in 0..10 {
            backend.inspect(call(), std::slice::from_ref(&honest)).await.expect("looked");
        }
    };
    // 1 never, within its twenty seconds  2 the honest calls get their turns; then the loop is dropped in the middle
    tokio::select! {
        answer = backend.inspect(call(), &handles) => panic!("the loop held the executor until its deadline: {answer:?}"),
        () = ten_calls => {}
    }
    backend.inspect(call(), &[honest]).await.expect("and the dropped call leaves nothing behind");
}

#[tokio::test]
async fn appetites_have_limits() {
    let host = Host::new();
    let plugin = naughty(&host).await;
    let memory = inspect(&plugin, "memory").await;
    assert_eq!(memory.why, Failure::Limit("memory".to_owned()), "{memory}");
    let leak = inspect(&plugin, "leak").await;
    assert!(matches!(&leak.why, Failure::Limit(_)), "{leak}");
    let recurse = inspect(&plugin, "recurse").await;
    assert!(matches!(&recurse.why, Failure::Trapped { .. }), "{recurse}");
}

#[tokio::test]
async fn a_flood_is_counted_and_dropped() {
    let host = Host::new();
    let plugin = naughty(&host).await;
    let handle = start(&plugin, json!({"at": "inspect", "do": "flood"})).await.expect("started");
    plugin.backend().expect("a backend").inspect(call(), &[handle]).await.expect("a flood is no failure");
    let said = host.heard.said();
    assert_eq!(said.len(), 257, "256 lines and the word about the rest");
    assert!(said.iter().all(|line| line.len() <= (8 << 10) + 4), "lines are cut");
    assert_eq!(said.last().map(String::as_str), Some("19744 more lines of this call were dropped"));
    assert_eq!(plugin.counts().dropped_lines, 19_744);
}

#[tokio::test]
async fn a_flood_on_standard_output_is_one_of_the_log() {
    let host = Host::new();
    let plugin = naughty(&host).await;
    let handle = start(&plugin, json!({"at": "inspect", "do": "print"})).await.expect("started");
    plugin.backend().expect("a backend").inspect(call(), &[handle]).await.expect("a flood is no failure");
    let said = host.heard.said();
    assert_eq!(said.len(), 257, "256 lines and the word about the rest");
    assert!(said.iter().all(|line| line.len() <= (8 << 10) + 4), "lines are cut");
    assert!(plugin.counts().dropped_lines >= 20_000 - 256, "{}", plugin.counts().dropped_lines);
}

#[tokio::test]
async fn lies_about_shapes_are_found_out() {
    let host = Host::new();
    let plugin = naughty(&host).await;
    for (deed, words) in [("few", "0 statuses for 1 handles"), ("many", "4 statuses for 1 handles"), ("huge", "10001 attributes")] {
        let error = inspect(&plugin, deed).await;
        assert!(matches!(&error.why, Failure::Malformed(lie) if lie.contains(words)), "{error}");
    }
    let error = start(&plugin, json!({"at": "start", "do": "huge"})).await.expect_err("a handle of a MiB");
    assert!(matches!(&error.why, Failure::Malformed(lie) if lie.contains("a handle of 1048576 bytes")), "{error}");
    assert_eq!(error.next_move(), NextMove::Look);
    assert_eq!(plugin.counts().malformed, 4);
}

#[tokio::test]
async fn lies_about_pages_are_found_out() {
    let host = Host::new();
    for deed in ["few", "endless"] {
        let endless = naughty_at(&host, "list", deed).await;
        let error = endless.backend().expect("a backend").list(call()).await.expect_err("no end");
        assert!(matches!(&error.why, Failure::Malformed(lie) if lie.contains("no end")), "{deed}: {error}");
    }
    let many = naughty_at(&host, "list", "many").await;
    let error = many.backend().expect("a backend").list(call()).await.expect_err("9,000 again and again");
    assert!(matches!(&error.why, Failure::Malformed(lie) if lie.contains("bytes of list")), "{error}");
    let huge = naughty_at(&host, "list", "huge").await;
    let error = huge.backend().expect("a backend").list(call()).await.expect_err("50,000 at once");
    assert!(matches!(&error.why, Failure::Malformed(lie) if lie.contains("tasks on one page")), "{error}");
    let strange = naughty_at(&host, "list", "strange").await;
    let found = strange.backend().expect("a backend").list(call()).await.expect("listed");
    assert!(found.is_empty(), "an id that walks is none: {found:?}");
    assert!(host.heard.said().iter().any(|line| line.contains("../../etc/passwd")), "{:?}", host.heard.said());
}

#[tokio::test]
async fn all_pages_of_a_list_share_one_deadline() {
    let host = Host::new();
    let endless = naughty_at(&host, "list", "endless").await;
    let within = Duration::from_millis(20);
    let error = endless.backend().expect("a backend").list(Call::within(within)).await.expect_err("a thousand pages take longer");
    assert!(matches!(error.why, Failure::Deadline { .. }), "{error}");
}

#[tokio::test]
async fn what_only_describes_and_validates_touches_nothing() {
    let host = Host::new();
    let grants = r#"{"commands": {"programs": ["*"]}, "state": {}}"#;
    let plugin = host.load("ungranted", fixture("ungranted"), grants).await;
    let problems = plugin.backend().expect("a backend").validate(call(), r#"{"reach": true}"#).await.expect("it answers");
    let said: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said.iter().all(|said| said.contains("in backend.validate: the contract promises")), "{said:?}");
    assert_eq!(host.heard.denied(), ["state: this function may touch nothing outside", "commands: this function may touch nothing outside"]);
}

#[tokio::test]
async fn a_refusal_is_recorded_short_and_harmless() {
    let host = Host::new();
    let plugin = host.load("ungranted", fixture("ungranted"), r#"{"commands": {"programs": ["/bin/true"]}, "state": {}}"#).await;
    let settings = json!({"program": format!("\u{1b}[31m{}", "x".repeat(10_000))});
    let error = plugin.backend().expect("a backend").start(call(), &task("t-1", "d", settings)).await.expect_err("it is not granted");
    let denied = host.heard.denied().join("");
    assert!(denied.starts_with("commands: program `\\u{1b}[31mxxx") && denied.len() < 1_100, "{denied}");
    assert!(error.to_string().len() < 1_500, "{error}");
}

#[tokio::test]
async fn more_log_than_was_asked_for_is_a_lie() {
    let host = Host::new();
    let plugin = naughty(&host).await;
    let backend = plugin.backend().expect("a backend");
    let huge = start(&plugin, json!({"at": "read", "do": "huge"})).await.expect("started");
    let error = backend.read_logs(call(), &huge, None, None, 65_536).await.expect_err("16 MiB for 64 KiB");
    assert!(matches!(error.why, Failure::Malformed(_) | Failure::Limit(_)), "{error}");
    let strange = start(&plugin, json!({"at": "read", "do": "strange"})).await.expect("started");
    let chunk = backend.read_logs(call(), &strange, None, None, 65_536).await.expect("any bytes are fine");
    assert_eq!(chunk.lines[0].bytes, [0, 0xff, 0x1b, b'[', b'3', b'1', b'm']);
}

#[tokio::test]
async fn every_call_may_break() {
    let host = Host::new();
    let plugin = naughty(&host).await;
    let backend = plugin.backend().expect("a backend");
    let trapped = |error: CallError| assert!(matches!(error.why, Failure::Trapped { .. }), "{error}");
    trapped(backend.validate(call(), r#"{"at": "validate", "do": "panic"}"#).await.expect_err("validate"));
    let handle = async |at: &str| start(&plugin, json!({"at": at, "do": "panic"})).await.expect("started");
    trapped(backend.stop(call(), &handle("stop").await, None, 0).await.expect_err("stop"));
    trapped(backend.destroy(call(), &handle("destroy").await, true).await.expect_err("destroy"));
    trapped(backend.read_logs(call(), &handle("read").await, None, None, 1).await.expect_err("read"));
    trapped(backend.measure(call(), &[handle("measure").await]).await.expect_err("measure"));
    trapped(backend.send_signal(call(), &handle("send").await, "SIGHUP").await.expect_err("send"));
    trapped(naughty_at(&host, "list", "panic").await.backend().expect("a backend").list(call()).await.expect_err("list"));
    trapped(naughty_at(&host, "fingerprint", "panic").await.backend().expect("a backend").fingerprint(call()).await.expect_err("fingerprint"));
}

#[tokio::test]
async fn a_check_that_breaks_is_an_error_and_never_a_verdict() {
    let host = Host::new();
    let plugin = host.load("always", fixture("always"), "{}").await;
    let check = plugin.health_check().expect("a check");
    let judge = async |time: Call<'static>, settings: &str| check.check(time, &target_of("story"), settings, None).await;
    for (word, verdict) in [("pass", Verdict::Pass), ("warn", Verdict::Warn), ("fail", Verdict::Fail), ("unknown", Verdict::Unknown)] {
        let report = judge(call(), &format!(r#"{{"verdict": "{word}"}}"#)).await.expect(word);
        assert_eq!(report.verdict, verdict);
    }
    assert!(matches!(judge(call(), r#"{"verdict": "fault"}"#).await.expect_err("fault").fault(), Some(Fault::Other(_))));
    assert!(matches!(judge(call(), r#"{"verdict": "trap"}"#).await.expect_err("trap").why, Failure::Trapped { .. }));
    assert!(matches!(judge(brief(), r#"{"verdict": "hang"}"#).await.expect_err("hang").why, Failure::Deadline { .. }));
    assert!(matches!(judge(brief(), r#"{"verdict": "loop"}"#).await.expect_err("loop").why, Failure::Deadline { .. }));
    let long = "é".repeat(10_000);
    let report = judge(call(), &json!({"verdict": "pass", "message": long}).to_string()).await.expect("a long message is cut");
    assert!(report.message.len() <= 4 << 10 && report.message.starts_with("éé"));
}

#[tokio::test]
async fn what_must_not_load_does_not() {
    let host = Host::new();
    let check = async |name: &str, words: &[&str]| {
        let error = host.try_load(name, fixture(name), "{}").await.expect_err(name).to_string();
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
    };
    check("wrong-world", &["neither a backend nor a health check", "acme:greeting/greeter"]).await;
    check("unknown-import", &["acme:telepathy/minds"]).await;
    check("ungranted", &["it needs commands, state", "[plugins.ungranted.grants]", "commands = ", "state = "]).await;
}

#[tokio::test]
async fn a_describe_without_end_ends() {
    let host = Host::new();
    let begun = Instant::now();
    let error = host.try_load("endless", fixture("endless-describe"), "{}").await.expect_err("it never says what it is");
    assert!(matches!(&error, LoadError::Describe(inner) if matches!(inner.why, Failure::Deadline { .. })), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[tokio::test]
async fn a_check_is_told_what_is_left_once_it_has_a_slot() {
    let host = Host::new();
    let mut source = source("always", fixture("always"), "{}");
    source.limits.concurrency = 1;
    let plugin = host.runtime.load(source).await.expect("loads");
    let (check, target) = (plugin.health_check().expect("a check"), target_of("story"));
    let (first, second) = tokio::join!(
        check.check(call(), &target, r#"{"verdict": "pass", "slow": 1500}"#, None),
        check.check(call(), &target, r#"{"verdict": "pass"}"#, None),
    );
    let left = |report: hostler_wasm::words::Report| {
        let (_, left) = report.details.into_iter().find(|(key, _)| key == "deadline").expect("it says what it was told");
        left.parse::<u64>().expect("milliseconds")
    };
    let (first, second) = (left(first.expect("judged")), left(second.expect("judged")));
    // less than it waited: its own time began a moment after the first one's
    assert!(first <= 20_000 && second + 500 <= 20_000, "{first} and {second}");
}

#[tokio::test]
async fn a_full_plugin_makes_callers_wait_and_then_says_busy() {
    let host = Host::new();
    let mut source = source("always", fixture("always"), "{}");
    source.limits.concurrency = 1;
    let plugin = host.runtime.load(source).await.expect("loads");
    let check = plugin.health_check().expect("a check");
    let target = target_of("story");
    let slow = r#"{"verdict": "pass", "slow": 3000}"#;
    let quick = r#"{"verdict": "pass"}"#;
    let (first, second, third) = tokio::join!(
        check.check(call(), &target, slow, None),
        check.check(Call::within(Duration::from_millis(200)), &target, quick, None),
        check.check(call(), &target, quick, None),
    );
    first.expect("it has the slot");
    let error = second.expect_err("the slot is taken for longer than it may wait");
    assert_eq!((error.why, third.expect("it waited").verdict), (Failure::Busy, Verdict::Pass));
}

#[tokio::test]
async fn a_command_in_a_hung_call_does_not_outlive_it() {
    let host = Host::new();
    let grants = r#"{"commands": {"programs": ["/bin/sleep"]}, "state": {}}"#;
    let plugin = host.load("ungranted", fixture("ungranted"), grants).await;
    let sleeps = || {
        std::fs::read_dir("/proc")
            .expect("/proc")
            .flatten()
            .filter(|entry| std::fs::read(entry.path().join("cmdline")).is_ok_and(|line| line == b"/bin/sleep\x001000\0"))
            .count()
    };
    let before = sleeps();
    let error = plugin.backend().expect("a backend").start(brief(), &task("t-1", "d", json!({}))).await.expect_err("it sleeps for ever");
    assert_eq!(error.next_move(), NextMove::Look, "{error}");
    crate::support::until("the command is gone", async || sleeps() <= before).await;
}

#[tokio::test]
async fn state_is_kept_within_its_quota() {
    let host = Host::new();
    let plugin = host.load("ledger", fixture("ledger"), r#"{"state": {"bytes": 200, "keys": 2}}"#).await;
    let backend = plugin.backend().expect("a backend");
    let one = backend.start(call(), &task("one", "d", json!({}))).await.expect("one entry");
    backend.start(call(), &task("two", "d", json!({}))).await.expect("two entries");
    let error = backend.start(call(), &task("three", "d", json!({}))).await.expect_err("three keys");
    assert!(matches!(error.next_move(), NextMove::Retry { .. }), "{error}");
    backend.stop(call(), &one, None, 0).await.expect("stopped");
    backend.destroy(call(), &one, false).await.expect("destroyed");
    let error = backend.start(call(), &task("four", "d", json!({"note": "x".repeat(300)}))).await.expect_err("too many bytes");
    assert!(matches!(error.next_move(), NextMove::Retry { .. }), "{error}");
    let found = backend.list(call()).await.expect("listed");
    assert_eq!(found.len(), 1);
}
