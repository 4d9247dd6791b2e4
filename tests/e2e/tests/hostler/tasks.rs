//! What a process runs as, and with: user, limits, environment, files, secrets.

use std::fs;
use std::path::Path;
use std::process::Command;

use hostler_e2e::{Ran, Yard, is_root, program, until};

use crate::{script, sleeper};

/// Tells what it runs as, and stays.
const TELL: &str = "id -u > user; pwd > directory; env | sort > environment; exec sleep 1000";

#[test]
fn the_environment_is_what_was_written_and_nothing_is_inherited() {
    let yard = Yard::new();
    yard.write("shop.env", "# colours\nCOLOUR=blue\nSIZE=\"very large\"\nexport QUOTED='a b'\n");
    yard.script("task.sh", TELL);
    let config = "[services.task]\nenv = { COLOUR = \"red\", NUMBER = 7, GREETING = \"${GREETING:-hello $$USER}\" }\nenv_file = [\"shop.env\"]\n\
                  backend = { type = \"process\", binary = \"./task.sh\", env = { NUMBER = 8 } }\n";
    yard.config(config);
    let mut command = yard.command("up --detach");
    hostler_e2e::Ran::of(command.env("LEAK", "from the shell")).ok();
    until("it has told", || yard.read("environment").contains("NUMBER"));
    let environment = yard.read("environment");
    for line in ["COLOUR=red", "SIZE=very large", "QUOTED=a b", "NUMBER=8", "GREETING=hello $USER"] {
        assert!(environment.lines().any(|found| found == line), "`{line}` is missing:\n{environment}");
    }
    assert!(!environment.contains("LEAK") && !environment.contains("HOSTLER_STATE_DIR"), "{environment}");
    assert!(environment.contains("HOSTLER_TASK="), "it carries its tag:\n{environment}");
    assert_eq!(yard.read("directory").trim(), yard.path().to_str().expect("a plain path"), "beside its file");
}

#[test]
fn arguments_and_directory_are_taken_as_written() {
    let yard = Yard::new();
    fs::create_dir(yard.file("work")).expect("the yard is ours");
    yard.script("task.sh", "for arg in \"$@\"; do echo \"<$arg>\"; done; pwd > here; exec sleep 1000");
    yard.up("[services.task]\nbackend = { type = \"process\", binary = \"./task.sh\", args = [\"; rm -rf /\", \"$$(id)\", \"-x\", 5, true, \"a\\nb\", \"\"], working_dir = \"./work\" }");
    until("it has told", || yard.file("work/here").exists());
    assert_eq!(yard.log("task"), ["<; rm -rf />", "<$(id)>", "<-x>", "<5>", "<true>", "<a", "b>", "<>"]);
}

