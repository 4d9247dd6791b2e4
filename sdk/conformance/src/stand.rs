//! Where a plugin is tried: a runtime, what stands for the world behind it, and the plugin loaded under a name of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hostler_keeper::protocol::{Process, Request, Response};
use hostler_wasm::words::{ExecCommand, ExecOutput, Exit, Found, Handle, Resources, Role, Status, Target, Task, TaskId};
use hostler_wasm::{
    Backend, Call, CallError, Capability, Denial, Grants, HealthCheck, KeeperLink, Limits, LoadError, Plugin, PluginLine, PluginSink, PluginSource,
    PoolOptions, Quota, Reveal, Runtime, RuntimeOptions, SecretError, SecretStore, StateError, StateStore, TaskExec, Wait,
};
use serde_json::{Value, json};

use crate::case::{Kept, Stop, failed, not_applicable};
use crate::containers::FakeEngine;
use crate::engine::FakeKeeper;
use crate::script::{CommandEnd, Script};

/// What is tried, and how.
pub struct Subject {
    /// The plugin's name in messages.
    pub name: String,
    /// The component.
    pub bytes: Vec<u8>,
    /// Where it came from, for people.
    pub origin: String,
    /// Its configuration; null means none.
    pub config: Value,
    /// Settings of a task or check; the first example of its schema when absent.
    pub settings: Option<Value>,
    /// What it is granted; everything it imports when absent, which is for played worlds.
    pub grants: Option<Grants>,
    /// What is behind its imports.
    pub against: Against,
}

/// What is behind a plugin's imports.
#[derive(Clone)]
pub enum Against {
    /// An engine in memory, commands that are not run, servers of the suite's own.
    Fake,
    /// The real capabilities. Without a keeper, a plugin that imports `processes` does not load.
    Real(Option<Arc<KeeperLink>>),
}

/// The one secret that a played world grants by itself; others have to be named in grants.
pub(crate) const SECRET: &str = "conformance";

/// Grants without bounds for these capabilities, for a world that is only played.
pub fn everything(capabilities: &[Capability]) -> Grants {
    let mut grants = serde_json::Map::new();
    for capability in capabilities {
        let grant = match capability {
            Capability::Processes => json!({ "programs": ["*"], "users": ["*"] }),
            Capability::Commands => json!({ "programs": ["*"] }),
            Capability::Containers => json!({ "default": { "endpoint": "unix:///played", "strangers": "take" } }),
            Capability::Http => json!({ "hosts": ["*"], "methods": ["*"], "private": "allow" }),
            Capability::Tcp => json!({ "connect": ["*:*"] }),
            // everybody may import it, and which directories there are is for the operator to say
            Capability::Filesystem => continue,
            Capability::State => json!({}),
            Capability::TaskExec => json!(true),
            Capability::Secrets | Capability::SecretsReveal => json!([SECRET]),
        };
        grants.insert(capability.name().to_owned(), grant);
    }
    serde_json::from_value(Value::Object(grants)).expect("these are grants")
}

/// Everything around the plugin, for all cases of one run.
pub(crate) struct World {
    pub(crate) subject: Subject,
    pub(crate) fake: Option<Arc<FakeKeeper>>,
    pub(crate) heard: Arc<Heard>,
    runtime: Arc<Runtime>,
    keeper: Option<Arc<KeeperLink>>,
    counter: AtomicU64,
    /// Those of the case that runs.
    stands: Mutex<Vec<Arc<Stand>>>,
    _dir: tempfile::TempDir,
}

/// The plugin, loaded.
pub(crate) struct Stand {
    pub(crate) plugin: Arc<Plugin>,
    pub(crate) script: Arc<Script>,
    pub(crate) settings: Value,
    pub(crate) fake: bool,
    keeper: Option<Arc<KeeperLink>>,
    ids: Mutex<BTreeSet<String>>,
    first: u64,
    /// A real task was brought up of which the keeper holds nothing.
    elsewhere: AtomicBool,
}

