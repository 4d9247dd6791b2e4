//! What the stories share: where components are, a host to load them into, and what it heard.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hostler_wasm::words::{Target, Task, TaskId};
use hostler_wasm::{
    Call, CallError, Compiler, Denial, Grants, KeeperLink, Limits, LoadError, Plugin, PluginLine, PluginSink, PluginSource, PoolOptions, Quota,
    Reveal, Runtime, RuntimeOptions, SecretError, SecretStore, StateError, StateStore, Wait,
};

/// A built-in plugin.
pub(crate) fn built_in(name: &str) -> Vec<u8> {
    component("plugins", name, "cargo run --release -p hostler-componentize -- build --manifest plugins/Cargo.toml --out target/plugins")
}

/// A guest that misbehaves.
pub(crate) fn fixture(name: &str) -> Vec<u8> {
    component("fixtures", name, "cargo run --release -p hostler-componentize -- build --manifest tests/fixtures/Cargo.toml --out target/fixtures")
}

fn component(dir: &str, name: &str, build: &str) -> Vec<u8> {
    let path = target().join(dir).join(format!("{name}.wasm"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; build it with: {build}", path.display()))
}

/// The workspace's target directory.
fn target() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target").canonicalize().expect("tests run in a built workspace")
}

/// The keeper's program.
pub(crate) fn keeper_program() -> PathBuf {
    let path = target().join("release/hostler-keeper");
    assert!(path.is_file(), "{} is missing; build it with: cargo build --release -p hostler-keeper", path.display());
    path
}

/// A runtime in a directory of its own, and what its plugins said.
pub(crate) struct Host {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) heard: Arc<Heard>,
    pub(crate) dir: tempfile::TempDir,
}

/// Everything the sink was told.
#[derive(Default)]
pub(crate) struct Heard {
    pub(crate) lines: Mutex<Vec<PluginLine>>,
    pub(crate) denials: Mutex<Vec<Denial>>,
    pub(crate) failures: Mutex<Vec<CallError>>,
    pub(crate) reveals: Mutex<Vec<Reveal>>,
}

/// Secrets of files, as the server keeps them.
struct Secrets(PathBuf);

impl SecretStore for Secrets {
    fn read<'a>(&'a self, name: &'a str) -> Wait<'a, Result<String, SecretError>> {
        Box::pin(async move { std::fs::read_to_string(self.0.join(name)).map_err(|error| SecretError::Unavailable(error.to_string())) })
    }
}

impl PluginSink for Heard {
    fn line(&self, line: PluginLine) {
        self.lines.lock().expect("lock").push(line);
    }

    fn denied(&self, denial: Denial) {
        self.denials.lock().expect("lock").push(denial);
    }

    fn revealed(&self, reveal: Reveal) -> bool {
        self.reveals.lock().expect("lock").push(reveal);
        true
    }

    fn failed(&self, _: &str, _: &str, _: &str, error: &CallError) {
        self.failures.lock().expect("lock").push(error.clone());
    }
}

impl Heard {
    pub(crate) fn denied(&self) -> Vec<String> {
        self.denials.lock().expect("lock").iter().map(|denial| format!("{}: {}", denial.capability, denial.what)).collect()
    }

    pub(crate) fn said(&self) -> Vec<String> {
        self.lines.lock().expect("lock").iter().map(|line| line.message.clone()).collect()
    }
}

impl Host {
    pub(crate) fn new() -> Host {
        Host::with(None, PoolOptions { instances: 32, ..PoolOptions::default() })
    }

    pub(crate) fn with(keeper: Option<Arc<KeeperLink>>, pool: PoolOptions) -> Host {
        Host::compiling(keeper, pool, None)
    }