#[test]
fn it_runs_as_another_user() {
    let yard = Yard::new();
    if !is_root() {
        yard.config(&sleeper("task", "restart = \"never\"").replace("args", "user = \"root\", args"));
        let text = yard.run("up --detach").fails(1);
        assert!(text.contains("user"), "who is not root cannot, and is told so: {text}");
        return;
    }
    fs::create_dir(yard.file("work")).expect("the yard is ours");
    fs::set_permissions(yard.file("work"), std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("it is ours");
    yard.script("task.sh", TELL);
    let config = |user: &str| {
        format!(
            "[services.task]\nrestart = \"never\"\nbackend = {{ type = \"process\", binary = \"./task.sh\", user = {user}, working_dir = \"./work\" }}\n"
        )
    };
    for user in ["\"nobody\"", "65534", "\"65534:65534\""] {
        yard.up(&config(user));
        until("it has told", || yard.read("work/user") == "65534\n");
        fs::remove_file(yard.file("work/user")).expect("the directory is ours");
    }
    yard.config(&config("\"no-such-user\""));
    let text = yard.run("up --detach").fails(1);
    assert!(text.contains("no-such-user"), "{text}");
}

#[test]
fn a_memory_limit_ends_what_goes_over_it_or_is_said_not_to_hold() {
    let yard = Yard::new();
    let eats = "import time\nmeals = []\nfor _ in range(60):\n    meals.append(bytearray(b'x' * (4 << 20)))\n    time.sleep(0.005)\nopen('full', 'w').close()\ntime.sleep(1000)\n";
    yard.write("eats.py", eats);
    let config = "[services.task]\nrestart = \"never\"\nresources = { memory = \"64Mi\" }\n\
                  backend = { type = \"process\", binary = \"/usr/bin/python3\", args = [\"eats.py\"] }\n";
    yard.config(config);
    yard.run("up --detach");
    let host = yard.get("/host").expect("it answers");
    if host["keeper"]["limits"] == true {
        yard.until_status("task", "failed");
        let exit = yard.detail("task")["replicas"][0]["last_exit"].clone();
        assert_eq!(exit["out_of_memory"], true, "{exit:#}");
        assert!(yard.run("explain task").ok().contains("out of memory"));
        assert!(yard.run("status").ok().contains("cpu and memory limits are applied"));
    } else {
        until("nobody stopped it", || yard.file("full").exists());
        let status = yard.run("status task").ok();
        assert!(status.contains("memory limit not applied"), "{status}");
        assert!(yard.run("status").ok().contains("cpu and memory limits are not applied: "));
    }
}

#[test]
fn limits_are_in_force_where_the_machine_lets_us() {
    let yard = Yard::new();
    yard.up(&sleeper("task", "resources = { cpu = \"250m\", memory = \"96Mi\" }"));
    let host = yard.get("/host").expect("it answers");
    if host["keeper"]["limits"] != true {
        let status = yard.run("status task").ok();
        assert!(status.contains("memory limit not applied") && status.contains("cpu limit not applied"), "{status}");
        return;
    }
    let groups = fs::read_to_string(format!("/proc/{}/cgroup", yard.pid("task"))).expect("it runs");
    assert!(groups.contains("/hostler/"), "{groups}");
    assert_eq!(yard.usage("task")["memory_limit_bytes"], 96 << 20);
}

#[test]
fn every_byte_of_an_argument_arrives_and_none_is_a_shells() {
    let yard = Yard::new();
    yard.script("say.sh", "{ for arg; do printf '<%s>' \"$arg\"; done; printf '<%s>' \"$EVIL\"; } > said; exec sleep 1000");
    let odd = ["; touch hurt", "$(touch hurt)", "`touch hurt`", "-rf", "--", "a\nb", "it's", "\"", "\\", "*", "~", "&& touch hurt #", "", "ü"];
    let config = |args: &[&str], evil: &str| {
        let told = |text: hostler_e2e::Value| text.to_string().replace('$', "$$");
        let env = format!("env = {{ EVIL = {} }}", told(evil.into()));
        format!("[services.task]\nbackend = {{ type = \"process\", binary = \"./say.sh\", args = {}, {env} }}\n", told(hostler_e2e::json!(args)))
    };
    let said = |args: &[&str], evil: &str| args.iter().chain([&evil]).map(|arg| format!("<{arg}>")).collect::<String>();
    yard.up(&config(&odd, "x'; touch hurt; '"));
    until("it has said so", || yard.read("said") == said(&odd, "x'; touch hurt; '"));
    let backwards: Vec<&str> = odd.iter().rev().copied().collect();
    yard.config(&config(&backwards, "$(touch hurt)\n"));
    yard.run("apply").ok();
    until("it has said so again", || yard.read("said") == said(&backwards, "$(touch hurt)\n"));
    yard.config(&config(&["a\0b"], ""));
    assert!(yard.run("apply").fails(3).contains("NUL"));
    yard.config(&config(&[], "a\0b"));
    assert!(yard.run("apply").fails(3).contains("NUL"));
    yard.run("down").ok();
    assert!(!yard.file("hurt").exists());
}

/// Every regular file below a directory.
fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).filter(|path| path.is_file()).collect()
}

