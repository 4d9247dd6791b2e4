//! The command line itself: exit codes, failures as text and as documents, help, completions.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use hostler_e2e::{Ran, Value, Yard, can, is_root, program};

use crate::sleeper;

/// The one document on standard error.
fn failure(ran: Ran, code: i32) -> Value {
    let text = ran.fails(code);
    let document: Value = hostler_e2e::parse(&text).unwrap_or_else(|error| panic!("no JSON on standard error: {error}\n{text}"));
    assert_eq!(document["version"], 1);
    assert!(document["message"].as_str().is_some_and(|message| !message.is_empty()), "{document}");
    document
}

#[test]
fn every_command_of_the_issue_is_there() {
    let yard = Yard::bare();
    let commands = "up serve apply plan validate ps status explain start stop restart logs events health graph down plugin completions version";
    for command in commands.split(' ') {
        let help = yard.run(&format!("{command} --help")).ok();
        assert!(help.contains("Usage: hostler ") && help.contains("--json"), "{command}: {help}");
    }
    assert!(yard.run("--help").ok().contains("Exit codes: 0 done"));
    assert!(yard.run("plugin --help").ok().contains("inspect"));
    assert!(!yard.state().exists(), "help touches nothing");
}

#[test]
fn a_failed_operation_is_1() {
    let yard = Yard::new();
    yard.up(&sleeper("database", ""));
    for line in ["status databse", "explain databse", "start databse", "stop databse", "restart databse", "logs databse", "plugin inspect databse"] {
        let text = yard.run(line).fails(1);
        assert!(text.starts_with("error: there is no ") && text.contains("databse"), "{line}: {text}");
    }
    assert!(yard.run("status databse").fails(1).contains("hint: did you mean `database`?"));
    let document = failure(yard.run("status databse --json"), 1);
    assert_eq!([&document["code"], &document["hint"]], ["not-found", "did you mean `database`?"]);
}

#[test]
fn a_command_line_without_sense_is_2() {
    let yard = Yard::bare();
    for line in ["", "fly", "ps --frobnicate", "graph --format svg", "logs x --tail many", "health web", "completions tcsh"] {
        yard.run(line).fails(2);
    }
    let text = yard.run("validate").fails(2);
    assert!(text.contains("there is no configuration file here") && text.contains("hostler.toml"), "{text}");
    let document = failure(yard.run("up --json"), 2);
    assert_eq!(document["code"], "invalid");
    yard.config(&sleeper("db", ""));
    let text = yard.run("validate other.toml --file hostler.toml").fails(2);
    assert!(text.contains("two files are named"), "{text}");
}

#[test]
fn a_refused_configuration_is_3_and_says_where() {
    let yard = Yard::with("[services.db]\nbackend = { type = \"process\", binary = \"sleep\" }\nhealth_chek = { type = \"tcp\", port = 1 }");
    let text = yard.run("validate").fails(3);
    for part in ["hostler.toml", "4", "health_chek", "did you mean `health_check`?"] {
        assert!(text.contains(part), "`{part}` is missing:\n{text}");
    }
    let document = failure(yard.run("validate --json"), 3);
    assert_eq!(document["code"], "config");
    let problem = &document["problems"][0];
    assert_eq!([&problem["line"], &problem["column"]], [4, 1], "{problem}");
    for line in ["up", "up --detach", "serve hostler.toml", "serve hostler.toml --detach", "plan", "apply", "graph hostler.toml"] {
        yard.run(line).fails(3);
    }
    assert!(!yard.state().join("store.db").exists(), "nothing was applied");
}

#[test]
fn no_host_to_be_reached_is_4() {
    let yard = Yard::new();
    for line in ["ps", "status", "status db", "explain db", "start", "stop", "restart", "logs db", "events", "health", "graph", "plugin list", "down"]
    {
        let text = yard.run(line).fails(4);
        assert!(text.contains("no host is running") && text.contains("hint:"), "{line}: {text}");
    }
    assert_eq!(failure(yard.run("ps --json"), 4)["code"], "unreachable");
    yard.config(&sleeper("db", ""));
    for line in ["plan", "apply"] {
        yard.run(line).fails(4);
    }
}

