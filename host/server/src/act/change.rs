//! Changing a task while it runs.

use std::sync::Arc;
use std::time::Duration;

use hostler_core::{Fault, Run, Span, Spec};
use hostler_wasm::Call;
use hostler_wasm::words::{Handle, UpdateOutcome};

use super::{Actor, duration, fault, not_a_backend, task};
use crate::message::News;
use crate::published::Published;
use crate::telemetry;

/// How long one change may take.
const CHANGE: Duration = Duration::from_secs(60);

/// A life that is changed.
pub(super) struct Changing {
    pub(super) id: String,
    pub(super) run: Run,
    pub(super) replica: u32,
    pub(super) handle: Option<Handle>,
    pub(super) published: Published,
}

impl Actor {
    pub(super) fn update(&self, life: Changing, ticket: u64, spec: Arc<Spec>) {
        let me = self.clone();
        telemetry::spawn(async move {
            let fault = me.updated(&life, &spec).await.err();
            me.answer(News::Updated { run: life.run, ticket, fault });
        });
    }

    async fn updated(&self, life: &Changing, spec: &Spec) -> Result<(), Fault> {
        let name = &spec.backend.plugin;
        let plugin = self.backend(name)?;
        let backend = plugin.backend().ok_or_else(|| not_a_backend(name))?;
        let handle = life.handle.as_ref().ok_or_else(|| Fault::Failed("nothing is known by which its backend would find it".to_owned()))?;
        // Whom it refers to may be on its way up again.
        let away = |message: String| Fault::Unavailable { message, after: None };
        let filled = life.published.fill(spec, &plugin).map_err(away)?;
        let time = CHANGE.min(duration(spec.timeout));
        let task = tokio::time::timeout(time, task(&life.id, life.run, life.replica, &filled)).await;
        let task = task.map_err(|_| away(format!("its secrets cannot be read within {}", Span(u64::try_from(time.as_millis()).unwrap_or(0)))))??;
        let subject = spec.name.as_str();
        self.plugins.permit(name, subject)?;
        let hidden: Vec<String> = task.env.iter().filter(|(name, _)| spec.secrets.contains_key(name)).map(|(_, value)| value.clone()).collect();
        let went = backend.update(Call::within(time).about(&life.id).of(&task.id.workspace).hiding(&hidden), handle, &task).await;
        self.judge(name, subject, &went);
        match went.map_err(|error| fault(&error))? {
            UpdateOutcome::Applied => Ok(()),
            UpdateOutcome::NeedsRestart => Err(Fault::Unsupported(format!("backend `{name}` makes this change with a restart only"))),
            UpdateOutcome::NeedsRecreate => Err(Fault::Unsupported(format!("backend `{name}` makes this change in a new task only"))),
        }
    }
}
