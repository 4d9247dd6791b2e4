//! Services that do not do what one hopes: the right status, its cause, and no leak.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use hostler_e2e::{Page, Yard, alive, descendants, until};

use crate::{script, sleeper};

const ONCE: &str = "restart = \"never\"";

/// Starts it, and it fails; the words are in what `up` says, in `ps`, in `explain` and in the events.
#[track_caller]
fn fails(yard: &Yard, config: &str, words: &str) {
    yard.config(config);
    let text = yard.run("up --detach").fails(1);
    assert!(text.contains("bad is failed") && text.contains(words), "`{words}` is missing:\n{text}");
    assert_eq!(yard.status("bad"), "failed");
    for line in ["ps", "explain bad", "status bad", "events bad"] {
        let text = yard.run(line).ok();
        assert!(text.contains(words), "`{words}` is missing in {line}:\n{text}");
    }
    assert!(yard.service("bad")["last_error"].as_str().is_some_and(|error| error.contains(words)));
    assert!(yard.service("bad")["pid"].is_null());
}

fn binary(path: &str, more: &str) -> String {
    format!("[services.bad]\nbackend = {{ type = \"process\", binary = \"{path}\" }}\n{more}\n")
}

#[test]
fn a_program_that_is_not_there() {
    let yard = Yard::new();
    fails(&yard, &binary("./not-there", ONCE), "not-there");
    fails(&yard, &binary("no-such-program-anywhere", ONCE), "no-such-program-anywhere");
}

#[test]
fn a_program_that_cannot_be_run() {
    let yard = Yard::new();
    let file = yard.script("plain", "exit 0");
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o644)).expect("it is ours");
    fails(&yard, &binary("./plain", ONCE), "plain");
    fails(&yard, &binary(".", ONCE), "is not a file");
    let text = yard.write("text", "this is no program\n");
    std::fs::set_permissions(text, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
    fails(&yard, &binary("./text", ONCE), "text");
    yard.write("lost", "#!/no/such/interpreter\n");
    std::fs::set_permissions(yard.file("lost"), std::fs::Permissions::from_mode(0o755)).expect("it is ours");
    fails(&yard, &binary("./lost", ONCE), "lost");
}

#[test]
fn a_directory_that_is_not_there() {
    let yard = Yard::new();
    fails(&yard, &binary("sleep\", working_dir = \"./nowhere", ONCE), "nowhere");
}

#[test]
fn a_port_that_is_taken() {
    let yard = Yard::new();
    let taken = TcpListener::bind(("127.0.0.1", 0)).expect("there is a port");
    let port = taken.local_addr().expect("it is bound").port();
    let config = format!(
        "[services.bad]\nbackend = {{ type = \"process\", binary = \"/usr/bin/python3\", args = [\"-m\", \"http.server\", \"--bind\", \"127.0.0.1\", {port}] }}\n{ONCE}\n"
    );
    // It is up for a moment before it finds out: that is what `up` may see.
    yard.config(&config);
    yard.run("up --detach");
    yard.until_status("bad", "failed");
    for line in ["ps", "explain bad", "status bad"] {
        assert!(yard.run(line).ok().contains("exited with code 1"), "{line}");
    }
    assert!(yard.run("logs bad").ok().contains("Address already in use"), "why is in its log");
}

#[test]
fn a_service_that_dies_at_once() {
    let yard = Yard::new();
    let policy = "restart = { max_attempts = 2, backoff = { initial = \"10ms\", jitter = 0 } }\nhealth_check = { type = \"command\", command = \"false\", interval = \"100ms\" }";
    yard.script("bad.sh", "echo last words >&2; exit 42");
    fails(&yard, &binary("./bad.sh", policy), "exited with code 42; it was restarted 2 times in a row, which is its limit");
    assert_eq!(yard.log("bad"), ["last words"; 3], "the logs of all its lives");
    yard.script("bad.sh", "kill -SEGV $$");
    yard.config(&binary("./bad.sh", ONCE));
    yard.run("up --detach");
    yard.until_service("bad", "its end is told", |service| {
        service["last_error"].as_str().is_some_and(|error| error.contains("was ended by SIGSEGV"))
    });
}

