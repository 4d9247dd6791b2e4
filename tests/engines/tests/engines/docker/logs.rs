//! Logs of any size, and of any bytes.

use hostler_e2e::{until, until_some_within};
use hostler_engines::Docked;

use super::script;

#[test]
fn any_bytes_are_read_and_a_cursor_outlives_the_host() {
    let Some(docked) = Docked::new() else { return };
    let says = script(
        "printf 'a\\377b\\n\\033[31mred\\n'; printf 'no end'; while [ ! -e /tmp/go ]; do usleep 10000; done; echo; echo after; exec sleep 1000",
    );
    docked.up(&docked.service("web", &says, ""));
    let yard = &docked.yard;
    until("it has spoken", || yard.log("web").len() >= 2);
    let documents = yard.run("logs web --json --tail 100").documents();
    let cursor = documents.iter().find_map(|item| item["cursor"].as_str()).expect("a cursor ends it").to_owned();
    assert!(
        documents.iter().any(|item| item["bytes"].is_string()
            || item["base64"].is_string()
            || item["text"].as_str().is_some_and(|text| text.contains('\u{fffd}'))),
        "{documents:?}"
    );
    yard.kill_host();
    yard.serve();
    docked.docker(&["exec", &docked.container("web"), "touch", "/tmp/go"]).ok();
    let after = || {
        let (socket, path) = (yard.socket(), format!("/api/v1/services/web/logs?cursor={cursor}"));
        let answer = hostler_e2e::request(&socket, "GET", &path, b"").expect("the host answers");
        String::from_utf8_lossy(&answer.body).into_owned()
    };
    until("what came later is read", || after().contains("\"after\""));
    let read = after();
    assert!(!read.contains("\"gap\"") && !read.contains("red"), "from the cursor on: {read}");
}

#[test]
fn a_log_of_64_megabytes_is_read_page_by_page() {
    let Some(docked) = Docked::new() else { return };
    let line = "x".repeat(1023);
    docked.up(&docked.service("web", &script(&format!("yes {line} | head -n 65536; echo done; exec sleep 1000")), ""));
    let last = || docked.yard.run("logs web --tail 1").out;
    until_some_within(std::time::Duration::from_secs(120), "all of it is written", || last().contains("done").then_some(()));
    let memory = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", docked.yard.host_pid())).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default().to_owned();
        line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_default()
    };
    let before = memory();
    let output = docked.yard.command("logs web --tail 1000000").output().expect("hostler can be started");
    let lines = output.stdout.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(lines, 65_537, "every line once");
    assert!(memory() < before + 200_000, "the host holds a page of it: {before} KiB, then {} KiB", memory());
}
