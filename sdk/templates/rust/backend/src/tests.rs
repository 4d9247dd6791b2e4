//! The plugin against a fake host: no wasm, no processes, milliseconds.

use super::*;
use hostler_sdk::test::{FakeHost, task};

fn sleep() -> Task<Settings> {
    task("web", r#"{ "program": "/bin/sleep", "args": ["60"] }"#)
}

#[test]
fn a_repeated_start_is_the_same_task() {
    let host = FakeHost::new();
    let first = Plugin::start(sleep()).expect("the keeper takes it");
    assert_eq!(Plugin::start(sleep()), Ok(first));
    assert_eq!(host.processes().len(), 1);
}

#[test]
fn the_same_id_with_another_spec_is_a_conflict() {
    let _host = FakeHost::new();
    Plugin::start(sleep()).expect("the keeper takes it");
    let other = Task { spec_digest: "another".into(), ..sleep() };
    assert!(matches!(Plugin::start(other), Err(Fault::Conflict(_))));
}

#[test]
fn everything_is_found_after_every_memory_is_lost() {
    let host = FakeHost::new();
    let handle = Plugin::start(sleep()).expect("the keeper takes it");
    host.exit(&handle.key, 3);
    let [found] = Plugin::list(None).expect("the keeper answers").items.try_into().expect("one task");
    assert_eq!((found.handle, found.spec_digest), (handle, Some(sleep().spec_digest)));
    assert!(matches!(found.status.phase, Phase::Exited(Exit { code: Some(3), .. })));
}

#[test]
fn a_keeper_that_is_away_means_unknown_and_never_exited() {
    let host = FakeHost::new();
    let handle = Plugin::start(sleep()).expect("the keeper takes it");
    host.fail("processes.inspect", Error::Unavailable("the keeper is away".into()));
    let [status] = Plugin::inspect(&[handle]).expect("an answer, not a fault").try_into().expect("one status");
    assert!(matches!(status.phase, Phase::Unknown(_)));
}

#[test]
fn what_runs_is_destroyed_only_by_force() {
    let host = FakeHost::new();
    let handle = Plugin::start(sleep()).expect("the keeper takes it");
    assert!(matches!(Plugin::destroy(handle.clone(), false), Err(Fault::Conflict(_))));
    assert_eq!(Plugin::destroy(handle.clone(), true), Ok(()));
    assert_eq!(Plugin::destroy(handle, false), Ok(()));
    assert_eq!(host.processes(), []);
}

#[test]
fn describing_touches_nothing() {
    let host = FakeHost::new();
    assert_eq!(Plugin::describe(), Plugin::describe());
    assert_eq!(host.calls(), [""; 0]);
}