/// Nobody else writes this.
pub(crate) const CANARY: &str = "canary-0c7d1f5e-never-show-this";

/// Time for one ordinary call.
const DEADLINE: Duration = Duration::from_secs(10);
/// And to a real engine.
const PATIENT: Duration = Duration::from_secs(60);

impl World {
    pub(crate) fn new(subject: Subject) -> Result<World, String> {
        let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
        let fake = matches!(subject.against, Against::Fake).then(|| Arc::new(FakeKeeper::default()));
        let keeper = match (&subject.against, &fake) {
            (Against::Real(keeper), _) => keeper.clone(),
            (Against::Fake, Some(fake)) => Some(KeeperLink::played_by(Arc::clone(fake) as _)),
            (Against::Fake, None) => None,
        };
        let heard = Arc::new(Heard::default());
        let options = RuntimeOptions {
            cache_dir: dir.path().join("cache"),
            owner: "conformance".to_owned(),
            keeper: keeper.clone(),
            state: Some(Arc::new(MemoryState::default())),
            sink: Arc::clone(&heard) as Arc<dyn PluginSink>,
            pool: PoolOptions { instances: 128, ..PoolOptions::default() },
            compiler: None,
        };
        let runtime = Runtime::new(options).map_err(|error| error.to_string())?;
        runtime.keep_secrets(Arc::new(Canaries));
        if fake.is_some() {
            runtime.play_engine(Arc::new(FakeEngine::default()));
        }
        Ok(World { subject, fake, heard, runtime, keeper, counter: AtomicU64::new(1), stands: Mutex::default(), _dir: dir })
    }

    /// What the component has to be granted.
    pub(crate) async fn capabilities(&self) -> Result<Vec<Capability>, LoadError> {
        match self.load("bare", Grants::default(), &Arc::new(Script::default())).await {
            Ok(_) => Ok(Vec::new()),
            Err(LoadError::NotGranted { missing, .. }) => Ok(missing),
            Err(other) => Err(other),
        }
    }

    /// What it is granted here.
    pub(crate) async fn grants(&self) -> Result<Grants, LoadError> {
        match &self.subject.grants {
            Some(grants) => Ok(grants.clone()),
            None => Ok(everything(&self.capabilities().await?)),
        }
    }

    pub(crate) async fn load(&self, name: &str, grants: Grants, script: &Arc<Script>) -> Result<Arc<Plugin>, LoadError> {
        let source = PluginSource {
            name: name.to_owned(),
            bytes: self.subject.bytes.clone(),
            origin: self.subject.origin.clone(),
            config: self.subject.config.clone(),
            grants,
            limits: Limits::default(),
            expected_digest: None,
        };
        self.runtime.load_tapped(source, Arc::clone(script) as _).await
    }

    /// The plugin under a name that nobody had before: what the engine holds for it is nothing.
    pub(crate) async fn stand(&self) -> Result<Arc<Stand>, Stop> {
        let grants = self.grants().await.map_err(|error| Stop::NotApplicable(unloaded(&error)))?;
        self.stand_with(grants).await.map_err(|error| Stop::NotApplicable(unloaded(&error)))
    }

    pub(crate) async fn stand_with(&self, grants: Grants) -> Result<Arc<Stand>, LoadError> {
        let script = Arc::new(Script::default());
        if self.fake.is_some() {
            script.play_commands(CommandEnd::code(0));
        }
        let first = self.counter.fetch_add(1_000_000, Ordering::Relaxed);
        let plugin = self.load(&format!("case-{}", first / 1_000_000), grants, &script).await?;
        let settings = plugin.with_defaults(&self.subject.settings.clone().or_else(|| example(&plugin)).unwrap_or_else(|| json!({})));
        let keeper = self.keeper.clone();
        let stand = Arc::new(Stand {
            plugin,
            script,
            settings,
            keeper,
            fake: self.fake.is_some(),
            ids: Mutex::default(),
            first,
            elsewhere: AtomicBool::new(false),
        });
        self.stands.lock().expect("no code panics while it holds this lock").push(Arc::clone(&stand));
        Ok(stand)
    }

