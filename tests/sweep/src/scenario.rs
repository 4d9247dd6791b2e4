//! What is done until somebody dies, and after that.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;

use hostler_e2e::{Signal, Value, fixture, json, parse, request, request_with, signal};

use crate::cases::{Case, Scenario};
use crate::contained;
use crate::judge::{Wants, events};
use crate::site::Site;

/// Plays one case to its end.
///
/// # Panics
/// When anything is not as promised.
pub fn play(site: &mut Site, case: &Case) {
    if let Scenario::Contained(deed) = case.scenario {
        return contained::play(site, &case.points, deed);
    }
    let mut wants = Wants::first();
    wants.keeper_deaths = case.points.iter().filter(|point| point.starts_with("keeper.")).count();
    lead_up(site, case.scenario, &mut wants);
    wants.note(site);
    if case.scenario == Scenario::Acknowledged {
        [Scenario::Stop, Scenario::Restart, Scenario::Apply].into_iter().for_each(|scenario| act(site, scenario, &mut wants));
        assert!(wants.toggle == Some(false) && wants.again_after > 0 && wants.mark == Some(2), "a request is refused: {wants:?}");
    }
    site.arm(&case.points);
    act(site, case.scenario, &mut wants);
    site.until_all_died(&case.points);
    site.revive();
    match case.scenario {
        Scenario::Empty => {}
        Scenario::Down => wants.judge_down(site),
        _ => {
            wants.until_kept(site);
            act_again(site, case.scenario, &mut wants);
            if matches!(case.scenario, Scenario::PutOff | Scenario::Keyed) {
                wants.until_done_once(site);
            }
            wants.until_kept(site);
            wants.judge(site);
        }
    }
    site.leave();
}

/// What is there before anything is armed.
fn lead_up(site: &mut Site, scenario: Scenario, wants: &mut Wants) {
    match scenario {
        Scenario::First => return site.configure(1),
        Scenario::Cold => {
            forget_components(site);
            return site.configure(1);
        }
        Scenario::Empty => {
            site.configure(1);
            site.serve().ok();
            return site.revive();
        }
        Scenario::Litter => {
            let script = site.yard.script("litter.sh", "sleep 1000 &\nsleep 0.5\nexit 3");
            let restart = "restart = { policy = \"always\", max_attempts = 1000000, backoff = { initial = \"200ms\", max = \"200ms\" } }";
            site.more = format!("[services.litter]\nbackend = {{ type = \"process\", binary = {script:?} }}\n{restart}\n");
        }
        Scenario::Stubborn => {
            let script = site.yard.script("stubborn.sh", "trap '' TERM\nwhile :; do sleep 0.1; done");
            site.more = format!("[services.stubborn]\nbackend = {{ type = \"process\", binary = {script:?} }}\nstop = {{ grace = \"200ms\" }}\n");
        }
        _ => {}
    }
    site.configure(1);
    site.serve().ok();
    // It is never settled: one crashes all the time.
    site.run("apply --no-wait").ok();
    wants.until_kept(site);
    wants.told = events(site);
    match scenario {
        Scenario::Apply => {
            site.until("the service that is to go is shown", |site| {
                if site.yard.state().join("services/sometimes/state.json").exists() { Ok(()) } else { Err("it is not".to_owned()) }
            });
            // Nobody else is to come by first.
            site.run("stop crash").ok();
            wants.crashes = false;
        }
        Scenario::Start => {
            site.run("stop toggle").ok();
            wants.toggle = Some(false);
        }
        Scenario::Heard => {
            beat(site, SOON);
            until_told_of_silence(site, 0);
        }
        Scenario::Again | Scenario::Lost | Scenario::AgainByFile => site.kill("serve"),
        Scenario::Adopted => {
            site.kill("keeper");
            wants.keeper_deaths += 1;
            site.revive();
        }
        Scenario::KeeperKilled => wants.keeper_deaths += 1,
        Scenario::Compaction | Scenario::Torn => {
            site.until("a life of `crash` is forgotten", |site| {
                let journal = fs::read_to_string(site.yard.state().join("keeper/journal")).unwrap_or_default();
                if journal.contains("\"gone\"") { Ok(()) } else { Err("the journal does not say so".to_owned()) }
            });
            site.kill("serve");
            site.kill("keeper");
            wants.keeper_deaths += 1;
            spoil_journal(site, scenario == Scenario::Torn);
        }
        Scenario::FullDiary => {
            site.kill("serve");
            let line = [&b"x".repeat(1023)[..], b"\n"].concat();
            fs::write(site.yard.state().join("host.log"), line.repeat(10 * 1024)).expect("the disk has space");
        }
        Scenario::FullHealth => {
            site.until("the health of door is written", |site| {
                let log = site.yard.state().join("services/door/health.log");
                if log.exists() { Ok(()) } else { Err("it is not there".to_owned()) }
            });
            let log = site.yard.state().join("services/door/health.log");
            let mut log = fs::File::options().append(true).open(log).expect("it is there");
            log.write_all(&b"a line of before\n".repeat(65_536)).expect("the disk has space");
        }
        _ => {}
    }
    if scenario == Scenario::Lost {
        site.kill("keeper");
        wants.keeper_deaths += 1;
        end_again(site, wants);
    }
}

