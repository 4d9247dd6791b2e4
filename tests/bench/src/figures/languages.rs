//! What a plugin call costs by the language that the plugin is written in. The plugins are those of `tests/corpus`: the same backend, made from the four
//! templates; the keeper behind their one import is played, and answers at once.

use std::hint::black_box;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hostler_keeper::protocol::{Process, Request, Response, State};
use hostler_wasm::words::Handle;
use hostler_wasm::{Call, KeeperError, KeeperLink, KeeperRole, Limits, Plugin, PluginSource, PoolOptions, Runtime, RuntimeOptions, Wait};

use super::plugin_call::{Silence, task};
use crate::report::{Figure, Report, Unit};
use crate::stats::Samples;
use crate::{Fallible, clock};

/// So often, after as often without looking at the time.
const ROUNDS: usize = 500;
const LANGUAGES: [&str; 4] = ["rust", "c", "javascript", "python"];
/// The version whose plugins are measured.
const VERSION: &str = "0.1.0";

pub(crate) fn measure(report: &mut Report) -> Fallible<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus").join(VERSION);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    report.group("A plugin call, by language");
    for language in LANGUAGES {
        let bytes = unpacked(&corpus.join(format!("{language}.wasm.zst")))?;
        let size = bytes.len();
        let (validate, inspect) = runtime.block_on(calls(language, bytes))?;
        let name = format!("{language} ({} KB): fresh instance, inspect, one call into the host", size / 1000);
        report.add(Figure::new(name, Unit::Seconds, inspect).beside("fresh instance, validate", validate));
    }
    Ok(())
}

fn unpacked(path: &Path) -> Fallible<Vec<u8>> {
    let file = std::fs::File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut bytes = Vec::new();
    ruzstd::decoding::StreamingDecoder::new(file).map_err(|error| error.to_string())?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

async fn calls(language: &str, bytes: Vec<u8>) -> Fallible<(f64, f64)> {
    let dir = tempfile::tempdir()?;
    let plugin = load(dir.path(), language, bytes).await?;
    let backend = plugin.backend().ok_or("the plugin is no backend")?;
    let within = || Call::within(Duration::from_secs(5)).about("t-1");
    let settings = r#"{"program":"/bin/sleep","args":["9"]}"#;
    let handles: [Handle; 1] = [backend.start(within(), &task(settings)).await?];
    let (mut validate, mut inspect) = (Samples::default(), Samples::default());
    for round in 0..2 * ROUNDS {
        let begun = clock::now();
        black_box(backend.validate(within(), settings).await?);
        let validated = clock::now();
        black_box(backend.inspect(within(), &handles).await?);
        if round >= ROUNDS {
            validate.add_nanos(validated - begun);
            inspect.add_nanos(clock::now() - validated);
        }
    }
    Ok((validate.median(), inspect.median()))
}

async fn load(dir: &Path, language: &str, bytes: Vec<u8>) -> Fallible<Arc<Plugin>> {
    let options = RuntimeOptions {
        cache_dir: dir.join("cache"),
        owner: "bench".to_owned(),
        keeper: Some(KeeperLink::played_by(Arc::new(Keeper))),
        state: None,
        sink: Arc::new(Silence),
        pool: PoolOptions::default(),
        compiler: None,
    };
    let source = PluginSource {
        name: language.to_owned(),
        bytes,
        origin: format!("{language}.wasm"),
        config: serde_json::Value::Null,
        grants: serde_json::from_str(r#"{"processes":{"programs":["*"]}}"#)?,
        limits: Limits::default(),
        expected_digest: None,
    };
    Ok(Runtime::new(options)?.load(source).await?)
}

/// A keeper whose one process always runs.
struct Keeper;

impl KeeperRole for Keeper {
    fn request(&self, request: Request) -> Wait<'_, Result<(Response, Vec<u8>), KeeperError>> {
        Box::pin(async move {
            let response = match request {
                Request::Spawn { key, command, .. } => Response::Process(running(key, command.labels)),
                Request::Inspect { keys } => Response::Processes(keys.into_iter().map(|key| Some(running(key, Vec::new()))).collect()),
                _ => return Err(KeeperError::Unavailable("only looking is measured".to_owned())),
            };
            Ok((response, Vec::new()))
        })
    }
}

fn running(key: String, labels: Vec<(String, String)>) -> Process {
    let notes = Vec::new();
    Process { log_name: key.clone(), key, owner: "bench".to_owned(), pid: Some(1), started_at: 1, state: State::Running, notes, labels }
}
