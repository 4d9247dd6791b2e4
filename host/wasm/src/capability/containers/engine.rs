//! Engines, shared by all plugins and all of their revisions: one for each endpoint, as long as somebody is granted it.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};

use serde_json::Value;
use tokio::sync::broadcast;

use super::OWNER;
use super::api::{Api, Ask, ONE, Trouble};
use super::endpoint::Endpoint;
use super::events;
use super::logs::Flows;
use super::make::check_name;
use super::played::EngineRole;
use super::pulls::Pulls;
use crate::grant::EngineGrant;

/// Containers whose owner is remembered; more are asked for again.
const KNOWN: usize = 8_192;
/// News that nobody has heard yet.
const NEWS_KEPT: usize = 1_024;

/// What an engine told: a hint to look, never a truth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineNews {
    /// Whose container it is.
    pub plugin: String,
    /// The task that it is of; absent where any of the plugin's may have changed.
    pub task: Option<String>,
}

/// All engines of one host.
pub(crate) struct Engines {
    owner: String,
    by_place: Mutex<HashMap<String, Weak<Engine>>>,
    role: OnceLock<Arc<dyn EngineRole>>,
    news: broadcast::Sender<EngineNews>,
}

/// One engine.
pub(super) struct Engine {
    pub(super) api: Api,
    pub(super) pulls: Pulls,
    pub(super) flows: Arc<Flows>,
    owner: String,
    known: Mutex<HashMap<String, Known>>,
    /// Plugins that have used it: whom a loss of its events concerns.
    users: Mutex<BTreeSet<String>>,
    watched: AtomicBool,
    news: broadcast::Sender<EngineNews>,
    /// Where the engine keeps what containers write, on this machine.
    pub(super) root: Mutex<Option<PathBuf>>,
}

/// What of a container never changes.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) id: String,
    pub(super) ours: bool,
    /// Some Hostler's.
    pub(super) tagged: bool,
    /// Its outputs are one.
    pub(super) tty: bool,
}

impl Engines {
    pub(crate) fn new(owner: String) -> Engines {
        Engines { owner, by_place: Mutex::default(), role: OnceLock::new(), news: broadcast::Sender::new(NEWS_KEPT) }
    }

    /// From now on engines are played. Those that are there already are not.
    pub(crate) fn play(&self, role: Arc<dyn EngineRole>) {
        self.role.get_or_init(|| role);
    }

    pub(crate) fn news(&self) -> broadcast::Receiver<EngineNews> {
        self.news.subscribe()
    }

    /// The engine of a grant: the same for everybody who reaches it in the same way.
    pub(super) fn at(&self, grant: &EngineGrant) -> Result<Arc<Engine>, String> {
        let endpoint = Endpoint::settle(grant)?;
        let files = [&grant.ca, &grant.client_certificate, &grant.client_key];
        let place = format!("{}\0{}", grant.endpoint, files.map(|file| file.as_deref().unwrap_or_default()).join("\0"));
        let mut by_place = self.by_place.lock().expect("no code panics while it holds this lock");
        // a file may have other certificates in it by now
        let reads_files = files.iter().any(|file| file.is_some());
        if let Some(there) = by_place.get(&place).and_then(Weak::upgrade).filter(|_| !reads_files) {
            return Ok(there);
        }
        by_place.retain(|_, engine| engine.strong_count() > 0);
        let engine = Arc::new(Engine {
            api: Api::new(endpoint, self.role.get().cloned()),
            pulls: Pulls::default(),
            flows: Arc::default(),
            owner: self.owner.clone(),
            known: Mutex::default(),
            users: Mutex::default(),
            watched: AtomicBool::new(self.role.get().is_some()),
            news: self.news.clone(),
            root: Mutex::default(),
        });
        by_place.insert(place, Arc::downgrade(&engine));
        Ok(engine)
    }
}

impl Engine {
    pub(super) fn is_local(&self) -> bool {
        self.api.endpoint().socket().is_some()
    }

    pub(super) fn owner(&self) -> &str {
        &self.owner
    }

    /// A plugin uses it: from now on its events are followed.
    pub(super) fn used_by(self: &Arc<Self>, plugin: &str) {
        let mut users = self.users.lock().expect("no code panics while it holds this lock");
        if !users.contains(plugin) {
            users.insert(plugin.to_owned());
        }
        drop(users);
        if !self.watched.swap(true, Ordering::Relaxed) {
            tokio::spawn(events::follow(Arc::downgrade(self)));
        }
    }

    /// Something of this plugin's task may have changed.
    pub(super) fn tell(&self, plugin: &str, task: Option<&str>) {
        // nobody has to listen
        let _ = self.news.send(EngineNews { plugin: plugin.to_owned(), task: task.map(str::to_owned) });
    }

    /// Events may have been missed: everybody looks.
    pub(super) fn tell_all(&self) {
        let users = self.users.lock().expect("no code panics while it holds this lock").clone();
        users.iter().for_each(|plugin| self.tell(plugin, None));
    }

    /// What an engine says of a container; nothing where there is none of that id or name.
    pub(super) async fn look(&self, id: &str) -> Result<Option<Value>, Trouble> {
        if check_name("container", id).is_err() {
            return Ok(None);
        }
        match self.api.json(Ask::get(format!("/containers/{id}/json")), ONE).await {
            // the beginning of an id finds one, too
            Ok(said) if said["Id"] == id || said["Name"].as_str().is_some_and(|name| name.trim_start_matches('/') == id) => {
                self.learn(&said);
                Ok(Some(said))
            }
            Ok(_) | Err(Trouble::Refused { status: 404, .. }) => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }

    /// Whose it is. Of a name it is asked each time: the next container of that name may be somebody else's.
    pub(super) async fn known(&self, id: &str) -> Result<Option<Known>, Trouble> {
        if let Some(known) = self.known.lock().expect("no code panics while it holds this lock").get(id) {
            return Ok(Some(known.clone()));
        }
        Ok(self.look(id).await?.as_ref().and_then(|said| self.read(said)))
    }

    pub(super) fn read(&self, said: &Value) -> Option<Known> {
        let owner = said["Config"]["Labels"][OWNER].as_str();
        let ours = owner == Some(self.owner.as_str());
        Some(Known { id: said["Id"].as_str()?.to_owned(), ours, tagged: owner.is_some(), tty: said["Config"]["Tty"].as_bool().unwrap_or_default() })
    }

    fn learn(&self, said: &Value) {
        let Some(known) = self.read(said) else { return };
        let mut all = self.known.lock().expect("no code panics while it holds this lock");
        if all.len() >= KNOWN {
            all.clear();
        }
        all.insert(known.id.clone(), known);
    }
}