    pub(crate) fn compiling(keeper: Option<Arc<KeeperLink>>, pool: PoolOptions, compiler: Option<Compiler>) -> Host {
        let dir = tempfile::tempdir().expect("a directory");
        let heard = Arc::new(Heard::default());
        let options = RuntimeOptions {
            cache_dir: dir.path().join("cache"),
            owner: "test-host".to_owned(),
            keeper,
            state: Some(Arc::new(MemoryState::default())),
            sink: Arc::clone(&heard) as Arc<dyn PluginSink>,
            pool,
            compiler,
        };
        let runtime = Runtime::new(options).expect("a runtime");
        let secrets = dir.path().join("secrets");
        std::fs::create_dir(&secrets).expect("ours");
        runtime.keep_secrets(Arc::new(Secrets(secrets)));
        Host { runtime, heard, dir }
    }

    /// Writes the file of a secret.
    pub(crate) fn keep_secret(&self, name: &str, value: &str) {
        std::fs::write(self.dir.path().join("secrets").join(name), value).expect("ours");
    }

    pub(crate) async fn load(&self, name: &str, bytes: Vec<u8>, grants: &str) -> Arc<Plugin> {
        self.try_load(name, bytes, grants).await.unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub(crate) async fn try_load(&self, name: &str, bytes: Vec<u8>, grants: &str) -> Result<Arc<Plugin>, LoadError> {
        self.runtime.load(source(name, bytes, grants)).await
    }
}

pub(crate) fn source(name: &str, bytes: Vec<u8>, grants: &str) -> PluginSource {
    let grants: Grants = serde_json::from_str(grants).expect("grants");
    PluginSource {
        name: name.to_owned(),
        bytes,
        origin: format!("{name}.wasm"),
        config: serde_json::Value::Null,
        grants,
        limits: Limits::default(),
        expected_digest: None,
    }
}

pub(crate) fn call() -> Call<'static> {
    Call::within(Duration::from_secs(20)).about("test/story")
}

pub(crate) fn task(id: &str, digest: &str, settings: serde_json::Value) -> Task {
    Task {
        id: TaskId { id: id.to_owned(), workspace: "test".to_owned(), service: "story".to_owned(), replica: 0, run: 1 },
        spec_digest: digest.to_owned(),
        settings: settings.to_string(),
        env: vec![("GREETING".to_owned(), "hello".to_owned())],
        resources: hostler_wasm::words::Resources { cpu_millis: None, memory_bytes: None, storage_bytes: None },
        labels: Vec::new(),
    }
}

pub(crate) fn target_of(service: &str) -> Target {
    Target { workspace: "test".to_owned(), service: service.to_owned(), replica: 0, endpoints: Vec::new(), attributes: Vec::new() }
}

/// Waits for something to become true, looking again and again until a deadline.
pub(crate) async fn until(what: &str, mut check: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !check().await {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// State in memory, as the server keeps it in its store.
#[derive(Default)]
pub(crate) struct MemoryState(Mutex<BTreeMap<(String, String), Vec<u8>>>);

impl StateStore for MemoryState {
    fn get<'a>(&'a self, plugin: &'a str, key: &'a str) -> Wait<'a, Result<Option<Vec<u8>>, StateError>> {
        let value = self.0.lock().expect("lock").get(&(plugin.to_owned(), key.to_owned())).cloned();
        Box::pin(async { Ok(value) })
    }

    fn set<'a>(&'a self, plugin: &'a str, key: &'a str, value: Vec<u8>, expected: Option<Vec<u8>>, quota: Quota) -> Wait<'a, Result<(), StateError>> {
        Box::pin(async move {
            let mut all = self.0.lock().expect("lock");
            let place = (plugin.to_owned(), key.to_owned());
            if expected.is_some() && all.get(&place) != expected.as_ref() {
                return Err(StateError::Conflict("the value is another".to_owned()));
            }
            let others = all.iter().filter(|((owner, other), _)| owner == plugin && other != key);
            let (count, bytes) =
                others.fold((1, key.len() + value.len()), |(count, bytes), ((_, key), value)| (count + 1, bytes + key.len() + value.len()));
            if bytes as u64 > quota.bytes || count > quota.keys {
                return Err(StateError::Quota(format!("{bytes} bytes in {count} keys")));
            }
            all.insert(place, value);
            Ok(())
        })
    }

    fn delete<'a>(&'a self, plugin: &'a str, key: &'a str) -> Wait<'a, Result<(), StateError>> {
        self.0.lock().expect("lock").remove(&(plugin.to_owned(), key.to_owned()));
        Box::pin(async { Ok(()) })
    }

    fn keys<'a>(&'a self, plugin: &'a str, prefix: &'a str, limit: usize) -> Wait<'a, Result<Vec<String>, StateError>> {
        let all = self.0.lock().expect("lock");
        let keys = all.keys().filter(|(owner, key)| owner == plugin && key.starts_with(prefix)).map(|(_, key)| key.clone()).take(limit).collect();
        Box::pin(async { Ok(keys) })
    }
}

