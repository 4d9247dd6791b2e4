//! How the engines behind the backends are, asked now and then: shown to people, and asked before anything is started there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use hostler_api::{Engine, Timestamp};
use hostler_wasm::{Call, Plugin};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::clock;
use crate::plugins::Plugins;

/// From one question to the next.
const EVERY: Duration = Duration::from_secs(30);
/// How long an engine may take to say how it is.
const PATIENCE: Duration = Duration::from_secs(5);

/// What each backend last said of its engine.
#[derive(Default)]
pub(crate) struct Engines {
    said: RwLock<BTreeMap<String, Asked>>,
    /// Backends that have had something to do: an engine that nobody uses is asked once, and left in peace.
    used: RwLock<BTreeSet<String>>,
    now: Notify,
}

/// What one revision of a backend said.
#[derive(Clone)]
struct Asked {
    revision: String,
    /// Nothing when it could not say: whatever is asked of it next will show why.
    engine: Option<Engine>,
}

impl Engines {
    /// What this backend last said; nothing of one that was not asked yet, or is none.
    pub(crate) fn of(&self, backend: &str) -> Option<Engine> {
        self.asked(backend)?.engine
    }

    fn asked(&self, backend: &str) -> Option<Asked> {
        self.said.read().unwrap_or_else(PoisonError::into_inner).get(backend).cloned()
    }

    /// This backend has something to do.
    pub(crate) fn uses(&self, backend: &str) {
        if !self.used.read().unwrap_or_else(PoisonError::into_inner).contains(backend) {
            self.used.write().unwrap_or_else(PoisonError::into_inner).insert(backend.to_owned());
        }
    }

    /// Plugins came or went: all are asked at once.
    pub(crate) fn ask_now(&self) {
        self.now.notify_one();
    }

    /// Why nothing can be started there. What is new is asked first, and what was not ready once more: it may just have come back.
    pub(crate) async fn trouble(&self, plugin: &Plugin) -> Option<String> {
        let known = self.asked(plugin.name()).filter(|asked| asked.revision == plugin.revision());
        let engine = match known {
            Some(Asked { engine, .. }) if engine.as_ref().is_none_or(|engine| engine.ready) => return None,
            Some(_) | None => self.ask(plugin).await?,
        };
        (!engine.ready).then(|| format!("its engine is not ready: {}", engine.message))
    }

    async fn ask(&self, plugin: &Plugin) -> Option<Engine> {
        let engine = ask(plugin).await;
        let asked = Asked { revision: plugin.revision().to_owned(), engine: engine.clone() };
        self.said.write().unwrap_or_else(PoisonError::into_inner).insert(plugin.name().to_owned(), asked);
        engine
    }

    /// Asks all of them once, and those that are used every 30 s.
    pub(crate) async fn watch(self: Arc<Self>, plugins: Arc<Plugins>) {
        let mut everybody = true;
        loop {
            self.ask_all(&plugins, everybody).await;
            // Either may be lost: the other comes.
            everybody = tokio::time::timeout(EVERY, self.now.notified()).await.is_ok();
        }
    }

    async fn ask_all(self: &Arc<Self>, plugins: &Plugins, everybody: bool) {
        let backends: Vec<Arc<Plugin>> = plugins.backends().iter().filter_map(|(name, _)| plugins.get(name)).collect();
        let names: Vec<&str> = backends.iter().map(|plugin| plugin.name()).collect();
        self.said.write().unwrap_or_else(PoisonError::into_inner).retain(|name, _| names.contains(&name.as_str()));
        let used = self.used.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut asking = JoinSet::new();
        for plugin in backends.into_iter().filter(|plugin| everybody || used.contains(plugin.name())) {
            let me = Arc::clone(self);
            asking.spawn(async move { drop(me.ask(&plugin).await) });
        }
        while asking.join_next().await.is_some() {}
    }
}

/// What a backend says now; nothing when it cannot say, which the next call of it will show.
async fn ask(plugin: &Plugin) -> Option<Engine> {
    let said = plugin.backend()?.fingerprint(Call::within(PATIENCE)).await.ok()?;
    Some(Engine {
        ready: said.ready,
        reachable: said.reachable,
        message: said.message,
        attributes: said.attributes.into_iter().collect(),
        at: Timestamp(clock::wall_ms()),
    })
}
