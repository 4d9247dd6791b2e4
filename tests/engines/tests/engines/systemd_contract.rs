//! Backend `systemd`: the whole contract, against the real systemd.

use hostler_e2e::root;
use hostler_engines::{Hosted, TestHost};

use crate::systemd::units;

/// Runs `hostler plugin check` on the component; whether it passes, and what it said.
fn check(host: &Hosted, more: &[&str]) -> (bool, String) {
    let words = [
        "timeout",
        "900",
        "hostler",
        "plugin",
        "check",
        "/srv/hostler/systemd.wasm",
        "--against",
        "real",
        "--grants",
        "/srv/hostler/systemd.grants.json",
    ];
    let words = [&words[..], more].concat();
    let output = TestHost::command(host, &words).output().expect("docker can be started");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success() && said.contains(" 0 failed"), said)
}

#[test]
fn it_keeps_the_contract_against_the_real_systemd() {
    let Some(host) = Hosted::boot() else { return };
    for file in ["systemd.wasm", "systemd.grants.json"] {
        let path = root().join("target/plugins").join(file);
        assert!(path.exists(), "{} is missing: run `make plugins`", path.display());
        host.copy_in(&path, &format!("/srv/hostler/{file}"));
    }
    let settings = ["--settings", r#"{"binary": "/bin/sh", "args": ["-c", "echo one; echo two; exec sleep 1000"]}"#];
    let (passed, said) = check(&host, &settings);
    assert!(passed, "{said}");
    assert!(units(&host).is_empty(), "nothing is left behind");
}
