//! The fake host does what the contract says of the real one.

use super::{FakeHost, output};
use crate::host::processes::{self, Command, Origin, State};
use crate::host::{Error, commands, context, log, secrets, secrets_reveal, state, task_exec};
use std::time::Duration;

fn sleep() -> Command {
    Command { args: vec!["60".into()], ..Command::new("/bin/sleep") }
}

#[test]
fn a_key_is_one_process_whatever_becomes_of_it() {
    let host = FakeHost::new();
    let first = processes::spawn("web", &sleep()).expect("a new key");
    assert_eq!(processes::spawn("web", &sleep()), Ok(first));
    host.exit("web", 2);
    assert!(matches!(processes::spawn("web", &sleep()).expect("it is found").state, State::Exited(_)));
    assert!(matches!(processes::spawn("web", &Command::new("/bin/true")), Err(Error::Conflict(_))));
    assert!(matches!(processes::spawn("Web", &sleep()), Err(Error::Invalid(_))));
    assert_eq!(host.spawned("web"), Some(sleep()));
}

#[test]
fn a_program_that_is_not_there_leaves_nothing() {
    let host = FakeHost::new();
    host.remove_program("/bin/sleep");
    assert!(matches!(processes::spawn("web", &sleep()), Err(Error::Invalid(_))));
    assert_eq!(processes::inspect(&["web".into()]), Ok(vec![None]));
}

#[test]
fn a_stop_ends_and_a_stubborn_one_takes_its_grace() {
    let host = FakeHost::new();
    processes::spawn("web", &sleep()).expect("a new key");
    let exit = processes::stop("web", "SIGINT", Duration::from_secs(10)).expect("it runs");
    assert_eq!(exit.signal.as_deref(), Some("SIGINT"));
    assert_eq!(processes::stop("web", "SIGTERM", Duration::ZERO), Ok(exit.clone()), "a late stop hears the same end");

    processes::spawn("deaf", &sleep()).expect("a new key");
    host.ignore_signals("deaf");
    let killed = processes::stop("deaf", "SIGTERM", Duration::from_secs(10)).expect("it runs");
    assert_eq!((killed.signal.as_deref(), killed.at), (Some("SIGKILL"), exit.at + 10_000));
    assert_eq!(processes::stop("gone", "SIGTERM", Duration::ZERO), Err(Error::NotFound));
}

#[test]
fn only_what_has_ended_is_forgotten() {
    let host = FakeHost::new();
    processes::spawn("web", &sleep()).expect("a new key");
    assert!(matches!(processes::forget("web"), Err(Error::Conflict(_))));
    host.lose("web", "the machine was restarted");
    assert_eq!(processes::stop("web", "SIGTERM", Duration::ZERO), Err(Error::NotFound));
    assert_eq!(processes::signal("web", "SIGHUP"), Err(Error::NotFound));
    assert_eq!((processes::forget("web"), processes::forget("web")), (Ok(()), Ok(())));
}

#[test]
fn logs_resume_exactly_and_say_gap() {
    let host = FakeHost::new();
    for line in ["one", "two", "three"] {
        host.write_line("web", Origin::Out, line);
    }
    let read = |cursor: Option<&str>, tail, bytes| {
        let page = processes::read_log("web", cursor, tail, bytes).expect("a log");
        (page.lines.iter().map(|line| String::from_utf8_lossy(&line.bytes).into_owned()).collect::<Vec<_>>(), page.next, page.gap)
    };
    let (lines, next, _) = read(None, None, 6);
    assert_eq!(lines, ["one", "two"]);
    assert_eq!(read(Some(&next), None, 100).0, ["three"]);
    assert_eq!(read(None, Some(1), 100).0, ["three"]);
    host.rotate("web", 2);
    assert_eq!(read(Some("1"), None, 100), (vec!["three".to_owned()], "3".to_owned(), true));
    assert!(!read(Some(&next), None, 100).2);
    assert!(matches!(processes::read_log("web", Some("x"), None, 1), Err(Error::Invalid(_))));
    assert_eq!(processes::read_log("other", None, None, 1).expect("empty").lines, []);
}

#[test]
fn what_was_not_measured_is_absent() {
    let host = FakeHost::new();
    processes::spawn("web", &sleep()).expect("a new key");
    assert_eq!(processes::measure(&["web".into(), "gone".into()]), Ok(vec![None, None]));
    let usage = processes::Usage { at: 1, cpu_nanos: Some(2), memory_bytes: None, memory_limit_bytes: None, processes: Some(1) };
    host.set_usage("web", usage);
    assert_eq!(processes::measure(&["web".into()]), Ok(vec![Some(usage)]));
}