#[test]
fn a_service_that_is_never_healthy() {
    let yard = Yard::new();
    let port = hostler_e2e::free_port();
    let check = format!(
        "health_check = {{ type = \"tcp\", port = {port}, interval = \"60ms\", failure_threshold = 2 }}\nrestart = {{ max_attempts = 1, backoff = {{ initial = \"10ms\", jitter = 0 }} }}"
    );
    let config = sleeper("bad", &check) + &sleeper("web", "dependencies = [\"bad\"]");
    fails(&yard, &config, "check tcp");
    assert_eq!(yard.status("web"), "pending");
    let processes = yard.processes();
    assert!(!processes.iter().any(|pid| *pid != yard.host_pid() && *pid != yard.keeper_pid()), "nothing of it is left: {processes:?}");
}

#[test]
fn a_check_that_hangs_does_not_hold_up_the_others() {
    let yard = Yard::new();
    let page = Page::new(yard.path(), "page");
    page.answers("hang");
    let ill = format!(
        "[services.bad]\nbackend = {}\nhealth_check = {{ type = \"http\", url = \"{}\", interval = \"100ms\", timeout = \"300ms\", failure_threshold = 2, auto_recovery = false }}\n",
        page.backend(),
        page.url()
    );
    let fine = sleeper("fine", "health_check = { type = \"command\", command = \"true\", interval = \"50ms\" }");
    yard.config(&(ill + &fine));
    yard.run("up --detach").fails(1);
    yard.until_service("bad", "it is unhealthy", |service| service["health"] == "unhealthy");
    // Before its page is there it refuses.
    let says = |service: &hostler_e2e::Value| service["cause"].as_str().is_some_and(|cause| cause.contains("no answer within 300ms"));
    yard.until_service("bad", "its cause is that nothing answers", says);
    let asked = |name: &str| yard.detail(name)["checks"][0]["history"].as_array().map_or(0, Vec::len);
    let before = asked("fine");
    until("the other one is asked on", || asked("fine") > before + 3);
    assert_eq!(yard.service("fine")["health"], "healthy");
}

#[test]
fn a_megabyte_without_a_newline() {
    let yard = Yard::new();
    let text = "head -c 1048576 /dev/zero | tr '\\0' x; echo; echo after; touch written; exec sleep 1000";
    yard.up(&(script(&yard, "loud", text, "") + &sleeper("calm", "")));
    until("it has written", || yard.file("written").exists());
    until("all of it is kept", || yard.log("loud").last().is_some_and(|line| line == "after"));
    let lines = yard.log("loud");
    let (last, parts) = lines.split_last().expect("there are lines");
    assert_eq!((last.as_str(), parts.iter().map(String::len).sum::<usize>()), ("after", 1 << 20));
    assert!(parts.iter().all(|part| part.bytes().all(|byte| byte == b'x')), "not a byte is changed");
    let plain = yard.run("logs loud").ok();
    assert_eq!(plain.len(), (1 << 20) + "\nafter\n".len(), "and it comes out as one line");
    assert_eq!([yard.status("loud"), yard.status("calm")], ["running", "running"]);
}

#[test]
fn output_that_is_no_text() {
    let yard = Yard::new();
    yard.up(&script(&yard, "odd", "printf 'a\\377b\\000c\\n\\033[2Jwiped\\nlast without newline'; exec sleep 1000", ""));
    until("both lines are there", || yard.log("odd").len() >= 2);
    let documents = yard.run("logs odd --json").documents();
    assert_eq!(documents[0]["text"], "a\u{fffd}b\0c");
    assert_eq!(documents[0]["bytes_base64"], "Yf9iAGM=");
    let output = yard.command("logs odd").output().expect("it runs");
    assert!(output.stdout.starts_with(b"a\xffb\0c\n\x1b[2Jwiped\n"), "into a pipe every byte goes as it was: {:?}", output.stdout);
    let terminal = yard.stay_on_terminal("logs odd");
    let (_, shown) = terminal.ends();
    assert!(!shown.contains("\x1b[2J") && shown.contains("\\u{1b}[2Jwiped"), "a terminal is not told to do things: {shown:?}");
    let pid = yard.pid("odd");
    hostler_e2e::kill(pid);
    until("what had no newline is not lost", || {
        yard.run("logs odd").ok().contains("last without newline") || yard.status("odd") == "running" && yard.pid("odd") != pid
    });
}