#[test]
fn somebody_else_is_denied_and_that_is_5() {
    let yard = Yard::new();
    yard.up(&sleeper("db", ""));
    let words = ["--state-dir", yard.state().to_str().expect("a plain path"), "ps"];
    let mut command = if is_root() {
        if !can("setpriv", Command::new("setpriv").arg("--version").output().is_ok()) {
            return;
        }
        // A place that others reach, too.
        let copy = yard.file("hostler");
        std::fs::copy(program(), &copy).expect("there is room for a program");
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(copy);
        command
    } else {
        std::fs::set_permissions(yard.state(), std::fs::Permissions::from_mode(0o000)).expect("it is ours");
        Command::new(program())
    };
    let ran = Ran::of(command.args(words).current_dir(yard.path()));
    std::fs::set_permissions(yard.state(), std::fs::Permissions::from_mode(0o700)).expect("it is ours");
    let text = ran.fails(5);
    assert!(text.starts_with("error: ") && text.contains(words[1]), "{text}");
}

#[test]
fn a_failure_with_json_is_one_document_and_nothing_on_standard_output() {
    let yard = Yard::new();
    for (line, code) in [("ps --json", 4), ("validate --json", 2), ("--json status x", 4)] {
        let ran = yard.run(line);
        assert_eq!((ran.code, ran.out.as_str()), (code, ""), "{line}");
        assert_eq!(ran.err.lines().count(), 1, "{line}: {}", ran.err);
        failure(ran, code);
    }
}

#[test]
fn a_mistake_in_the_command_line_is_a_document_too() {
    let yard = Yard::bare();
    for (line, message, hint) in [
        ("fly --json", "unrecognized subcommand 'fly'", "Usage: hostler"),
        ("ps --jsn --json", "unexpected argument '--jsn' found", "'--json'"),
        ("explain --json", "the following required arguments were not provided: <SERVICE>", "Usage: hostler explain"),
        ("--json", "'hostler' requires a subcommand", ""),
        ("plugin --json", "'hostler plugin' requires a subcommand", ""),
    ] {
        let ran = yard.run(line);
        assert_eq!((ran.out.as_str(), ran.err.lines().count()), ("", 1), "{line}: {}", ran.err);
        let document = failure(ran, 2);
        assert_eq!(document["code"], "invalid");
        assert!(document["message"].as_str().is_some_and(|text| text.contains(message)), "{line}: {document}");
        assert!(document["hint"].as_str().is_some_and(|text| text.contains(hint)), "{line}: {document}");
    }
    assert!(yard.run("ps --help --json").ok().contains("Usage: hostler ps"), "help is an answer, and no mistake");
}

#[test]
fn a_bad_file_that_was_read_for_its_state_dir_is_one_document() {
    let yard = Yard::bare();
    let run = |line: &str| Ran::of(yard.command(line).env_remove("HOSTLER_STATE_DIR"));
    yard.config("[settings]\nstate_dir = 1");
    let ran = run("ps --json");
    assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
    let document = failure(ran, 3);
    assert!(document["hint"].as_str().is_some_and(|hint| hint.contains("--state-dir")), "{document}");
    let text = run("ps").fails(3);
    assert!(text.ends_with("was read for its `state_dir`; --state-dir names one without it\n"), "{text}");
    yard.config("[settings]\nstate_dir = \"there\"\n[services.half]\nbackend = \"${NOT_SET_YET}\"");
    let text = run("ps").fails(4);
    assert!(text.contains(&format!("no host is running on {}", yard.file("there").display())), "a service's mistake hides no host: {text}");
}

#[test]
fn completions_are_scripts_that_know_the_commands() {
    let yard = Yard::bare();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = yard.run(&format!("completions {shell}")).ok();
        for word in ["validate", "explain", "completions"] {
            assert!(script.contains(word), "{shell} does not know {word}");
        }
        assert!(!script.contains("keeper"), "{shell} offers what is not for people");
    }
    let script = yard.write("hostler.bash", yard.run("completions bash").ok());
    assert!(Command::new("bash").arg("-n").arg(script).status().expect("bash is everywhere").success());
}

#[test]
fn the_version_is_said_in_two_ways() {
    let yard = Yard::bare();
    let text = yard.run("version").ok();
    let version = text.trim().strip_prefix("hostler ").expect("it begins with the name");
    assert_eq!(yard.run("--version").ok(), text);
    assert_eq!(yard.run("version --json").json()["hostler_version"], version);
}

#[test]
fn a_reader_that_has_enough_is_no_failure() {
    let yard = Yard::new();
    let many: String = (0..200).map(|number| sleeper(&format!("s{number}"), "enabled = false")).collect();
    yard.up(&many);
    let line = format!("{} ps --state-dir {} | head -1", program().display(), yard.state().display());
    let output = Command::new("bash").args(["-c", &format!("set -o pipefail; {line}")]).output().expect("bash is everywhere");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("NAME"));
}
