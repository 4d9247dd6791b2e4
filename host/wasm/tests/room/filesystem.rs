//! Granted directories: what is in them can be used as far as it was granted, and nothing leads out.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hostler_wasm::{LoadError, Plugin};
use serde_json::{Value, json};

use crate::checks::judge;
use crate::support::{Host, call, fixture, until};

/// A host with a directory that is granted, and one beside it that is not.
struct Yard {
    host: Host,
    clerk: Arc<Plugin>,
    dir: tempfile::TempDir,
}

impl Yard {
    async fn with(grant: Value) -> Yard {
        let dir = tempfile::tempdir().expect("a directory");
        for (path, text) in [("in/own", "mine"), ("in/sub/deep", "deep"), ("out/secret", "hunter2")] {
            std::fs::create_dir_all(dir.path().join(path).parent().expect("it has one")).expect("ours");
            std::fs::write(dir.path().join(path), text).expect("ours");
        }
        let mut grant = grant;
        if let Some(table) = grant.as_object_mut() {
            table.insert("path".to_owned(), json!(dir.path().join("in")));
        }
        let host = Host::new();
        let grants = if grant.is_null() { json!({}) } else { json!({ "filesystem": [grant] }) };
        let clerk = host.load("clerk", fixture("clerk"), &grants.to_string()).await;
        Yard { host, clerk, dir }
    }

    fn inside(&self, path: &str) -> std::path::PathBuf {
        self.dir.path().join("in").join(path)
    }

    /// What came of each step.
    async fn does(&self, steps: Value) -> Vec<String> {
        let report = judge(&self.clerk, call(), json!({ "do": steps })).await.expect("judged");
        report.details.into_iter().map(|(_, answer)| answer).collect()
    }

    async fn does_one(&self, step: Value) -> String {
        self.does(json!([step])).await.remove(0)
    }
}

#[tokio::test]
async fn a_granted_directory_is_a_place_to_work_in() {
    let yard = Yard::with(json!({"access": "write", "at": "/yard"})).await;
    let answers = yard
        .does(json!([
            "directories",
            {"read": "/yard/own"},
            {"write": ["/yard/new", "hello"]},
            {"append": ["/yard/new", " again"]},
            {"read": "/yard/new"},
            {"replace": ["/yard/new", "whole"]},
            {"create-dir": "/yard@a/b"},
            {"rename": ["/yard/new", "/yard/a/b/moved"]},
            {"symlink": ["b/moved", "/yard/a/link"]},
            {"read-link": "/yard/a/link"},
            {"read": "/yard/a/link"},
            {"kind": "/yard/a/link"},
            {"list": "/yard/a"},
            {"sync": "/yard/a"},
            {"remove": "/yard/a"},
            {"list": "/yard"},
        ]))
        .await;
    let expected = [
        "/yard",
        "mine",
        "ok",
        "ok",
        "hello again",
        "ok",
        "ok",
        "ok",
        "ok",
        "b/moved",
        "whole",
        "symlink",
        "b:directory link:symlink",
        "ok",
        "ok",
        "own:file sub:directory",
    ];
    assert_eq!(answers, expected);
    assert!(yard.host.heard.denied().is_empty(), "{:?}", yard.host.heard.denied());
}

#[tokio::test]
async fn what_is_granted_for_reading_is_not_changed() {
    let yard = Yard::with(json!({"at": "/yard"})).await;
    assert_eq!(yard.does(json!([{"read": "/yard/own"}, {"list": "/yard"}])).await, ["mine", "own:file sub:directory"]);
    let steps = [
        json!({"write": ["/yard/own", "x"]}),
        json!({"write": ["/yard/new", "x"]}),
        json!({"append": ["/yard/own", "x"]}),
        json!({"replace": ["/yard/own", "x"]}),
        json!({"create-dir": "/yard/new"}),
        json!({"symlink": ["own", "/yard/new"]}),
        json!({"rename": ["/yard/own", "/yard/new"]}),
        json!({"remove": "/yard/own"}),
    ];
    for (count, step) in steps.iter().enumerate() {
        let answer = yard.does_one(step.clone()).await;
        assert!(answer.starts_with("denied") && answer.contains("reading"), "{step}: {answer}");
        assert_eq!(yard.host.heard.denied().len(), count + 1, "{step}: {:?}", yard.host.heard.denied());
        assert_eq!(yard.clerk.counts().denied, count as u64 + 1, "{step}");
    }
    assert_eq!(std::fs::read(yard.inside("own")).expect("it is there"), b"mine");
    assert_eq!(std::fs::read_dir(yard.inside("")).expect("it is there").count(), 2);
}