#[test]
fn a_child_that_ignores_term_with_a_grandchild() {
    let yard = Yard::new();
    yard.script("grandchild.sh", "trap '' TERM INT HUP; echo $$ > grandchild.pid; while :; do sleep 0.05; done");
    yard.up(&script(&yard, "bad", "trap '' TERM; setsid ./grandchild.sh & while :; do sleep 0.05; done", "stop = { grace = \"300ms\" }"));
    until("the grandchild is there", || yard.read("grandchild.pid").ends_with('\n'));
    let bad = yard.pid("bad");
    let grandchild: u32 = yard.read("grandchild.pid").trim().parse().expect("its pid");
    let family: Vec<u32> = descendants(bad).into_iter().chain([bad, grandchild]).collect();
    yard.run("stop bad").ok();
    assert!(!family.iter().any(|pid| alive(*pid)), "nothing is alive when the stop returns");
    assert_eq!(yard.status("bad"), "stopped");
    assert_eq!(yard.detail("bad")["replicas"][0]["last_exit"]["signal"], "SIGKILL");
}

#[test]
fn a_leader_that_ends_on_term_and_a_grandchild_that_does_not() {
    let yard = Yard::new();
    yard.script("grandchild.sh", "trap '' TERM INT HUP; echo $$ > grandchild.pid; while :; do sleep 0.05; done");
    yard.up(&script(&yard, "bad", "./grandchild.sh & wait", "stop = { grace = \"300ms\" }"));
    until("the grandchild is there", || yard.read("grandchild.pid").ends_with('\n'));
    let grandchild: u32 = yard.read("grandchild.pid").trim().parse().expect("its pid");
    yard.run("stop bad").ok();
    assert!(!alive(grandchild), "nothing is alive when the stop returns");
}

#[test]
fn a_restart_leaves_nothing_of_the_life_before() {
    let yard = Yard::new();
    yard.script("grandchild.sh", "trap '' TERM INT HUP; echo $$ >> grandchildren; while :; do sleep 0.05; done");
    yard.up(&script(&yard, "bad", "./grandchild.sh & while :; do sleep 0.05; done", "restart = { backoff = { initial = \"10ms\", jitter = 0 } }"));
    until("the grandchild is there", || yard.read("grandchildren").lines().count() == 1);
    let (bad, first): (u32, u32) = (yard.pid("bad"), yard.read("grandchildren").trim().parse().expect("its pid"));
    hostler_e2e::kill(bad);
    yard.until_again("bad", bad);
    until("what its leader left behind is gone", || !alive(first));
}

#[test]
fn a_stop_signal_of_ones_own() {
    let yard = Yard::new();
    yard.up(&script(
        &yard,
        "db",
        "trap 'echo usr1 >> got; exit 0' USR1; trap 'echo term >> got' TERM; while :; do sleep 0.02; done",
        "stop = { signal = \"SIGUSR1\", grace = \"10s\" }",
    ));
    yard.run("stop db").ok();
    assert_eq!(yard.read("got"), "usr1\n");
}

/// Each needs the one before it; the first one what is said.
fn chain(length: usize, first: &str) -> String {
    let service = |number: usize| {
        let needs = if number == 0 { first.to_owned() } else { format!("dependencies = [\"s{}\"]", number - 1) };
        format!("[services.s{number}]\nenabled = false\nbackend = {{ type = \"process\", binary = \"sleep\" }}\n{needs}\n")
    };
    (0..length).map(service).collect()
}

#[test]
fn ten_thousand_services_in_a_chain_are_understood() {
    let yard = Yard::new();
    yard.config(&chain(10_000, ""));
    assert!(yard.run("validate").ok().contains("10000 services"));
    let graph = yard.run("graph hostler.toml --json").json();
    assert_eq!(graph["layers"].as_array().map(Vec::len), Some(10_000));
    yard.config(&chain(2_000, ""));
    yard.run("up --detach").ok();
    assert_eq!(yard.run("ps --json").json()["services"].as_array().map(Vec::len), Some(2_000));
    assert_eq!(yard.status("s1999"), "disabled");
    yard.run("down").ok();
}

#[test]
fn ten_thousand_services_in_a_circle_are_refused() {
    let yard = Yard::new();
    yard.config(&chain(10_000, "dependencies = [\"s9999\"]"));
    for line in ["validate", "up --detach"] {
        let text = yard.run(line).fails(3);
        assert!(text.contains("dependency cycle: ") && text.len() < 200_000, "{line}: {} bytes", text.len());
    }
    assert!(!yard.state().join("store.db").exists());
}
