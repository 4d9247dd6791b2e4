//! The whole plugin against an engine in memory; `tests/engines` has the real one.

use hostler_sdk::Phase;
use hostler_sdk::host::containers::{Ended, Origin, Pulled, State};
use hostler_sdk::test::{FakeHost, task};

use super::*;

fn world() -> FakeHost {
    let host = FakeHost::new();
    host.add_image("redis", false);
    host
}

fn of(id: &str, settings: &str) -> Task<Settings> {
    let mut task = task("web", settings);
    task.id.id = id.into();
    task
}

fn start(id: &str) -> Held {
    Docker::start(of(id, r#"{"image": "redis"}"#)).expect("it starts")
}

fn status(held: &Held) -> Status {
    Docker::inspect(std::slice::from_ref(held)).expect("the engine answers").remove(0)
}

#[test]
fn a_task_lives_and_goes() {
    let host = world();
    let held = start("web-1");
    assert_eq!(host.containers()[0].name, "hostler-test-web-1");
    assert_eq!(status(&held).phase, Phase::Running);
    assert_eq!(start("web-1"), held, "the same again is the same");
    assert!(matches!(Docker::destroy(held.clone(), false), Err(Fault::Conflict(_))));
    let stopped = Docker::stop(held.clone(), None, Duration::from_secs(1)).expect("it stops");
    assert!(matches!(stopped.phase, Phase::Exited(_)));
    assert_eq!(start("web-1"), held, "what has ended is not run again");
    assert!(matches!(status(&held).phase, Phase::Exited(_)));
    for _ in 0..2 {
        Docker::destroy(held.clone(), false).expect("it goes, and has gone");
    }
    assert_eq!((host.containers().len(), status(&held).phase), (0, Phase::Gone));
    assert!(matches!(Docker::stop(held, None, Duration::ZERO), Ok(Status { phase: Phase::Gone, .. })));
}

#[test]
fn every_cut_of_a_start_is_found_again() {
    for call in ["containers.inspect", "containers.create", "containers.start"] {
        let host = world();
        host.lose_reply(call);
        let first = Docker::start(of("web-1", r#"{"image": "redis"}"#));
        assert!(matches!(first, Err(Fault::Interrupted(_) | Fault::Unavailable(_))), "{call}: {first:?}");
        let listed = Docker::list(None).expect("it lists").items;
        assert_eq!(listed.len(), host.containers().len(), "{call}");
        let held = start("web-1");
        assert!(listed.iter().all(|found| found.handle == held), "{call}");
        assert_eq!((host.containers().len(), status(&held).phase), (1, Phase::Running), "{call}");
    }
}

#[test]
fn what_was_made_and_never_started_is_over_until_it_is() {
    let host = world();
    host.fail("containers.start", Error::Timeout);
    assert!(matches!(Docker::start(of("web-1", r#"{"image": "redis"}"#)), Err(Fault::Interrupted(_))));
    let found = Docker::list(None).expect("it lists").items.remove(0);
    assert!(matches!(&found.status.phase, Phase::Exited(exit) if exit.reason.as_ref().is_some_and(|why| why.contains("never started"))));
    Docker::destroy(found.handle, false).expect("it can be freed");
}

#[test]
fn a_start_that_fails_leaves_nothing() {
    let host = world();
    for (error, at) in [(Error::Invalid("exec: \"x\": executable file not found in $PATH".into()), "/command"), (Error::Invalid("?".into()), "")] {
        host.fail("containers.start", error);
        let Err(Fault::Invalid(problems)) = Docker::start(of("web-1", r#"{"image": "redis"}"#)) else { panic!("it cannot run") };
        assert_eq!((problems[0].at.as_str(), host.containers().len()), (at, 0));
    }
    host.fail("containers.start", Error::Conflict("port is already allocated".into()));
    assert!(matches!(Docker::start(of("web-1", r#"{"image": "redis"}"#)), Err(Fault::Other(_))), "it may be free the next time");
    assert_eq!(host.containers().len(), 0);
    host.fail("containers.start", Error::Unavailable("gone".into()));
    host.fail("containers.remove", Error::Unavailable("gone".into()));
    assert!(matches!(Docker::start(of("web-1", r#"{"image": "redis"}"#)), Err(Fault::Interrupted(_))), "what may be left is said");
}

#[test]
fn a_name_that_is_taken_is_a_conflict() {
    let host = world();
    host.add_stranger("hostler-test-web-1", "redis", &[("hostler.task".into(), "web-1".into())]);
    let Err(Fault::Conflict(what)) = Docker::start(of("web-1", r#"{"image": "redis"}"#)) else { panic!("the name is taken") };
    assert!(what.contains("hostler-test-web-1"), "{what}");
    let held = start("web-2");
    let other = Task { spec_digest: "other".into(), ..of("web-2", r#"{"image": "redis"}"#) };
    assert!(matches!(Docker::start(other), Err(Fault::Conflict(_))));
    assert_eq!(status(&held).phase, Phase::Running);
}

#[test]
fn an_image_is_fetched_when_it_is_missing() {
    let host = world();
    let new = |more: &str| Docker::start(of("web-1", &format!(r#"{{"image": "new"{more}}}"#)));
    assert!(matches!(new(""), Err(Fault::Invalid(problems)) if problems[0].at == "/image" && problems[0].message.contains("denied")));
    assert!(matches!(new(r#", "pull": "never""#), Err(Fault::Invalid(problems)) if problems[0].message.contains("never")));
    host.on_pull("new", Err(Error::Unavailable("connection refused".into())));
    assert!(matches!(new(""), Err(Fault::Other(_))), "its registry is away, and the engine is not");
    host.fail("containers.info", Error::Unavailable("no socket".into()));
    assert!(matches!(new(""), Err(Fault::Unavailable(_))));
    host.on_pull("new", Ok(Pulled::UnderWay("1 of 2 layers".into())));
    assert!(matches!(new(""), Err(Fault::Unavailable(retry)) if retry.after.is_some() && retry.message.contains("1 of 2 layers")));
    host.on_pull("new", Ok(Pulled::Done("sha256:0".into())));
    let held = new(r#", "pull": "always""#).expect("it is there");
    assert_eq!(status(&held).phase, Phase::Running);
}

#[test]
fn an_engine_that_is_away_makes_tasks_unknown() {
    let host = world();
    let held = start("web-1");
    for error in [Error::Unavailable("connection refused".into()), Error::Timeout, Error::Other("what".into())] {
        host.fail("containers.inspect", error);
        assert!(matches!(status(&held).phase, Phase::Unknown(_)));
    }
    host.fail("containers.list", Error::Unavailable("connection refused".into()));
    assert!(matches!(Docker::list(None), Err(Fault::Unavailable(_))), "and none of them is gone");
    host.fail("containers.inspect", Error::Denied("containers default".into()));
    assert!(matches!(Docker::inspect(std::slice::from_ref(&held)), Err(Fault::Denied(_))));
    host.fail("containers.info", Error::Unavailable("connection refused".into()));
    assert!(!Docker::fingerprint().expect("away is an answer").reachable);
    host.fail("state.get", Error::Unavailable("the store is busy".into()));
    assert!(matches!(status(&held).phase, Phase::Unknown(_)));
    host.fail("state.keys", Error::Unavailable("the store is busy".into()));
    assert!(!Docker::fingerprint().expect("away is an answer").reachable);
}

#[test]
fn a_container_is_taken_over_as_it_is() {
    let host = world();
    let id = host.add_stranger("db", "postgres", &[]);
    host.change_container(&id, |container| container.started_at = Some(7));
    let take = |run: &str| Docker::start(of(run, r#"{"container": "db"}"#));
    let held = take("db-1").expect("it is there");
    assert_eq!((held.taken, status(&held).phase, host.calls().contains(&"containers.start".to_owned())), (Some(7), Phase::Running, false));
    assert_eq!(take("db-1"), Ok(held.clone()));
    let listed = Docker::list(None).expect("it lists").items;
    assert_eq!((listed.len(), &listed[0].handle, listed[0].id.as_str()), (1, &held, "db-1"));
    assert_eq!(Docker::survey().expect("it looks"), [], "what was taken over is nobody's to take");

    host.change_container(&id, |container| container.started_at = Some(9));
    assert!(matches!(&status(&held).phase, Phase::Exited(exit) if exit.reason.as_ref().is_some_and(|why| why.contains("another life"))));
    Docker::stop(held.clone(), None, Duration::ZERO).expect("ours is over");
    assert_eq!(host.containers()[0].state, State::Running, "the other life is not touched");
    let next = take("db-2").expect("it is taken over anew");
    assert_eq!((next.taken, status(&next).phase), (Some(9), Phase::Running));
    Docker::destroy(held, true).expect("the first is forgotten");

    Docker::stop(next.clone(), None, Duration::ZERO).expect("it stops");
    Docker::destroy(next, false).expect("it is let go");
    assert_eq!(host.containers().len(), 1, "and stays");
    let again = take("db-3").expect("it is started");
    assert_eq!((status(&again).phase, host.containers()[0].state.clone()), (Phase::Running, State::Running));
    Docker::release(again).expect("it is let go");
    assert_eq!((host.containers()[0].state.clone(), Docker::list(None).expect("it lists").items.len()), (State::Running, 0));
}

#[test]
fn a_container_has_one_service() {
    let host = world();
    let id = host.add_stranger("db", "postgres", &[]);
    host.change_container(&id, |container| container.started_at = Some(7));
    Docker::start(of("db-1", r#"{"container": "db"}"#)).expect("it is there");
    let mut other = of("cache-1", r#"{"container": "db"}"#);
    other.id.service = "cache".into();
    assert!(matches!(Docker::start(other), Err(Fault::Conflict(_))));
    let own = start("web-1");
    assert!(matches!(Docker::start(of("x-1", r#"{"container": "hostler-test-web-1"}"#)), Err(Fault::Conflict(_))));
    assert!(matches!(Docker::release(own), Err(Fault::Unsupported(_))));
    assert!(matches!(Docker::start(of("y-1", r#"{"container": "nothing"}"#)), Err(Fault::Invalid(problems)) if problems[0].at == "/container"));
}

#[test]
fn strangers_are_shown_with_what_is_known_of_them() {
    let host = world();
    let labels =
        [("com.docker.compose.project", "shop"), ("com.docker.compose.service", "web"), ("hostler.owner", "h2"), ("hostler.task", "h2-web-1")];
    let id = host.add_stranger("shop_web_1", "nginx:1", &labels.map(|(name, value)| (name.to_owned(), value.to_owned())));
    start("web-1");
    let found = Docker::survey().expect("it looks");
    assert_eq!(found.len(), 1);
    let candidate = &found[0];
    assert_eq!((candidate.name.as_str(), candidate.settings.as_str()), ("shop_web_1", r#"{"container":"shop_web_1"}"#));
    assert_eq!(candidate.tag, Some(("h2".into(), "h2-web-1".into())));
    let fact = |name: &str| candidate.facts.iter().find(|(fact, _)| fact == name).map(|(_, value)| value.as_str());
    assert_eq!(
        (fact("image"), fact("compose.project"), fact("compose.service"), fact("label.hostler.owner")),
        (Some("nginx:1"), Some("shop"), Some("web"), Some("h2"))
    );
    host.fail("containers.list", Error::Denied("strangers".into()));
    assert_eq!(Docker::survey().expect("the tagged ones may be seen").len(), 1);
    for _ in 0..2 {
        Docker::kill(&candidate.key).expect("it goes, and has gone");
    }
    assert!(host.containers().iter().all(|container| container.id != id));
    assert!(matches!(Docker::kill("x"), Err(Fault::Invalid(_))));
}

#[test]
fn a_log_goes_on_over_lives() {
    let host = world();
    let life = |run: u64| {
        let mut task = of(&format!("web-{run}"), r#"{"image": "redis"}"#);
        task.id.run = run;
        Docker::start(task).expect("it starts")
    };
    let text = |chunk: &Chunk| chunk.lines.iter().map(|line| String::from_utf8_lossy(&line.bytes).into_owned()).collect::<Vec<_>>();
    let one = life(1);
    ["a", "b", "c"].iter().for_each(|line| host.write_container_line(&one.container, Origin::Out, line));
    let page = Docker::read(one.clone(), None, Some(2), 1000).expect("it reads");
    assert_eq!(text(&page), ["b", "c"]);
    host.write_container_line(&one.container, Origin::Err, "last");
    host.change_container(&one.container, |it| it.state = State::Exited(Ended { code: 1, out_of_memory: false, at: None, error: None }));
    let two = life(2);
    host.write_container_line(&two.container, Origin::Out, "d");
    let rest = Docker::read(two.clone(), Some(&page.next), None, 1000).expect("it reads on in the life before");
    assert_eq!(text(&rest), ["last"]);
    let next = Docker::read(two.clone(), Some(&rest.next), None, 1000).expect("and then in this one");
    assert_eq!((text(&next), next.gap), (vec!["d".to_owned()], false));
    let tail = Docker::read(two.clone(), None, Some(3), 1000).expect("it reads");
    assert_eq!(text(&tail), ["c", "last"], "what is missing is in the life before");
    assert_eq!(text(&Docker::read(two.clone(), Some(&tail.next), None, 1000).expect("it reads on")), ["d"]);
    assert_eq!(text(&Docker::read(two.clone(), None, None, 1000).expect("from the oldest")), ["a", "b", "c", "last"]);
    Docker::destroy(one, false).expect("it goes");
    let after = Docker::read(two.clone(), Some(&rest.next), None, 1000).expect("it reads on");
    assert_eq!((text(&after), after.gap), (vec!["d".to_owned()], true), "the container of the cursor is gone");
    assert!(matches!(Docker::read(two, Some("?"), None, 1000), Err(Fault::Invalid(_))));
}

#[test]
fn limits_change_while_it_runs_and_nothing_else_does() {
    let host = world();
    let with = |memory: Option<u64>, digest: &str, settings: &str| {
        let mut task = of("web-1", settings);
        task.spec_digest = digest.into();
        task.resources.memory_bytes = memory;
        task
    };
    let plain = r#"{"image": "redis"}"#;
    let held = Docker::start(with(Some(64 << 20), "one", plain)).expect("it starts");
    let update = |task| Docker::update(held.clone(), task).expect("it can be asked");
    assert_eq!(update(with(Some(32 << 20), "two", plain)), Outcome::Applied);
    assert_eq!(host.container_spec(&held.container).expect("it is there").limits.memory_bytes, Some(32 << 20));
    let found = Docker::list(None).expect("it lists").items.remove(0);
    assert_eq!(found.spec_digest.as_deref(), Some("two"));
    assert_eq!(Docker::start(with(Some(32 << 20), "two", plain)), Ok(held.clone()), "it is what it was changed to");
    assert_eq!(update(with(None, "three", plain)), Outcome::NeedsRestart, "no engine lifts a limit from what runs");
    assert_eq!(update(with(Some(32 << 20), "four", r#"{"image": "redis", "command": "x"}"#)), Outcome::NeedsRestart);
    host.fail("containers.update", Error::Invalid("in use".into()));
    assert_eq!(update(with(Some(1), "five", plain)), Outcome::NeedsRestart);
    assert_eq!(update(with(Some(1), "six", r#"{"image": "redis", "engine": "other"}"#)), Outcome::NeedsRecreate);
    assert_eq!(Docker::list(None).expect("it lists").items[0].spec_digest.as_deref(), Some("two"));
}

#[test]
fn signals_and_commands_reach_what_runs() {
    let host = world();
    let held = start("web-1");
    Docker::send(held.clone(), "SIGHUP").expect("it runs");
    assert_eq!(host.container_signals(&held.container), ["SIGHUP"]);
    host.on_container_command("id", |command| Ok(hostler_sdk::test::output(0, &command.args.join(" "))));
    let command = || ExecCommand { program: "id".into(), args: vec!["$(x)".into()], env: vec![], stdin: vec![], deadline: Duration::from_secs(1) };
    assert_eq!(Docker::exec(held.clone(), command()).expect("it runs").out, b"$(x)");
    host.change_container(&held.container, |container| container.state = State::Paused);
    assert!(matches!(Docker::exec(held.clone(), command()), Err(Fault::Unavailable(_))), "a paused one may go on");
    let paused = status(&held);
    assert_eq!((paused.phase, paused.attributes.iter().any(|(name, _)| name == "note")), (Phase::Running, true));
    Docker::stop(held.clone(), Some("SIGINT"), Duration::ZERO).expect("it stops");
    assert!(matches!(Docker::exec(held.clone(), command()), Err(Fault::Gone)));
    host.fail("containers.exec", Error::Unavailable("it is not running".into()));
    assert!(matches!(Docker::exec(held.clone(), command()), Err(Fault::Gone)), "whatever the engine calls it");
    assert!(matches!(Docker::send(held.clone(), "SIGHUP"), Err(Fault::Gone)));
    assert!(matches!(Docker::stop(held, Some("-9"), Duration::ZERO), Err(Fault::Invalid(_))));
}

#[test]
fn a_missing_grant_is_told_as_such() {
    for (capability, deny) in [("containers", true), ("state", true)] {
        let host = world();
        host.deny(capability);
        assert_eq!(matches!(Docker::start(of("web-1", r#"{"image": "redis"}"#)), Err(Fault::Denied(_))), deny, "{capability}");
    }
    let host = world();
    host.deny("secrets");
    start("web-1");
    host.on_pull("private", Ok(Pulled::Done(String::new())));
    let private = r#"{"image": "private", "pull": "always", "registry": {"user": "u", "password_secret": "token"}}"#;
    assert!(matches!(Docker::start(of("web-2", private)), Err(Fault::Denied(_))));
}
