//! The link is lost, at every step: nothing is doubled, and nothing is falsely dead.

use hostler_e2e::until;

use super::Far;

#[test]
fn a_lost_link_is_unknown_and_restarts_nothing() {
    let Some(far) = Far::boot() else { return };
    far.up(&far.service("web", r#"binary = "/bin/sleep", args = [4901]"#));
    let pid = far.process("/bin/sleep 4901");
    far.drop_packets();
    far.yard.until_service("web", "nobody can say", |service| service["status"] == "unknown");
    assert_eq!(far.process("/bin/sleep 4901"), pid);
    far.pass_packets();
    far.yard.until_status("web", "running");
    assert_eq!((far.process("/bin/sleep 4901"), far.yard.pid("web")), (pid, pid));
    assert_eq!(far.yard.service("web")["restarts"].as_u64().unwrap_or(0), 0, "{}", far.yard.service("web"));
    far.yard.run("down").ok();
}

#[test]
fn a_grace_runs_on_over_there_when_the_link_is_lost() {
    let Some(far) = Far::boot() else { return };
    let service = far.service("deaf", r#"binary = "/bin/sh", args = ["-c", "trap '' TERM; while :; do sleep 4911; done"]"#);
    far.up(&service);
    far.process("sleep 4911");
    let stopping = far.yard.stay("stop deaf");
    until("somebody over there sees to it", || far.host.sh("ls /home/deploy/.local/state/hostler/*/*/stopper").code == 0);
    far.drop_packets();
    until("it is down although nobody can ask", || far.processes("sleep 4911").is_empty());
    far.pass_packets();
    assert_eq!(stopping.ends().0, 0);
    far.yard.until_service("deaf", "it is stopped", |service| service["status"] == "stopped");
    far.yard.run("down").ok();
}

#[test]
fn a_link_cut_at_each_step_of_a_start_a_stop_and_a_removal() {
    sweep("cut");
}

#[test]
fn a_shell_killed_at_each_step_of_a_start_a_stop_and_a_removal() {
    sweep("kill");
}

/// Plays a life once per step: the n-th command that a script runs over there loses the link, and with `kill` its shell too.
fn sweep(how: &str) {
    let Some(far) = Far::boot() else { return };
    // said now: later the snare would stand in front of what asks
    let link = far.link();
    trap(&far);
    for step in 1.. {
        let before = armed(&far, step, how);
        let (name, line) = (format!("s{step}"), format!("/bin/sleep 49{step:02}"));
        far.yard.config(&format!(
            "{}[services.{name}]\nbackend = {{ type = \"ssh\", {link}, binary = \"/bin/sleep\", args = [49{step:02}] }}\n",
            far.plugin()
        ));
        far.yard.run("up --detach");
        // a late step may kill what runs already
        until(&format!("step {step} of a start ({before}) leads to one process"), || {
            let service = far.yard.until_service(&name, "it runs", |service| service["status"] == "running" && service["pid"].is_u64());
            let running = far.processes(&line);
            assert!(running.len() < 2, "step {step} of a start ({before}): {running:?}");
            running.first().is_some_and(|pid| service["pid"] == *pid)
        });
        let of_start = sprung(&far);

        armed(&far, step, how);
        far.yard.run(&format!("stop {name}"));
        far.yard.until_service(&name, "it is stopped", |service| service["status"] == "stopped");
        assert_eq!(far.processes(&line), Vec::<u32>::new(), "step {step} of a stop");
        let of_stop = sprung(&far);

        armed(&far, step, how);
        far.yard.config(&far.plugin());
        far.yard.run("apply");
        far.until_gone(&format!("step {step} of a removal"), |task| task.starts_with('.'));
        let of_removal = sprung(&far);
        disarm(&far);
        if !(of_start || of_stop || of_removal) {
            assert!(step > 8, "{step} steps are too few: the trap does not work");
            return;
        }
    }
}

/// Commands that a script runs get a snare in front of them.
pub(crate) fn trap(far: &Far) {
    let snare = r#"#!/bin/sh
# counts what scripts run, and springs at one of them
if [ -f /run/snare/at ]; then
  # two at the same time get two numbers
  n=1
  until /usr/bin/mkdir "/run/snare/n$n"; do n=$((n + 1)); done
  if [ "$n" -eq "$(/usr/bin/cat /run/snare/at)" ]; then
    : >/run/snare/sprung
    [ "$(/usr/bin/cat /run/snare/how)" = kill ] && kill -KILL $PPID
    for p in /proc/[0-9]*; do
      case "$(/usr/bin/tr '\0' ' ' <"$p/cmdline" 2>/dev/null)" in "sshd: deploy@"*) kill -KILL "${p#/proc/}" ;; esac
    done
  fi
fi 2>/dev/null
exec "/usr/bin/${0##*/}" "$@"
"#;
    far.host.write("/usr/local/lib/snare", snare);
    far.host
        .sh("set -e; chmod 755 /usr/local/lib/snare; install -d -m 777 /run/snare
             for c in mkdir cat mv ln rm setsid mkfifo date dd sleep tar gzip base64 sha256sum sync chmod readlink; do ln -s ../lib/snare /usr/local/bin/$c; done")
        .ok();
}

pub(crate) fn armed(far: &Far, step: u32, how: &str) -> String {
    far.host.sh(&format!("/usr/bin/rm -rf /run/snare/*; echo {how} >/run/snare/how; chmod 666 /run/snare/how; echo {step} >/run/snare/at")).ok();
    format!("{how} {step}")
}

pub(crate) fn disarm(far: &Far) {
    far.host.sh("/usr/bin/rm -rf /run/snare/*").ok();
}

pub(crate) fn sprung(far: &Far) -> bool {
    far.host.sh("test -f /run/snare/sprung").code == 0
}
