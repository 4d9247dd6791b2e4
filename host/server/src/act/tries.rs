//! What calls say about a plugin, and the calls that try one that is in quarantine.

use std::time::Duration;

use hostler_wasm::{Call, CallError};
use tokio::sync::oneshot;

use super::{Actor, LOOK, workspace_of};
use crate::clock;
use crate::message::Message;
use crate::upgrade::{Live, live};

/// Tasks that one try asks about: one poisoned one must not keep its plugin away from the others.
const FEW: usize = 3;

impl Actor {
    /// Notes how a call went, and tells the loop when something follows.
    pub(super) fn judge<T>(&self, plugin: &str, subject: &str, went: &Result<T, CallError>) {
        if let Some(turn) = self.plugins.judge(plugin, subject, went) {
            // The loop is gone only when the host is.
            self.outbox.send(Message::Standing { plugin: plugin.to_owned(), subject: subject.to_owned(), turn }).ok();
        }
    }

    /// Tries a backend that is in quarantine, once per rest, until a call works. A check is tried by the next question to it.
    pub(crate) fn try_again(&self, name: String) {
        let me = self.clone();
        tokio::spawn(async move {
            for round in 0.. {
                let Some((_, rest)) = me.plugins.quarantine(&name) else { return };
                tokio::time::sleep(Duration::from_millis(rest.until.since(clock::now()).0.max(10))).await;
                if me.try_once(&name, round).await.is_none() {
                    return;
                }
            }
        });
    }

    /// Asks about a few tasks, others in each round, until there is an answer; nothing when there is nobody to try, or nobody to ask.
    async fn try_once(&self, name: &str, round: usize) -> Option<()> {
        let plugin = self.plugins.get(name)?;
        let backend = plugin.backend()?;
        let live = self.live(name).await?;
        if live.is_empty() {
            self.judge(name, "", &backend.fingerprint(Call::within(LOOK)).await);
            return Some(());
        }
        let first = round * FEW % live.len();
        for Live { id, handle, service } in live.into_iter().cycle().skip(first).take(FEW) {
            let went = backend.inspect(Call::within(LOOK).about(&id).of(workspace_of(&service)), &[handle]).await;
            self.judge(name, &service, &went);
            if went.is_ok() {
                return Some(());
            }
        }
        Some(())
    }

    async fn live(&self, name: &str) -> Option<Vec<Live>> {
        let (answer, answered) = oneshot::channel();
        let asked = name.to_owned();
        self.outbox.send(Message::Look(Box::new(move |desk| drop(answer.send(live(desk, &asked)))))).ok()?;
        answered.await.ok()
    }
}
