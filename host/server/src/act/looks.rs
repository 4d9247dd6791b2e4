//! Looking at many tasks in one call, so that one that breaks the plugin hides none of the others.

use std::collections::BTreeMap;
use std::time::Duration;

use hostler_core::Run;
use hostler_wasm::words::{Handle, Phase, Status};
use hostler_wasm::{Backend, Call};

use super::{Actor, LOOK};

/// How long a look may take that only finds out who breaks it.
const SPLIT: Duration = Duration::from_secs(2);

/// A life to look at, and the service it is of.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) run: Run,
    pub(super) handle: Handle,
    pub(super) subject: String,
}

impl Actor {
    /// One status per life. Those that broke the plugin before are looked at apart.
    ///
    /// # Errors
    /// The backend cannot be asked about any of them.
    pub(super) async fn looked(&self, backend: Backend<'_>, known: Vec<Known>) -> Result<Vec<(Run, Status)>, String> {
        let name = backend.plugin().name();
        let (suspects, others): (Vec<Known>, Vec<Known>) = known.into_iter().partition(|known| self.plugins.is_suspect(name, &known.subject));
        let mut seen = if others.is_empty() { Vec::new() } else { self.together(backend, others).await? };
        for (subject, lives) in by_subject(suspects) {
            seen.extend(match self.plugins.permit(name, &subject) {
                Ok(()) => self.apart(backend, &subject, lives).await,
                Err(resting) => unseen(lives, &resting.why),
            });
        }
        Ok(seen)
    }

    async fn together(&self, backend: Backend<'_>, known: Vec<Known>) -> Result<Vec<(Run, Status)>, String> {
        let handles: Vec<Handle> = known.iter().map(|known| known.handle.clone()).collect();
        let went = backend.inspect(Call::within(LOOK), &handles).await;
        match went {
            Ok(statuses) => {
                self.judge(backend.plugin().name(), "", &Ok::<(), hostler_wasm::CallError>(()));
                Ok(known.into_iter().map(|known| known.run).zip(statuses).collect())
            }
            Err(error) if error.is_plugins_fault() => Ok(self.split(backend, by_subject(known).into_iter().collect()).await),
            Err(error) => Err(error.brief()),
        }
    }

    /// Finds those whom the plugin cannot look at, by halves.
    fn split<'a>(&'a self, backend: Backend<'a>, mut groups: Vec<(String, Vec<Known>)>) -> hostler_wasm::Wait<'a, Vec<(Run, Status)>> {
        Box::pin(async move {
            if groups.len() == 1 {
                let (subject, lives) = groups.remove(0);
                return self.apart(backend, &subject, lives).await;
            }
            if let Some((why, _)) = self.plugins.quarantine(backend.plugin().name()) {
                return groups.into_iter().flat_map(|(_, lives)| unseen(lives, &why)).collect();
            }
            let handles: Vec<Handle> = groups.iter().flat_map(|(_, lives)| lives).map(|known| known.handle.clone()).collect();
            if let Ok(statuses) = backend.inspect(Call::within(SPLIT), &handles).await {
                self.judge(backend.plugin().name(), "", &Ok::<(), hostler_wasm::CallError>(()));
                return groups.into_iter().flat_map(|(_, lives)| lives).map(|known| known.run).zip(statuses).collect();
            }
            let right = groups.split_off(groups.len() / 2);
            let (mut left, right) = tokio::join!(self.split(backend, groups), self.split(backend, right));
            left.extend(right);
            left
        })
    }

    async fn apart(&self, backend: Backend<'_>, subject: &str, lives: Vec<Known>) -> Vec<(Run, Status)> {
        let handles: Vec<Handle> = lives.iter().map(|known| known.handle.clone()).collect();
        let went = backend.inspect(Call::within(SPLIT).about(subject), &handles).await;
        self.judge(backend.plugin().name(), subject, &went);
        match went {
            Ok(statuses) => lives.into_iter().map(|known| known.run).zip(statuses).collect(),
            Err(error) => unseen(lives, &error.brief()),
        }
    }
}

fn by_subject(known: Vec<Known>) -> BTreeMap<String, Vec<Known>> {
    let mut groups: BTreeMap<String, Vec<Known>> = BTreeMap::new();
    for one in known {
        groups.entry(one.subject.clone()).or_default().push(one);
    }
    groups
}

fn unseen(lives: Vec<Known>, why: &str) -> Vec<(Run, Status)> {
    let unknown = || Status { phase: Phase::Unknown(why.to_owned()), started_at: None, endpoints: Vec::new(), attributes: Vec::new() };
    lives.into_iter().map(|life| (life.run, unknown())).collect()
}
