//! One host over one state directory: set up, taken up again, and ended.

use std::collections::BTreeMap;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hostler_api::{ApplyRequest, Code, Failure, routes};
use hostler_core::{Config, Core, Event, Time, WorkspaceName};
use hostler_failpoint::failpoint;
use hostler_keeper::protocol::Request;
use hostler_store::{Memory, Sqlite, Store, StoreError};
use hostler_wasm::{EngineNews, ExitNews, KeeperLink, NetworkPolicies, RestartHook, Runtime, RuntimeOptions, SecretStore};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::act::Actor;
use crate::alerts::Alerting;
use crate::audit::Audit;
use crate::board::{Board, Observed};
use crate::clock;
use crate::compiler;
use crate::desk::Desk;
use crate::discovery::Discoveries;
use crate::drive::Driver;
use crate::engines::Engines;
use crate::front::Front;
use crate::heartbeats::{self, Heartbeats};
use crate::http::{self, Behind, Door};
use crate::idempotency::Keys;
use crate::identity::Identities;
use crate::laps::Laps;
use crate::ledger::{self, Ahead};
use crate::message::{Change, Message};
use crate::operations::Operations;
use crate::operator::Operator;
use crate::plugins::{BuiltIns, Choice, Plugins, read_stored};
use crate::queue::Queue;
use crate::secrets::Secrets;
use crate::sink::{PluginState, Sink};
use crate::state_dir::{LETTING_GO, REVISIONS, StateDir};
use crate::stats::Meter;
use crate::telemetry::Telemetry;
use crate::workspaces::{CheckRates, EventRates, Workspaces};
use crate::{autoscale, feed, upgrade};

/// How long the keeper may take to answer for the first time.
const KEEPER: Duration = Duration::from_secs(10);
/// Events of the past that are kept.
const EVENTS_KEPT: u64 = 100_000;

/// What remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StoreEngine {
    /// A file in the state directory.
    #[default]
    Sqlite,
    /// Nothing outlives the host.
    Memory,
}

/// What a host is made of.
#[derive(Debug, Clone)]
pub struct HostOptions {
    /// Made when absent; private to this host.
    pub state_dir: PathBuf,
    /// Plugins in the program itself.
    pub built_ins: BuiltIns,
    /// The program that is the keeper when called as `PROGRAM keeper --dir DIR`, and compiles plugins when called as `PROGRAM compile-plugin`
    /// ([`compile_plugin`](crate::compile_plugin)).
    pub exe: PathBuf,
    /// What remembers.
    pub store: StoreEngine,
    /// Applied before anything is started. A host that refuses it does not start.
    pub initial: Option<ApplyRequest>,
}

impl HostOptions {
    /// A host with the defaults, and nothing to apply.
    pub fn new(state_dir: PathBuf, built_ins: BuiltIns, exe: PathBuf) -> HostOptions {
        HostOptions { state_dir, built_ins, exe, store: StoreEngine::default(), initial: None }
    }
}

/// Why a host did not start.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// Another host has the state directory.
    #[error("another host{} runs on the state directory {}", pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default(), path.display())]
    Taken {
        /// The state directory.
        path: PathBuf,
        /// The other host.
        pid: Option<u32>,
    },
    /// The state directory cannot be used.
    #[error("cannot {doing} {}: {reason}", path.display())]
    StateDir {
        /// The file or directory.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        reason: String,
    },
    /// The store cannot be used.
    #[error(transparent)]
    Store(StoreError),
    /// A record in the store cannot be read.
    #[error("the record `{key}` in the store cannot be read: {reason}")]
    Record {
        /// Which one.
        key: String,
        /// Why.
        reason: String,
    },
    /// The keeper cannot be started.
    #[error("the keeper, which holds local processes, cannot be reached: {0}")]
    Keeper(String),
    /// Something else that a host needs is not there.
    #[error("{0}")]
    Start(String),
    /// The configuration to start with was refused.
    #[error(transparent)]
    Refused(Failure),
}

impl HostError {
    pub(crate) fn state_dir(path: &Path, doing: &'static str, error: &std::io::Error) -> HostError {
        HostError::StateDir { path: path.to_owned(), doing, reason: error.to_string() }
    }

