//! Ending a task: asked first, and forced when its grace is over.
//!
//! The grace is held by systemd itself, as a timer that kills: it goes on when this call is cut short, and a repeated stop finds it.

use std::time::Duration;

use hostler_sdk::{Fault, Status};

use crate::engine::{Trouble, until};
use crate::facts::Held;
use crate::unit::{Unit, show};
use crate::{installed, status};

/// A task's units, as they are now.
pub(crate) struct Look {
    /// The unit that is ours.
    pub(crate) own: Unit,
    /// The one that runs.
    pub(crate) runs: Unit,
    killer: Unit,
}

impl Look {
    pub(crate) fn at(held: &Held) -> Result<Look, Trouble> {
        let killer = format!("{}.timer", held.killer());
        let found = show(held.scope, &[&held.unit, held.runs_as(), &killer])?;
        let one = |name: &str| found.iter().find(|unit| unit.is_called(name)).cloned().unwrap_or_default();
        Ok(Look { own: one(&held.unit), runs: one(held.runs_as()), killer: one(&killer) })
    }

    pub(crate) fn status(&self, held: &Held) -> Status {
        status::of(held, &self.own, &self.runs)
    }

    /// Is something of this task alive? Another life of an installed unit is not this task.
    pub(crate) fn is_up(&self, held: &Held) -> bool {
        let ours = held.installed.is_none() || installed::is_ours(&self.own, &self.runs);
        self.own.is_there() && ours && self.runs.is_up()
    }
}

/// Ends it, and waits until nothing of it is alive.
pub(crate) fn stop(held: &Held, signal: Option<&str>, grace: Duration) -> Result<Status, Fault> {
    let look = Look::at(held)?;
    if !look.is_up(held) {
        disarm(held, &look)?;
        return Ok(look.status(held));
    }
    if grace.is_zero() {
        force(held)?;
    } else if !look.killer.is_up() {
        ask(held, signal.unwrap_or("SIGTERM"))?;
        arm(held, grace)?;
    }
    match until(|| Ok(Some(Look::at(held)?).filter(|look| !look.is_up(held))))? {
        Some(look) => {
            disarm(held, &look)?;
            Ok(look.status(held))
        }
        None => Err(Fault::Interrupted(format!("{} is still stopping", held.runs_as()))),
    }
}

/// A unit of our own gets the signal; an installed one knows itself how it is stopped.
fn ask(held: &Held, signal: &str) -> Result<(), Fault> {
    if held.installed.is_some() {
        return to_a_living(held, &["stop", "--no-block", "--", held.runs_as()]);
    }
    let signal = format!("--signal={signal}");
    to_a_living(held, &["kill", &signal, "--", &held.unit])?;
    // One that was halted would never see it.
    to_a_living(held, &["kill", "--signal=SIGCONT", "--", &held.unit])
}

fn force(held: &Held) -> Result<(), Fault> {
    to_a_living(held, &["stop", "--no-block", "--", held.runs_as()])?;
    to_a_living(held, &["kill", "--signal=SIGKILL", "--", held.runs_as()])
}

/// Says something to a unit that may end at any moment: then it was not needed.
pub(crate) fn to_a_living(held: &Held, words: &[&str]) -> Result<(), Fault> {
    match held.scope.systemctl(words) {
        Ok(_) => Ok(()),
        Err(Trouble::Refused(why)) if Look::at(held)?.is_up(held) => Err(Fault::Other(why)),
        Err(Trouble::Refused(_)) => Ok(()),
        Err(trouble) => Err(trouble.into()),
    }
}

/// Sets the timer that kills when the grace is over.
fn arm(held: &Held, grace: Duration) -> Result<(), Fault> {
    let options = [
        format!("--unit={}", held.killer()),
        format!("--description=Kills {} when its grace is over", held.runs_as()),
        format!("--on-active={}ms", grace.as_millis()),
        "--timer-property=AccuracySec=50ms".to_owned(),
        "--timer-property=RemainAfterElapse=no".to_owned(),
        "--service-type=oneshot".to_owned(),
        "--property=CollectMode=inactive-or-failed".to_owned(),
    ];
    let program = held.scope.own_systemctl(&["kill", "--signal=SIGKILL", "--", held.runs_as()]);
    let mut refused = None;
    let armed = until(|| match held.scope.systemd_run(options.clone().into(), program.clone(), Vec::new()) {
        Ok(()) => Ok(Some(())),
        // Another stop sets it, or is taking it away because all is over: systemd knows the name for a moment before it is up, and after.
        Err(Trouble::Refused(why)) => {
            let look = Look::at(held)?;
            refused = Some(why);
            Ok((look.killer.is_up() || !look.is_up(held)).then_some(()))
        }
        Err(trouble) => Err(trouble),
    })?;
    armed.ok_or_else(|| Fault::Interrupted(refused.unwrap_or_default()))
}

/// Takes away the timer of a grace that is over, or whose task is.
pub(crate) fn disarm(held: &Held, look: &Look) -> Result<(), Trouble> {
    if !look.killer.is_there() {
        return Ok(());
    }
    match held.scope.systemctl(&["stop", "--", look.killer.id()]) {
        // It has just gone off.
        Ok(_) | Err(Trouble::Refused(_)) => Ok(()),
        Err(trouble) => Err(trouble),
    }
}
