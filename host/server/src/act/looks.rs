//! Looking at many tasks in one call, so that one that breaks the plugin hides none of the others.

use std::collections::BTreeMap;
use std::time::Duration;

use hostler_core::Run;
use hostler_wasm::words::{Handle, Phase, Status};
use hostler_wasm::{Backend, Call};

use super::{Actor, LOOK, workspace_of};

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
        let mut seen = self.of_each(backend, others).await?;
        for (subject, lives) in by_subject(suspects) {
            seen.extend(match self.plugins.permit(name, &subject) {
                Ok(()) => self.apart(backend, &subject, lives).await,
                Err(resting) => unseen(lives, &resting.why),
            });
        }
        Ok(seen)
    }

    /// Those of each workspace together, side by side: what a call may reach are the workspace's rules. Whom only the rules of some keep it
    /// from says nothing of the others.
    async fn of_each(&self, backend: Backend<'_>, known: Vec<Known>) -> Result<Vec<(Run, Status)>, String> {
        let looks = grouped(known, |known| workspace_of(&known.subject).to_owned()).into_iter().map(|(workspace, known)| async move {
            let went = self.together(backend, &workspace, known.clone()).await;
            (known, went)
        });
        let looks = futures_util::future::join_all(looks).await;
        let is_away = !looks.is_empty() && looks.iter().all(|(_, went)| went.is_err());
        let mut seen = Vec::new();
        for (known, went) in looks {
            match went {
                Ok(statuses) => seen.extend(statuses),
                Err(why) if is_away => return Err(why),
                Err(why) => seen.extend(unseen(known, &why)),
            }
        }
        Ok(seen)
    }

    async fn together(&self, backend: Backend<'_>, workspace: &str, known: Vec<Known>) -> Result<Vec<(Run, Status)>, String> {
        let handles: Vec<Handle> = known.iter().map(|known| known.handle.clone()).collect();
        let went = backend.inspect(Call::within(LOOK).of(workspace), &handles).await;
        match went {
            Ok(statuses) => {
                self.judge(backend.plugin().name(), "", &Ok::<(), hostler_wasm::CallError>(()));
                Ok(known.into_iter().map(|known| known.run).zip(statuses).collect())
            }
            Err(error) if error.is_plugins_fault() => Ok(self.split(backend, workspace, by_subject(known).into_iter().collect()).await),
            Err(error) => Err(error.brief()),
        }
    }

    /// Finds those whom the plugin cannot look at, by halves.
    fn split<'a>(
        &'a self,
        backend: Backend<'a>,
        workspace: &'a str,
        mut groups: Vec<(String, Vec<Known>)>,
    ) -> hostler_wasm::Wait<'a, Vec<(Run, Status)>> {
        Box::pin(async move {
            if groups.len() == 1 {
                let (subject, lives) = groups.remove(0);
                return self.apart(backend, &subject, lives).await;
            }
            if let Some((why, _)) = self.plugins.quarantine(backend.plugin().name()) {
                return groups.into_iter().flat_map(|(_, lives)| unseen(lives, &why)).collect();
            }
            let handles: Vec<Handle> = groups.iter().flat_map(|(_, lives)| lives).map(|known| known.handle.clone()).collect();
            if let Ok(statuses) = backend.inspect(Call::within(SPLIT).of(workspace), &handles).await {
                self.judge(backend.plugin().name(), "", &Ok::<(), hostler_wasm::CallError>(()));
                return groups.into_iter().flat_map(|(_, lives)| lives).map(|known| known.run).zip(statuses).collect();
            }
            let right = groups.split_off(groups.len() / 2);
            let (mut left, right) = tokio::join!(self.split(backend, workspace, groups), self.split(backend, workspace, right));
            left.extend(right);
            left
        })
    }

    async fn apart(&self, backend: Backend<'_>, subject: &str, lives: Vec<Known>) -> Vec<(Run, Status)> {
        let handles: Vec<Handle> = lives.iter().map(|known| known.handle.clone()).collect();
        let went = backend.inspect(Call::within(SPLIT).about(subject).of(workspace_of(subject)), &handles).await;
        self.judge(backend.plugin().name(), subject, &went);
        match went {
            Ok(statuses) => lives.into_iter().map(|known| known.run).zip(statuses).collect(),
            Err(error) => unseen(lives, &error.brief()),
        }
    }
}

fn by_subject(known: Vec<Known>) -> BTreeMap<String, Vec<Known>> {
    grouped(known, |known| known.subject.clone())
}

fn grouped(known: Vec<Known>, by: impl Fn(&Known) -> String) -> BTreeMap<String, Vec<Known>> {
    let mut groups: BTreeMap<String, Vec<Known>> = BTreeMap::new();
    for one in known {
        groups.entry(by(&one)).or_default().push(one);
    }
    groups
}

fn unseen(lives: Vec<Known>, why: &str) -> Vec<(Run, Status)> {
    let unknown = || Status { phase: Phase::Unknown(why.to_owned()), started_at: None, endpoints: Vec::new(), attributes: Vec::new() };
    lives.into_iter().map(|life| (life.run, unknown())).collect()
}