/// A small HTTP server on a thread of its own: answers by path, counts connections.
pub(crate) mod web {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::{SocketAddr, TcpListener, TcpStream};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    pub(crate) struct Web {
        pub(crate) address: SocketAddr,
        connections: Arc<AtomicUsize>,
        requests: Arc<AtomicUsize>,
        heads: Arc<Mutex<String>>,
    }

    impl Web {
        pub(crate) fn start() -> Web {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            let address = listener.local_addr().expect("an address");
            let (connections, requests) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let heads: Arc<Mutex<String>> = Arc::default();
            let web = Web { address, connections: Arc::clone(&connections), requests: Arc::clone(&requests), heads: Arc::clone(&heads) };
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    connections.fetch_add(1, Ordering::SeqCst);
                    let (requests, heads) = (Arc::clone(&requests), Arc::clone(&heads));
                    std::thread::spawn(move || drop(serve(stream, address, &requests, &heads)));
                }
            });
            web
        }

        pub(crate) fn url(&self, path: &str) -> String {
            format!("http://{}{path}", self.address)
        }

        pub(crate) fn connections(&self) -> usize {
            self.connections.load(Ordering::SeqCst)
        }

        /// The headers of all requests, in small letters.
        pub(crate) fn heads(&self) -> String {
            self.heads.lock().expect("lock").clone()
        }

        pub(crate) fn requests(&self) -> usize {
            self.requests.load(Ordering::SeqCst)
        }
    }

    fn serve(stream: TcpStream, own: SocketAddr, requests: &AtomicUsize, heads: &Mutex<String>) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut stream = stream;
        loop {
            let mut first = String::new();
            if reader.read_line(&mut first)? == 0 {
                return Ok(());
            }
            let mut length = 0;
            loop {
                let mut line = String::new();
                reader.read_line(&mut line)?;
                heads.lock().expect("lock").push_str(&line.to_ascii_lowercase());
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap_or(0);
                }
                if line.trim().is_empty() {
                    break;
                }
            }
            std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink())?;
            requests.fetch_add(1, Ordering::SeqCst);
            answer(&mut stream, first.split(' ').nth(1).unwrap_or("/"), own)?;
        }
    }

    fn answer(stream: &mut TcpStream, path: &str, own: SocketAddr) -> std::io::Result<()> {
        let plain = |status: &str, body: &str| format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        match path {
            "/ok" => stream.write_all(plain("200 OK", "all is well").as_bytes()),
            "/redirect" => stream.write_all(format!("HTTP/1.1 302 Found\r\nlocation: http://{own}/ok\r\ncontent-length: 0\r\n\r\n").as_bytes()),
            "/huge" => {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")?;
                let chunk = vec![b'x'; 1 << 16];
                while stream.write_all(&chunk).is_ok() {}
                Ok(())
            }
            "/silent" => {
                // until the other side hangs up
                let mut byte = [0];
                stream.set_read_timeout(Some(Duration::from_secs(30)))?;
                let _ = stream.read(&mut byte);
                Err(std::io::ErrorKind::ConnectionAborted.into())
            }
            "/close" => {
                stream.write_all(plain("200 OK", "bye").as_bytes())?;
                // hangs up without saying so first, as servers do with idle connections
                Err(std::io::ErrorKind::ConnectionAborted.into())
            }
            _ => stream.write_all(plain("500 Internal Server Error", "broken").as_bytes()),
        }
    }
}
