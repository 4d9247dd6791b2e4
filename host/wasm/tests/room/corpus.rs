//! Plugins of every released version load and work: components built then, as they lie in `tests/corpus`.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hostler_wasm::words::Phase;
use hostler_wasm::{Ability, Call, PoolOptions, Role};

use crate::support::Host;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus")
}

fn component(version: &str, language: &str) -> Vec<u8> {
    let path = corpus().join(version).join(format!("{language}.wasm.zst"));
    let packed = std::fs::File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut bytes = Vec::new();
    ruzstd::decoding::StreamingDecoder::new(packed).expect("it is packed").read_to_end(&mut bytes).expect("it is whole");
    bytes
}

async fn lives(language: &str) {
    let (_keeper, link) = crate::keeper::start().await;
    let host = Host::with(Some(link), PoolOptions { instances: 16, ..PoolOptions::default() });
    let mut versions: Vec<_> = std::fs::read_dir(corpus()).expect("the corpus is there").flatten().filter(|entry| entry.path().is_dir()).collect();
    versions.sort_by_key(std::fs::DirEntry::file_name);
    assert!(!versions.is_empty());
    for (number, version) in versions.iter().enumerate() {
        let version = version.file_name().display().to_string();
        let plugin = host.load("old", component(&version, language), r#"{"processes": {"programs": ["/bin/sleep"]}}"#).await;
        assert_eq!((plugin.role(), plugin.description().name.as_str()), (Role::Backend, format!("old-{language}").as_str()), "{version}");
        assert!(plugin.abilities().contains(&Ability::Logs), "{version}");
        let reaching: Vec<String> = plugin.permissions().into_iter().map(|name| name.split('@').next().unwrap_or_default().to_owned()).collect();
        assert_eq!(reaching, ["hostler:host/processes"], "{version}: what it was built to call, and nothing of its runtime's");

        let backend = plugin.backend().expect("it is one");
        let within = || Call::within(Duration::from_secs(20));
        let settings = serde_json::json!({ "program": "/bin/sleep", "args": ["1000"] });
        let task = crate::support::task(&format!("old-{language}-{number}"), "d", settings);
        assert!(backend.fingerprint(within()).await.expect("it answers").ready, "{version}");
        let handle = backend.start(within(), &task).await.expect("it starts");
        assert_eq!(backend.start(within(), &task).await.expect("it finds it"), handle, "{version}");
        let seen = backend.inspect(within(), std::slice::from_ref(&handle)).await.expect("it looks");
        assert!(matches!(seen[0].phase, Phase::Running), "{version}: {seen:?}");
        let found = backend.list(within()).await.expect("it lists");
        assert!(found.iter().any(|found| found.id == task.id.id && found.handle == handle), "{version}: {found:?}");
        let ended = backend.stop(within(), &handle, None, 1_000).await.expect("it stops");
        assert!(matches!(ended.phase, Phase::Exited(_)), "{version}: {ended:?}");
        backend.destroy(within(), &handle, false).await.expect("it is freed");
        let seen = backend.inspect(within(), &[handle]).await.expect("it looks");
        assert!(matches!(seen[0].phase, Phase::Gone), "{version}: {seen:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_plugins_in_rust_live() {
    lives("rust").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_plugins_in_python_live() {
    lives("python").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_plugins_in_javascript_live() {
    lives("javascript").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_plugins_in_c_live() {
    lives("c").await;
}

/// An interpreter needs more than a small plugin; whoever gave it less reads what to change.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_little_memory_is_told_with_the_limit_to_raise() {
    let (_keeper, link) = crate::keeper::start().await;
    let host = Host::with(Some(link), PoolOptions { instances: 4, ..PoolOptions::default() });
    let mut source = crate::support::source("old", component("0.1.0", "javascript"), r#"{"processes": {"programs": ["/bin/sleep"]}}"#);
    source.limits.memory = 1 << 20;
    let error = host.runtime.load(source).await.expect_err("QuickJS has more than that").to_string();
    assert!(error.contains("`limits.memory` allows (1048576 bytes)"), "{error}");
}