    /// What a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            HostError::Taken { .. } => Some("talk to it (`hostler ps`, `hostler apply FILE`), or use another --state-dir".to_owned()),
            HostError::StateDir { .. } => Some("make it writable for this user, or choose another with --state-dir or HOSTLER_STATE_DIR".to_owned()),
            HostError::Store(error) => error.hint(),
            HostError::Record { .. } => {
                Some("nothing was changed; a newer Hostler may have written it: start that one, or go back to a copy of store.db".to_owned())
            }
            HostError::Keeper(_) => Some("its own log is keeper/keeper.log in the state directory".to_owned()),
            HostError::Start(_) => None,
            HostError::Refused(failure) => failure.hint.clone(),
        }
    }

    /// Can this program not use what is in the store, however often it is started?
    pub fn is_of_the_store(&self) -> bool {
        matches!(self, HostError::Record { .. } | HostError::Store(StoreError::Corrupt { .. } | StoreError::TooNew { .. }))
    }

    /// The same as it travels.
    pub fn failure(&self) -> Failure {
        if let HostError::Refused(failure) = self {
            return failure.clone();
        }
        let code = if matches!(self, HostError::Taken { .. }) { Code::Conflict } else { Code::Failed };
        let failure = Failure::new(code, self.to_string());
        match self.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

/// A host that runs. Dropping it leaves it running; [`Host::wait`] says when it has ended.
pub struct Host {
    state_dir: PathBuf,
    outbox: mpsc::UnboundedSender<Message>,
    running: JoinHandle<()>,
    front: Arc<Front>,
}

impl Host {
    /// Takes the state directory, takes up what an earlier host left, and listens on its socket.
    ///
    /// # Errors
    /// See [`HostError`]: nothing was started, and nothing was changed but what an `initial` configuration that was accepted says.
    pub async fn start(options: HostOptions) -> Result<Host, HostError> {
        let started_at = clock::now();
        let state_dir = StateDir::take(&options.state_dir)?;
        failpoint!("host.start.dir-taken");
        let path = state_dir.path.clone();
        let store = open_store(&path, options.store)?;
        failpoint!("host.start.store-open");
        let (owner, memory) = ledger::recall(&*store)?;
        failpoint!("host.start.recalled");
        let keeper = connect_keeper(&path, &options.exe).await?;
        failpoint!("host.start.keeper-reached");
        let assembled = Host::assemble(options, state_dir, store, owner, memory, Arc::clone(&keeper), started_at).await;
        if assembled.is_err() {
            end_idle_keeper(&keeper).await;
        }
        assembled
    }

    /// The same without anybody who could run a process: a door for `tests/fuzz`.
    ///
    /// # Errors
    /// See [`HostError`].
    pub(crate) async fn start_without_keeper(options: HostOptions) -> Result<Host, HostError> {
        let state_dir = StateDir::take(&options.state_dir)?;
        let store = open_store(&state_dir.path, options.store)?;
        let (owner, memory) = ledger::recall(&*store)?;
        Host::assemble(options, state_dir, store, owner, memory, KeeperLink::nobody(), clock::now()).await
    }

    async fn assemble(
        options: HostOptions,
        state_dir: StateDir,
        store: Arc<dyn Store>,
        owner: String,
        memory: ledger::Memory,
        keeper: Arc<KeeperLink>,
        started_at: Time,
    ) -> Result<Host, HostError> {
        let path = state_dir.path.clone();
        let (outbox, inbox) = mpsc::unbounded_channel();
        let telemetry = Arc::new(Telemetry::new(&owner));
        telemetry.want(ledger::meta(&*store, "telemetry")?.flatten());
        let runtime = Runtime::new(RuntimeOptions {
            cache_dir: path.join("cache"),
            owner: owner.clone(),
            keeper: Some(Arc::clone(&keeper)),
            state: Some(Arc::new(PluginState::new(Arc::clone(&store)))),
            sink: Arc::new(Sink::new(outbox.clone(), Arc::clone(&telemetry))),
            pool: compiler::pool(),
            compiler: Some(compiler::compiler(&options.exe)),
        })
        .map_err(|error| HostError::Start(error.to_string()))?;
        let secrets = Arc::new(Secrets::recall(&*store)?);
        runtime.keep_secrets(Arc::clone(&secrets) as Arc<dyn SecretStore>);
        let engine_news = runtime.engine_news();
        let plugins = Arc::new(Plugins::new(runtime, options.built_ins, path.join(REVISIONS)));
        let engines: Arc<Engines> = Arc::default();
        let (mut stored, mut chosen) = (BTreeMap::new(), BTreeMap::new());
        ledger::each(&*store, "plugins/", |name, value: serde_json::Value| {
            stored.insert(name.to_owned(), read_stored(&value));
            Ok(())
        })?;
        ledger::each(&*store, "revisions/", |name, choice: Choice| {
            chosen.insert(name.to_owned(), choice);
            Ok(())
        })?;
        plugins.reload(stored, chosen).await;
        plugins.let_go(Duration::ZERO).await;
        failpoint!("host.start.plugins-loaded");
        let workspaces = Arc::new(Workspaces::recall(&*store)?);
        plugins.keep_networks(Arc::clone(&workspaces) as Arc<dyn NetworkPolicies>);
        // A configuration that cannot be applied must not have started anything.
        let initial = match options.initial {
            Some(request) => Some(first_configuration(&plugins, &workspaces, request).await?),
            None => None,
        };
        let default = Config::default();
        let max_parallel = memory.max_parallel.unwrap_or(default.max_parallel);
        let config = Config { seed: clock::wall_ms() ^ u64::from(std::process::id()), max_parallel, ..default };
        let holders = memory.remembered.tasks.iter().map(|(run, record)| (*run, record.backend.clone())).collect();
        let ahead = Ahead::new(&memory.remembered);
        failpoint!("host.start.before-restore");
        let mut core = Core::restore(config, started_at, memory.remembered);
        for (backend, missing) in plugins.swap(plugins.table()) {
            core.handle(clock::now(), Event::Plugin { backend, missing });
        }
        failpoint!("host.start.restored");
        let discoveries = Arc::new(Discoveries::default());
        discoveries.look_for(ledger::meta(&*store, "discovery")?.unwrap_or_default());
        let meter: Arc<Meter> = Arc::default();
        let identities = Arc::new(Identities::recall(Arc::clone(&store), &path)?);
        let audit = Arc::new(Audit::recall(Arc::clone(&store))?);
        let heartbeats = Arc::new(Heartbeats::recall(Arc::clone(&store))?);
        let operations = Arc::new(Operations::recall(Arc::clone(&store))?);
        let keys = Arc::new(Keys::recall(Arc::clone(&store))?);
        // What is applied first says whether there is a door.
        let wanted = if initial.is_some() { None } else { ledger::meta(&*store, "listen")?.flatten() };
        let front = Arc::new(Front::new(wanted));
        let board: Arc<Board> = Arc::default();
        board.has_told(memory.last_event);
        let alerting = Arc::new(Alerting::recall(Arc::clone(&store), outbox.clone(), &owner)?);
        let desk = Desk {
            core: Observed::new(core, Arc::clone(&board)),
            plugins: Arc::clone(&plugins),
            secrets,
            engines: Arc::clone(&engines),
            discoveries: Arc::clone(&discoveries),
            common: ledger::meta(&*store, "common")?.unwrap_or_default(),
            front: Arc::clone(&front),
            workspaces: Arc::clone(&workspaces),
            event_rates: EventRates::default(),
            check_rates: CheckRates::default(),
            heartbeats: Arc::clone(&heartbeats),
            alerting: Arc::clone(&alerting),
            operations: Arc::clone(&operations),
            telemetry: Arc::clone(&telemetry),
            keeper: Arc::clone(&keeper),
            meter: Arc::clone(&meter),
            state_dir: path.clone(),
            owner,
            generation: memory.generation,
            last_event: memory.last_event,
            commits: None,
            told: BTreeMap::new(),
            latencies: BTreeMap::new(),
            started_at,
            shutting_down: false,
            trouble: None,
            written: memory.written,
            origins: memory.origins,
            released: memory.released,
            handles: memory.handles,
            seen: BTreeMap::new(),
            begun: BTreeMap::new(),
            startup_ms: BTreeMap::new(),
            details: BTreeMap::new(),
            laps: Laps::default(),
            holders,
            strangers: BTreeMap::new(),
        };
        let (feed, readers) = feed::open();
        let rounds = watch::Sender::new(0);
        let door = Door::new(Behind {
            outbox: outbox.clone(),
            store: Arc::clone(&store),
            plugins: Arc::clone(&plugins),
            meter,
            readers,
            board,
            traffic: Arc::default(),
            rounds: rounds.subscribe(),
            identities,
            audit,
            limits: Arc::default(),
            front: Arc::clone(&front),
            snapshots: Arc::default(),
            workspaces,
            alerting: Arc::clone(&alerting),
            telemetry: Arc::clone(&telemetry),
            heartbeats,
            operations: Arc::clone(&operations),
            keys,
        });
        let listener = listen(&path)?;
        failpoint!("host.start.socket-bound");
        let watching = tokio::spawn(Arc::clone(&engines).watch(Arc::clone(&plugins)));
        let discovering = tokio::spawn(discoveries.watch(door.clone()));
        let actor = Actor { plugins: Arc::clone(&plugins), engines, outbox: outbox.clone() };
        let driver = Driver {
            desk,
            store: Arc::clone(&store),
            queue: Queue::new(inbox),
            actor,
            ahead,
            operator: Operator::new(&path),
            feed,
            rounds,
            next: memory.boot,
            marks: Vec::new(),
            chosen: Vec::new(),
            given_back: None,
            because: Vec::new(),
            heard: true,
            leaving: false,
        };
        upgrade::watch_again(&door);
        let waking = tokio::spawn(wake_on_exits(Arc::clone(&keeper), outbox.clone()));
        let hinting = tokio::spawn(wake_on_engines(engine_news, Arc::clone(&plugins), outbox.clone()));
        let tidying = tokio::spawn(tidy(Arc::clone(&store), plugins));
        let scaling = tokio::spawn(autoscale::watch(door.clone()));
        let listening = tokio::spawn(heartbeats::watch(door.clone()));
        let alarming = tokio::spawn(alerting.watch(door.clone()));
        let operating = tokio::spawn(operations.run(door.clone()));
        let serving = tokio::spawn(http::serve(listener, door));
        let socket = path.join(routes::SOCKET);
        let running = tokio::spawn(async move {
            driver.run().await;
            failpoint!("host.end.loop-over");
            // What is being answered right now may finish; nothing new is taken.
            std::fs::remove_file(&socket).ok();
            failpoint!("host.end.socket-removed");
            waking.abort();
            hinting.abort();
            tidying.abort();
            watching.abort();
            discovering.abort();
            scaling.abort();
            listening.abort();
            alarming.abort();
            operating.abort();
            if let Err(error) = serving.await {
                tracing::error!(%error, "what answers requests broke");
            }
            failpoint!("host.end.served");
            telemetry.close().await;
            end_idle_keeper(&keeper).await;
            failpoint!("host.end.keeper-asked");
            drop(state_dir);
            failpoint!("host.end.dir-let-go");
        });
        failpoint!("host.start.running");
        let host = Host { state_dir: path, outbox, running, front };
        if let Some(change) = initial {
            host.change(change).await.map_err(HostError::Refused)?;
            failpoint!("host.start.configured");
        }
        host.front.settled().await;
        Ok(host)
    }

    /// Where it keeps everything; absolute.
    pub fn state_dir(&self) -> &Path {
        &self.state_dir
    }

    async fn change(&self, change: Change) -> Result<(), Failure> {
        let (answer, answered) = oneshot::channel();
        self.outbox.send(Message::Change(change, answer)).ok();
        match answered.await {
            Ok(accepted) => accepted.map(drop),
            Err(_) => Err(Failure::new(Code::Internal, "the host ended before it answered")),
        }
    }

    /// What can ask this host to read the certificates of its TCP door anew, for as long as it runs.
    pub fn reloading(&self) -> impl Fn() + Send + use<> {
        let front = Arc::clone(&self.front);
        move || front.reload()
    }

    /// Ends the host and leaves its tasks to the keeper and their engines: the next host takes them up.
    pub fn leave(&self) {
        // It may have ended already.
        self.outbox.send(Message::Leave).ok();
    }

    /// Returns once the host has ended.
    pub async fn wait(self) {
        if let Err(error) = self.running.await {
            tracing::error!(%error, "the host's loop broke");
        }
    }
}

async fn first_configuration(plugins: &Arc<Plugins>, workspaces: &Workspaces, request: ApplyRequest) -> Result<Change, HostError> {
    let prepared = crate::apply::prepare(plugins, workspaces, WorkspaceName::default(), request).await.map_err(HostError::Refused)?;
    if prepared.problems.is_empty() {
        return Ok(Change::Apply(Box::new(prepared)));
    }
    Err(HostError::Refused(Failure::config(prepared.problems)))
}

fn open_store(path: &Path, engine: StoreEngine) -> Result<Arc<dyn Store>, HostError> {
    if engine == StoreEngine::Memory {
        return Ok(Arc::new(Memory::new()));
    }
    let until = Instant::now() + LETTING_GO;
    loop {
        match Sqlite::open(path.join("store.db")) {
            // The state directory is ours: what still holds the store is what is left of a host that was killed.
            Err(StoreError::Locked { .. }) if Instant::now() < until => std::thread::sleep(Duration::from_millis(5)),
            opened => return Ok(Arc::new(opened?)),
        }
    }
}

/// The keeper outlives hosts: it is found, or started.
async fn connect_keeper(state_dir: &Path, exe: &Path) -> Result<Arc<KeeperLink>, HostError> {
    let (dir, exe) = (state_dir.join("keeper"), exe.to_owned());
    let socket = hostler_keeper::keeper::socket_path(&dir);
    let restart: RestartHook = Arc::new(move || {
        let (dir, exe) = (dir.clone(), exe.clone());
        Box::pin(async move {
            let started = tokio::task::spawn_blocking(move || hostler_keeper::client::ensure(&dir, &exe, KEEPER)).await;
            started.map_err(|error| error.to_string())?.map(drop).map_err(|error| error.to_string())
        })
    });
    KeeperLink::connect(socket, Some(restart)).await.map_err(|error| HostError::Keeper(error.to_string()))
}

/// A keeper that holds nothing has no reason to stay, and no reason to be brought back.
async fn end_idle_keeper(keeper: &KeeperLink) {
    keeper.retire();
    let asked = tokio::time::timeout(Duration::from_secs(2), keeper.request(Request::Shutdown { if_idle: true })).await;
    tracing::debug!(?asked, "asked the keeper to end if it holds nothing");
}

/// A crash wakes its backend at once; where ends may have been missed, everything is looked at.
async fn wake_on_exits(keeper: Arc<KeeperLink>, outbox: mpsc::UnboundedSender<Message>) {
    let (mut exits, mut presence) = (keeper.exits(), keeper.presence());
    // What the keeper is now is told first.
    presence.mark_changed();
    loop {
        let wake = tokio::select! {
            news = exits.recv() => match news {
                Ok(ExitNews::Exited { plugin, key, .. }) => Message::Wake { backend: plugin, id: Some(key) },
                Ok(ExitNews::Reconnected) | Err(broadcast::error::RecvError::Lagged(_)) => Message::Keeper,
                Err(broadcast::error::RecvError::Closed) => return,
            },
            changed = presence.changed() => match changed {
                Ok(()) => Message::Keeper,
                Err(_) => return,
            },
        };
        if outbox.send(wake).is_err() {
            return;
        }
    }
}

/// What an engine of containers tells wakes its backend at once; where something may have been missed, all that use one look.
async fn wake_on_engines(mut news: broadcast::Receiver<EngineNews>, plugins: Arc<Plugins>, outbox: mpsc::UnboundedSender<Message>) {
    loop {
        let wakes: Vec<Message> = match news.recv().await {
            Ok(EngineNews { plugin, task }) => vec![Message::Wake { backend: plugin, id: task }],
            Err(broadcast::error::RecvError::Lagged(_)) => {
                plugins.backends().into_iter().map(|(backend, _)| Message::Wake { backend, id: None }).collect()
            }
            Err(broadcast::error::RecvError::Closed) => return,
        };
        for wake in wakes {
            if outbox.send(wake).is_err() {
                return;
            }
        }
    }
}

/// Lets go of old events and of components that nobody needs, now and then.
async fn tidy(store: Arc<dyn Store>, plugins: Arc<Plugins>) {
    const HOUR: Duration = Duration::from_secs(3_600);
    let mut hours = tokio::time::interval(HOUR);
    loop {
        hours.tick().await;
        plugins.let_go(HOUR).await;
        let store = Arc::clone(&store);
        let keep = hostler_store::Retention { events: EVENTS_KEPT, deletions: EVENTS_KEPT };
        let compacted = tokio::task::spawn_blocking(move || store.compact(keep)).await;
        if let Ok(Err(error)) = compacted {
            tracing::warn!(%error, "old events could not be let go");
        }
    }
}

/// A socket of ours alone: nobody else gets into its directory.
fn listen(state_dir: &Path) -> Result<tokio::net::UnixListener, HostError> {
    use std::os::unix::fs::PermissionsExt;
    let path = state_dir.join(routes::SOCKET);
    let failed = |doing, error: std::io::Error| HostError::state_dir(&path, doing, &error);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed("remove the old socket", error)),
        Ok(()) | Err(_) => {}
    }
    failpoint!("host.start.old-socket-removed");
    let listener = bind(state_dir, &path).map_err(|error| failed("listen on", error))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(|error| failed("protect", error))?;
    Ok(listener)
}

fn bind(state_dir: &Path, path: &Path) -> std::io::Result<tokio::net::UnixListener> {
    match tokio::net::UnixListener::bind(path) {
        // A path too long for a socket's address: the directory's descriptor makes it short.
        Err(error) if error.kind() == std::io::ErrorKind::InvalidInput => {
            let handle = std::fs::File::open(state_dir)?;
            tokio::net::UnixListener::bind(format!("/proc/self/fd/{}/{}", handle.as_raw_fd(), routes::SOCKET))
        }
        other => other,
    }
}