#[test]
fn a_secret_reaches_its_service_and_nobody_else() {
    let yard = Yard::new();
    let canary = "canary-7f3a9c51e0";
    yard.write("password", format!("{canary}\n"));
    let task = script(
        &yard,
        "task",
        "[ \"$PASSWORD\" = \"$(cat password)\" ] && echo got it && exec sleep 1000",
        "secrets = { PASSWORD = \"./password\" }\nrestart = \"never\"",
    );
    yard.up(&(task + &sleeper("web", "dependencies = [\"task\"]")));
    until("it has it", || yard.log("task") == ["got it"]);
    let lines = "ps|ps --json|status task|status task --json|status --json|explain task|explain task --json|events|events --json|health --json|logs task|logs task --json|graph --json|plan|plan --json|plugin list --verbose|plugin inspect process --json|validate --json";
    for line in lines.split('|') {
        let ran = yard.run(line);
        assert!(!ran.out.contains(canary) && !ran.err.contains(canary), "{line} tells it");
    }
    yard.run("restart task").ok();
    yard.kill_host();
    yard.run("serve --detach --verbose --verbose").ok();
    yard.run("stop task").ok();
    for file in files(yard.state()) {
        let bytes = fs::read(&file).unwrap_or_default();
        assert!(!bytes.windows(canary.len()).any(|part| part == canary.as_bytes()), "{} holds it", file.display());
    }
    for pid in yard.processes() {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        assert!(!line.windows(canary.len()).any(|part| part == canary.as_bytes()), "a command line shows it");
    }
    assert!(yard.run("status task --json").json().to_string().contains("task"));
    assert!(yard.read("state/services/task/config.yaml").contains("password"), "its path is no secret");
}

#[test]
fn a_secret_that_cannot_be_read_is_a_failed_start() {
    let yard = Yard::new();
    yard.config(&sleeper("task", "secrets = { PASSWORD = \"./nowhere\" }\nrestart = \"never\""));
    let text = yard.run("up --detach").fails(1);
    assert!(text.contains("secret PASSWORD cannot be read from") && text.contains("nowhere"), "{text}");
    for path in ["/dev/zero", "./pipe"] {
        std::process::Command::new("mkfifo").arg(yard.file("pipe")).output().expect("there is a mkfifo");
        yard.config(&sleeper("task", &format!("secrets = {{ PASSWORD = \"{path}\" }}\nrestart = \"never\"")));
        let text = yard.run("up --detach").fails(1);
        assert!(text.contains("it is not a regular file"), "{path}: {text}");
    }
}

#[test]
fn replicas_are_as_many_processes() {
    let yard = Yard::new();
    yard.up(&sleeper("task", "replicas = 3"));
    let detail = yard.detail("task");
    let pids: std::collections::BTreeSet<u64> =
        detail["replicas"].as_array().into_iter().flatten().filter_map(|replica| replica["pid"].as_u64()).collect();
    assert_eq!(pids.len(), 3, "{detail:#}");
    assert!(yard.run("ps").ok().contains("running 3/3"));
    yard.up(&sleeper("task", "replicas = 1"));
    until("two have gone", || pids.iter().filter(|pid| hostler_e2e::alive(u32::try_from(**pid).expect("a pid"))).count() == 1);
    assert_eq!(u64::from(yard.pid("task")), *pids.iter().find(|pid| hostler_e2e::alive(u32::try_from(**pid).expect("a pid"))).expect("one is left"));
}

#[test]
fn the_host_has_all_the_files_it_can_get_and_its_services_what_it_was_started_with() {
    let yard = Yard::with(&sleeper("task", ""));
    let line = format!("ulimit -Sn 512; exec {} up --detach --state-dir {}", program().display(), yard.state().display());
    Ran::of(Command::new("bash").args(["-c", &line]).current_dir(yard.path())).ok();
    let files = |pid: u32| {
        let limits = fs::read_to_string(format!("/proc/{pid}/limits")).expect("it runs");
        let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).expect("every process has one");
        let mut words = line.split_whitespace().map(str::to_owned);
        (words.next(), words.next())
    };
    let (soft, hard) = files(yard.host_pid());
    let number = |text: &Option<String>| text.as_deref().and_then(|text| text.parse::<u64>().ok()).unwrap_or(u64::MAX);
    assert_eq!(number(&soft), number(&hard).min(131_072));
    assert_eq!(files(yard.pid("task")), (Some("512".to_owned()), hard));
}
