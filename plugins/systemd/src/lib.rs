//! Backend `systemd`: units, transient ones and installed ones, of the system and of users.
//!
//! It speaks with systemd's own tools, argument by argument. A task is a unit whose name carries owner and id, and whose description carries the
//! rest ([`facts`]), so that every call finds it again and [`list`](Backend::list) rebuilds everything after every other memory is lost. systemd
//! holds the processes, their log and even the grace of a stop; nothing of a task hangs on this plugin or the host.

mod engine;
mod facts;
mod installed;
mod journal;
mod properties;
mod settings;
mod status;
mod stop;
mod time;
mod transient;
mod unit;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use engine::{Scope, Trouble, uid_of};
use facts::{Facts, Held, title};
use hostler_sdk::backend::{Chunk, Outcome, Usage};
use hostler_sdk::host::context;
use hostler_sdk::{Backend, Description, Engine, Fault, Found, Logs, Page, Problem, Signals, Stats, Status, Task, Update};
use settings::{Settings, Where};
use stop::Look;
use unit::{Unit, show, show_one};

/// The plugin.
struct Systemd;

impl Backend for Systemd {
    type Settings = Settings;
    type Handle = Held;

    fn describe() -> Description {
        Description::new("systemd", env!("CARGO_PKG_VERSION"), "Units of systemd, made for a task or installed on the machine.")
            .settings(include_str!("../task.json"))
            .needs("commands", "speaks with systemd through systemctl, systemd-run and journalctl, and asks id(1) for users' numbers")
    }

    fn validate(settings: Settings) -> Result<(), Vec<Problem>> {
        settings.check()
    }

    fn fingerprint() -> Result<Engine, Fault> {
        let said = match Scope::System.systemctl(&["show", "--property=Version", "--property=SystemState"]) {
            Ok(said) => said,
            Err(Trouble::Denied(grant)) => return Err(Fault::Denied(grant)),
            Err(Trouble::Away(why) | Trouble::Lost(why) | Trouble::Refused(why)) => return Ok(Engine::away(why)),
        };
        let facts: BTreeMap<&str, &str> = said.lines().filter_map(|line| line.split_once('=')).collect();
        let fact = |name: &str| facts.get(name).copied().unwrap_or_default().to_owned();
        let state = fact("SystemState");
        let mut engine = Engine::ready(format!("systemd {} is {state}", fact("Version")));
        engine.ready = state != "stopping";
        engine.attributes = vec![("version".into(), fact("Version")), ("state".into(), state)];
        Ok(engine)
    }

    fn start(task: Task<Settings>) -> Result<Held, Fault> {
        task.settings.check()?;
        if task.resources.storage_bytes.is_some() {
            return Err(Fault::Unsupported("systemd holds no task to an amount of storage".into()));
        }
        let scope = scope_of(&task.settings)?;
        let owner = context::owner();
        let Some(name) = task.settings.unit.clone() else { return transient::start(scope, transient::plan(&owner, scope, task)) };
        if task.resources.cpu_millis.is_some() || task.resources.memory_bytes.is_some() {
            return Err(Fault::invalid("/unit", "an installed unit has the limits of its own file, and takes no others"));
        }
        installed::start(&owner, scope, &task, &name)
    }

    fn inspect(handles: &[Held]) -> Result<Vec<Status>, Fault> {
        let sights = Sight::of_all(handles)?;
        Ok(handles.iter().map(|held| sights[&held.scope].status(held)).collect())
    }

    fn stop(handle: Held, signal: Option<&str>, grace: Duration) -> Result<Status, Fault> {
        stop::stop(&handle, signal, grace)
    }

    fn destroy(handle: Held, force: bool) -> Result<(), Fault> {
        let look = Look::at(&handle)?;
        if look.is_up(&handle) {
            if !force {
                return Err(Fault::Conflict(format!("{} runs", handle.runs_as())));
            }
            stop::stop(&handle, Some("SIGKILL"), Duration::ZERO)?;
        }
        stop::disarm(&handle, &look)?;
        match handle.installed {
            Some(_) => installed::release(&handle)?,
            None => transient::clear(&handle)?,
        }
        Ok(())
    }

