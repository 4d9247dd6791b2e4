//! Check `ssh-command`: the exit code of a command over there.

use hostler_e2e::{Value, until, until_some};

use super::Far;

/// Waits until the check has judged it ill. What follows is a new life, which is not judged yet.
fn ill(far: &Far) {
    let judged = |service: &Value| service["last_error"].as_str().is_some_and(|error| error.contains("ssh-command says unhealthy"));
    far.yard.until_service("web", "it is ill", judged);
}

/// A service, and a check of it over there.
fn checked(far: &Far, nth: u32, command: &str, interval: &str, timeout: &str) -> String {
    format!(
        "{}[plugins.ssh-command]\nconfig = {{ control_dir = {:?} }}\n{}
         [services.web.health_check]\ntype = \"ssh-command\"\n{}\ncommand = {command}\ninterval = {interval:?}\ntimeout = {timeout:?}\nretries = 1\nstart_period = \"0s\"\n",
        far.plugin(),
        far.yard.file("c"),
        far.service("web", &format!("binary = \"/bin/sleep\", args = [{nth}]")),
        far.link().replace(", ", "\n")
    )
}

#[test]
fn a_command_that_does_not_end_fails_in_time_and_nothing_of_it_is_left() {
    let Some(far) = Far::boot() else { return };
    // one of a group of its own, which `kill -KILL -GROUP` would miss
    let command = r#"["/bin/bash", "-c", "set -m; sleep 6211 & sleep 6212"]"#;
    // before the first pass a failure counts once per interval: a short one judges soon
    far.yard.config(&checked(&far, 6213, command, "2s", "3s"));
    far.yard.run("up --detach --timeout 10s");
    ill(&far);
    far.yard.run("stop web");
    until("nothing is left of it", || [far.processes("sleep 6211"), far.processes("sleep 6212")].concat().is_empty());
    until("nor of its files", || far.host.sh("ls -d /home/deploy/.local/state/hostler/*/.run.* 2>/dev/null | wc -l").ok().trim() == "0");
    far.yard.run("down").ok();
}

#[test]
fn a_slow_way_is_not_the_commands_fault_and_not_its_excuse() {
    let Some(far) = Far::boot() else { return };
    // a connection takes about two of the ten seconds, on a loaded machine more: sshd asks more than once
    let slow = "#!/bin/sh\nsleep 0.7\ncat /home/deploy/.ssh/authorized_keys\n";
    far.host.write("/usr/local/bin/slow-keys", slow);
    far.host
        .sh("set -e; chmod 755 /usr/local/bin/slow-keys
             printf 'AuthorizedKeysFile none\\nAuthorizedKeysCommand /usr/local/bin/slow-keys\\nAuthorizedKeysCommandUser root\\n' >/etc/ssh/sshd_config.d/slow.conf
             systemctl restart ssh.service")
        .ok();
    // its connection is its own: the backend's would stand already
    far.yard.config(&checked(&far, 6222, r#"["/bin/sleep", 6221]"#, "600s", "10s").replace(
        &format!("[plugins.ssh-command]\nconfig = {{ control_dir = {:?} }}", far.yard.file("c")),
        &format!("[plugins.ssh-command]\nconfig = {{ control_dir = {:?} }}", far.yard.file("d")),
    ));
    far.yard.run("up --detach --timeout 1s");
    let first = until_some("the first check has answered", || {
        let cause = far.yard.service("web")["cause"].as_str()?.to_owned();
        (cause.contains("ssh-command says") && !cause.contains("no answer yet")).then_some(cause)
    });
    assert!(first.contains("did not end in time"), "{first}");
    far.yard.run("stop web");
    until("nothing is left of it", || far.processes("/bin/sleep 6221").is_empty());
    far.yard.run("down").ok();
}

#[test]
fn a_command_over_there_judges_and_a_lost_link_judges_nobody() {
    let Some(far) = Far::boot() else { return };
    let check = format!(
        "[plugins.ssh-command]\nconfig = {{ control_dir = {:?} }}
         [services.web.health_check]\ntype = \"ssh-command\"\n{}\ncommand = [\"/bin/sh\", \"-c\", \"test -e /tmp/well\"]\ninterval = \"1s\"\ntimeout = \"4s\"\nretries = 1\n",
        far.yard.file("c"),
        far.link().replace(", ", "\n")
    );
    far.host.sh("touch /tmp/well").ok();
    far.up(&(far.service("web", r#"binary = "/bin/sleep", args = [6201]"#) + &check));
    let health = |wanted: &'static str| {
        far.yard.until_service("web", wanted, |service| service["health"] == wanted);
    };
    health("healthy");
    far.drop_packets();
    far.yard.until_service("web", "nobody can say", |service| service["status"] == "unknown" || service["health"] == "unknown");
    far.pass_packets();
    health("healthy");
    assert_eq!(far.yard.service("web")["restart_count"], 0);
    far.host.sh("rm /tmp/well").ok();
    ill(&far);
    far.yard.run("down").ok();
}
