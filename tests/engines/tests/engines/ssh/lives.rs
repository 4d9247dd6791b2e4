//! What a task over there goes through.

use hostler_e2e::{json, until};

use super::Far;

#[test]
fn a_task_outlives_the_link_the_host_and_the_sshd() {
    let Some(far) = Far::boot() else { return };
    far.up(&far.service("web", r#"binary = "/bin/sleep", args = [4711]"#));
    let pid = far.process("/bin/sleep 4711");
    assert_eq!(far.yard.pid("web"), pid, "people see its pid");

    far.yard.kill_host();
    far.cut();
    far.yard.serve();
    far.yard.until_status("web", "running");
    assert_eq!(far.process("/bin/sleep 4711"), pid, "the host found it again");

    far.host.run(&["systemctl", "restart", "ssh.service"]).ok();
    far.cut();
    far.yard.until_status("web", "running");
    assert_eq!(far.process("/bin/sleep 4711"), pid);

    far.yard.run("stop web").ok();
    assert_eq!(far.processes("/bin/sleep 4711"), Vec::<u32>::new());
    far.without();
    far.until_gone("nothing is left of it", |_| false);
    far.yard.run("down").ok();
}

#[test]
fn an_end_is_told_as_it_was_and_followed_by_a_new_life() {
    let Some(far) = Far::boot() else { return };
    let fails = far.service("fails", r#"binary = "/bin/sh", args = ["-c", "echo out; echo err >&2; exit 3"]"#);
    let once = |text: String| format!("{text}restart = \"never\"\n");
    far.yard.config(&format!("{}{}{}", far.plugin(), once(fails), far.service("dies", r#"binary = "/bin/sleep", args = [4712]"#)));
    far.yard.run("up --detach");
    far.yard
        .until_service("fails", "it has ended with 3", |service| service["cause"].as_str().is_some_and(|cause| cause.contains("exited with code 3")));
    until("both of its lines are there", || far.yard.log("fails").len() == 2);
    let mut lines = far.yard.log("fails");
    lines.sort();
    assert_eq!(lines, ["err", "out"]);

    let first = far.process("/bin/sleep 4712");
    far.host.run(&["kill", "-KILL", &first.to_string()]).ok();
    far.yard.until_again("dies", first);
    assert_ne!(far.process("/bin/sleep 4712"), first);
    assert!(far.yard.story("dies").iter().any(|line| line.contains("SIGKILL")), "{:#?}", far.yard.story("dies"));
    far.yard.run("down").ok();
}

#[test]
fn words_arrive_as_they_are_at_start_update_and_end() {
    let Some(far) = Far::boot() else { return };
    let hostile =
        ["; touch /tmp/hurt", "$(touch /tmp/hurt)", "`touch /tmp/hurt`", "-rf", "a\nb", "it's", "\"", "\\", "*", "~", "&& touch /tmp/hurt #"];
    let args = json!(hostile).to_string();
    let service = |n: u32| {
        let env = r#"{ EVIL = "x'; touch /tmp/hurt; '\nHOSTLER_LAUNCH\n$(touch /tmp/hurt)" }"#;
        far.service(
            "web",
            &format!(
                r#"binary = "/bin/sh", args = ["-c", "printf '<%s>' \"$@\" \"$EVIL\"; echo; exec sleep 471{n}", "{n}", {}], env = {env}"#,
                &args[1..args.len() - 1]
            ),
        )
    };
    let expected: String = hostile.iter().map(|word| format!("<{word}>")).collect();
    let expected = format!("{expected}<x'; touch /tmp/hurt; '\nHOSTLER_LAUNCH\n$(touch /tmp/hurt)>");
    for n in [1, 2] {
        far.up(&service(n));
        far.process(&format!("sleep 471{n}"));
        until("it has said what it was given", || far.yard.log("web").join("\n").ends_with(&expected));
    }
    far.yard.run("down").ok();
    assert_eq!(far.host.sh("ls /tmp/hurt /home/deploy/hurt 2>/dev/null | wc -l").ok().trim(), "0", "something was interpreted");
}

#[test]
fn whoever_does_not_listen_is_killed_with_all_of_its_own() {
    let Some(far) = Far::boot() else { return };
    far.up(&far.service("deaf", r#"binary = "/bin/sh", args = ["-c", "trap '' TERM; sleep 4721 & while :; do sleep 4722; done"]"#));
    far.process("sleep 4721");
    far.process("sleep 4722");
    far.yard.run("stop deaf").ok();
    assert_eq!([far.processes("sleep 4721"), far.processes("sleep 4722")].concat(), Vec::<u32>::new(), "nothing is alive when stop returns");
    far.yard.run("down").ok();
}

#[test]
fn a_reboot_over_there_ends_a_life_and_begins_another() {
    let Some(far) = Far::boot() else { return };
    // the port that the engine publishes changes with a reboot, the address of the container does not
    let address = far.host.address();
    let link = far.link().replace("127.0.0.1", &address).replace(&format!("port = {}", far.host.ssh_port()), "port = 22");
    let service = format!("[services.web]\nbackend = {{ type = \"ssh\", {link}, binary = \"/bin/sleep\", args = [4731] }}\n");
    far.up(&service);
    let first = far.yard.pid("web");
    far.host.reboot();
    far.yard.until_service("web", "a second life runs", |service| {
        service["status"] == "running" && service["restart_count"] == 1 && service["pid"].is_u64()
    });
    let second = far.process("/bin/sleep 4731");
    assert_eq!(far.yard.pid("web"), second);
    let story = far.yard.story("web");
    assert!(story.iter().any(|line| line.contains("started anew")), "{first}: {story:#?}");
    far.yard.run("down").ok();
}

#[test]
fn a_secret_stands_nowhere() {
    let Some(far) = Far::boot() else { return };
    let canary = "canary-7f3a9c";
    far.up(&far.service("web", &format!(r#"binary = "/bin/sleep", args = [4761], env = {{ TOKEN = "{canary}" }}"#)));
    let pid = far.process("/bin/sleep 4761");
    assert!(far.host.sh(&format!("tr '\\0' '\\n' </proc/{pid}/environ")).ok().contains(canary), "it was handed over");
    // the shell that looks must not find itself
    let (head, tail) = canary.split_at(6);
    let seen = far
        .host
        .sh(&format!(
            "c={head}; c=$c{tail}; grep -rl $c /home/deploy /tmp /run/user 2>/dev/null
             for p in /proc/[0-9]*; do [ ${{p#/proc/}} = $$ ] || tr '\\0' ' ' <$p/cmdline 2>/dev/null | while read -r line; do case $line in grep*) ;; *$c*) echo $line ;; esac; done; done; true"
        ))
        .ok();
    assert_eq!(seen.trim(), "", "it lies on the disk or on a command line over there");
    for line in ["events --json", "ps --json", "plugin list --json"] {
        assert!(!far.yard.run(line).out.contains(canary), "{line}");
    }
    far.yard.run("down").ok();
}

#[test]
fn signals_reach_it() {
    let Some(far) = Far::boot() else { return };
    let service = far.service("web", r#"binary = "/bin/sh", args = ["-c", "trap 'echo ended; exit 0' INT; echo up; while :; do sleep 0.1; done"]"#);
    far.up(&service.replace("grace = \"3s\"", "signal = \"SIGINT\", grace = \"3s\""));
    until("it is up", || far.yard.log("web") == ["up"]);
    far.yard.run("stop web").ok();
    assert_eq!(far.yard.log("web"), ["up", "ended"]);
    far.yard.run("down").ok();
}
