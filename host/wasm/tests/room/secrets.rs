//! Secrets: put where they are needed, told to nobody, and refused to those who were not granted them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hostler_wasm::{KeeperLink, Plugin, PoolOptions};
use serde_json::{Value, json};

use crate::checks::judge;
use crate::support::{Host, call, fixture, until};

/// What nobody may find anywhere.
const CANARY: &str = "canary-7b1f0c";

/// A host that keeps two secrets, and the plugin that was granted one.
pub(crate) struct Vault {
    pub(crate) host: Host,
    pub(crate) keyring: Arc<Plugin>,
}

impl Vault {
    pub(crate) async fn with(keeper: Arc<KeeperLink>, more: Value) -> Vault {
        let host = Host::with(Some(keeper), PoolOptions { instances: 16, ..PoolOptions::default() });
        host.keep_secret("token", CANARY);
        host.keep_secret("other", "another value");
        let mut grants = json!({
            "secrets": ["token"], "secrets-reveal": ["token"],
            "commands": {"programs": ["/bin/sh"]}, "processes": {"programs": ["/bin/sh"]}, "http": {"hosts": ["http://127.0.0.1:*"]},
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            grants[key] = value.clone();
        }
        let keyring = host.load("keyring", fixture("keyring"), &grants.to_string()).await;
        Vault { host, keyring }
    }

    pub(crate) async fn does(&self, steps: Value) -> Vec<String> {
        let report = judge(&self.keyring, call(), json!({ "do": steps })).await.expect("judged");
        report.details.into_iter().map(|(_, answer)| answer).collect()
    }

    pub(crate) async fn does_one(&self, step: Value) -> String {
        self.does(json!([step])).await.remove(0)
    }
}

#[tokio::test]
async fn a_secret_reaches_commands_and_not_the_plugin() {
    let (_keeper, link) = crate::keeper::start().await;
    let vault = Vault::with(link, Value::Null).await;
    let placeholder = vault.does_one(json!({"place": "token"})).await;
    assert!(placeholder.starts_with("hostler-secret-") && placeholder.len() > 40, "{placeholder}");
    assert_ne!(vault.does_one(json!({"place": "token"})).await, placeholder, "it is another one in each call");
    let length = CANARY.len() + 4;
    let answers = vault
        .does(json!([
            {"run": ["printf %s \"$SECRET\" | wc -c", "<{token}{token}>", ""]},
            {"run": ["wc -c", "", "in:{token}\n"]},
            {"run": ["printf %s \"$SECRET\"; printf %s \"$SECRET\" >&2", "{token}", ""]},
            {"run": ["printf %s \"$SECRET\"", placeholder, ""]},
        ]))
        .await;
    assert_eq!(answers[0], (2 * CANARY.len() + 2).to_string());
    assert_eq!(answers[1], length.to_string());
    assert_eq!(answers[2], "******", "what a command says of it is hidden");
    assert_eq!(answers[3], placeholder, "of another call it means nothing");
}

#[tokio::test]
async fn what_a_cut_leaves_of_a_secret_is_hidden_too() {
    let (_keeper, link) = crate::keeper::start().await;
    let vault = Vault::with(link, Value::Null).await;
    for most in 0..=CANARY.len() + 6 {
        let answer = vault.does_one(json!({"peek": ["printf 'it is %s, and on' \"$SECRET\"", "{token}", most]})).await;
        assert!(!answer.contains(&CANARY[..1]), "{most}: {answer}");
    }
}

#[tokio::test]
async fn what_is_refused_of_arguments_and_variables_is_told_without_what_they_say() {
    let (_keeper, link) = crate::keeper::start().await;
    let programs = json!({"programs": [{"program": "/bin/sh", "args": ["-c", "true*"]}]});
    let vault = Vault::with(link, json!({"commands": programs, "processes": programs})).await;
    let canary = "canary-of-settings";
    for step in [json!({"run": [canary, "", ""]}), json!({"spawn": ["one", canary, ""]}), json!({"env": ["LD_PRELOAD", canary]})] {
        let answer = vault.does_one(step.clone()).await;
        assert!(answer.starts_with("denied") && !answer.contains(canary), "{step}: {answer}");
    }
    let said = vault.host.heard.denied();
    assert!(said.len() == 3 && !said.join("").contains(canary), "{said:?}");
}

#[tokio::test]
async fn a_program_that_was_granted_is_not_made_to_run_another() {
    let (_keeper, link) = crate::keeper::start().await;
    let vault = Vault::with(Arc::clone(&link), Value::Null).await;
    assert_eq!(vault.does_one(json!({"env": ["MODE", "fast"]})).await, "ok");
    for name in ["LD_PRELOAD", "BASH_ENV", "ENV", "PATH"] {
        let answer = vault.does_one(json!({"env": [name, "/tmp/evil"]})).await;
        assert!(answer.starts_with("denied") && answer.contains(name), "{answer}");
    }
    assert_eq!(vault.host.heard.denied().len(), 4);
    let named = Vault::with(link, json!({"commands": {"programs": ["/bin/sh"], "env": ["LD_LIBRARY_PATH", "SECRET"]}})).await;
    assert_eq!(named.does_one(json!({"env": ["LD_LIBRARY_PATH", "/opt/lib"]})).await, "ok");
    assert!(named.does_one(json!({"env": ["MODE", "fast"]})).await.starts_with("denied"));
}

#[tokio::test]
async fn a_secret_reaches_a_process_and_its_record_does_not_have_it() {
    let (keeper, link) = crate::keeper::start().await;
    let vault = Vault::with(link, Value::Null).await;
    let file = vault.host.dir.path().join("said");
    let script = format!("printf %s \"$SECRET\" > {}", file.display());
    assert_eq!(vault.does_one(json!({"spawn": ["one", script, "{token}"]})).await, "one");
    until("it has written", async || std::fs::read_to_string(&file).is_ok_and(|text| text == CANARY)).await;
    let kept = files(&keeper.dir());
    assert!(kept.len() > 1, "a journal and a log: {}", kept.len());
    for (path, bytes) in kept {
        assert!(!bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()), "{}", path.display());
    }
}

