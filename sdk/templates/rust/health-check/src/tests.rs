//! The plugin against a fake host: no wasm, no commands, milliseconds.

use super::*;
use hostler_sdk::Verdict;
use hostler_sdk::host::commands::Output;
use hostler_sdk::test::{FakeHost, output, settings, target};

fn check(host: &FakeHost, end: Result<Output, Error>) -> Report {
    host.on_command(GREP, move |_| end.clone());
    Plugin::check(target(), settings(r#"{ "file": "/var/log/app", "text": "-v" }"#), Duration::from_secs(1)).expect("a report")
}

#[test]
fn what_is_there_passes_and_what_is_not_fails() {
    let host = FakeHost::new();
    assert_eq!(check(&host, Ok(output(0, ""))).verdict, Verdict::Pass);
    let report = check(&host, Ok(output(1, "")));
    assert_eq!((report.verdict, report.message.as_str()), (Verdict::Fail, "/var/log/app does not have it"));
}

#[test]
fn who_cannot_look_knows_nothing() {
    let host = FakeHost::new();
    for end in [Err(Error::NotFound), Err(Error::Timeout), Ok(output(2, ""))] {
        assert_eq!(check(&host, end.clone()).verdict, Verdict::Unknown, "{end:?}");
    }
}

#[test]
fn what_is_looked_for_is_never_an_option() {
    let host = FakeHost::new();
    check(&host, Ok(output(0, "")));
    let [command] = host.commands().try_into().expect("one command");
    assert_eq!(command.args, ["-q", "-F", "-e", "-v", "--", "/var/log/app"]);
}

#[test]
fn describing_touches_nothing() {
    let host = FakeHost::new();
    assert_eq!(Plugin::describe(), Plugin::describe());
    assert_eq!(host.calls(), [""; 0]);
}