    fn list(cursor: Option<&str>) -> Result<Page<Held>, Fault> {
        Ok(Page::of(everything()?, cursor))
    }
}

impl Logs for Systemd {
    fn read(handle: Held, cursor: Option<&str>, tail: Option<u32>, max_bytes: u32) -> Result<Chunk, Fault> {
        journal::read(&context::owner(), &handle, cursor, tail, max_bytes)
    }
}

impl Stats for Systemd {
    fn measure(handles: &[Held]) -> Result<Vec<Option<Usage>>, Fault> {
        let sights = Sight::of_all(handles)?;
        let now = time::now();
        Ok(handles.iter().map(|held| sights[&held.scope].running(held).and_then(|unit| status::usage(unit, now))).collect())
    }
}

impl Signals for Systemd {
    const SUPPORTED: &'static [&'static str] =
        &["SIGHUP", "SIGINT", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGTERM", "SIGKILL", "SIGSTOP", "SIGCONT", "SIGALRM", "SIGWINCH"];

    /// To the first process alone, as a reload wants it.
    fn send(handle: Held, signal: &str) -> Result<(), Fault> {
        if !Look::at(&handle)?.is_up(&handle) {
            return Err(Fault::Gone);
        }
        // Versions before 252 know no `--kill-whom`, later ones still know this.
        stop::to_a_living(&handle, &["kill", "--kill-who=main", &format!("--signal={signal}"), "--", handle.runs_as()])
    }
}

impl Update for Systemd {
    /// Limits change while it runs; anything else takes another unit.
    fn update(handle: Held, task: Task<Settings>) -> Result<Outcome, Fault> {
        task.settings.check()?;
        let own = show_one(handle.scope, &handle.unit)?;
        let Some(before) = Facts::read(own.description()) else { return Err(Fault::Gone) };
        if handle.installed.is_some() || scope_of(&task.settings)? != handle.scope {
            return Ok(Outcome::NeedsRecreate);
        }
        let resources = task.resources;
        let heading = title(&task);
        let plan = transient::plan(&before.owner, handle.scope, task);
        if plan.facts.same != before.same {
            return Ok(Outcome::NeedsRestart);
        }
        let cpu = resources.cpu_millis.map_or("CPUQuota=".to_owned(), |millis| format!("CPUQuota={}.{}%", millis / 10, millis % 10));
        let memory = resources.memory_bytes.map_or("MemoryMax=infinity".to_owned(), |bytes| format!("MemoryMax={bytes}"));
        let description = format!("Description={}", Facts { digest: plan.facts.digest, ..before }.written(&heading));
        handle.scope.systemctl(&["set-property", "--runtime", "--", &handle.unit, &cpu, &memory, &description])?;
        Ok(Outcome::Applied)
    }
}

fn scope_of(settings: &Settings) -> Result<Scope, Fault> {
    Ok(match settings.scope {
        Where::System => Scope::System,
        Where::User => Scope::User(uid_of(settings.user.as_ref().map(|user| user.0.as_str()))?),
    })
}

/// What one systemd says of many units at once.
enum Sight {
    Clear(BTreeMap<String, Unit>),
    /// The user's systemd is not running, and with it nothing that ran in it.
    Over,
    Dark(String),
}

impl Sight {
    /// One look for each systemd that these tasks are in.
    fn of_all(handles: &[Held]) -> Result<BTreeMap<Scope, Sight>, Fault> {
        let scopes: BTreeSet<Scope> = handles.iter().map(|held| held.scope).collect();
        scopes.into_iter().map(|scope| Ok((scope, Sight::of(scope, handles)?))).collect()
    }

