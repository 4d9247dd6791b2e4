//! What runs already: shown, taken over by name or by a pattern, given back; and strangers that bear a tag.

use std::process::Command;

use hostler_e2e::{Ran, Value, until, until_some};
use hostler_engines::Docked;

use super::strangers::{Stranger, TAKE};

/// The lines of `hostler discover` about a name.
fn found(docked: &Docked, name: &str) -> Option<Value> {
    let list = docked.yard.run("discover --json").ok();
    let list: Value = hostler_e2e::parse(&list).expect("a document");
    list["found"].as_array()?.iter().find(|found| found["name"] == name).cloned()
}

#[test]
fn a_container_is_adopted_by_name_and_given_back_untouched() {
    let Some(docked) = Docked::new() else { return };
    let stranger = Stranger::new(&docked, "adopted", &["--publish", "127.0.0.1::80"]);
    let (pid, yard) = (stranger.is("{{.State.Pid}}"), &docked.yard);
    yard.up(&docked.plugin(TAKE));
    let seen = found(&docked, &stranger.name).expect("it is shown");
    assert_eq!((&seen["phase"], &seen["service"]), (&"running".into(), &Value::Null), "{seen:#}");
    assert_eq!(seen["endpoints"][0]["name"], "80/tcp");

    yard.run(&format!("adopt {} --as mine --with {}", stranger.name, r#"{"critical":true}"#)).ok();
    yard.until_status("mine", "running");
    assert_eq!((yard.pid("mine").to_string(), yard.service("mine")["critical"].clone()), (pid.clone(), true.into()));
    let again = yard.run(&format!("adopt {} --as other", stranger.name));
    assert_eq!(again.code, 1, "{}", again.err);

    // An apply of a file that does not name it leaves it alone, and so does a host that dies.
    yard.config(&docked.plugin(TAKE));
    yard.run("apply").ok();
    yard.kill_host();
    yard.serve();
    yard.until_status("mine", "running");
    assert_eq!(stranger.is("{{.State.Pid}}"), pid);
    let refused = yard.run("apply --json");
    assert_eq!(refused.code, 0, "{}", refused.err);
    yard.config(&format!("{}[services.mine]\nbackend = {{ type = \"process\", binary = \"/bin/sleep\", args = [1] }}\n", docked.plugin(TAKE)));
    let refused = yard.run("apply");
    assert!(refused.code != 0 && refused.err.contains("taken over"), "a file cannot take its name: {}", refused.err);
    yard.config(&docked.plugin(TAKE));

    yard.run("release mine").ok();
    until("it is no service any more", || yard.get("/services/mine").is_none());
    assert_eq!((stranger.is("{{.State.Running}}"), stranger.is("{{.State.Pid}}")), ("true".into(), pid));
    assert_eq!(found(&docked, &stranger.name).expect("it is shown again")["service"], Value::Null);
    let unknown = yard.run("release mine");
    assert_eq!(unknown.code, 1, "{}", unknown.err);
}

#[test]
fn a_pattern_manages_what_it_knows_and_says_so_when_that_is_gone() {
    let Some(docked) = Docked::new() else { return };
    let yard = &docked.yard;
    let stranger = Stranger::new(&docked, "pattern", &["--label", "team=shop"]);
    let pid = stranger.is("{{.State.Pid}}");
    let pattern = format!(
        "[discovery.docker]\ninterval = \"300ms\"\n[discovery.docker.patterns.database]\nmatch = {{ name = {:?}, labels = {{ team = \"sh*\" }} }}\n\
         display_name = \"The database\"\ncategory = \"infrastructure\"\nhealth_cmd = \"test -d /proc\"\n",
        format!("*pattern-{}", std::process::id())
    );
    let config = format!("{}{pattern}", docked.plugin(TAKE));
    yard.config(&config);
    yard.run("up --detach").ok();
    until("it is found", || yard.get("/services/database").is_some());
    let service = yard.until_service("database", "it is healthy", |service| service["health"] == "healthy");
    assert_eq!((&service["display_name"], &service["category"]), (&"The database".into(), &"infrastructure".into()));
    assert_eq!(yard.pid("database").to_string(), pid, "it was not touched");

    // Stopped by hand it stays stopped, although the pattern still knows it.
    yard.run("stop database").ok();
    yard.until_status("database", "stopped");
    yard.run("start database").ok();
    yard.until_status("database", "running");

    let name = stranger.name.clone();
    drop(stranger);
    yard.until_service("database", "it is not there any more", |service| service["status"] == "not-found");
    let back = Stranger::new(&docked, "pattern", &["--label", "team=shop"]);
    assert_eq!(back.name, name);
    yard.until_service("database", "it is there again", |service| service["status"] == "running");
    assert_eq!(yard.pid("database").to_string(), back.is("{{.State.Pid}}"));

    // Without its pattern it is let go of.
    yard.config(&docked.plugin(TAKE));
    yard.run("apply").ok();
    until("it is no service any more", || yard.get("/services/database").is_none());
    assert_eq!(back.is("{{.State.Running}}"), "true");
}

#[test]
fn what_another_host_left_is_shown_with_its_owner_and_ended_or_ignored() {
    let Some(docked) = Docked::new() else { return };
    let yard = &docked.yard;
    let left = Stranger::new(&docked, "left", &["--label", "hostler.owner=hdeadbeef00", "--label", "hostler.task=hdeadbeef00-web-2-17"]);
    yard.up(&docked.plugin(TAKE));
    let strangers = || -> Vec<Value> {
        let list: Value = hostler_e2e::parse(&yard.run("strangers --json").ok()).expect("a document");
        let all = list["strangers"].as_array().cloned().unwrap_or_default();
        all.into_iter().filter(|stranger| stranger["name"] == left.name.as_str()).collect()
    };
    let seen = until_some("it is shown", || strangers().first().cloned());
    assert_eq!((&seen["phase"], &seen["tag"]["owner"]), (&"running".into(), &"hdeadbeef00".into()));
    assert!(seen["probably"].as_str().is_some_and(|who| who.contains("its service web, replica 2, run 17")), "{seen:#}");
    let shown = |more: &str| yard.run(&format!("strangers{more}")).ok().contains(&left.name);
    yard.run(&format!("strangers ignore {}", left.name)).ok();
    assert!(!shown("") && shown(" --all"));
    yard.run(&format!("strangers notice {}", left.name)).ok();
    assert!(shown(""));
    yard.run(&format!("strangers kill {}", left.name)).ok();
    until("nothing of it is left", || {
        let listed = Ran::of(Command::new("docker").args(["ps", "--all", "--quiet", "--filter", &format!("name={}", left.name)]));
        listed.out.trim().is_empty()
    });
    assert!(strangers().is_empty());
    let events = yard.run("events").ok();
    assert!(events.contains("was ended by request"), "{events}");
    assert_ne!(yard.run(&format!("strangers kill {}", left.name)).code, 0);
}

#[test]
fn what_may_not_be_seen_is_not_adopted() {
    let Some(docked) = Docked::new() else { return };
    let stranger = Stranger::new(&docked, "unseen", &[]);
    docked.yard.up(&docked.plugin(""));
    let refused = docked.yard.run(&format!("adopt {}", stranger.name));
    assert!(refused.code != 0, "{}", refused.out);
    assert!(refused.err.contains("strangers") || refused.err.contains("no engine has"), "{}", refused.err);
}
