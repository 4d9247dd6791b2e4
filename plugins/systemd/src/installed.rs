//! Units that are installed on the machine: taken over, started and stopped, and left as they were.
//!
//! An installed unit can carry no mark of ours. A claim does: a small unit beside it that runs nothing, says whose task the unit is, and which
//! life of it. The newest life belongs to who claimed it; a unit that systemd or a person started anew since then is another life, which the next
//! run takes over.

use std::cmp::Reverse;
use std::time::Duration;

use hostler_sdk::{Fault, Task};

use crate::engine::{Scope, Trouble, pause, underway};
use crate::facts::{self, Facts, Held};
use crate::settings::Settings;
use crate::time;
use crate::unit::{Unit, show, show_one};

/// Claims the unit, and starts it when it does not run.
pub(crate) fn start(owner: &str, scope: Scope, task: &Task<Settings>, name: &str) -> Result<Held, Fault> {
    let facts = Facts::of(owner, task, facts::digest(&name), Some(name.to_owned()));
    let held = facts.handle(scope);
    let known = show(scope, &[name, "hostler-*.service"])?;
    let unit = called(&known, name);
    if !unit.is_there() || matches!(unit.load_state(), "masked" | "error" | "bad-setting") {
        let why = if unit.is_there() { unit.load_state() } else { "not installed" };
        return Err(Fault::invalid("/unit", format!("`{name}` is {why}")));
    }
    match known.iter().find(|unit| unit.id() == held.unit) {
        Some(claim) => {
            let found = Facts::read(claim.description()).filter(|found| found.digest == facts.digest);
            let Some(found) = found else { return Err(Fault::Conflict(format!("{} is there already, from another spec", held.unit))) };
            if found.life.is_some() {
                return Ok(held);
            }
        }
        None => {
            if let Some((other, _)) = rival(&known, name, &facts, time::now()).filter(|(_, other)| other.life.is_some()) {
                return Err(taken(name, other));
            }
            claim(&held, &facts, task)?;
        }
    }
    stay_alone(&held, &facts, name).map_err(underway)?;
    let alive = disarm_earlier(scope, &known, name).and_then(|()| bring_up(&held, name)).and_then(|()| live(&held, facts, task, name));
    alive.map(|()| held).map_err(underway)
}

fn called(known: &[Unit], name: &str) -> Unit {
    known.iter().find(|unit| unit.is_called(name)).cloned().unwrap_or_default()
}

/// Of two that claim a unit at once, the one whose name comes first goes on, once the other has withdrawn; whoever lives as it has it.
fn stay_alone(held: &Held, facts: &Facts, name: &str) -> Result<(), Fault> {
    let mut looks = 0;
    loop {
        let known = show(held.scope, &[name, "hostler-*.service"])?;
        let Some((unit, other)) = rival(&known, name, facts, time::now()) else { return Ok(()) };
        if other.life.is_some() || unit < held.unit.as_str() || looks == LOOKS {
            release(held)?;
            return Err(taken(name, unit));
        }
        looks += 1;
        pause(PAUSE);
    }
}

/// How often, and how far apart, it is looked whether another claim is withdrawn: its owner needs two looks for that.
const LOOKS: u32 = 50;
const PAUSE: Duration = Duration::from_millis(100);

/// How long a claim counts that came to nothing. Its owner starts the unit at once; then it counts for as long as the unit is up.
const FRESH_MS: u64 = 15_000;

fn taken(name: &str, holder: &str) -> Fault {
    Fault::Conflict(format!("`{name}` is the task {holder} already; `systemctl stop {holder}` releases it"))
}

/// The claim on this life of a unit, whoever has it, or else that of another replica on the life that it is about to begin.
fn rival<'a>(known: &'a [Unit], name: &str, own: &Facts, now: u64) -> Option<(&'a str, Facts)> {
    let unit = called(known, name);
    let life = unit.invocation().filter(|_| unit.is_up());
    let claims = known.iter().filter_map(|other| {
        let facts = Facts::read(other.description()).filter(|facts| facts.installed.as_deref() == Some(name) && facts.id != own.id)?;
        let counts = match &facts.life {
            Some(claimed) => life == Some(claimed.as_str()),
            None => facts.log != own.log && (unit.is_up() || other.changed_at().is_none_or(|at| now < at + FRESH_MS)),
        };
        counts.then(|| (other.id(), facts))
    });
    claims.max_by_key(|(unit, facts)| (facts.life.is_some(), Reverse(*unit)))
}

/// The grace of an earlier life, which nobody was left to see over, is not this one's.
fn disarm_earlier(scope: Scope, known: &[Unit], name: &str) -> Result<(), Fault> {
    let earlier = known.iter().filter_map(|unit| Facts::read(unit.description())).filter(|facts| facts.installed.as_deref() == Some(name));
    for facts in earlier {
        let killer = format!("{}.timer", facts.handle(scope).killer());
        match scope.systemctl(&["stop", "--", &killer]) {
            // there is none
            Ok(_) | Err(Trouble::Refused(_)) => {}
            Err(trouble) => return Err(trouble.into()),
        }
    }
    Ok(())
}

