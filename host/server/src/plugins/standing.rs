//! How well each plugin stands: who may be called now, and what each call says about that.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use hostler_api::{PluginHealth, PutAside};
use hostler_core::{Fault, Rest, Span, Strikes, Turn};
use hostler_wasm::{CallError, Failure};

use super::Plugins;
use crate::clock;

/// Why a plugin is not called now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resting {
    /// For people.
    pub(crate) why: String,
    /// When it is tried again.
    pub(crate) after: Span,
}

impl From<Resting> for Fault {
    fn from(resting: Resting) -> Fault {
        Fault::Unavailable { message: resting.why, after: Some(resting.after) }
    }
}

/// Strikes by plugin; of those that never broke, nothing.
#[derive(Default)]
pub(crate) struct Standing(Mutex<BTreeMap<String, Strikes>>);

impl Standing {
    fn with<T>(&self, look: impl FnOnce(&mut BTreeMap<String, Strikes>) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Another revision begins anew.
    pub(super) fn forget(&self, name: &str) {
        self.with(|all| drop(all.remove(name)));
    }
}

impl Plugins {
    /// May it be called about this now?
    ///
    /// # Errors
    /// Why not, and until when.
    pub(crate) fn permit(&self, name: &str, subject: &str) -> Result<(), Resting> {
        let now = clock::now();
        self.standing.with(|all| {
            let Some(strikes) = all.get(name) else { return Ok(()) };
            strikes.permit(subject, now).map_err(|rest| Resting { why: in_words(name, subject, strikes), after: rest.until.since(now) })
        })
    }

    /// Has a call about it broken the plugin since the last one that worked?
    pub(crate) fn is_suspect(&self, name: &str, subject: &str) -> bool {
        self.standing.with(|all| all.get(name).is_some_and(|strikes| strikes.is_suspect(subject)))
    }

    /// Notes how a call went.
    pub(crate) fn judge<T>(&self, name: &str, subject: &str, went: &Result<T, CallError>) -> Option<Turn> {
        match went {
            Err(error) if error.is_plugins_fault() => {
                let how = format!("{}: {}", error.function, error.brief());
                self.standing.with(|all| all.entry(name.to_owned()).or_default().struck(subject, clock::now(), &how))
            }
            // It was not called at all.
            Err(error) if matches!(error.why, Failure::Busy | Failure::Unsupported) => None,
            Ok(_) | Err(_) => self.standing.with(|all| {
                let strikes = all.get_mut(name)?;
                let turn = strikes.answered(subject);
                if strikes.is_clean() {
                    all.remove(name);
                }
                turn
            }),
        }
    }

    /// Why the whole plugin is not called now, and until when.
    pub(crate) fn quarantine(&self, name: &str) -> Option<(String, Rest)> {
        self.standing.with(|all| {
            let strikes = all.get(name)?;
            let rest = strikes.quarantine()?;
            Some((in_words(name, "", strikes), rest))
        })
    }

    /// Its strikes, as they travel.
    pub(crate) fn health(&self, name: &str) -> PluginHealth {
        let now = clock::now();
        let until = |rest: Rest| rest.until.since(now).0;
        self.standing.with(|all| {
            let Some(strikes) = all.get(name) else { return PluginHealth::default() };
            let aside = strikes.subjects().map(|(subject, state)| PutAside {
                service: (!subject.is_empty()).then(|| subject.to_owned()),
                strikes: state.strikes,
                last_failure: state.last.clone(),
                next_try_in_ms: state.rest.map(until),
            });
            let quarantine = strikes.quarantine();
            PluginHealth {
                struck: aside.collect(),
                quarantined_since: quarantine.map(|rest| clock::wall(rest.since)),
                next_try_in_ms: quarantine.map(until),
            }
        })
    }
}

/// The same words as long as the same is true: when it is tried again changes, and stands beside it.
fn in_words(name: &str, subject: &str, strikes: &Strikes) -> String {
    if strikes.quarantine().is_some() {
        let last = strikes.subjects().last().map_or(String::new(), |(_, state)| format!(" ({})", state.last));
        return format!("plugin {name} is in quarantine: calls about several services broke it, and none worked{last}");
    }
    let (count, last) = strikes.subjects().find(|(known, _)| *known == subject).map_or((0, ""), |(_, state)| (state.strikes, state.last.as_str()));
    let whom = if subject.is_empty() { "calls about no service" } else { subject };
    format!("plugin {name} has put {whom} aside: {count} calls in a row broke it ({last})")
}