    fn of(scope: Scope, handles: &[Held]) -> Result<Sight, Fault> {
        let here = handles.iter().filter(|held| held.scope == scope);
        let mut names: Vec<&str> = here.flat_map(|held| [Some(held.unit.as_str()), held.installed.as_deref()]).flatten().collect();
        names.sort_unstable();
        names.dedup();
        match show(scope, &names) {
            Ok(units) => Ok(Sight::Clear(by_name(units, &names))),
            Err(Trouble::Denied(grant)) => Err(Fault::Denied(grant)),
            Err(Trouble::Away(why) | Trouble::Lost(why) | Trouble::Refused(why)) => Ok(if is_over(scope) { Sight::Over } else { Sight::Dark(why) }),
        }
    }

    fn units(&self, held: &Held) -> Option<(&Unit, &Unit)> {
        let Sight::Clear(units) = self else { return None };
        Some((units.get(&held.unit)?, units.get(held.runs_as())?))
    }

    fn status(&self, held: &Held) -> Status {
        match self {
            Sight::Clear(_) => self.units(held).map_or_else(Status::gone, |(own, runs)| status::of(held, own, runs)),
            Sight::Over => Status::gone(),
            Sight::Dark(why) => Status::unknown(why.clone()),
        }
    }

    /// The unit that is to be measured; none when it is another's by now.
    fn running(&self, held: &Held) -> Option<&Unit> {
        let (own, runs) = self.units(held)?;
        (own.is_there() && (held.installed.is_none() || installed::is_ours(own, runs))).then_some(runs)
    }
}

/// A unit may be asked for by another of its names.
fn by_name(units: Vec<Unit>, names: &[&str]) -> BTreeMap<String, Unit> {
    let mut found: BTreeMap<String, Unit> = BTreeMap::new();
    for unit in units {
        let asked = names.iter().filter(|name| **name != unit.id() && unit.is_called(name)).map(|name| (*name).to_owned());
        for name in asked.collect::<Vec<_>>() {
            found.insert(name, unit.clone());
        }
        found.insert(unit.id().to_owned(), unit);
    }
    found
}

fn is_over(scope: Scope) -> bool {
    let Scope::User(uid) = scope else { return false };
    show_one(Scope::System, &format!("user@{uid}.service")).is_ok_and(|manager| matches!(manager.active_state(), "inactive" | "failed"))
}

/// Every task of this host, in the machine's systemd and in those of users.
fn everything() -> Result<Vec<Found<Held>>, Fault> {
    let managers = show(Scope::System, &["user@*.service"])?;
    let uids = managers
        .iter()
        .filter(|unit| matches!(unit.active_state(), "active" | "reloading"))
        .filter_map(|unit| unit.id().strip_prefix("user@")?.strip_suffix(".service")?.parse().ok());
    let mut all = found_in(Scope::System)?;
    for scope in uids.map(Scope::User) {
        match found_in(scope) {
            Ok(found) => all.extend(found),
            // A host that is not the superuser has tasks in its own systemd alone.
            Err(Trouble::Denied(_)) => {}
            Err(trouble) => return Err(trouble.into()),
        }
    }
    Ok(all)
}

fn found_in(scope: Scope) -> Result<Vec<Found<Held>>, Trouble> {
    let owner = context::owner();
    let pattern = format!("hostler-{owner}-*.service");
    let mine: Vec<(Facts, Unit)> = show(scope, &[&pattern])?
        .into_iter()
        .filter_map(|unit| {
            Some((Facts::read(unit.description()).filter(|facts| facts.owner == owner && facts::unit_name(&owner, &facts.id) == unit.id())?, unit))
        })
        .collect();
    let names: Vec<&str> = mine.iter().filter_map(|(facts, _)| facts.installed.as_deref()).collect();
    let claimed = if names.is_empty() { BTreeMap::new() } else { by_name(show(scope, &names)?, &names) };
    let found = mine.iter().map(|(facts, own)| {
        let held = facts.handle(scope);
        let runs = held.installed.as_ref().map_or(Some(own), |name| claimed.get(name));
        let status = runs.map_or_else(Status::gone, |runs| status::of(&held, own, runs));
        Found { id: facts.id.clone(), handle: held, status, spec_digest: Some(facts.digest.clone()) }
    });
    Ok(found.collect())
}

hostler_sdk::plugin!(backend: Systemd, abilities: [Logs, Stats, Signals, Update]);