fn claim(held: &Held, facts: &Facts, task: &Task<Settings>) -> Result<(), Trouble> {
    let description = facts.written(&facts::title(task));
    let options = vec![
        format!("--unit={}", held.unit),
        format!("--description={description}"),
        "--service-type=oneshot".to_owned(),
        "--property=RemainAfterExit=yes".to_owned(),
    ];
    held.scope.systemd_run(options, vec!["/bin/true".into()], Vec::new())
}

/// Starts it; a unit that runs goes on running. One that does not start is given up.
fn bring_up(held: &Held, name: &str) -> Result<(), Fault> {
    let fault = match held.scope.systemctl(&["start", "--", name]) {
        Ok(_) => return Ok(()),
        Err(Trouble::Refused(why)) => Fault::Other(format!("`{name}` could not be started: {why}")),
        Err(trouble) => return Err(trouble.into()),
    };
    release(held)?;
    Err(fault)
}

/// Writes onto the claim which life is ours.
fn live(held: &Held, facts: Facts, task: &Task<Settings>, name: &str) -> Result<(), Fault> {
    let life = show_one(held.scope, name)?.invocation().unwrap_or(ENDED).to_owned();
    let description = format!("Description={}", Facts { life: Some(life), ..facts }.written(&facts::title(task)));
    held.scope.systemctl(&["set-property", "--runtime", "--", &held.unit, &description])?;
    Ok(())
}

/// Gives up the claim; the unit itself is left as it is.
pub(crate) fn release(held: &Held) -> Result<(), Trouble> {
    if !show_one(held.scope, &held.unit)?.is_there() {
        return Ok(());
    }
    match held.scope.systemctl(&["stop", "--", &held.unit]) {
        Ok(_) | Err(Trouble::Refused(_)) => Ok(()),
        Err(trouble) => Err(trouble),
    }
}

/// Is this life of the unit the claimed one? One that was claimed and not yet seen alive is.
pub(crate) fn is_ours(claim: &Unit, unit: &Unit) -> bool {
    let life = Facts::read(claim.description()).and_then(|facts| facts.life);
    match (life, unit.invocation()) {
        // Forgotten: it is down, and its last life may well have been ours.
        (_, None) | (None, Some(_)) => true,
        (Some(life), Some(now)) => life == now,
    }
}

/// The life of a unit that had ended, and was forgotten, before anybody could look.
const ENDED: &str = "ended";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit::planted;

    fn facts_of(life: Option<&str>) -> Facts {
        Facts {
            owner: "h".into(),
            id: "h-web-0-1".into(),
            digest: "d".into(),
            same: "s".into(),
            log: "l".into(),
            installed: Some("nginx.service".into()),
            life: life.map(str::to_owned),
        }
    }

    fn claim_of(life: Option<&str>) -> Unit {
        planted(&[("Id", "hostler-h-h-web-0-1.service"), ("Description", &facts_of(life).written("web")), ("LoadState", "loaded")])
    }

    fn nginx(life: &str) -> Unit {
        planted(&[("Id", "nginx.service"), ("InvocationID", life), ("ActiveState", "active")])
    }

    #[test]
    fn another_life_of_the_unit_is_not_ours() {
        assert!(is_ours(&claim_of(Some("a")), &nginx("a")));
        assert!(!is_ours(&claim_of(Some("a")), &nginx("b")));
        assert!(is_ours(&claim_of(None), &nginx("b")), "the call that claimed it was cut short");
        assert!(is_ours(&claim_of(Some("a")), &nginx("")), "systemd has forgotten how it ended");
    }

    fn another() -> Facts {
        Facts { id: "h-web-1-1".into(), log: "m".into(), ..facts_of(None) }
    }

    /// Whom another replica finds, at a time in milliseconds.
    fn holder(claim: Unit, unit: Unit, name: &str, own: &Facts, now: u64) -> Option<String> {
        rival(&[unit, claim], name, own, now).map(|(unit, _)| unit.to_owned())
    }

    #[test]
    fn a_life_has_one_holder() {
        let holder = |life, name| holder(claim_of(Some("a")), nginx(life), name, &another(), 0);
        assert_eq!(holder("a", "nginx.service").as_deref(), Some("hostler-h-h-web-0-1.service"));
        assert_eq!(holder("b", "nginx.service"), None);
        assert_eq!(holder("a", "other.service"), None);
    }

    #[test]
    fn a_claim_that_came_to_nothing_counts_for_a_while() {
        let down = || planted(&[("Id", "nginx.service"), ("ActiveState", "inactive")]);
        let claimed = || {
            let description = facts_of(None).written("web");
            let at = ("StateChangeTimestamp", "Thu 1970-01-01 00:01:00 UTC");
            planted(&[("Id", "hostler-h-h-web-0-1.service"), ("Description", &description), ("LoadState", "loaded"), at])
        };
        let found = |unit, own: &Facts, now| holder(claimed(), unit, "nginx.service", own, now).is_some();
        assert!(found(down(), &another(), 61_000));
        assert!(!found(down(), &another(), 90_000));
        assert!(found(nginx("a"), &another(), 90_000), "it may be its life");
        assert!(!found(down(), &Facts { id: "h-web-0-2".into(), ..facts_of(None) }, 61_000), "an earlier run of the same replica left it");
        assert!(!found(down(), &facts_of(None), 61_000), "its own");
    }
}
