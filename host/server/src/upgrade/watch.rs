//! A new revision is watched for a while, beside the one before it, and rolled back by itself when it breaks.

use std::sync::Arc;
use std::time::Duration;

use hostler_api::EventKind;
use hostler_wasm::{Counts, Plugin};
use tokio::time::Instant;

use super::shadow::Blind;
use super::{WATCH, doubt, event, go_back, shadow, swap};
use crate::http::{Door, end_of_loop};
use crate::plugins::{Revision, Slot};

/// From one look to the next.
const EVERY: Duration = Duration::from_secs(1);
/// How often a rollback is tried that does not work: the store may be away.
const TRIES: u32 = 30;

/// Watches a revision that was just put into force.
pub(super) fn watch(door: Door, name: String, old: Option<Arc<Plugin>>, to: Revision, length: Duration) {
    tokio::spawn(async move {
        let mut rounds = door.rounds.clone();
        let watched = async {
            match trouble(&door, &name, old.as_ref(), &to, length).await {
                Some(why) => roll_back(&door, &name, &to, &why).await,
                None => keep(&door, &name, &to).await,
            }
        };
        // A host that ends meanwhile goes on with it when it starts again.
        tokio::select! {
            () = watched => {}
            () = end_of_loop(&mut rounds) => {}
        }
    });
}

/// Goes on watching what an earlier host did not watch to the end.
pub(crate) fn watch_again(door: &Door) {
    for (name, slot) in door.plugins.table().slots {
        let Some(choice) = slot.chosen.as_ref().filter(|choice| choice.watched) else { continue };
        let (door, to, before) = (door.clone(), choice.now.clone(), choice.before.last().cloned());
        let (entry, base) = (slot.named.entry.clone(), slot.base.clone());
        tokio::spawn(async move {
            let old = match before {
                Some(before) => door.plugins.load_revision(&name, &entry, base.as_deref(), &before).await.ok(),
                None => None,
            };
            watch(door, name, old, to, WATCH);
        });
    }
}

/// Why it is to go; nothing when it stood the time, or is not in force any more.
async fn trouble(door: &Door, name: &str, old: Option<&Arc<Plugin>>, to: &Revision, length: Duration) -> Option<String> {
    let end = Instant::now() + length;
    let allowed = old.map(|old| old.counts());
    loop {
        let asked = name.to_owned();
        let tasks = door.look(move |desk| doubt::live(desk, &asked)).await.ok()?;
        let (_, new) = in_force(door, name, to)?;
        let looked = match old {
            Some(old) => shadow::differences(old, &new, &tasks).await,
            None => shadow::inspect(&new, &tasks).await.map(|_| Vec::new()).map_err(|error| Blind::new(&error, false)),
        };
        match looked {
            Err(Blind { is_engines: true, .. }) => {}
            Err(blind) => return Some(blind.why),
            Ok(differences) if !differences.is_empty() => return Some(format!("it sees live tasks otherwise: {}", differences.join("; "))),
            Ok(_) => {}
        }
        if let Some(why) = broken(allowed.as_ref(), &new.counts()) {
            return Some(why);
        }
        if Instant::now() >= end {
            return None;
        }
        tokio::time::sleep(EVERY.min(end.saturating_duration_since(Instant::now()))).await;
    }
}

/// What the new one did that the old one never has.
fn broken(old: Option<&Counts>, new: &Counts) -> Option<String> {
    let kinds = [
        ("trapped", old.map_or(0, |old| old.traps), new.traps),
        ("ran out of time", old.map_or(0, |old| old.timeouts), new.timeouts),
        ("went over its limits", old.map_or(0, |old| old.limits), new.limits),
        ("broke the contract with its answer", old.map_or(0, |old| old.malformed), new.malformed),
    ];
    let (words, _, count) = kinds.into_iter().find(|(_, before, after)| *before == 0 && *after > 0)?;
    Some(format!("{count} of its calls {words}, and none of the revision before did"))
}

/// What a revision is in now, as long as it is in force and watched. A configuration that says other things of the plugin loads it anew.
fn in_force(door: &Door, name: &str, to: &Revision) -> Option<(Slot, Arc<Plugin>)> {
    let slot = door.plugins.slot(name)?;
    let is_watched = slot.chosen.as_ref().is_some_and(|choice| choice.watched && choice.now == *to);
    let plugin = slot.state.as_ref().ok().filter(|_| is_watched).cloned()?;
    Some((slot, plugin))
}

async fn keep(door: &Door, name: &str, to: &Revision) {
    for _ in 0..TRIES {
        let Some((mut slot, new)) = in_force(door, name, to) else { return };
        slot.chosen.iter_mut().for_each(|choice| choice.watched = false);
        let told = event(EventKind::PluginKept, name, format!("plugin {name} stood its time as {}", to.short()));
        match swap(door, name, Some(new), slot, told).await {
            Ok(()) => return,
            Err(failure) => tracing::warn!(plugin = name, error = failure.message, "that an upgrade stood its time cannot be noted yet"),
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn roll_back(door: &Door, name: &str, to: &Revision, why: &str) {
    for _ in 0..TRIES {
        let Some((slot, new)) = in_force(door, name, to) else { return };
        match go_back(door, name, &slot).await {
            Ok((to, next, _)) => {
                let note = format!("rolled back by itself: {why}");
                let told = event(EventKind::PluginRolledBack, name, format!("plugin {name} is {} again, {note}", to.short()));
                let next = Slot { note: Some(note), ..next };
                match swap(door, name, Some(new), next, told).await {
                    Ok(()) => return,
                    Err(failure) => tracing::error!(plugin = name, why, error = failure.message, "an upgrade cannot be rolled back yet"),
                }
            }
            Err(failure) => {
                stay(door, name, &new, slot, format!("broke ({why}), and cannot be rolled back: {}", failure.message)).await;
                return;
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// There is no way back: it is said, and people decide.
async fn stay(door: &Door, name: &str, new: &Arc<Plugin>, mut slot: Slot, note: String) {
    if let Some(choice) = &mut slot.chosen {
        choice.watched = false;
    }
    let told = event(EventKind::PluginNotRolledBack, name, format!("plugin {name} {note}"));
    slot.note = Some(note);
    if let Err(failure) = swap(door, name, Some(Arc::clone(new)), slot, told).await {
        tracing::error!(plugin = name, error = failure.message, "that an upgrade cannot be rolled back could not be noted");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_new_in_it_counts() {
        let none = Counts { calls: 9, faults: 3, traps: 0, timeouts: 0, limits: 0, malformed: 0, denied: 0, dropped_lines: 0 };
        assert_eq!(broken(Some(&none), &none), None, "faults are answers");
        let trapped = Counts { traps: 1, ..none };
        assert!(broken(Some(&none), &trapped).is_some_and(|why| why.contains("trapped")));
        assert_eq!(broken(Some(&trapped), &trapped), None, "the one before did it, too");
        assert!(broken(Some(&trapped), &Counts { timeouts: 1, ..trapped }).is_some_and(|why| why.contains("time")));
        assert!(broken(None, &Counts { malformed: 1, ..none }).is_some());
    }
}
