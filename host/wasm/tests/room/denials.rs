//! Whatever is denied is denied three ways: the guest hears a typed error, the audit trail has a record, a counter counts.

use std::sync::Arc;

use hostler_wasm::words::Verdict;
use hostler_wasm::{Capability, Plugin};
use serde_json::{Value, json};

use crate::checks::judge;
use crate::secrets::Vault;
use crate::support::{Host, built_in, call, fixture, task};

/// One use of a capability that the grants do not cover, and what the guest said of it.
struct Refusal {
    capability: Capability,
    said: String,
}

/// The record that exactly one refusal left.
fn on_record(host: &Host, plugin: &Plugin, refusal: &Refusal, function: &str, before: u64) {
    let Refusal { capability, said } = refusal;
    assert!(["denied", "not granted", "refused", "grants do not cover"].iter().any(|word| said.contains(word)), "{capability}: {said}");
    let denials = host.heard.denials.lock().expect("lock");
    assert_eq!(denials.len() as u64, before + 1, "{capability}: {denials:?}");
    let last = denials.last().expect("one");
    assert_eq!((last.plugin.as_str(), last.revision.as_str()), (plugin.name(), plugin.revision()), "{capability}");
    assert_eq!((last.function, last.subject.as_str()), (function, "test/story"), "{capability}");
    assert_eq!(last.capability, capability.name());
    assert!(!last.what.is_empty(), "{capability}");
    assert_eq!(plugin.counts().denied, before + 1, "{capability}");
}

async fn checked(host: &Host, plugin: &Arc<Plugin>, capability: Capability, settings: Value) {
    let before = plugin.counts().denied;
    let said = match judge(plugin, call(), settings).await {
        Ok(report) => {
            assert!(!report.details.is_empty() || report.verdict != Verdict::Pass, "{capability}: {report:?}");
            report.details.into_iter().map(|(_, detail)| detail).fold(report.message, |all, detail| all + " " + &detail)
        }
        Err(error) => error.to_string(),
    };
    on_record(host, plugin, &Refusal { capability, said }, "health-check.check", before);
}

#[tokio::test]
async fn every_capability_denies_three_ways() {
    let (_keeper, link) = crate::keeper::start().await;
    let vault = Vault::with(link, json!({"commands": {"programs": ["/bin/true"]}, "processes": {"programs": ["/bin/true"]}})).await;
    let ring = |step: Value| json!({ "do": [step] });
    for (capability, step) in [
        (Capability::Commands, json!({"run": ["true", "", ""]})),
        (Capability::Processes, json!({"spawn": ["one", "true", ""]})),
        (Capability::Http, json!({"fetch": ["GET", "http://10.0.0.1/", "", ""]})),
        (Capability::Secrets, json!({"place": "other"})),
        (Capability::SecretsReveal, json!({"reveal": "other"})),
    ] {
        checked(&vault.host, &vault.keyring, capability, ring(step)).await;
    }
    let host = Host::new();
    let tcp = host.load("tcp", built_in("tcp"), r#"{"tcp": {"connect": ["127.0.0.1:1"]}}"#).await;
    checked(&host, &tcp, Capability::Tcp, json!({"host": "127.0.0.1", "port": 2})).await;
    let host = Host::new();
    let grants = json!({"filesystem": [{"path": host.dir.path(), "at": "/x"}]}).to_string();
    let clerk = host.load("clerk", fixture("clerk"), &grants).await;
    checked(&host, &clerk, Capability::Filesystem, json!({"do": [{"write": ["/x/y", "z"]}]})).await;
}

/// What is granted as a whole is only denied where nothing is allowed; there everything is.
#[tokio::test]
async fn functions_that_promise_to_touch_nothing_are_denied_everything() {
    let (_keeper, link) = crate::keeper::start().await;
    let vault = Vault::with(link, Value::Null).await;
    let steps = [
        (Capability::Commands, json!({"run": ["true", "", ""]})),
        (Capability::Processes, json!({"spawn": ["one", "true", ""]})),
        (Capability::Http, json!({"fetch": ["GET", "http://127.0.0.1:1/", "", ""]})),
        (Capability::Secrets, json!({"place": "token"})),
        (Capability::SecretsReveal, json!({"reveal": "token"})),
    ];
    for (capability, step) in steps {
        let before = vault.keyring.counts().denied;
        let settings = json!({"early": true, "do": [step]}).to_string();
        let problems = vault.keyring.health_check().expect("a check").validate(call(), &settings).await.expect("an answer");
        let said = problems.iter().map(|problem| problem.message.as_str()).collect::<String>();
        on_record(&vault.host, &vault.keyring, &Refusal { capability, said }, "health-check.validate", before);
    }
    let host = Host::new();
    let grants = r#"{"state": {}, "commands": {"programs": ["*"]}}"#;
    let plugin = host.load("ungranted", fixture("ungranted"), grants).await;
    let problems = plugin.backend().expect("a backend").validate(call(), r#"{"reach": true}"#).await.expect("an answer");
    assert_eq!(problems.len(), 2, "{problems:?}");
    let denied: Vec<&str> = host.heard.denials.lock().expect("lock").iter().map(|denial| denial.capability).collect();
    assert_eq!(denied, ["state", "commands"]);
}

/// Which version of the contract a plugin was built for changes no rule: grants are read in one place, behind every version.
#[tokio::test]
async fn every_version_of_the_contract_denies_the_same() {
    let mut heard = Vec::new();
    for version in ["0.1.0", "0.1.1", "0.1.9"] {
        let host = Host::new();
        let bytes = built_for(&fixture("ungranted"), version);
        // without its grants it does not load
        let error = host.try_load("sly", bytes.clone(), "{}").await.expect_err("nothing is granted").to_string();
        assert!(error.contains("it needs commands, state"), "{version}: {error}");
        // with another program's, it is refused
        let plugin = host.load("sly", bytes, r#"{"state": {}, "commands": {"programs": ["/bin/true"]}}"#).await;
        assert!(plugin.permissions().contains(&format!("hostler:host/commands@{version}")), "{:?}", plugin.permissions());
        let error = plugin.backend().expect("a backend").start(call(), &task("t-1", "d", json!({}))).await.expect_err("sleep was not granted");
        heard.push((error.brief(), host.heard.denied(), plugin.counts().denied));
    }
    assert!(heard[0].0.contains("/bin/sleep") && heard[0].2 == 1, "{heard:?}");
    assert!(heard.iter().all(|one| *one == heard[0]), "{heard:?}");
}

/// The same component, with its imports of the host's capabilities at another version.
fn built_for(component: &[u8], version: &str) -> Vec<u8> {
    let mut bytes = component.to_vec();
    for interface in ["errors", "log", "context", "commands", "state"] {
        let (old, new) = (format!("hostler:host/{interface}@0.1.0"), format!("hostler:host/{interface}@{version}"));
        let places: Vec<usize> = (0..bytes.len().saturating_sub(old.len())).filter(|at| bytes[*at..].starts_with(old.as_bytes())).collect();
        for at in places {
            bytes[at..at + new.len()].copy_from_slice(new.as_bytes());
        }
    }
    bytes
}