#[tokio::test]
async fn nothing_leads_out_of_a_granted_directory() {
    let yard = Yard::with(json!({"access": "write", "at": "/yard"})).await;
    symlink("../out", yard.inside("up")).expect("ours");
    symlink(yard.dir.path().join("out"), yard.inside("away")).expect("ours");
    symlink("../../out/secret", yard.inside("sub/file")).expect("ours");
    symlink("/proc/self/root", yard.inside("root")).expect("ours");
    let ways = ["../out/secret", "sub/../../out/secret", "up/secret", "away/secret", "sub/file", "root/etc/passwd", "/etc/passwd"];
    for (count, way) in ways.iter().enumerate() {
        // from the granted directory itself, as one path
        let path = format!("/yard@{way}");
        for step in [json!({"read": path}), json!({"write": [path, "overwritten"]}), json!({"remove": format!("{path}/x")})] {
            let answer = yard.does_one(step.clone()).await;
            assert!(!answer.starts_with("ok") && !answer.contains("hunter2"), "{step}: {answer}");
        }
        assert!(yard.host.heard.denied().len() > count, "{way}: {:?}", yard.host.heard.denied());
    }
    // a link out of it may be made, and leads nowhere
    let made = yard.does(json!([{"symlink": ["../out/secret", "/yard/made"]}, {"read": "/yard/made"}, {"write": ["/yard/made", "x"]}])).await;
    assert!(made[1..].iter().all(|answer| answer.starts_with("denied")), "{made:?}");
    assert_eq!(std::fs::read(yard.dir.path().join("out/secret")).expect("it is there"), b"hunter2");
    assert_eq!(std::fs::read_dir(yard.dir.path().join("out")).expect("it is there").count(), 1);
}

#[tokio::test]
async fn a_directory_that_was_exchanged_for_a_link_is_still_the_one_that_was_granted() {
    let yard = Yard::with(json!({"access": "write", "at": "/yard"})).await;
    std::fs::rename(yard.inside(""), yard.dir.path().join("moved")).expect("ours");
    symlink("out", yard.dir.path().join("in")).expect("ours");
    assert_eq!(yard.does_one(json!({"read": "/yard/own"})).await, "mine");
    assert_eq!(yard.does_one(json!({"read": "/yard/secret"})).await, "not-found");
}

#[tokio::test]
async fn without_a_grant_there_is_nothing() {
    let yard = Yard::with(Value::Null).await;
    let answers = yard.does(json!(["directories", {"read": "/etc/hostname"}, {"list": "/"}, {"write": ["/tmp/x", "x"]}])).await;
    assert_eq!(answers[0], "");
    assert!(answers[1..].iter().all(|answer| answer.starts_with("denied") && answer.contains("granted: none")), "{answers:?}");
    let permissions = yard.clerk.permissions();
    assert!(permissions.iter().any(|name| name.starts_with("wasi:filesystem/")), "it says that it needs files: {permissions:?}");
}

#[tokio::test]
async fn a_function_that_promises_to_touch_nothing_reads_no_file() {
    let yard = Yard::with(json!({"at": "/yard"})).await;
    let check = yard.clerk.health_check().expect("a check");
    let settings = json!({"early": true, "do": [{"read": "/yard/own"}, {"list": "/yard"}]}).to_string();
    let problems = check.validate(call(), &settings).await.expect("an answer");
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems.iter().all(|problem| problem.message.contains("denied")), "{problems:?}");
    assert_eq!(yard.host.heard.denied().len(), 2, "{:?}", yard.host.heard.denied());
}

#[tokio::test]
async fn a_full_directory_takes_no_more() {
    let yard = Yard::with(json!({"access": "write", "at": "/yard", "quota": "256Ki"})).await;
    assert_eq!(yard.does_one(json!({"fill": ["/yard/a", 150_000]})).await, "ok");
    let answer = yard.does_one(json!({"fill": ["/yard/b", 150_000]})).await;
    assert!(answer.starts_with("unavailable") && answer.contains("quota"), "{answer}");
    assert!(taken(&yard.inside("")) <= 256 << 10);
    // what is removed is room again, at once
    assert_eq!(yard.does(json!([{"remove": "/yard/a"}, {"remove": "/yard/b"}, {"fill": ["/yard/c", 150_000]}])).await, ["ok", "ok", "ok"]);
    // a stream hears it too, as an error of its own and not as a trap
    let answer = yard.does_one(json!({"trickle": ["/yard/d", 1_000_000]})).await;
    assert!(answer.starts_with("stopped after "), "{answer}");
    let bytes = std::fs::metadata(yard.inside("d")).expect("it was begun").len();
    assert!(bytes > 0 && bytes < 106_000, "{bytes}");
    // names alone fill it as well
    let mut made = 0;
    while yard.does_one(json!({"create-dir": format!("/yard/x{made}")})).await == "ok" {
        made += 1;
        assert!(made < 64, "every entry counts");
    }
}

