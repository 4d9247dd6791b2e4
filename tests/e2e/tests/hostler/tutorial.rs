//! docs/PLUGINS.md as a new user plays it: its own commands, one by one, in an empty folder, with the program alone.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use hostler_e2e::{Yard, program, root};

use crate::dev::{Dev, is_developed};

/// The commands between two markers of the document, without prompts and remarks.
fn commands(marker: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join("docs/PLUGINS.md")).expect("the document is there");
    let begin = format!("<!-- {marker} -->");
    let (_, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("docs/PLUGINS.md has no {begin}"));
    let (part, _) = rest.split_once("<!-- end -->").expect("a marker is closed");
    let line = |line: &str| line.split(" #").next().unwrap_or_default().trim().to_owned();
    part.lines().map(line).filter(|line| !line.is_empty() && !line.starts_with("```")).collect()
}

/// A yard whose shell finds `hostler`, cargo and what else the machine has; crates come from where they are already.
struct Reader {
    yard: Yard,
    dir: PathBuf,
    log: String,
}

impl Reader {
    fn new() -> Reader {
        let yard = Yard::new();
        let bin = yard.file("bin");
        fs::create_dir(&bin).expect("the yard is empty");
        std::os::unix::fs::symlink(program(), bin.join("hostler")).expect("the folder is new");
        let dir = yard.path().to_owned();
        Reader { yard, dir, log: String::new() }
    }

    /// One line of the document, as a shell would run it; `cd` holds for the lines after it.
    fn play(&mut self, line: &str) {
        if let Some(to) = line.strip_prefix("cd ") {
            self.dir = self.dir.join(to);
            assert!(self.dir.is_dir(), "{line}: there is no {}", self.dir.display());
            return;
        }
        let output = self.shell(line).output().expect("there is a shell");
        let said = format!("$ {line}\n{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{}{said}", self.log);
        self.log.push_str(&said);
    }

    fn shell(&self, line: &str) -> Command {
        // the yard's own command has the environment; what follows runs it under a shell
        let model = self.yard.command("version");
        let mut command = Command::new("/bin/sh");
        command.args(["-c", line]).current_dir(&self.dir);
        for (name, value) in model.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let home = std::env::var_os("HOME").map_or_else(|| "/".into(), PathBuf::from);
        let cargo = std::env::var_os("CARGO_HOME").map_or_else(|| home.join(".cargo"), PathBuf::from);
        let rustup = std::env::var_os("RUSTUP_HOME").map_or_else(|| home.join(".rustup"), PathBuf::from);
        let tools = std::env::var_os("HOSTLER_TOOLS").map_or_else(|| home.join(".cache/hostler/tools"), PathBuf::from);
        let path = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{path}:{}", self.yard.file("bin").display(), cargo.join("bin").display());
        command.env("PATH", path).env("CARGO_HOME", cargo).env("RUSTUP_HOME", rustup).env("HOSTLER_TOOLS", tools);
        // an outer cargo's own settings would reach the reader's
        for name in ["CARGO_TARGET_DIR", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WORKSPACE_WRAPPER", "RUSTUP_TOOLCHAIN"] {
            command.env_remove(name);
        }
        // nothing is fetched that this project's own build has not fetched already
        command.env("CARGO_NET_OFFLINE", "true");
        command
    }
}

fn play(marker: &str, lines_at_most: usize) -> Reader {
    let lines = commands(marker);
    assert!((5..lines_at_most).contains(&lines.len()), "{lines:?}");
    let mut reader = Reader::new();
    for line in &lines {
        reader.play(line);
    }
    reader
}

