//! Units that are installed on the machine: taken over, started and stopped, and left as they were.
//!
//! An installed unit can carry no mark of ours. A claim does: a small unit beside it that runs nothing, says whose task the unit is, and which
//! life of it. The newest life belongs to who claimed it; a unit that systemd or a person started anew since then is another life, which the next
//! run takes over.

use hostler_sdk::{Fault, Task};

use crate::engine::{Scope, Trouble, underway};
use crate::facts::{self, Facts, Held};
use crate::settings::Settings;
use crate::unit::{Unit, show, show_one};

/// Claims the unit, and starts it when it does not run.
pub(crate) fn start(owner: &str, scope: Scope, task: &Task<Settings>, name: &str) -> Result<Held, Fault> {
    let facts = Facts::of(owner, task, facts::digest(&name), Some(name.to_owned()));
    let held = facts.handle(scope);
    let known = show(scope, &[name, "hostler-*.service"])?;
    let unit = known.iter().find(|unit| unit.is_called(name)).cloned().unwrap_or_default();
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
            if let Some(holder) = holder(&known, &unit, name) {
                return Err(Fault::Conflict(format!("`{name}` is the task {holder} already; `systemctl stop {holder}` releases it")));
            }
            claim(&held, &facts, task)?;
        }
    }
    let alive = bring_up(&held, name).and_then(|()| live(&held, facts, task, name));
    alive.map(|()| held).map_err(underway)
}

/// The claim on this life of a unit, whoever has it.
fn holder<'a>(known: &'a [Unit], unit: &Unit, name: &str) -> Option<&'a str> {
    let life = unit.invocation().filter(|_| unit.is_up())?;
    let claims = |other: &&Unit| {
        Facts::read(other.description()).is_some_and(|facts| facts.installed.as_deref() == Some(name) && facts.life.as_deref() == Some(life))
    };
    known.iter().find(claims).map(Unit::id)
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

    fn claim_of(life: Option<&str>) -> Unit {
        let facts = Facts {
            owner: "h".into(),
            id: "h-web-0-1".into(),
            digest: "d".into(),
            same: "s".into(),
            log: "l".into(),
            installed: Some("nginx.service".into()),
            life: life.map(str::to_owned),
        };
        planted(&[("Id", "hostler-h-h-web-0-1.service"), ("Description", &facts.written("web")), ("LoadState", "loaded")])
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

    #[test]
    fn a_life_has_one_holder() {
        let known = [claim_of(Some("a"))];
        assert_eq!(holder(&known, &nginx("a"), "nginx.service"), Some("hostler-h-h-web-0-1.service"));
        assert_eq!(holder(&known, &nginx("b"), "nginx.service"), None);
        assert_eq!(holder(&known, &nginx("a"), "other.service"), None);
    }
}
