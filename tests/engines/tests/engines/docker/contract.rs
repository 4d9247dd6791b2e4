//! The whole contract, against the real engine.

use std::time::Duration;

use hostler_e2e::{Ran, json, root};
use hostler_engines::Docked;

/// Some three hundred containers, one after the other, on two cores.
const LONG: Duration = Duration::from_secs(1_200);

#[test]
fn it_keeps_the_contract_against_the_real_engine() {
    let Some(docked) = Docked::new() else { return };
    let grants = json!({ "containers": { "default": { "endpoint": "unix:///var/run/docker.sock" } }, "state": { "bytes": "1Mi", "keys": 4096 }, "secrets": [] });
    let grants = docked.yard.write("grants.json", grants.to_string());
    let settings = json!({ "image": docked.image(), "pull": "never", "command": ["sleep", 1000], "labels": { "hostler-test": "contract" } });
    let mut command = docked.yard.command("plugin check --against real --grants");
    command.arg(&grants).args(["--settings", &settings.to_string()]).arg(root().join("target/plugins/docker.wasm"));
    let said = Ran::within(LONG, &mut command).ok();
    assert!(said.contains(" 0 failed"), "{said}");
    let left = docked.docker(&["ps", "--all", "--quiet", "--filter", "label=hostler-test=contract"]).ok();
    assert_eq!(left, "", "nothing is left behind");
}
