//! Services that are containers of a real engine, whose host dies on the way; what holds in the end, by the engine's own account.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use hostler_e2e::{Value, parse};
use hostler_engines::Docked;
use hostler_torture::witness::Heard;

use crate::cases::Deed;
use crate::judge::events;
use crate::site::Site;

/// An engine, and what it tells of the containers of one site.
#[derive(Debug)]
pub(crate) struct Engine {
    docked: Docked,
    /// Writes every event into [`TOLD`].
    ear: Child,
    /// Networks of the case's own.
    networks: Vec<String>,
}

/// Where the engine's events are.
const TOLD: &str = "engine.events";
/// It ends at once when it is asked to.
const POLITE: &str = r#"command = ["sh", "-c", "trap 'exit 0' TERM; sleep 100000 & wait"]"#;
/// As the first process of its container it does not hear SIGTERM.
const DEAF: &str = r#"command = ["sleep", "100000"]"#;

/// A container, as the engine lists it.
#[derive(Debug)]
struct Listed {
    state: String,
    service: String,
    replica: u64,
    run: u64,
}

/// What is to be there: how many replicas of each service, none of one that is stopped.
type Wanted = BTreeMap<&'static str, u64>;

/// Plays one case to its end.
///
/// # Panics
/// When anything is not as promised, or there is no engine.
pub(crate) fn play(site: &mut Site, points: &[&'static str], deed: Deed) {
    site.engine = Some(Engine::new(site));
    let mut wanted = Wanted::from([("steady", 1), ("many", 2)]);
    match deed {
        Deed::Apply => wanted.extend([("changed", 1), ("sometimes", 1)]),
        Deed::Start => wanted.extend([("toggle", 0)]),
        Deed::Stop => wanted.extend([("toggle", 1)]),
        Deed::Restart => wanted.extend([("again", 1)]),
        Deed::Stubborn => wanted.extend([("stubborn", 1)]),
        Deed::First | Deed::Wired | Deed::ScaleUp | Deed::ScaleDown | Deed::Down => {}
    }
    configure(site, &wanted, 1);
    site.serve().ok();
    if deed == Deed::First {
        site.arm(points);
        drop(site.run("apply --no-wait"));
    } else {
        site.run("apply").ok();
        if deed == Deed::Start {
            site.run("stop toggle").ok();
        }
        until_kept(site, &wanted);
        site.arm(points);
    }
    let before = runs(site, "again");
    change(site, &mut wanted, deed);
    let acknowledged = ask(site, deed);
    site.until_all_died(points);
    site.revive();
    if acknowledged {
        until_kept(site, &wanted);
    }
    if deed != Deed::Restart || !acknowledged {
        // What nobody answered for is asked for again; of the rest a second time changes nothing.
        assert!(ask(site, deed), "a request is refused by a host that was brought back");
    }
    if deed == Deed::Down {
        return judge_nothing(site);
    }
    until_kept(site, &wanted);
    until_tidy(site, &wanted);
    if deed == Deed::Restart {
        assert!(runs(site, "again").last() > before.last(), "a restart was acknowledged");
    }
    judge_events(site);
    judge_nothing(site);
}

/// Writes the file that has these services.
fn configure(site: &Site, wanted: &Wanted, mark: u64) {
    let docked = &site.engine().docked;
    let mut text = docked.plugin("");
    for name in wanted.keys() {
        let (backend, more) = match *name {
            "many" => (POLITE.to_owned(), "replicas = { min = 1, max = 4, count = 2 }"),
            "changed" => (format!("{POLITE}, env = {{ MARK = \"{mark}\" }}"), ""),
            "stubborn" => (DEAF.to_owned(), ""),
            "wired" => (format!("{POLITE}, networks = {:?}", site.engine().networks), ""),
            _ => (POLITE.to_owned(), ""),
        };
        text += &docked.service(name, &backend, more);
    }
    site.yard.config(&text);
}

/// What is wanted from now on.
fn change(site: &mut Site, wanted: &mut Wanted, deed: Deed) {
    match deed {
        Deed::Wired => {
            let network = format!("hostler-sweep-{}", site.yard.path().file_name().expect("a yard has a name").to_string_lossy());
            let networks = [format!("{network}-a"), format!("{network}-b")];
            site.engine.as_mut().expect("it was just made").networks.extend(networks);
            wanted.insert("wired", 1);
        }
        Deed::Apply => drop(wanted.remove("sometimes")),
        Deed::ScaleUp => drop(wanted.insert("many", 3)),
        Deed::ScaleDown => drop(wanted.insert("many", 1)),
        Deed::Stop => drop(wanted.insert("toggle", 0)),
        Deed::Start => drop(wanted.insert("toggle", 1)),
        Deed::Stubborn => drop(wanted.insert("stubborn", 0)),
        Deed::Down => wanted.clear(),
        Deed::First | Deed::Restart => {}
    }
    match deed {
        Deed::Wired | Deed::Apply => configure(site, wanted, 2),
        _ => {}
    }
}

/// The deed. Was it accepted?
fn ask(site: &Site, deed: Deed) -> bool {
    let line = match deed {
        Deed::First | Deed::Wired | Deed::Apply => "apply --no-wait",
        Deed::ScaleUp => "scale many 3 --no-wait",
        Deed::ScaleDown => "scale many 1 --no-wait",
        Deed::Stop => "stop toggle --no-wait",
        Deed::Start => "start toggle --no-wait",
        Deed::Restart => "restart again --no-wait",
        Deed::Stubborn => "stop stubborn --no-wait",
        Deed::Down => "down",
    };
    site.run(line).code == 0
}

/// Waits until the host says so, and the engine has exactly that: one container for each replica.
#[track_caller]
fn until_kept(site: &Site, wanted: &Wanted) {
    site.until("what was acknowledged holds", |site| {
        let told = site.services()?;
        for (name, count) in wanted {
            let service = told.iter().find(|service| service["name"] == *name).ok_or_else(|| format!("there is no {name}"))?;
            let status = if *count == 0 { "stopped" } else { "running" };
            if service["status"] != status {
                return Err(format!("{name} is to be {status}: {service}"));
            }
        }
        if told.len() != wanted.len() {
            return Err(format!("the host has more than {wanted:?}: {told:?}"));
        }
        let containers = site.engine().containers();
        let told: BTreeSet<_> = wanted.keys().flat_map(|name| replicas(site, name)).collect();
        let there = containers.iter().filter(|one| one.state == "running").map(|one| (one.service.clone(), one.replica, one.run));
        let there: Vec<_> = there.collect();
        if there.len() != told.len() || !there.iter().all(|one| told.contains(one)) || told.len() as u64 != wanted.values().sum::<u64>() {
            return Err(format!("the host tells {told:?}; the engine has {containers:?}; wanted is {wanted:?}"));
        }
        Ok(())
    });
}

/// Service, replica and run of those that the host says live.
fn replicas(site: &Site, name: &str) -> Vec<(String, u64, u64)> {
    let detail = site.yard.detail(name);
    let replicas = detail["replicas"].as_array().cloned().unwrap_or_default();
    let living = replicas.iter().filter(|replica| replica["status"] == "running");
    living.filter_map(|replica| Some((name.to_owned(), replica["replica"].as_u64()?, replica["run"].as_u64()?))).collect()
}

/// The last life that has ended, or whose start was cut short, is kept of each slot that is wanted; nothing else is there.
#[track_caller]
fn until_tidy(site: &Site, wanted: &Wanted) {
    site.until("the engine has no container of nobody", |site| {
        let containers = site.engine().containers();
        let mut kept = BTreeSet::new();
        let stray = containers.iter().filter(|one| one.state != "running").find(|one| {
            let slot_is_wanted = wanted.contains_key(one.service.as_str());
            !["exited", "created"].contains(&one.state.as_str()) || !slot_is_wanted || !kept.insert((one.service.clone(), one.replica))
        });
        stray.map_or(Ok(()), |stray| Err(format!("{stray:?} of {containers:?}")))
    });
}

/// Events have numbers without gaps, and nothing is told twice; nobody was restarted but whose start was cut short.
fn judge_events(site: &Site) {
    let (mut heard, mut last) = (Heard::default(), 0);
    events(site).iter().for_each(|event| heard.event(event, &mut last, true));
    assert_eq!(heard.broken, Vec::<String>::new(), "the events");
    let told = told(site);
    for name in ["steady", "many"] {
        let of = |event: &&Value| event["Actor"]["Attributes"]["hostler.service"] == name;
        let count = |action: &str| told.iter().filter(of).filter(|event| event["Action"] == action).count() as u64;
        let (restarts, cut) = (site.yard.service(name)["restart_count"].as_u64(), count("create").saturating_sub(count("start")));
        assert!(restarts.is_some_and(|restarts| restarts <= cut), "{name} was restarted {restarts:?} times; {cut} of its starts were cut short");
    }
}

/// After `down` the engine has nothing, and what it told all the time is that no replica ever had two.
fn judge_nothing(site: &Site) {
    site.leave();
    site.until("the engine has nothing", |site| {
        let left = site.engine().containers();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    });
    site.until("the engine has told all of it", |site| {
        let told = told(site);
        let count = |action: &str| told.iter().filter(|event| event["Action"] == action).count();
        if count("create") > 0 && count("create") == count("destroy") { Ok(()) } else { Err(format!("{told:?}")) }
    });
    let mut living: BTreeMap<(String, String), String> = BTreeMap::new();
    let (mut made, mut steady) = (BTreeSet::new(), 0);
    for event in told(site) {
        let label = |name: &str| event["Actor"]["Attributes"][name].as_str().unwrap_or_default().to_owned();
        let (slot, run) = ((label("hostler.service"), label("hostler.replica")), label("hostler.run"));
        match event["Action"].as_str().unwrap_or_default() {
            "create" => assert!(made.insert((slot.clone(), run.clone())), "two containers were made for run {run} of {slot:?}"),
            "start" => {
                steady += usize::from(slot.0 == "steady");
                let other = living.insert(slot.clone(), run.clone());
                assert_eq!(other, None, "run {run} of {slot:?} was started beside another");
            }
            "die" => drop(living.remove(&slot)),
            _ => {}
        }
    }
    assert_eq!(steady, 1, "nobody touched `steady`; that is how often it was started");
}

/// What the engine told of this site's containers.
fn told(site: &Site) -> Vec<Value> {
    site.yard.read(TOLD).lines().filter_map(|line| parse(line).ok()).collect()
}

/// Runs of a service that the engine has.
fn runs(site: &Site, service: &str) -> Vec<u64> {
    let mut runs: Vec<u64> = site.engine().containers().into_iter().filter(|one| one.service == service).map(|one| one.run).collect();
    runs.sort_unstable();
    runs
}

impl Site {
    fn engine(&self) -> &Engine {
        self.engine.as_ref().expect("the case has one")
    }
}

impl Engine {
    fn new(site: &Site) -> Engine {
        let docked = Docked::new().expect("it was looked for before");
        let to = File::create(site.yard.file(TOLD)).expect("the yard is ours");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let mut ear = Command::new("docker");
        ear.args(["events", "--filter", "type=container", "--filter", &docked.filter(), "--format", "{{json .}}", "--since", &now.to_string()]);
        let ear = ear.stdin(Stdio::null()).stdout(to).spawn().expect("docker can be started");
        Engine { docked, ear, networks: Vec::new() }
    }

    fn containers(&self) -> Vec<Listed> {
        let labels = ["service", "replica", "run"].map(|name| format!("{{{{.Label \"hostler.{name}\"}}}}")).join(" ");
        let said = self.docked.docker(&["ps", "--all", "--filter", &self.docked.filter(), "--format", &format!("{{{{.State}}}} {labels}")]).ok();
        let listed = said.lines().map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let number = |at: usize| words.get(at).and_then(|word| word.parse().ok());
            let whole = words.first().zip(words.get(1)).zip(number(2)).zip(number(3));
            let (((state, service), replica), run) = whole.unwrap_or_else(|| panic!("a container that says not whose it is: {line}"));
            Listed { state: (*state).to_owned(), service: (*service).to_owned(), replica, run }
        });
        listed.collect()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // It ends with its case.
        let _ = self.ear.kill();
        let _ = self.ear.wait();
        if !self.networks.is_empty() {
            // What is still in them goes first; of a case that went well nothing is.
            let left = self.docked.containers();
            let _ = Command::new("docker").args(["rm", "--force", "--volumes"]).args(left).output();
            let _ = Command::new("docker").args(["network", "rm"]).args(&self.networks).output();
        }
    }
}