    /// A stand for a backend whose tasks can be brought up here.
    pub(crate) async fn backend(&self) -> Result<Arc<Stand>, Stop> {
        let stand = self.stand().await?;
        if stand.plugin.role() != Role::Backend {
            return not_applicable("it is a health check");
        }
        if stand.plays_elsewhere() {
            return not_applicable("its engine is not one that is played here; try it with --against real");
        }
        Ok(stand)
    }

    /// A stand for a health check.
    pub(crate) async fn check(&self) -> Result<Arc<Stand>, Stop> {
        let stand = self.stand().await?;
        if stand.plugin.role() != Role::HealthCheck { not_applicable("it is a backend") } else { Ok(stand) }
    }

    /// Ends and forgets whatever a case has left.
    pub(crate) async fn clean(&self) {
        let stands = std::mem::take(&mut *self.stands.lock().expect("no code panics while it holds this lock"));
        for stand in stands {
            stand.script.clear();
            if let Some(backend) = stand.plugin.backend().filter(|_| !stand.plays_elsewhere()) {
                for found in backend.list(stand.call()).await.unwrap_or_default() {
                    if stand.is_ours(&found.id) {
                        let _ = backend.destroy(stand.call(), &found.handle, true).await;
                    }
                }
            }
            for process in stand.held().await {
                stand.ask(Request::Stop { key: process.key.clone(), signal: "SIGKILL".to_owned(), grace_ms: 0 }).await;
                stand.ask(Request::Forget { key: process.key }).await;
            }
        }
    }
}

fn unloaded(error: &LoadError) -> String {
    format!("it does not load: {error}")
}

/// The first example of the schema of its settings.
pub(crate) fn example(plugin: &Plugin) -> Option<Value> {
    plugin.description().settings_schema.get("examples")?.get(0).cloned()
}

