//! One runtime per host: the engine, the cache, and everything that plugins share.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use tokio::sync::broadcast;

use crate::cache::Cache;
use crate::capability::containers::{EngineNews, EngineRole, Engines};
use crate::capability::http::Transport;
use crate::capability::processes::KeeperLink;
use crate::compiler::Compiler;
use crate::engine::{Engine, PoolOptions};
use crate::hooks::{NetworkPolicies, PluginSink, SecretStore, StateStore};
use crate::load::{LoadError, PluginSource};
use crate::plugin::Plugin;
use crate::tap::Tap;

/// What a runtime is made of.
pub struct RuntimeOptions {
    /// Where compiled components are kept: a directory of the host's own, mode 0700, made when absent.
    pub cache_dir: PathBuf,
    /// The tag that everything this host owns must carry: `[a-z0-9-]`, at most 32 bytes.
    pub owner: String,
    /// The keeper of local processes; without one, a plugin that is granted `processes` does not load.
    pub keeper: Option<Arc<KeeperLink>>,
    /// Where plugins' state goes; without one, a plugin that is granted `state` does not load.
    pub state: Option<Arc<dyn StateStore>>,
    /// Hears plugins' log lines and refusals.
    pub sink: Arc<dyn PluginSink>,
    /// How many calls at a time, and how large.
    pub pool: PoolOptions,
    /// Who compiles what is not in the cache; without one it is compiled here, and what that takes stays with this process.
    pub compiler: Option<Compiler>,
}

/// Why there is no runtime.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The machine cannot give the engine what it needs.
    #[error("the WebAssembly engine could not be set up: {0}")]
    Engine(String),
    /// The cache directory cannot be used, or not be trusted.
    #[error("{0}")]
    Cache(String),
    /// The owner tag cannot be written onto real things.
    #[error("owner tag `{0}` is not [a-z0-9-] of 1 to 32 bytes")]
    Owner(String),
}

/// Loads plugins. One per host.
pub struct Runtime {
    pub(crate) engine: Engine,
    pub(crate) cache: Cache,
    pub(crate) compiler: Option<Compiler>,
    pub(crate) shared: Shared,
}

/// What capabilities share over all plugins.
pub(crate) struct Shared {
    pub(crate) owner: String,
    pub(crate) keeper: Option<Arc<KeeperLink>>,
    pub(crate) state: Option<Arc<dyn StateStore>>,
    pub(crate) sink: Arc<dyn PluginSink>,
    pub(crate) secrets: OnceLock<Arc<dyn SecretStore>>,
    pub(crate) networks: Arc<OnceLock<Arc<dyn NetworkPolicies>>>,
    pub(crate) transport: Arc<Transport>,
    pub(crate) engines: Engines,
}

impl Runtime {
    /// Sets up the engine and opens the cache.
    ///
    /// Reserves address space for the pool (none of it is touched yet) and starts one thread, which sleeps while no call runs.
    pub fn new(options: RuntimeOptions) -> Result<Arc<Runtime>, Error> {
        let RuntimeOptions { cache_dir, owner, keeper, state, sink, pool, compiler } = options;
        let tag =
            !owner.is_empty() && owner.len() <= 32 && owner.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if !tag {
            return Err(Error::Owner(owner));
        }
        Ok(Arc::new(Runtime {
            engine: Engine::new(pool).map_err(Error::Engine)?,
            cache: Cache::open(&cache_dir).map_err(Error::Cache)?,
            compiler,
            shared: Shared {
                engines: Engines::new(owner.clone()),
                owner,
                keeper,
                state,
                sink,
                secrets: OnceLock::new(),
                networks: Arc::default(),
                transport: Arc::new(Transport::new()),
            },
        }))
    }

    /// Says where secrets are. Without it, a plugin that is granted one does not load. A second store is not taken.
    pub fn keep_secrets(&self, store: Arc<dyn SecretStore>) {
        self.shared.secrets.get_or_init(|| store);
    }

    /// Says what calls about workspaces may reach. Without it, whatever their plugins are granted. A second one is not taken.
    pub fn keep_networks(&self, policies: Arc<dyn NetworkPolicies>) {
        self.shared.networks.get_or_init(|| policies);
    }

    /// From now on the engines of containers that plugins are granted are played. A second player is not taken.
    pub fn play_engine(&self, role: Arc<dyn EngineRole>) {
        self.shared.engines.play(role);
    }

    /// What engines tell from now on.
    pub fn engine_news(&self) -> broadcast::Receiver<EngineNews> {
        self.shared.engines.news()
    }

    /// Loads a plugin: verified, compiled (or taken from the cache), its grants held against its imports, instantiated
    /// once on trial, described, and its configuration checked. What loads works.
    pub async fn load(self: &Arc<Self>, source: PluginSource) -> Result<Arc<Plugin>, LoadError> {
        crate::load::load(self, source, None).await
    }

    /// What a component is, says and wants, without granting it anything: for looking at it, not for calls.
    ///
    /// # Errors
    /// As [`Runtime::load`], but for grants and configuration.
    pub async fn examine(self: &Arc<Self>, source: PluginSource) -> Result<Arc<Plugin>, LoadError> {
        crate::load::examine(self, source).await
    }

    /// As [`Runtime::load`], with a tap on every call from the first: the trial included.
    pub async fn load_tapped(self: &Arc<Self>, source: PluginSource, tap: Arc<dyn Tap>) -> Result<Arc<Plugin>, LoadError> {
        crate::load::load(self, source, Some(tap)).await
    }
}

impl Shared {
    /// The store that secrets are read from, or why there is none.
    pub(crate) fn secret_store(&self) -> Result<Arc<dyn SecretStore>, String> {
        self.secrets.get().cloned().ok_or_else(|| "this host keeps no secrets".to_owned())
    }
}
