//! Taps: who listens to a plugin sees each import, and may stand for what is behind it.

use std::sync::{Arc, Mutex};

use hostler_keeper::protocol::{Request, Response};
use hostler_wasm::words::Fault;
use hostler_wasm::{Decision, Failure, ImportCall, KILLED, KeeperError, KeeperLink, KeeperRole, NextMove, PoolOptions, Tap, Wait};
use serde_json::{Value, json};

use crate::support::{Host, built_in, call, task};

const ANY: &str = r#"{"processes": {"programs": ["*"]}}"#;

/// A keeper that answers every change with something that was not asked.
struct Confused;

impl KeeperRole for Confused {
    fn request(&self, request: Request) -> Wait<'_, Result<(Response, Vec<u8>), KeeperError>> {
        let answer = match request {
            Request::Spawn { .. } => Response::List(Vec::new()),
            Request::Forget { .. } => return Box::pin(std::future::ready(Err(KeeperError::Protocol("gibberish".to_owned())))),
            _ => Response::List(Vec::new()),
        };
        Box::pin(std::future::ready(Ok((answer, Vec::new()))))
    }
}

fn host() -> Host {
    Host::with(Some(KeeperLink::played_by(Arc::new(Confused))), PoolOptions { instances: 8, ..PoolOptions::default() })
}

#[tokio::test]
async fn a_change_that_was_answered_with_nonsense_may_have_happened() {
    let host = host();
    let plugin = host.load("process", built_in("process"), ANY).await;
    let backend = plugin.backend().expect("a backend");
    let error = backend.start(call(), &task("t-1", "d", json!({"binary": "/bin/true"}))).await.expect_err("nobody knows");
    assert!(matches!(error.fault(), Some(Fault::Interrupted(_))), "{error}");
    assert_eq!(error.next_move(), NextMove::Look, "something may run");
    let handle = hostler_wasm::words::Handle { version: 1, state: br#"{"key":"t-1","log":"t-1"}"#.to_vec() };
    let error = backend.destroy(call(), &handle, false).await.expect_err("nobody knows");
    assert_eq!(error.next_move(), NextMove::Look);
}

/// Plays one answer, and remembers what was asked.
#[derive(Default)]
struct Playing {
    answer: Option<Value>,
    kill_after: Option<&'static str>,
    seen: Mutex<Vec<String>>,
}

impl Tap for Playing {
    fn before(&self, import: &ImportCall<'_>) -> Decision {
        self.seen.lock().expect("lock").push(format!("{} {} {}", import.call.function, import.name(), import.arguments));
        self.answer.clone().map_or(Decision::Pass, Decision::Answer)
    }

    fn after(&self, import: &ImportCall<'_>, _: &Value) -> Decision {
        if self.kill_after == Some(import.function) { Decision::Kill } else { Decision::Pass }
    }
}

#[tokio::test]
async fn a_tap_sees_and_answers_and_can_be_taken_away() {
    let host = host();
    let plugin = host.load("process", built_in("process"), ANY).await;
    let backend = plugin.backend().expect("a backend");
    let tap = Arc::new(Playing { answer: Some(json!({ "Err": { "Unavailable": "for a while" } })), ..Playing::default() });
    plugin.set_tap(Some(Arc::clone(&tap) as Arc<dyn Tap>));
    let engine = backend.fingerprint(call()).await.expect("an answer");
    assert!(!engine.ready && engine.message.contains("for a while"), "{engine:?}");
    assert_eq!(*tap.seen.lock().expect("lock"), ["backend.fingerprint processes.list []"]);
    plugin.set_tap(None);
    backend.fingerprint(call()).await.expect("an answer");
    assert_eq!(tap.seen.lock().expect("lock").len(), 1);
}

#[tokio::test]
async fn a_tap_ends_an_instance_after_an_effect_and_an_answer_of_another_shape_ends_it_too() {
    let host = host();
    let plugin = host.load("process", built_in("process"), ANY).await;
    let backend = plugin.backend().expect("a backend");
    let check = async |tap: Playing, expected: &str| {
        plugin.set_tap(Some(Arc::new(tap)));
        let error = backend.list(call()).await.expect_err("it was ended");
        assert!(matches!(&error.why, Failure::Trapped { message } if message.contains(expected)), "{error}");
    };
    check(Playing { kill_after: Some("list"), ..Playing::default() }, KILLED).await;
    check(Playing { answer: Some(json!(7)), ..Playing::default() }, "another shape").await;
}
