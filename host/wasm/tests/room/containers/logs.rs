//! What containers write, page by page.

use serde_json::{Value, json};

use super::yard::{IMAGE, Yard, docker};

#[tokio::test]
async fn a_log_is_read_page_by_page_and_resumed_exactly() {
    let Some(yard) = Yard::real(Value::Null).await else { return };
    let script = "for i in 1 2 3 4 5 6 7 8 9; do echo line $i; done; printf '\\377\\n'; echo 'a b' >&2; printf last";
    let name = yard.runs("web", script).await;
    crate::support::until("it has ended", async || yard.does_one(json!({ "look": name })).await.starts_with("exited 0")).await;
    let whole = yard.does_one(json!({ "log": [name, 1 << 20] })).await;
    let mut lines: Vec<&str> = whole.trim_end_matches(" in 1 pages").split('|').collect();
    lines.sort_unstable();
    let expected = ["a b", "last", "line 1", "line 2", "line 3", "line 4", "line 5", "line 6", "line 7", "line 8", "line 9", "\u{fffd}"];
    assert_eq!(lines, expected, "{whole}");
    let paged = yard.does_one(json!({ "log": [name, 40] })).await;
    assert_eq!(paged.split(" in ").next(), whole.split(" in ").next(), "however it is cut, it is the same");
    assert!(!paged.ends_with(" in 1 pages"), "{paged}");
    let tail = yard.does_one(json!({ "tail": [name, 2] })).await;
    let (lines, place) = tail.split_once('>').expect("a place");
    assert_eq!(lines.split('|').count(), 2, "{tail}");
    assert_eq!(yard.does_one(json!({ "after": [name, place, 1_000] })).await, format!(">{place}"));
    let none = yard.does_one(json!({ "tail": [name, 0] })).await;
    assert_eq!(none, format!(">{place}"), "the end is the same place");
    let (_, first) =
        yard.does_one(json!({ "after": [name, "0.0", 1] })).await.split_once('>').map(|(a, b)| (a.to_owned(), b.to_owned())).expect("a place");
    docker(&["start", &name]);
    crate::support::until("it has written it all again", async || {
        yard.does_one(json!({ "after": [name, place, 1 << 20] })).await.matches('|').count() == 11
    })
    .await;
    let rest = yard.does_one(json!({ "after": [name, first, 1 << 20] })).await;
    assert_eq!(rest.matches('|').count(), 22, "{rest}");
    for wrong in ["", "x", "1", "1.2.3"] {
        assert!(yard.does_one(json!({ "after": [name, wrong, 1] })).await.starts_with("invalid: "), "{wrong}");
    }
}

#[tokio::test]
async fn a_place_that_was_rotated_away_is_a_gap() {
    let Some(yard) = Yard::real(Value::Null).await else { return };
    let name = yard.name("web");
    docker(&[
        "run",
        "--detach",
        "--network",
        "none",
        "--name",
        &name,
        "--label",
        "hostler.owner=test-host",
        "--log-opt",
        "max-size=10k",
        "--log-opt",
        "max-file=2",
        IMAGE,
        "/bin/sh",
        "-c",
        "echo first; while [ ! -e /go ]; do sleep 0.05; done; i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done",
    ]);
    crate::support::until("it has written", async || yard.does_one(json!({ "tail": [name, 1] })).await.starts_with("first>")).await;
    let tail = yard.does_one(json!({ "tail": [name, 1] })).await;
    let place = tail.split_once('>').expect("a place").1.to_owned();
    docker(&["exec", &name, "/bin/touch", "/go"]);
    crate::support::until("it has ended", async || yard.does_one(json!({ "look": name })).await.starts_with("exited")).await;
    let after = yard.does_one(json!({ "after": [name, place, 200] })).await;
    assert!(after.starts_with("gap line "), "{after}");
    let (_, next) = after.split_once('>').expect("a place");
    assert!(yard.does_one(json!({ "after": [name, next, 200] })).await.starts_with("line "), "only once");
}

#[tokio::test]
async fn long_lines_and_long_logs_are_whole() {
    let Some(yard) = Yard::real(Value::Null).await else { return };
    let name = yard.runs("web", "head -c 40000 /dev/zero | tr '\\0' x; echo; yes 'a line of a log that is long' | head -n 300000; yes z | tr -d '\\n' | head -c 40000 >&2").await;
    crate::support::until("it has ended", async || yard.does_one(json!({ "look": name })).await.starts_with("exited")).await;
    let bytes = 40_000 + 300_000 * 28 + 40_000;
    let answer = yard.does_one(json!({ "weigh": [name, 4 << 20] })).await;
    // parts of a long line are lines of their own, and 16 KiB long
    assert_eq!(answer, format!("{} lines, {bytes} bytes, gap false", 3 + 300_000 + 3));
}

#[tokio::test]
async fn a_terminal_and_a_log_that_is_not_kept() {
    let Some(yard) = Yard::real(Value::Null).await else { return };
    let name = yard.name("tty");
    docker(&[
        "run",
        "--detach",
        "--network",
        "none",
        "--tty",
        "--name",
        &name,
        "--label",
        "hostler.owner=test-host",
        IMAGE,
        "/bin/sh",
        "-c",
        "echo one; echo two >&2",
    ]);
    crate::support::until("it has ended", async || yard.does_one(json!({ "look": name })).await.starts_with("exited")).await;
    assert_eq!(yard.does_one(json!({ "log": [name, 1] })).await, "one\r|two\r in 2 pages");
    let none = yard.name("none");
    docker(&[
        "run",
        "--detach",
        "--network",
        "none",
        "--log-driver",
        "none",
        "--name",
        &none,
        "--label",
        "hostler.owner=test-host",
        IMAGE,
        "/bin/true",
    ]);
    assert!(yard.does_one(json!({ "log": [none, 1] })).await.starts_with("invalid: "));
}
