//! Two revisions look at the same live tasks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hostler_wasm::words::{Handle, Phase, Status};
use hostler_wasm::{Call, CallError, Plugin};

use super::doubt::Live;
use crate::act::workspace_of;

/// How long one look may take.
const LOOK: Duration = Duration::from_secs(10);
/// A task may end between the two looks: what differs is looked at so often before it counts.
const LOOKS: u32 = 3;
/// From one look to the next.
const PAUSE: Duration = Duration::from_millis(200);

/// The new one cannot look at live tasks at all.
#[derive(Debug)]
pub(super) struct Blind {
    /// Its own words.
    pub(super) why: String,
    /// Nor can the old one, where there is one, and the new one said so properly: then it is their engine that is away.
    pub(super) is_engines: bool,
}

impl Blind {
    pub(super) fn new(error: &CallError, old_sees: bool) -> Blind {
        let is_engines = !old_sees && !error.is_plugins_fault();
        Blind { why: format!("it cannot look at live tasks: {}", error.brief()), is_engines }
    }
}

/// Where the new one sees a task in another phase than the old one, in words; an old one that cannot say contradicts nobody.
///
/// # Errors
/// The new one cannot look at them at all.
pub(super) async fn differences(old: &Plugin, new: &Plugin, tasks: &[Live]) -> Result<Vec<String>, Blind> {
    let mut left: Vec<Live> = tasks.to_vec();
    let mut differences = Vec::new();
    for look in 0..LOOKS {
        if left.is_empty() {
            return Ok(Vec::new());
        }
        if look > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        let (before, after) = tokio::join!(inspect(old, &left), inspect(new, &left));
        let after = after.map_err(|error| Blind::new(&error, before.is_ok()))?;
        let before = before.map(|statuses| statuses.into_iter().map(Some).collect()).unwrap_or_else(|_| vec![None; left.len()]);
        let differing: BTreeMap<usize, String> =
            before.iter().zip(&after).enumerate().filter_map(|(at, pair)| Some((at, difference(pair)?))).collect();
        differences = differing.iter().map(|(at, words)| format!("{} {words}", left[*at].id)).collect();
        left = differing.keys().map(|at| left[*at].clone()).collect();
    }
    Ok(differences)
}

pub(super) async fn inspect(plugin: &Plugin, tasks: &[Live]) -> Result<Vec<Status>, CallError> {
    let Some(backend) = plugin.backend() else { return Ok(Vec::new()) };
    let mut seen: Vec<Option<Status>> = vec![None; tasks.len()];
    // What a call may reach are the rules of a workspace.
    let workspaces: BTreeSet<&str> = tasks.iter().map(|task| workspace_of(&task.service)).collect();
    for workspace in workspaces {
        let own = tasks.iter().enumerate().filter(|(_, task)| workspace_of(&task.service) == workspace);
        let (places, handles): (Vec<usize>, Vec<Handle>) = own.map(|(at, task)| (at, task.handle.clone())).unzip();
        let statuses = backend.inspect(Call::within(LOOK).of(workspace), &handles).await?;
        places.into_iter().zip(statuses).for_each(|(at, status)| seen[at] = Some(status));
    }
    Ok(seen.into_iter().flatten().collect())
}

fn difference((before, after): (&Option<Status>, &Status)) -> Option<String> {
    let before = before.as_ref()?;
    let (before, after) = (word(&before.phase)?, word(&after.phase).unwrap_or_else(|| "unknown".to_owned()));
    (before != after).then(|| format!("was {before}, and would be {after}"))
}

/// Where a task is, in a word; nothing when nobody knows.
fn word(phase: &Phase) -> Option<String> {
    Some(match phase {
        Phase::Pending => "pending".to_owned(),
        Phase::Running => "running".to_owned(),
        Phase::Stopping => "stopping".to_owned(),
        Phase::Exited(exit) => match (exit.code, &exit.signal) {
            (Some(code), _) => format!("exited with code {code}"),
            (None, Some(signal)) => format!("ended by {signal}"),
            (None, None) => "exited".to_owned(),
        },
        Phase::Gone => "gone".to_owned(),
        Phase::Unknown(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(phase: Phase) -> Status {
        Status { phase, started_at: None, endpoints: Vec::new(), attributes: Vec::new() }
    }

    #[test]
    fn an_engine_that_is_away_is_not_the_new_ones_fault() {
        use hostler_wasm::Failure;
        use hostler_wasm::words::{Fault, Retry};
        let error = |why| CallError { plugin: "x".to_owned(), function: "backend.inspect", changes: false, why };
        let away = error(Failure::Fault(Fault::Unavailable(Retry { after: None, message: "away".to_owned() })));
        assert!(Blind::new(&away, false).is_engines);
        assert!(!Blind::new(&away, true).is_engines, "the old one reaches it");
        assert!(!Blind::new(&error(Failure::Malformed("nonsense".to_owned())), false).is_engines);
    }

    #[test]
    fn only_what_the_old_one_knows_can_be_contradicted() {
        let check = |before: Option<Phase>, after, expected: Option<&str>| {
            assert_eq!(difference((&before.map(status), &status(after))).as_deref(), expected);
        };
        check(Some(Phase::Running), Phase::Running, None);
        check(Some(Phase::Running), Phase::Gone, Some("was running, and would be gone"));
        check(Some(Phase::Running), Phase::Unknown("why".to_owned()), Some("was running, and would be unknown"));
        check(Some(Phase::Unknown("why".to_owned())), Phase::Gone, None);
        check(None, Phase::Gone, None);
    }
}