impl Stand {
    pub(crate) fn backend(&self) -> Backend<'_> {
        self.plugin.backend().expect("the case asked for a backend")
    }

    pub(crate) fn health_check(&self) -> HealthCheck<'_> {
        self.plugin.health_check().expect("the case asked for a health check")
    }

    /// Its engine is reached by means that the suite does not play.
    pub(crate) fn plays_elsewhere(&self) -> bool {
        let permissions = self.plugin.permissions();
        let is = |import: &String, interface: &str| import.starts_with(interface);
        let held = permissions.iter().any(|import| is(import, "hostler:host/processes") || is(import, "hostler:host/containers"));
        let pretended = permissions.iter().all(|import| is(import, "hostler:host/state"));
        self.fake && !held && !pretended
    }

    /// A task with an id of its own.
    pub(crate) fn task(&self) -> Task {
        let mut ids = self.ids.lock().expect("no code panics while it holds this lock");
        let run = self.first + ids.len() as u64;
        let id = format!("conformance-case-0-{}-{run}", std::process::id());
        ids.insert(id.clone());
        Task {
            // a host keeps one life per slot, and a backend may count on it: each task is another service's
            id: TaskId { id, workspace: "conformance".to_owned(), service: format!("case-{run}"), replica: 0, run },
            spec_digest: "digest-1".to_owned(),
            settings: self.settings.to_string(),
            env: vec![("CONFORMANCE".to_owned(), "yes".to_owned())],
            resources: Resources { cpu_millis: None, memory_bytes: None, storage_bytes: None },
            labels: vec![("hostler.service".to_owned(), "case".to_owned())],
        }
    }

    fn is_ours(&self, id: &str) -> bool {
        self.ids.lock().expect("no code panics while it holds this lock").contains(id)
    }

    /// How long an ordinary call may take. A real engine may be one of a loaded machine: that is no fault of the plugin.
    pub(crate) fn patience(&self) -> Duration {
        if self.fake { DEADLINE } else { PATIENT }
    }

    pub(crate) fn call(&self) -> Call<'static> {
        Call::within(self.patience()).about("conformance")
    }

    pub(crate) async fn start(&self, task: &Task) -> Result<Handle, Stop> {
        let handle = self.backend().start(self.call(), task).await.or_else(|error| failed(format!("start failed: {error}")))?;
        // what has `processes` may have tasks on other machines, too: these settings say which
        if !self.fake && self.held().await.is_empty() {
            self.elsewhere.store(true, Ordering::Relaxed);
        }
        Ok(handle)
    }

    /// A task that was just brought up.
    pub(crate) async fn started(&self) -> Result<(Task, Handle), Stop> {
        let task = self.task();
        let handle = self.start(&task).await?;
        Ok((task, handle))
    }

    pub(crate) async fn look(&self, handle: &Handle) -> Result<Status, Stop> {
        match self.backend().inspect(self.call(), std::slice::from_ref(handle)).await {
            Ok(mut statuses) => Ok(statuses.remove(0)),
            Err(error) => failed(format!("inspect failed: {error}")),
        }
    }

    pub(crate) async fn stop(&self, handle: &Handle) -> Result<Status, Stop> {
        self.backend().stop(self.call(), handle, None, 2_000).await.or_else(|error| failed(format!("stop failed: {error}")))
    }

    pub(crate) async fn destroy(&self, handle: &Handle, force: bool) -> Kept {
        self.backend().destroy(self.call(), handle, force).await.or_else(|error| failed(format!("destroy failed: {error}")))
    }

    /// What `list` finds of this stand's own.
    pub(crate) async fn list(&self) -> Result<Vec<Found>, Stop> {
        match self.backend().list(self.call()).await {
            Ok(found) => Ok(found.into_iter().filter(|found| self.is_ours(&found.id)).collect()),
            Err(error) => failed(format!("list failed: {error}")),
        }
    }

    pub(crate) async fn found(&self, task: &Task) -> Result<Vec<Found>, Stop> {
        Ok(self.list().await?.into_iter().filter(|found| found.id == task.id.id).collect())
    }

    /// Does the keeper hold what this backend runs? Then it can be asked beside the plugin.
    pub(crate) fn is_held(&self) -> bool {
        self.keeper.is_some()
            && !self.elsewhere.load(Ordering::Relaxed)
            && self.plugin.permissions().iter().any(|import| import.starts_with("hostler:host/processes"))
    }

    /// What the keeper holds for it, whatever the plugin says.
    pub(crate) async fn held(&self) -> Vec<Process> {
        match self.ask(Request::List { owner: Some(self.plugin.name().to_owned()) }).await {
            Some(Response::List(held)) => held.into_iter().filter(|process| process.owner == self.plugin.name()).collect(),
            _ => Vec::new(),
        }
    }

    /// Its first processes die by themselves.
    pub(crate) async fn kill_all(&self) {
        for process in self.held().await {
            self.ask(Request::Stop { key: process.key, signal: "SIGKILL".to_owned(), grace_ms: 0 }).await;
        }
    }

    pub(crate) async fn ask(&self, request: Request) -> Option<Response> {
        self.keeper.as_ref()?.request(request).await.ok().map(|(response, _)| response)
    }

    /// A task in which every command ends with one code; none where the world is real.
    pub(crate) fn task_behind(&self, code: i32) -> Option<Arc<dyn TaskExec>> {
        self.fake.then(|| Arc::new(FakeTask(code)) as Arc<dyn TaskExec>)
    }

    /// One check, with the suite's own task behind `task-exec`.
    pub(crate) async fn judge(&self, settings: &Value, deadline: Duration, code: i32) -> Result<hostler_wasm::words::Report, CallError> {
        let target = target();
        let exec = self.task_behind(code);
        self.health_check().check(Call::within(deadline).about("conformance"), &target, &settings.to_string(), exec).await
    }
}

/// What is judged.
pub(crate) fn target() -> Target {
    Target {
        workspace: "conformance".to_owned(),
        service: "case".to_owned(),
        replica: 0,
        endpoints: Vec::new(),
        attributes: vec![("pid".to_owned(), "4000".to_owned())],
    }
}