#[test]
fn from_an_empty_folder_to_plugins_of_ones_own_in_rust() {
    let mut reader = play("tutorial: rust", 10);
    assert!(reader.log.contains("ticker") && reader.log.contains("running"), "{}", reader.log);
    let service = reader.yard.service("ticker");
    assert_eq!((service["status"].as_str(), service["backend"].as_str()), (Some("running"), Some("mine")));
    let pid = reader.yard.pid("ticker");
    hostler_e2e::until("it ticks", || !reader.yard.log("ticker").is_empty());

    // and as its author goes on: `dev` watches, and every change comes under the task that runs
    let mut dev = Dev::of(&reader.yard, reader.dir.clone());
    let told = dev.watch_with(&mut reader.shell("exec hostler plugin dev . --json"));
    assert_eq!(told["outcome"], "same", "{told:#}");
    let broken = ("impl Backend for", "impl no rust at all for", "error");
    let breach = ("Ok(Held { key: process.key })", "Ok(Held { key: \"lost\".to_owned() })", "steps");
    is_developed(&mut dev, "src/lib.rs", broken, breach);
    dev.end();
    assert_eq!(reader.yard.pid("ticker"), pid, "its task went on");
    reader.yard.run("down").ok();
    a_check_too(&mut reader);
}

/// The other template, with the crates that the first one's build has compiled already.
fn a_check_too(reader: &mut Reader) {
    let compiled = reader.dir.join("target");
    reader.dir = reader.yard.path().to_owned();
    reader.play("hostler plugin new room --kind health-check --lang rust");
    fs::rename(compiled, reader.dir.join("room/target")).expect("both are in the yard");
    for line in ["cd room", "cargo test --lib", "hostler plugin build", "hostler plugin check room.wasm", "hostler up --detach"] {
        reader.play(line);
    }
    hostler_e2e::until("it is healthy", || reader.yard.service("ticker")["health"] == "healthy");
    reader.yard.run("down").ok();
}

#[test]
fn nothing_of_the_checkout_is_in_a_new_project() {
    let reader = Reader::new();
    let made = reader.shell("hostler plugin new mine --kind backend --lang rust --json").output().expect("there is a shell");
    assert!(made.status.success(), "{made:?}");
    let checkout = root().to_string_lossy().into_owned();
    let mut folders = vec![reader.dir.join("mine")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("it was made just now") {
            let path = entry.expect("it is readable").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = fs::read_to_string(&path).expect("templates are text");
                assert!(!text.contains(&checkout) && !text.contains("../../"), "{}", path.display());
            }
        }
    }
    let again = reader.shell("hostler plugin new mine --kind backend --lang rust").output().expect("there is a shell");
    assert_eq!(again.status.code(), Some(1), "what is there is not overwritten");
    assert!(String::from_utf8_lossy(&again.stderr).contains("is there already"), "{again:?}");
}

/// Python's tools are large; where `scripts/setup.sh languages` has not put them, this has nothing to play with.
#[test]
fn from_an_empty_folder_to_a_backend_of_ones_own_in_python() {
    let home = std::env::var_os("HOME").map_or_else(|| "/".into(), PathBuf::from);
    let tools = std::env::var_os("HOSTLER_TOOLS").map_or_else(|| home.join(".cache/hostler/tools"), PathBuf::from);
    if !tools.join("python/bin/componentize-py").is_file() && std::env::var_os("CI").is_none() {
        eprintln!("not played: componentize-py is not in {}; `scripts/setup.sh languages` puts it there", tools.display());
        return;
    }
    let reader = play("tutorial: python", 10);
    let service = reader.yard.service("ticker");
    assert_eq!((service["status"].as_str(), service["backend"].as_str()), (Some("running"), Some("mine")));
    reader.yard.run("down").ok();
}

#[test]
fn a_missing_toolchain_is_said_with_what_to_install() {
    let mut reader = Reader::new();
    reader.play("hostler plugin new mine --kind health-check --lang javascript");
    let nowhere = reader.yard.file("nowhere");
    fs::create_dir(&nowhere).expect("the yard is empty");
    let without_tools = |line: &str| {
        let mut command = reader.shell(line);
        command.env("PATH", reader.yard.file("bin")).env("HOSTLER_TOOLS", &nowhere).output().expect("there is a shell")
    };
    let doctor = without_tools("hostler plugin doctor mine");
    let said = String::from_utf8_lossy(&doctor.stdout);
    assert!(doctor.status.code() == Some(1) && said.contains("npm install"), "{said}");
    let build = without_tools("hostler plugin build mine");
    let said = String::from_utf8_lossy(&build.stderr);
    assert!(build.status.code() == Some(1) && said.contains("npm install"), "{said}");
}
