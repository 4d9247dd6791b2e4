//! Every line once, in order, whatever is killed meanwhile.

use std::time::{Duration, Instant};

use hostler_keeper::client::Client;
use hostler_keeper::protocol::{Command, Lines, Origin};

use crate::house::{House, LONG, command, exit_of, lines, shell, texts, until};

fn page(client: &mut Client, log: &str, cursor: &str, max_bytes: u32) -> Lines {
    client.read_log(log, Some(cursor).filter(|cursor| !cursor.is_empty()), None, max_bytes).expect("reads")
}

#[test]
fn any_bytes_both_outputs_and_a_missing_newline_are_kept() {
    let house = House::new();
    let mut client = house.client();
    client.spawn("a", "plugin", shell(r"printf 'a\377\000b\r\n\n'; printf 'no newline'; printf 'err' >&2")).expect("spawns");
    exit_of(&mut client, "a");
    let lines = lines(&mut client, "a", 4);
    let of = |origin| lines.iter().filter(|line| line.origin == origin).map(|line| line.bytes.clone()).collect::<Vec<_>>();
    assert_eq!(of(Origin::Out), [b"a\xff\x00b\r".to_vec(), Vec::new(), b"no newline".to_vec()]);
    assert_eq!(of(Origin::Err), [b"err".to_vec()]);
    assert!(lines.iter().all(|line| !line.continued && line.at > 1_600_000_000_000));
}

#[test]
fn a_megabyte_without_a_newline_comes_in_parts() {
    let house = House::new();
    let mut client = house.client();
    client.spawn("a", "plugin", shell("head -c 1048576 /dev/zero | tr '\\0' x; sleep 1000")).expect("spawns");
    // 63 parts are certain; the last waits for the byte that would follow it
    let parts = lines(&mut client, "a", 63);
    assert!(parts.iter().all(|line| line.continued && line.bytes.len() == 16 * 1024));
    client.stop("a", "KILL", LONG).expect("stops");
    let parts = lines(&mut client, "a", 64);
    assert_eq!(parts.iter().map(|line| line.bytes.len()).sum::<usize>(), 1_048_576);
    assert_eq!(parts.iter().map(|line| line.continued).collect::<Vec<_>>(), [vec![true; 63], vec![false]].concat());
    assert!(parts.iter().all(|line| line.bytes.iter().all(|byte| *byte == b'x')));
}

#[test]
fn half_a_line_that_fills_its_pipe_does_not_stop_its_writer() {
    let house = House::new();
    let mut client = house.client();
    // each write takes a page of the pipe for itself when the one before was spliced; small ones fill sixteen of them
    let script = r#"
import os, sys
r, w = os.pipe()
for i in range(40):
    os.write(w, b"x" * 10)
    os.splice(r, 1, 10)
os.write(2, b"done\n")
os.write(1, b"\nend\n")
"#;
    let Some(python) = ["/usr/bin/python3", "/usr/local/bin/python3"]
        .into_iter()
        .find(|path| std::process::Command::new(path).args(["-c", "import os; os.splice"]).status().is_ok_and(|status| status.success()))
    else {
        eprintln!("skipped: no python3 with os.splice");
        return;
    };
    client.spawn("a", "plugin", command(python, &["-c", script])).expect("spawns");
    assert_eq!(exit_of(&mut client, "a").code, Some(0));
    let texts = texts(&lines(&mut client, "a", 3));
    assert!(texts.contains(&"x".repeat(400)), "{texts:?}");
    assert!(texts.contains(&"done".to_owned()) && texts.contains(&"end".to_owned()), "{texts:?}");
}

