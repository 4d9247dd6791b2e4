//! What a host hands to a plugin, as short as a test wants to write it.

use crate::host::commands::Output;
use crate::{Resources, Target, Task, TaskId};
use serde::de::DeserializeOwned;

/// Settings as the plugin reads them.
///
/// # Panics
/// With every mistake at its place, when they cannot be read: [`settings::parse`](crate::settings::parse) is for tests of those.
pub fn settings<S: DeserializeOwned>(json: &str) -> S {
    crate::settings::parse(json).unwrap_or_else(|problems| {
        let said: Vec<String> = problems.iter().map(|problem| format!("{:?}: {}", problem.at, problem.message)).collect();
        panic!("settings that cannot be read: {}", said.join("; "))
    })
}

/// The first life of the first replica of a service, with these settings and nothing else; its digest is of the settings' text.
///
/// ```
/// # #[derive(serde::Deserialize)] struct Settings { seconds: u32 }
/// let task = hostler_sdk::test::task::<Settings>("web", r#"{ "seconds": 3 }"#);
/// assert_eq!((task.id.id.as_str(), task.settings.seconds), ("test-web-0-1", 3));
/// ```
pub fn task<S: DeserializeOwned>(service: &str, json: &str) -> Task<S> {
    let id = TaskId { id: format!("test-{service}-0-1"), workspace: "default".into(), service: service.into(), replica: 0, run: 1 };
    let resources = Resources { cpu_millis: None, memory_bytes: None, storage_bytes: None };
    let spec_digest = format!("digest of {json}");
    Task { id, spec_digest, settings: settings(json), env: Vec::new(), resources, labels: Vec::new() }
}

/// The first replica of a service `web` that says nothing of itself.
pub fn target() -> Target {
    Target { workspace: "default".into(), service: "web".into(), replica: 0, endpoints: Vec::new(), attributes: Vec::new() }
}

/// What a command leaves that exits with `code` and writes `out`.
pub fn output(code: i32, out: &str) -> Output {
    Output { code: Some(code), signal: None, out: out.into(), err: Vec::new(), truncated: false }
}