#[tokio::test]
async fn a_file_without_a_name_takes_room_as_long_as_it_is_open() {
    let yard = Yard::with(json!({"access": "write", "at": "/yard", "quota": "256Ki"})).await;
    let answer = yard.does_one(json!({"orphan": ["/yard/a", 4 << 20]})).await;
    let stopped = answer.strip_prefix("stopped after ").and_then(|rest| rest.split(':').next()).and_then(|bytes| bytes.parse::<u64>().ok());
    assert!(answer.contains("quota") && stopped.is_some_and(|bytes| bytes > 100_000 && bytes <= 256 << 10), "{answer}");
    until("it was closed with its call", async || yard.does_one(json!({"fill": ["/yard/b", 150_000]})).await == "ok").await;
}

fn taken(dir: &Path) -> u64 {
    std::fs::read_dir(dir).expect("readable").map(|entry| entry.expect("an entry").metadata().expect("there").len()).sum()
}

#[tokio::test]
async fn many_writers_share_one_quota() {
    let yard = Yard::with(json!({"access": "write", "at": "/yard", "quota": "512Ki"})).await;
    let yard = &yard;
    let writing = (0..16).map(|writer| async move { yard.does_one(json!({"fill": [format!("/yard/w{writer}"), 100_000]})).await });
    let mut writers = Vec::new();
    for one in writing {
        writers.push(Box::pin(one));
    }
    let mut done = 0;
    for answer in join_all(writers).await {
        assert!(answer == "ok" || answer.contains("quota"), "{answer}");
        done += usize::from(answer == "ok");
    }
    assert!(done <= 5, "{done} files of 100,000 bytes in 512 KiB");
    assert!(taken(&yard.inside("")) <= 512 << 10);
}

/// Polls all of them until each has answered.
async fn join_all<F: Future + Unpin>(mut futures: Vec<F>) -> Vec<F::Output> {
    let mut answers: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, answer) in futures.iter_mut().zip(&mut answers) {
            if answer.is_none()
                && let std::task::Poll::Ready(value) = std::pin::Pin::new(future).poll(context)
            {
                *answer = Some(value);
            }
        }
        if answers.iter().all(Option::is_some) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    answers.into_iter().flatten().collect()
}

#[tokio::test]
async fn a_pipe_is_not_opened() {
    let yard = Yard::with(json!({"access": "write", "at": "/yard"})).await;
    let made = std::process::Command::new("/usr/bin/mkfifo").arg(yard.inside("pipe")).status().expect("mkfifo runs");
    assert!(made.success());
    let answers = yard.does(json!([{"read": "/yard/pipe"}, {"kind": "/yard/pipe"}, {"remove": "/yard/pipe"}])).await;
    assert!(answers[0].starts_with("invalid"), "{answers:?}");
    assert_eq!(answers[1..], ["other", "ok"]);
}

#[tokio::test]
async fn a_grant_of_what_is_not_there_says_so() {
    let host = Host::new();
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("file");
    std::fs::write(&file, b"").expect("ours");
    let pipe = dir.path().join("pipe");
    assert!(std::process::Command::new("/usr/bin/mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
    for (path, word) in [
        ("/nowhere/at/all", "cannot be opened"),
        (&*file.to_string_lossy(), "is not a directory"),
        (&*pipe.to_string_lossy(), "is not a directory"),
        ("srv", "no absolute path"),
    ] {
        let grants = json!({"filesystem": [{"path": path}]}).to_string();
        let error = host.try_load("clerk", fixture("clerk"), &grants).await.expect_err(path);
        let text = error.to_string();
        assert!(matches!(error, LoadError::Grant { .. }) && text.contains("grant `filesystem`") && text.contains(word), "{text}");
    }
}

#[tokio::test]
async fn what_is_removed_while_a_directory_is_read_is_passed_over() {
    let yard = Yard::with(json!({"access": "read", "at": "/yard"})).await;
    let (stop, names) = (Arc::new(AtomicBool::new(false)), yard.inside("sub"));
    let churn = std::thread::spawn({
        let stop = stop.clone();
        move || {
            while !stop.load(Ordering::Relaxed) {
                for name in 0..50 {
                    std::fs::write(names.join(format!("new-{name}")), "").expect("ours");
                }
                for name in 0..50 {
                    std::fs::remove_file(names.join(format!("new-{name}"))).expect("ours");
                }
            }
        }
    });
    for _ in 0..20 {
        let answers = yard.does(json!(vec![json!({"list": "/yard/sub"}); 25])).await;
        assert!(answers.iter().all(|answer| answer.contains("deep")), "{answers:#?}");
    }
    stop.store(true, Ordering::Relaxed);
    churn.join().expect("ours");
}