/// A life of `again` ends by itself, as far as host and keeper can know.
fn end_again(site: &Site, wants: &mut Wants) {
    let life = site.lives("again").pop().expect("it was started");
    signal(life.pid, Signal::KILL);
    wants.lost = true;
}

/// The deed. That nobody answers for it is fine: somebody dies.
fn act(site: &mut Site, scenario: Scenario, wants: &mut Wants) {
    match scenario {
        Scenario::First | Scenario::Cold => drop(site.serve()),
        Scenario::Again | Scenario::Lost | Scenario::Compaction | Scenario::Torn | Scenario::FullDiary => drop(site.serve()),
        Scenario::AgainByFile => {
            site.configure(2);
            drop(site.run("serve hostler.toml --detach"));
            // It dies once that was committed.
            wants.mark = Some(2);
        }
        Scenario::Adopted => end_again(site, wants),
        Scenario::Quiet | Scenario::Acknowledged | Scenario::Unwritten | Scenario::Found | Scenario::Litter | Scenario::Contained(_) => {}
        Scenario::Logs => drop(site.run("logs steady --tail 3")),
        Scenario::Leave => site.with("serve").into_iter().for_each(|pid| signal(pid, Signal::TERM)),
        Scenario::Down | Scenario::Empty => drop(site.run("down")),
        Scenario::Close => drop(request(&site.yard.socket(), "POST", "/api/v1/shutdown", b"{\"stop_services\": true}")),
        Scenario::KeeperKilled => site.with("keeper").into_iter().for_each(|pid| signal(pid, Signal::KILL)),
        Scenario::FullHealth => drop(site.run("restart door --no-wait")),
        Scenario::Stubborn => drop(site.run("stop stubborn --no-wait")),
        Scenario::Broken => {
            let script = site.yard.script("broken.sh", "");
            fs::write(&script, "#!/nowhere/to/be/found\n").expect("it was just written");
            site.more = format!("[services.broken]\nbackend = {{ type = \"process\", binary = {script:?} }}\n");
            apply(site, 3, wants);
        }
        Scenario::Pages => {
            site.more = "pages".to_owned();
            apply(site, 3, wants);
        }
        Scenario::HalfLine => {
            let script = site.yard.script("half.sh", "printf half\nexec sleep 1000");
            site.more = format!("[services.half]\nbackend = {{ type = \"process\", binary = {script:?} }}\n");
            apply(site, 3, wants);
        }
        Scenario::Alarmed => {
            let script = site.yard.script("page.sh", &format!("cat >> {0}\necho >> {0}", site.yard.file("told").display()));
            let sink = format!("[sinks.page]\ntype = \"command\"\ncommand = [{script:?}]\ngroup_wait = \"10ms\"\n");
            let rule = "[alerts.gone]\non = \"failed\"\n";
            let bad = "[services.bad]\nbackend = { type = \"process\", binary = \"false\" }\nrestart = { policy = \"never\" }\n";
            site.more = format!("{sink}{rule}{bad}");
            apply(site, 3, wants);
        }
        Scenario::Silent => beat(site, SOON),
        Scenario::Heard => beat(site, LATER),
        Scenario::Apply => apply(site, 2, wants),
        Scenario::Upgrade => drop(site.run(&upgrade())),
        Scenario::Stop | Scenario::Start | Scenario::Restart => ask(site, scenario, wants),
        Scenario::PutOff | Scenario::Keyed => {
            wants.begun_before = site.lives("again").len();
            drop(restart(site, scenario));
        }
    }
}

/// After somebody died: what was not acknowledged is asked for again, and now it must be.
fn act_again(site: &mut Site, scenario: Scenario, wants: &mut Wants) {
    match scenario {
        Scenario::First | Scenario::Cold => {
            site.run("apply --no-wait").ok();
            wants.mark = Some(site.mark);
            wants.toggle = Some(true);
        }
        Scenario::Apply | Scenario::Broken | Scenario::Pages | Scenario::HalfLine if wants.mark.is_none() => {
            apply(site, site.mark, wants);
            assert!(wants.mark.is_some(), "`apply` is refused by a host that was brought back");
        }
        Scenario::Alarmed => {
            if wants.mark.is_none() {
                apply(site, site.mark, wants);
            }
            assert!(wants.mark.is_some(), "`apply` is refused by a host that was brought back");
            until_told_of_one(site);
        }
        Scenario::Silent => until_told_of_silence(site, 0),
        // Whoever is alive says so again.
        Scenario::Heard => {
            beat(site, LATER);
            until_told_of_silence(site, 1);
        }
        Scenario::Upgrade => {
            // In force already, or not at all: one of both.
            site.run(&upgrade()).ok();
            assert_eq!(site.yard.plugin("process")["plugin_version"], "0.2.0");
        }
        Scenario::Keyed => {
            let answer = restart(site, scenario);
            assert!(answer.as_ref().is_some_and(|answer| answer["generation"].is_u64()), "it is done, once: {answer:?}");
            wants.asked = 1;
        }
        // Whether it was queued is in its list.
        Scenario::PutOff => {
            let list = site.yard.get("/operations").expect("the host is back");
            wants.asked = list["operations"].as_array().map_or(0, Vec::len);
        }
        Scenario::Stop | Scenario::Start if wants.toggle.is_none() => {
            ask(site, scenario, wants);
            assert!(wants.toggle.is_some(), "a request is refused by a host that was brought back");
        }
        _ => {}
    }
}

