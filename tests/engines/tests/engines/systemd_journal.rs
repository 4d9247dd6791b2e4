//! Backend `systemd`: what a task has written, from the journal.

use hostler_e2e::{Live, Value, parse, until};
use hostler_engines::Hosted;

use crate::systemd::{QUICKLY, script};

/// Lines of the form `tick N`, which go up by one from 1.
#[track_caller]
fn holds_every_tick(lines: &[String]) {
    for (line, number) in lines.iter().zip(1..) {
        assert_eq!(line, &format!("tick {number}"), "a line is lost or doubled");
    }
}

#[test]
fn lines_are_read_exactly_over_restarts_of_host_journal_and_systemd() {
    let Some(host) = Hosted::boot() else { return };
    let counts = "n=$(cat /srv/hostler/n 2>/dev/null || echo 0); while :; do n=$((n + 1)); echo $n > /srv/hostler/n; echo tick $n; sleep 0.02; done";
    host.up(&script(&host, "web", counts, "", QUICKLY));
    let reader = Live::piped(&mut host.command("logs web --follow --json --tail 1000000"));
    for round in 0..3 {
        let seen = host.log("web").len();
        match round {
            0 => host.run(&["systemctl", "restart", "systemd-journald"]).ok(),
            1 => host.run(&["journalctl", "--rotate"]).ok(),
            _ => host.run(&["systemctl", "daemon-reexec"]).ok(),
        };
        until("it goes on", || host.log("web").len() > seen + 10);
    }
    let lines = host.log("web");
    holds_every_tick(&lines);
    let followed = || -> Vec<String> {
        let documents = reader.said().lines().filter_map(|line| parse::<Value>(line).ok()).collect::<Vec<_>>();
        assert!(documents.iter().all(|item| item["type"] == "line"), "nothing is lost on the way");
        documents.iter().filter_map(|line| line["text"].as_str().map(str::to_owned)).collect()
    };
    until("the reader has followed", || followed().len() >= lines.len());
    holds_every_tick(&followed());
    host.kill_host();
    host.serve();
    holds_every_tick(&host.log("web"));
}

#[test]
fn any_bytes_are_lines_and_what_was_vacuumed_is_a_gap() {
    let Some(host) = Hosted::boot() else { return };
    let odd = "printf 'bin\\377\\001x\\n<3>level\\n$(id)\\n'; head -c 1000000 /dev/zero | tr '\\0' a; echo; echo done; \
               while ! test -e /srv/hostler/go; do sleep 0.05; done; echo more; printf 'no newline'; exec sleep 100000";
    host.up(&script(&host, "odd", odd, "", ""));
    until("it has written", || host.log("odd").last().is_some_and(|line| line == "done"));
    let documents = host.logs("odd", "tail=1000000");
    let (read, lines) = documents.split_last().expect("it ends with a cursor");
    let texts: Vec<&str> = lines.iter().filter_map(|line| line["text"].as_str()).collect();
    assert_eq!((texts[1], texts[2], texts.last()), ("<3>level", "$(id)", Some(&"done")));
    assert!(lines[0]["text"].as_str().is_some_and(|text| text.starts_with("bin")), "{:#}", lines[0]);
    let parts = &lines[3..lines.len() - 1];
    assert_eq!(
        parts.iter().filter_map(|part| part["text"].as_str()).map(str::len).sum::<usize>(),
        1_000_000,
        "a line of a million bytes comes whole"
    );
    let (last, before) = parts.split_last().expect("it is there");
    assert!(before.iter().all(|part| part["continued"] == true) && last["continued"] != true, "in parts that say so");

    host.write("/srv/hostler/go", "");
    until("the end is read", || host.log("odd").last().is_some_and(|line| line == "more"));
    let rest = host.logs("odd", &format!("cursor={}", spelled(read)));
    assert_eq!(rest[..rest.len() - 1].iter().map(|line| line["text"].clone()).collect::<Vec<_>>(), ["more"], "reading goes on exactly behind");

    host.run(&["sh", "-c", "journalctl --rotate; journalctl --vacuum-files=1"]).ok();
    let rest = host.logs("odd", &format!("cursor={}", spelled(read)));
    assert_eq!(rest[0]["type"], "gap", "{rest:#?}");
}

/// The cursor that an answer ended with, as a part of a URL.
fn spelled(read: &Value) -> String {
    let cursor = read["cursor"].as_str().expect("it says how far it was read");
    cursor.bytes().map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