/// A task in which every command ends with one code.
struct FakeTask(i32);

impl TaskExec for FakeTask {
    fn available(&self) -> bool {
        true
    }

    fn run(&self, _command: ExecCommand) -> Wait<'_, Result<ExecOutput, CallError>> {
        let exit = Exit { code: Some(self.0), signal: None, out_of_memory: false, at: None, reason: None };
        Box::pin(std::future::ready(Ok(ExecOutput { exit, out: b"ok\n".to_vec(), err: Vec::new(), truncated: false })))
    }
}

/// Everything that plugins said and were refused.
#[derive(Default)]
pub(crate) struct Heard {
    pub(crate) lines: Mutex<Vec<PluginLine>>,
    pub(crate) denials: Mutex<Vec<Denial>>,
}

impl PluginSink for Heard {
    fn line(&self, line: PluginLine) {
        self.lines.lock().expect("no code panics while it holds this lock").push(line);
    }

    fn denied(&self, denial: Denial) {
        self.denials.lock().expect("no code panics while it holds this lock").push(denial);
    }

    fn revealed(&self, _reveal: Reveal) -> bool {
        true
    }

    fn failed(&self, _plugin: &str, _revision: &str, _subject: &str, _error: &CallError) {}
}

/// Every secret is the suite's own text, which nobody may show.
struct Canaries;

impl SecretStore for Canaries {
    fn read<'a>(&'a self, _name: &'a str) -> Wait<'a, Result<String, SecretError>> {
        Box::pin(std::future::ready(Ok(CANARY.to_owned())))
    }
}

/// State in memory, with the quota that the host's own store keeps.
#[derive(Default)]
struct MemoryState(Mutex<BTreeMap<(String, String), Vec<u8>>>);

impl StateStore for MemoryState {
    fn get<'a>(&'a self, plugin: &'a str, key: &'a str) -> Wait<'a, Result<Option<Vec<u8>>, StateError>> {
        let value = self.0.lock().expect("no code panics while it holds this lock").get(&(plugin.to_owned(), key.to_owned())).cloned();
        Box::pin(std::future::ready(Ok(value)))
    }

    fn set<'a>(&'a self, plugin: &'a str, key: &'a str, value: Vec<u8>, expected: Option<Vec<u8>>, quota: Quota) -> Wait<'a, Result<(), StateError>> {
        let mut all = self.0.lock().expect("no code panics while it holds this lock");
        let place = (plugin.to_owned(), key.to_owned());
        let mut others = all.iter().filter(|((owner, other), _)| owner == plugin && other != key).map(|((_, key), value)| key.len() + value.len());
        let (keys, bytes) = (others.clone().count() + 1, others.by_ref().sum::<usize>() + key.len() + value.len());
        let answer = if expected.is_some() && all.get(&place) != expected.as_ref() {
            Err(StateError::Conflict("the value is another".to_owned()))
        } else if bytes as u64 > quota.bytes || keys > quota.keys as usize {
            Err(StateError::Quota(format!("{bytes} bytes in {keys} keys")))
        } else {
            all.insert(place, value);
            Ok(())
        };
        Box::pin(std::future::ready(answer))
    }

    fn delete<'a>(&'a self, plugin: &'a str, key: &'a str) -> Wait<'a, Result<(), StateError>> {
        self.0.lock().expect("no code panics while it holds this lock").remove(&(plugin.to_owned(), key.to_owned()));
        Box::pin(std::future::ready(Ok(())))
    }

    fn keys<'a>(&'a self, plugin: &'a str, prefix: &'a str, limit: usize) -> Wait<'a, Result<Vec<String>, StateError>> {
        let all = self.0.lock().expect("no code panics while it holds this lock");
        let ours = all.keys().filter(|(owner, key)| owner == plugin && key.starts_with(prefix)).map(|(_, key)| key.clone());
        Box::pin(std::future::ready(Ok(ours.take(limit).collect())))
    }
}
