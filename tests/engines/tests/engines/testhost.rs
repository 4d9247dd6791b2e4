//! The test host itself: what the other tests stand on.

use std::process::Command;

use hostler_e2e::Ran;
use hostler_engines::{TestHost, User};

#[test]
fn it_has_a_systemd_an_sshd_and_our_program() {
    let Some(host) = TestHost::boot() else { return };
    assert_eq!(host.run(&["cat", "/proc/1/comm"]).ok(), "systemd\n");
    host.install_hostler();
    assert!(host.run(&["hostler", "--version"]).ok().starts_with("hostler "));
    host.write("/etc/some/file", "öne\n");
    assert_eq!(host.read("/etc/some/file"), "öne\n");
    for user in [User::Root, User::Deploy] {
        assert_eq!(ssh(&host, user, "id -un"), format!("{}\n", user.name()));
    }
    host.reboot();
    assert_eq!(ssh(&host, User::Deploy, "cat /proc/1/comm"), "systemd\n", "it is there after a reboot");
}

#[test]
fn a_user_has_a_systemd_of_its_own() {
    let Some(host) = TestHost::boot() else { return };
    let ran = host.run(&["systemctl", "--user", "--machine=deploy@.host", "is-system-running", "--wait"]).ok();
    assert_eq!(ran, "running\n");
}

/// What a command says over ssh, with the host's key known and no other accepted.
#[track_caller]
fn ssh(host: &TestHost, user: User, command: &str) -> String {
    let known = format!("UserKnownHostsFile={}", host.known_hosts().display());
    let (key, port) = (host.key_file(), host.ssh_port().to_string());
    let mut ssh = Command::new("ssh");
    ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", &known, "-o", "IdentitiesOnly=yes", "-p", &port, "-i"])
        .arg(key);
    Ran::of(ssh.args(["-l", user.name(), "--", "127.0.0.1", command])).ok()
}