#[test]
fn commands_answer_by_script_and_are_remembered() {
    let host = FakeHost::new();
    host.on_command("/bin/df", |command| Ok(output(0, &command.args.join(" "))));
    let asked = commands::Command { args: vec!["-P".into()], ..commands::Command::new("/bin/df") };
    assert_eq!(commands::run(&asked).map(|output| output.out), Ok(b"-P".to_vec()));
    assert_eq!(commands::run(&commands::Command::new("/bin/du")), Err(Error::NotFound));
    assert_eq!(host.commands().len(), 2);

    assert!(!task_exec::available() && matches!(task_exec::run(&asked), Err(Error::Unavailable(_))));
    host.on_task_command("/bin/df", |_| Ok(output(1, "")));
    assert!(task_exec::available());
    assert_eq!(task_exec::run(&asked).map(|output| output.code), Ok(Some(1)));
    assert_eq!(host.task_commands(), [asked]);
}

#[test]
fn state_is_kept_compared_and_bounded() {
    let host = FakeHost::new();
    state::set("a/1", b"x").expect("within the quota");
    assert_eq!(state::replace("a/1", b"y", b"z"), Err(Error::Conflict("a/1 is another value".into())));
    state::replace("a/1", b"y", b"x").expect("it was x");
    assert_eq!((state::get("a/1"), state::keys("a/")), (Ok(Some(b"y".to_vec())), Ok(vec!["a/1".into()])));
    host.set_quota(4, 2);
    assert!(matches!(state::set("b", b"12345"), Err(Error::Unavailable(_))));
    assert!(matches!(state::get("UPPER"), Err(Error::Invalid(_))));
    assert_eq!((state::delete("a/1"), state::delete("a/1")), (Ok(()), Ok(())));
    assert!(host.state().is_empty());
}

#[test]
fn a_secret_is_a_placeholder_unless_it_is_revealed() {
    let host = FakeHost::new();
    assert!(matches!(secrets::place("token"), Err(Error::Denied(_))));
    host.set_secret("token", "s3cret");
    assert_eq!(secrets::place("token"), Ok(FakeHost::placeholder("token")));
    assert_eq!(secrets_reveal::reveal("token"), Ok("s3cret".into()));
}

#[test]
fn a_fault_is_for_the_next_call_and_a_lost_reply_has_happened() {
    let host = FakeHost::new();
    host.fail("processes.spawn", Error::Unavailable("away".into()));
    assert_eq!(processes::spawn("web", &sleep()), Err(Error::Unavailable("away".into())));
    assert_eq!(host.processes(), []);
    host.lose_reply("processes.spawn");
    assert_eq!(processes::spawn("web", &sleep()), Err(Error::Timeout));
    assert_eq!(host.processes().len(), 1);
    host.deny("processes");
    assert!(matches!(processes::list(), Err(Error::Denied(_))));
    assert_eq!(host.calls(), ["processes.spawn", "processes.spawn", "processes.list"]);
}

#[test]
fn time_passes_when_it_is_told_to() {
    let host = FakeHost::new();
    host.set_remaining(Duration::from_secs(3));
    host.advance(Duration::from_secs(2));
    assert_eq!(context::remaining(), Duration::from_secs(1));
    host.advance(Duration::from_secs(2));
    assert_eq!(context::remaining(), Duration::ZERO);
    host.set_owner("west");
    host.set_config(r#"{"a": 1}"#);
    assert_eq!((context::owner(), context::config::<serde_json::Value>()), ("west".into(), Ok(serde_json::json!({"a": 1}))));
    log::warn("slow", &[("ms", &7)]);
    let [line] = host.log().try_into().expect("one line");
    assert_eq!((line.level, line.message.as_str(), line.fields), ("warn", "slow", vec![("ms".to_owned(), "7".to_owned())]));
}

#[test]
fn a_host_within_a_host_is_another_one() {
    let outer = FakeHost::new();
    state::set("a", b"1").expect("within the quota");
    {
        let _inner = FakeHost::new();
        assert_eq!(state::get("a"), Ok(None));
    }
    assert_eq!(state::get("a"), Ok(Some(b"1".to_vec())));
    drop(outer);
    let nobody = std::panic::catch_unwind(|| state::get("a")).expect_err("there is no host");
    assert!(nobody.downcast_ref::<String>().is_some_and(|message| message.contains("FakeHost::new()")));
}
