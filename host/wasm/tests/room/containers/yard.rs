//! A host with a plugin that does with containers as it is told, and the engine of this machine where there is one.

use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hostler_wasm::{Call, Plugin};
use serde_json::{Value, json};

use crate::checks::{judge, judge_late};
use crate::support::{Host, fixture};

/// Where the engine of this machine listens.
pub(crate) const SOCKET: &str = "unix:///var/run/docker.sock";

/// A host, a plugin with a grant, and containers of its own, which end with it.
pub(crate) struct Yard {
    pub(crate) host: Host,
    pub(crate) plugin: Arc<Plugin>,
    prefix: String,
}

impl Yard {
    /// On the real engine, with this beside its endpoint; nothing where there is none.
    pub(crate) async fn real(more: Value) -> Option<Yard> {
        image()?;
        Some(Yard::at(SOCKET, more).await)
    }

    pub(crate) async fn at(endpoint: &str, more: Value) -> Yard {
        static YARDS: AtomicU32 = AtomicU32::new(0);
        let host = Host::new();
        host.keep_secret("token", "canary-5e1f00");
        let mut grant = json!({ "endpoint": endpoint });
        for (key, value) in more.as_object().into_iter().flatten() {
            grant[key] = value.clone();
        }
        let grants = json!({ "containers": { "default": grant }, "secrets": ["token"] });
        let plugin = host.load("stevedore", fixture("stevedore"), &grants.to_string()).await;
        let prefix = format!("hostler-room-{}-{}", std::process::id(), YARDS.fetch_add(1, Ordering::Relaxed));
        Yard { host, plugin, prefix }
    }

    /// The name of a container of this test.
    pub(crate) fn name(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    pub(crate) async fn does(&self, steps: Value) -> Vec<String> {
        self.does_within(Duration::from_secs(60), steps).await
    }

    pub(crate) async fn does_within(&self, time: Duration, steps: Value) -> Vec<String> {
        let report = judge(&self.plugin, Call::within(time).about("test/story"), json!({ "do": steps })).await.expect("judged");
        report.details.into_iter().map(|(_, answer)| answer).collect()
    }

    /// A step that lasts longer than this, and may be taken twice.
    pub(crate) async fn does_late(&self, time: Duration, step: Value) -> String {
        let report = judge_late(&self.plugin, Call::within(time).about("test/story"), json!({ "do": [step] })).await.expect("judged");
        report.details.into_iter().map(|(_, answer)| answer).next().expect("an answer")
    }

    pub(crate) async fn does_one(&self, step: Value) -> String {
        self.does(json!([step])).await.remove(0)
    }

    /// Makes and starts a container that runs a script.
    pub(crate) async fn runs(&self, name: &str, script: &str) -> String {
        let name = self.name(name);
        let make = json!({ "image": IMAGE, "command": ["/bin/sh", "-c", script], "network": "none" });
        let answers = self.does(json!([{ "create": [name, make] }, { "start": name }])).await;
        assert_eq!(answers[1], "done", "{answers:?}");
        name
    }

    /// The same, of a script that says `ready` once it hears signals.
    pub(crate) async fn listens(&self, name: &str, script: &str) -> String {
        let name = self.runs(name, script).await;
        crate::support::until("it is ready", async || self.does_one(json!({ "tail": [name, 1] })).await.starts_with("ready>")).await;
        name
    }
}

impl Drop for Yard {
    fn drop(&mut self) {
        let listed = docker(&["ps", "--all", "--quiet", "--filter", &format!("name={}", self.prefix)]);
        for id in String::from_utf8_lossy(&listed.stdout).lines() {
            docker(&["rm", "--force", "--volumes", id]);
        }
    }
}

/// A shell and what goes with it.
pub(crate) const IMAGE: &str = "hostler-room:1";

/// The image, made when this machine has an engine.
///
/// # Panics
/// Where there is none and `CI` is set.
fn image() -> Option<()> {
    static IMAGE_MADE: OnceLock<bool> = OnceLock::new();
    let made = IMAGE_MADE.get_or_init(|| {
        let Ok(dir) = tempfile::tempdir() else { return false };
        let dockerfile = "FROM scratch\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\n";
        let written = std::fs::write(dir.path().join("Dockerfile"), dockerfile).is_ok();
        let copied = std::fs::copy("/bin/busybox", dir.path().join("busybox")).is_ok();
        written && copied && docker(&["build", "--quiet", "--tag", IMAGE, &dir.path().to_string_lossy()]).status.success()
    });
    if !made {
        assert!(std::env::var_os("CI").is_none(), "these tests need a Docker engine and /bin/busybox (static)");
        eprintln!("passed over: this machine has no Docker engine, or no /bin/busybox (static)");
    }
    made.then_some(())
}

pub(crate) fn docker(words: &[&str]) -> Output {
    Command::new("docker").args(words).output().unwrap_or_else(|error| {
        use std::os::unix::process::ExitStatusExt;
        Output { status: std::process::ExitStatus::from_raw(1 << 8), stdout: Vec::new(), stderr: error.to_string().into_bytes() }
    })
}