/// Somebody is told of one alert, and of no other; again only by whoever could not know that he was told.
fn until_told_of_one(site: &Site) {
    site.until("the alert is told, and nothing waits", |site| {
        let ids: BTreeSet<u64> = site.yard.read("told").lines().filter_map(|line| parse::<Value>(line).ok()?["alerts"][0]["id"].as_u64()).collect();
        let list = site.yard.get("/alerts").ok_or("the host does not answer")?;
        let waits = list["sinks"].as_array().into_iter().flatten().any(|sink| sink["waiting"] != 0);
        let fired = events(site).iter().filter(|event| event["kind"] == "alert-fired").count();
        if ids.len() == 1 && !waits && fired == 1 { Ok(()) } else { Err(format!("{ids:?}, {fired} events: {list}")) }
    });
}

/// When the next heartbeat is expected, in milliseconds: before long, or after everything.
const SOON: u64 = 100;
const LATER: u64 = 86_400_000;

/// `steady` says that it is alive. Nobody may answer: somebody dies.
fn beat(site: &Site, ttl_ms: u64) {
    let body = json!({ "ttl_ms": ttl_ms }).to_string();
    drop(request(&site.yard.socket(), "POST", "/api/v1/services/steady/heartbeat", body.as_bytes()));
}

/// That its heartbeats stay away is told once, and that they are back as often as this; what is told is what is known.
fn until_told_of_silence(site: &Site, back: usize) {
    site.until("what became of heartbeats is told", |site| {
        let all = events(site);
        let told = |kind: &str| all.iter().filter(|event| event["service"] == "steady" && event["kind"] == kind).count();
        let (missed, returned) = (told("heartbeat-missed"), told("heartbeat-back"));
        assert!(missed <= 1 && returned <= back, "told again: {missed} and {returned}");
        let registry = site.yard.get("/registry").ok_or("the host does not answer")?;
        let steady = registry["services"].as_array().into_iter().flatten().find(|entry| entry["name"] == "steady").cloned().unwrap_or_default();
        let known = &steady["heartbeat"];
        let is_right = known["pulse"] == if back == 0 { "missed" } else { "alive" } && known["missed"] == 1;
        if missed == 1 && returned == back && is_right { Ok(()) } else { Err(format!("{missed} and {returned}: {known}")) }
    });
}

/// Restarts `again`, later or once.
fn restart(site: &Site, scenario: Scenario) -> Option<Value> {
    let how = if scenario == Scenario::Keyed { ("idempotency-key", "once") } else { ("prefer", "respond-async") };
    let body = json!({ "services": ["again"] }).to_string();
    request_with(&site.yard.socket(), "POST", "/api/v1/services/restart", &[how], body.as_bytes()).map(|answer| answer.json())
}

/// `process` as its next version.
fn upgrade() -> String {
    format!("plugin upgrade process {} --no-wait", fixture("process-next").display())
}

fn apply(site: &mut Site, mark: u64, wants: &mut Wants) {
    site.configure(mark);
    wants.mark = (site.run("apply --no-wait").code == 0).then_some(mark);
}

fn ask(site: &Site, scenario: Scenario, wants: &mut Wants) {
    if scenario == Scenario::Restart {
        let before = site.lives("again").pop().map_or(0, |life| life.run);
        if site.run("restart again --no-wait").code == 0 {
            wants.again_after = before;
        }
        return;
    }
    let start = scenario == Scenario::Start;
    let ran = site.run(if start { "start toggle --no-wait" } else { "stop toggle --no-wait" });
    wants.toggle = (ran.code == 0).then_some(start);
}

/// Takes all compiled components out of the cache.
fn forget_components(site: &Site) {
    let cache = site.yard.state().join("cache");
    let files = fs::read_dir(&cache).expect("a yard has a cache").flatten();
    files.for_each(|file| fs::remove_file(file.path()).expect("it is ours"));
}

/// Lets the keeper's journal grow by records that change nothing, or tears its end.
fn spoil_journal(site: &Site, torn: bool) {
    let path = site.yard.state().join("keeper/journal");
    let text = fs::read_to_string(&path).expect("the keeper has written it");
    let record = text.lines().find(|line| line.contains("\"gone\"")).expect("that was waited for");
    let mut journal = fs::File::options().append(true).open(&path).expect("it is there");
    let more = if torn { record[..record.len() / 2].to_owned() } else { format!("{record}\n").repeat(300 * 1024 / record.len()) };
    journal.write_all(more.as_bytes()).expect("the disk has space");
}
