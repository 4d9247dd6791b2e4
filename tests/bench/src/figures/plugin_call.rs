//! What a plugin call costs by itself: a fresh instance, one call into it, one call of it into the host; nothing leaves the process.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hostler_wasm::words::{Resources, Task, TaskId};
use hostler_wasm::{
    Call, CallError, Denial, Limits, PluginLine, PluginSink, PluginSource, PoolOptions, Quota, Runtime, RuntimeOptions, StateError, StateStore, Wait,
};

use crate::report::{Figure, Report, Unit};
use crate::stats::Samples;
use crate::{Fallible, clock};

/// So often, after as often without looking at the time.
const ROUNDS: usize = 5_000;

/// The fixture `ledger`, whose `inspect` of one task asks the host's `state` once.
pub(crate) fn measure(fixtures: &Path, report: &mut Report) -> Fallible<()> {
    let component = fixtures.join("ledger.wasm");
    let bytes = std::fs::read(&component).map_err(|error| format!("{}: {error}; `make fixtures` makes it", component.display()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let (call, native) = runtime.block_on(calls(bytes))?;
    report.group("A plugin call");
    let figure = Figure::new("fresh instance, one call into the plugin, one into the host", Unit::Seconds, call).at_most(20e-6);
    report.add(figure.beside("the same question asked without a plugin", native));
    Ok(())
}

async fn calls(bytes: Vec<u8>) -> Fallible<(f64, f64)> {
    let dir = tempfile::tempdir()?;
    let state = Arc::new(State::default());
    let options = RuntimeOptions {
        cache_dir: dir.path().join("cache"),
        owner: "bench".to_owned(),
        keeper: None,
        state: Some(Arc::clone(&state) as Arc<dyn StateStore>),
        sink: Arc::new(Silence),
        pool: PoolOptions::default(),
        compiler: None,
    };
    let source = PluginSource {
        name: "ledger".to_owned(),
        bytes,
        origin: "ledger.wasm".to_owned(),
        config: serde_json::Value::Null,
        grants: serde_json::from_str(r#"{"state":{}}"#)?,
        limits: Limits::default(),
        expected_digest: None,
    };
    let plugin = Runtime::new(options)?.load(source).await?;
    let backend = plugin.backend().ok_or("the fixture is no backend")?;
    let within = || Call::within(Duration::from_secs(5)).about("t-1");
    let handles = [backend.start(within(), &task("{}")).await?];
    let key = state.keys().into_iter().next().ok_or("the fixture keeps nothing in `state`")?;
    let (mut call, mut native) = (Samples::default(), Samples::default());
    for round in 0..2 * ROUNDS {
        let begun = clock::now();
        black_box(backend.inspect(within(), &handles).await?);
        let called = clock::now();
        black_box(StateStore::get(&*state, "ledger", &key).await?);
        if round >= ROUNDS {
            call.add_nanos(called - begun);
            native.add_nanos(clock::now() - called);
        }
    }
    Ok((call.median(), native.median()))
}

/// A task with these settings.
pub(super) fn task(settings: &str) -> Task {
    Task {
        id: TaskId { id: "t-1".to_owned(), workspace: "default".to_owned(), service: "t".to_owned(), replica: 0, run: 1 },
        spec_digest: "d".to_owned(),
        settings: settings.to_owned(),
        env: Vec::new(),
        resources: Resources { cpu_millis: None, memory_bytes: None, storage_bytes: None },
        labels: Vec::new(),
    }
}

/// A state that answers at once.
#[derive(Default)]
struct State(Mutex<BTreeMap<String, Vec<u8>>>);

impl State {
    fn keys(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StateStore for State {
    fn get<'a>(&'a self, _: &'a str, key: &'a str) -> Wait<'a, Result<Option<Vec<u8>>, StateError>> {
        let value = self.lock().get(key).cloned();
        Box::pin(async { Ok(value) })
    }

    fn set<'a>(&'a self, _: &'a str, key: &'a str, value: Vec<u8>, _: Option<Vec<u8>>, _: Quota) -> Wait<'a, Result<(), StateError>> {
        self.lock().insert(key.to_owned(), value);
        Box::pin(async { Ok(()) })
    }

    fn delete<'a>(&'a self, _: &'a str, key: &'a str) -> Wait<'a, Result<(), StateError>> {
        self.lock().remove(key);
        Box::pin(async { Ok(()) })
    }

    fn keys<'a>(&'a self, _: &'a str, prefix: &'a str, limit: usize) -> Wait<'a, Result<Vec<String>, StateError>> {
        let keys = self.lock().keys().filter(|key| key.starts_with(prefix)).take(limit).cloned().collect();
        Box::pin(async { Ok(keys) })
    }
}

/// Nobody listens.
pub(super) struct Silence;

impl PluginSink for Silence {
    fn line(&self, _: PluginLine) {}

    fn denied(&self, _: Denial) {}

    fn failed(&self, _: &str, _: &str, _: &str, _: &CallError) {}
}