#[test]
fn a_cursor_is_exact_over_rotation_and_a_killed_keeper() {
    let mut house = House::with(&["--log-segment-bytes", "20000", "--log-segments", "1000"]);
    let mut client = house.client();
    const COUNT: usize = 20_000;
    let script = format!("i=0; while [ $i -lt {COUNT} ]; do echo line $i; i=$((i+1)); done; exec sleep 1000");
    client.spawn("a", "plugin", shell(&script)).expect("spawns");
    let mut seen: Vec<u64> = Vec::new();
    let mut cursor = String::new();
    let mut kills = 0;
    let deadline = Instant::now() + LONG;
    while seen.last() != Some(&(COUNT as u64 - 1)) {
        assert!(Instant::now() < deadline, "{} lines", seen.len());
        let page = page(&mut client, "a", &cursor, 2000);
        assert!(!page.gap);
        seen.extend(page.lines.iter().map(|line| String::from_utf8_lossy(&line.bytes)[5..].parse::<u64>().expect("a number")));
        cursor = page.next;
        if seen.len() / 3000 > kills && kills < 5 {
            kills += 1;
            house.kill();
            house.start();
            client = house.client();
        }
    }
    assert_eq!(kills, 5);
    // none is missing and they are in order; a batch that was being written when the keeper was killed may be there twice
    let mut next = 0;
    let mut repeated = 0;
    for number in &seen {
        assert!(*number <= next, "lines {next} to {number} are missing");
        if *number == next {
            next += 1;
        } else {
            repeated += 1;
        }
    }
    assert_eq!(next, COUNT as u64);
    assert!(repeated < COUNT, "{repeated} repeated");
    let segments = std::fs::read_dir(house.dir().join("logs/a")).expect("lists").count();
    assert!(segments > 10, "rotated: {segments}");
}

#[test]
fn old_lines_are_rotated_away_and_the_reader_is_told() {
    let house = House::with(&["--log-segment-bytes", "10000", "--log-segments", "3"]);
    let mut client = house.client();
    client
        .spawn("a", "plugin", shell("echo first; read -r x </dev/null; i=0; while [ $i -lt 5000 ]; do echo line $i; i=$((i+1)); done"))
        .expect("spawns");
    let first = until("a first line", || {
        let page = page(&mut client, "a", "", 1);
        (!page.lines.is_empty()).then_some(page)
    });
    exit_of(&mut client, "a");
    until("the last line", || {
        let tail = client.read_log("a", None, Some(1), 1000).expect("reads");
        (texts(&tail.lines) == ["line 4999"]).then_some(())
    });
    let size: u64 =
        std::fs::read_dir(house.dir().join("logs/a")).expect("lists").map(|entry| entry.expect("entry").metadata().expect("metadata").len()).sum();
    assert!(size <= 30_000, "{size}");
    if texts(&first.lines) == ["first"] {
        assert!(page(&mut client, "a", &first.next, 1000).gap);
    }
    let tail = client.read_log("a", None, Some(3), 1000).expect("reads");
    assert_eq!(texts(&tail.lines), ["line 4997", "line 4998", "line 4999"]);
    assert!(page(&mut client, "a", &tail.next, 1000).lines.is_empty());
    assert!(client.read_log("never", None, None, 1000).expect("an absent log is empty").lines.is_empty());
    assert!(client.read_log("../a", None, None, 1000).is_err());
    assert!(client.read_log("a", Some("nonsense"), None, 1000).is_err());
    client.drop_log("a").expect("drops");
    assert!(client.read_log("a", None, None, 1000).expect("reads").lines.is_empty());
}

#[test]
fn several_processes_share_a_log_and_it_outlives_them() {
    let house = House::new();
    let mut client = house.client();
    for key in ["a", "b"] {
        client.spawn(key, "plugin", Command { log_name: Some("shared".into()), ..shell(&format!("echo from {key}")) }).expect("spawns");
        exit_of(&mut client, key);
        client.stop(key, "TERM", LONG).expect("verifies");
        client.forget(key).expect("forgets");
    }
    let mut texts = texts(&lines(&mut client, "shared", 2));
    texts.sort();
    assert_eq!(texts, ["from a", "from b"]);
}

#[test]
fn a_flood_starves_nobody() {
    let house = House::with(&["--log-segment-bytes", "1000000"]);
    let mut client = house.client();
    for key in ["a", "b", "c", "d"] {
        client.spawn(key, "plugin", command("/usr/bin/yes", &["a flood of output"])).expect("spawns");
    }
    client.spawn("quiet", "plugin", shell("while :; do echo tick; sleep 0.05; done")).expect("spawns");
    let begun = Instant::now();
    lines(&mut client, "quiet", 10);
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..100 {
        let asked = Instant::now();
        client.inspect("a").expect("answers");
        times.push(asked.elapsed());
    }
    times.sort();
    let (median, slowest) = (times[50], times[99]);
    assert!(begun.elapsed() < LONG, "{:?}", begun.elapsed());
    assert!(median < Duration::from_secs(1) && slowest < Duration::from_secs(10), "median {median:?}, slowest {slowest:?}");
    client.spawn("e", "plugin", shell("exit 4")).expect("spawns in a flood");
    assert_eq!(exit_of(&mut client, "e").code, Some(4));
}