/// Every file below a directory, and what is in it.
fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).expect("readable").flatten() {
        let (path, kind) = (entry.path(), entry.file_type().expect("it is there"));
        if kind.is_dir() {
            found.extend(files(&path));
        } else if kind.is_file() {
            found.push((path.clone(), std::fs::read(&path).unwrap_or_default()));
        }
    }
    found
}

#[tokio::test]
async fn each_use_of_a_secret_that_was_not_granted_is_refused_told_and_counted() {
    let (_keeper, link) = crate::keeper::start().await;
    let vault = Vault::with(link, Value::Null).await;
    for (count, step) in [json!({"place": "other"}), json!({"reveal": "other"}), json!({"place": "nowhere"})].into_iter().enumerate() {
        let answer = vault.does_one(step.clone()).await;
        assert!(answer.starts_with("denied") && answer.contains("[plugins.keyring.grants]"), "{step}: {answer}");
        assert_eq!(vault.host.heard.denied().len(), count + 1);
        assert_eq!(vault.keyring.counts().denied, count as u64 + 1);
    }
    let denied = vault.host.heard.denied();
    assert_eq!(denied[..2], ["secrets: the secret `other`", "secrets-reveal: the secret `other`"]);
    // a function that promises to touch nothing is held to it
    let settings = json!({"early": true, "do": [{"place": "token"}, {"reveal": "token"}]}).to_string();
    let problems = vault.keyring.health_check().expect("a check").validate(call(), &settings).await.expect("an answer");
    assert_eq!(problems.len(), 2, "{problems:?}");
}

#[tokio::test]
async fn a_revealed_secret_is_on_record() {
    let (_keeper, link) = crate::keeper::start().await;
    let vault = Vault::with(link, Value::Null).await;
    assert_eq!(vault.does_one(json!({"reveal": "token"})).await, format!("{} bytes", CANARY.len()));
    let reveals = vault.host.heard.reveals.lock().expect("lock").clone();
    let told = (reveals[0].plugin.as_str(), reveals[0].function, reveals[0].subject.as_str(), reveals[0].secret.as_str());
    assert_eq!((reveals.len(), told), (1, ("keyring", "health-check.check", "test/story", "token")));
}

#[tokio::test]
async fn a_secret_is_read_when_it_is_used() {
    let (_keeper, link) = crate::keeper::start().await;
    let vault = Vault::with(link, Value::Null).await;
    vault.host.keep_secret("token", "x");
    assert_eq!(vault.does_one(json!({"run": ["wc -c", "", "{token}"]})).await, "1");
    std::fs::remove_file(vault.host.dir.path().join("secrets/token")).expect("ours");
    let answer = vault.does_one(json!({"run": ["wc -c", "", "{token}"]})).await;
    assert!(answer.starts_with("unavailable") && answer.contains("the secret `token` cannot be read"), "{answer}");
}

#[tokio::test]
async fn a_secret_stays_out_of_what_the_plugin_says() {
    let (_keeper, link) = crate::keeper::start().await;
    let vault = Vault::with(link, Value::Null).await;
    let web = crate::support::web::Web::start();
    let answers = vault
        .does(json!([
            {"log": "the token is {token}"},
            {"run": ["echo $SECRET >&2; exit 1", "{token}", ""]},
            {"fetch": ["GET", web.url("/ok"), "x-token", "{token}"]},
            {"place": "token"},
        ]))
        .await;
    let said = vault.host.heard.said().join("\n") + &vault.host.heard.denied().join("\n") + &answers.join("\n");
    assert!(!said.contains(CANARY) && said.contains("the token is hostler-secret-"), "{said}");
}
