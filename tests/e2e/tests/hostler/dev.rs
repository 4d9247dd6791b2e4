//! `hostler plugin dev`: an author edits, and the host that runs takes the new component under its live task, or goes on with the one it has.

use std::fs;
use std::path::PathBuf;

use hostler_e2e::{Live, Ran, Signal, Value, Yard, alive, until, until_some_within};

use crate::templates::{COMPILING, has_clang, has_python, tools};

/// A project with its service under way, and `plugin dev` watching it.
pub(crate) struct Dev<'a> {
    yard: &'a Yard,
    dir: PathBuf,
    live: Option<Live>,
    rounds: usize,
}

impl<'a> Dev<'a> {
    /// Makes a project from a template, builds it, and starts the service of its own service file.
    fn new(yard: &'a Yard, language: &str) -> Dev<'a> {
        yard.run(&format!("plugin new mine --kind backend --lang {language}")).ok();
        let dev = Dev::of(yard, yard.file("mine"));
        dev.run("plugin build .").ok();
        dev.run("up --detach").ok();
        dev
    }

    /// Takes a project that is built, and whose service runs.
    pub(crate) fn of(yard: &'a Yard, dir: PathBuf) -> Dev<'a> {
        Dev { yard, dir, live: None, rounds: 0 }
    }

    fn command(&self, line: &str) -> std::process::Command {
        let mut command = self.yard.command(line);
        command.current_dir(&self.dir).env("HOSTLER_TOOLS", tools());
        command
    }

    #[track_caller]
    fn run(&self, line: &str) -> Ran {
        Ran::within(COMPILING, &mut self.command(line))
    }

    /// Begins to watch; the outcome of the first round.
    #[track_caller]
    fn watch(&mut self) -> Value {
        let mut command = self.command("plugin dev . --json");
        self.watch_with(&mut command)
    }

    #[track_caller]
    pub(crate) fn watch_with(&mut self, command: &mut std::process::Command) -> Value {
        self.live = Some(Live::piped(command));
        self.rounds = 0;
        self.next()
    }

    /// What comes next, in one document.
    #[track_caller]
    fn next(&mut self) -> Value {
        let live = self.live.as_ref().expect("it watches");
        let nth = self.rounds;
        self.rounds += 1;
        // among the words of the tools, its own lines are documents
        until_some_within(COMPILING, "a round comes to its end", || live.said().lines().filter_map(|line| serde_json_of(line.trim())).nth(nth))
    }

    /// Edits a source, and waits for the round that follows.
    #[track_caller]
    fn edit(&mut self, file: &str, from: &str, to: &str) -> Value {
        let path = self.dir.join(file);
        let text = fs::read_to_string(&path).expect("the template has it");
        assert!(text.contains(from), "{file} has no `{from}`");
        fs::write(path, text.replace(from, to)).expect("the yard is ours");
        self.next()
    }

    fn said(&self) -> String {
        self.live.as_ref().map_or_else(String::new, Live::said)
    }

    /// What the host says of the plugin in one line.
    fn summary(&self) -> String {
        self.yard.plugin("mine")["summary"].as_str().unwrap_or_default().to_owned()
    }

    fn component(&self) -> Vec<u8> {
        fs::read(self.dir.join("mine.wasm")).expect("it was built")
    }

    /// Ends it, as Ctrl-C without a terminal does.
    #[track_caller]
    pub(crate) fn end(&mut self) {
        let live = self.live.take().expect("it watches");
        live.signal(Signal::INT);
        assert_eq!(live.ends().0, 0);
    }
}

/// A document, when the line is one of ours.
fn serde_json_of(line: &str) -> Option<Value> {
    line.starts_with('{').then(|| hostler_e2e::parse::<Value>(line).ok()).flatten().filter(|document| document["outcome"].is_string())
}

#[track_caller]
fn is(told: &Value, outcome: &str, words: &str) {
    assert!(told["outcome"] == outcome && told["text"].as_str().is_some_and(|text| text.contains(words)), "{outcome}, {words}: {told:#}");
}

#[track_caller]
fn is_in_force(told: &Value) {
    assert!(told["outcome"] == "swapped" || told["outcome"] == "same", "{told:#}");
}

/// One edit of a source: what stands there, what is to stand there, and words that the round then says.
pub(crate) type Edit<'a> = (&'a str, &'a str, &'a str);

/// What holds in every language: a change comes under the live task, and a mistake changes nothing.
#[track_caller]
pub(crate) fn is_developed(dev: &mut Dev<'_>, file: &str, broken: Edit<'_>, breach: Edit<'_>) {
    let pid = dev.yard.pid("ticker");
    let summary = dev.summary();
    is(&dev.edit(file, &summary, "Runs programs here."), "swapped", "1 live tasks go on");
    assert_eq!(dev.summary(), "Runs programs here.");

    for (outcome, (from, to, words)) in [("does not compile", broken), ("breaks the contract", breach)] {
        let (digest, component) = (dev.yard.plugin("mine")["digest"].clone(), dev.component());
        is(&dev.edit(file, from, to), outcome, "");
        assert!(dev.said().contains(words), "{outcome}: `{words}` is not in {}", dev.said());
        assert_eq!(dev.yard.plugin("mine")["digest"], digest);
        assert!(dev.component() == component, "what the service file names is what the host has");
        is_in_force(&dev.edit(file, to, from));
    }
    assert_eq!((dev.yard.pid("ticker"), dev.yard.status("ticker").as_str()), (pid, "running"));
    assert_eq!(dev.yard.service("ticker")["restart_count"], 0);
}

const SUMMARY: &str = "Runs programs on this machine.";

#[test]
fn a_backend_in_c_is_developed_under_its_live_task() {
    if !has_clang() {
        return;
    }
    let yard = Yard::new();
    let mut dev = Dev::new(&yard, "c");
    is(&dev.watch(), "same", "the host has it already");
    let broken = ("return wrong.len == 0;", "return wrong.length == 0;", "no member named 'length'");
    let breach = ("return handle->version == 1 && handle->state.len > 0;", "return handle->state.len > 0;", "B18");
    is_developed(&mut dev, "app.c", broken, breach);
    dev.end();
}

#[test]
fn a_backend_in_python_is_developed_under_its_live_task() {
    if !has_python() {
        return;
    }
    let yard = Yard::new();
    let mut dev = Dev::new(&yard, "python");
    is_in_force(&dev.watch());
    let pid = dev.yard.pid("ticker");
    let summary = dev.summary();
    is(&dev.edit("app.py", &summary, "Runs programs here."), "swapped", "1 live tasks go on");
    let digest = dev.yard.plugin("mine")["digest"].clone();
    // an interpreter's rounds are long: what else may be wrong is the same in every language
    is(&dev.edit("app.py", "class Logs:", "class Logs(:"), "does not compile", "above");
    assert!(dev.said().contains("SyntaxError"), "{}", dev.said());
    assert_eq!((&dev.yard.plugin("mine")["digest"], dev.summary()), (&digest, "Runs programs here.".to_owned()));
    assert_eq!((dev.yard.pid("ticker"), dev.yard.status("ticker").as_str()), (pid, "running"));
    dev.end();
}

/// The host has the last word: it holds the new component against the live tasks, and watches it for a while.
#[test]
fn what_the_host_refuses_or_takes_back_is_said_with_its_reason() {
    if !has_clang() {
        return;
    }
    let yard = Yard::new();
    let mut dev = Dev::new(&yard, "c");
    is(&dev.watch(), "same", "");
    let (pid, component) = (dev.yard.pid("ticker"), dev.component());
    let items = (r#"\"items\": {"#, r#"\"maxItems\": 1, \"items\": {"#);
    is(&dev.edit("app.c", items.0, items.1), "refused", "/services/ticker/backend/args");
    assert!(dev.component() == component, "the next host loads what this one has");
    is(&dev.edit("app.c", items.1, items.0), "same", "");

    let fuse = "problems_t wrong = settings_of(*settings, &program, &args);\n    *err";
    let blown = fuse.replace("\n", "\n    if (!wrong.len && text_is(program, \"/bin/fuse\")) abort();\n");
    is(&dev.edit("app.c", fuse, &blown), "swapped", "");
    let service = dev.yard.read("mine/hostler.toml") + "\n[services.fuse]\nbackend = { type = \"mine\", program = \"/bin/fuse\" }\n";
    dev.yard.write("mine/hostler.fuse.toml", service);
    dev.run("apply hostler.fuse.toml").fails(3);
    is(&dev.next(), "rolled back", "rolled back by itself: 1 of its calls trapped");
    assert_eq!(dev.yard.pid("ticker"), pid);
    is_in_force(&dev.edit("app.c", &blown, fuse));
    dev.end();
}

#[test]
fn what_is_pinned_follows_and_a_host_that_restarts_has_the_last_revision() {
    if !has_clang() {
        return;
    }
    let yard = Yard::new();
    let mut dev = Dev::new(&yard, "c");
    dev.run("plugin add mine ./mine.wasm").ok();
    let pinned = dev.yard.read("mine/hostler.lock");
    is(&dev.watch(), "same", "");
    is(&dev.edit("app.c", SUMMARY, "Runs programs, pinned."), "swapped", "");
    assert_ne!(dev.yard.read("mine/hostler.lock"), pinned);
    let (pid, digest) = (dev.yard.pid("ticker"), dev.yard.plugin("mine")["digest"].clone());
    dev.run("apply").ok();
    dev.yard.kill_host();
    dev.run("serve --detach").ok();
    until("the host has taken up what was there", || dev.yard.get("/host").is_some_and(|host| host["initialized"] == true));
    let mine = dev.yard.plugin("mine");
    assert_eq!([&mine["digest"], &mine["state"]], [&digest, &Value::from("ok")], "{mine:#}");
    assert_eq!(dev.yard.pid("ticker"), pid);
    dev.end();
}

#[test]
fn without_a_host_it_is_built_and_tried() {
    if !has_clang() {
        return;
    }
    let yard = Yard::new();
    yard.run("plugin new mine --kind backend --lang c").ok();
    let mut dev = Dev::of(&yard, yard.file("mine"));
    is(&dev.watch(), "built", "no host runs here");
    is(&dev.edit("app.c", SUMMARY, "Runs programs alone."), "built", "cases kept");
    assert!(dev.yard.file("mine/mine.wasm").is_file());
    dev.end();
    assert!(dev.yard.processes().is_empty());
}

/// A compiler that takes its time, and has a child that would outlive it.
fn with_a_slow_compiler(dev: &Dev<'_>) {
    fs::create_dir_all(dev.yard.file("tools/clang/bin")).expect("the yard is ours");
    dev.yard.script("tools/clang/bin/clang", &format!("sleep 1000 &\necho $! >{}\nwait", dev.yard.file("compiling").display()));
}

#[test]
fn ctrl_c_during_a_build_leaves_nothing_behind() {
    if !has_clang() {
        return;
    }
    let yard = Yard::new();
    let mut dev = Dev::new(&yard, "c");
    let (pid, digest) = (dev.yard.pid("ticker"), dev.yard.plugin("mine")["digest"].clone());
    with_a_slow_compiler(&dev);
    for by in ["a key on the terminal", "a signal to it alone"] {
        let before = dev.yard.processes();
        let mut command = dev.command("plugin dev .");
        command.env("HOSTLER_TOOLS", dev.yard.file("tools")).env("TERM", "xterm");
        let mut live = Live::on_terminal(&command);
        until("its compiler works", || !dev.yard.read("compiling").trim().is_empty());
        let compiling: u32 = dev.yard.read("compiling").trim().parse().expect("a pid");
        assert!(alive(compiling));
        match by {
            "a key on the terminal" => live.types(b"\x03"),
            _ => live.signal(Signal::TERM),
        }
        let (code, said) = live.ends();
        assert_eq!(code, 0, "{by}: {said}");
        assert!(!alive(compiling), "{by}: its compiler's child lives");
        assert_eq!(dev.yard.processes(), before, "{by}");
        fs::remove_file(dev.yard.file("compiling")).expect("it was written");
    }
    let left = fs::read_dir(&dev.dir).expect("it is there").flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    assert_eq!(left.filter(|name| name.ends_with(".partial")).collect::<Vec<_>>(), Vec::<String>::new());
    assert_eq!((dev.yard.pid("ticker"), &dev.yard.plugin("mine")["digest"]), (pid, &digest));

    // and between two rounds
    is(&dev.watch(), "same", "");
    let mut before = dev.yard.processes();
    before.retain(|pid| dev.live.as_ref().is_some_and(|live| live.pid() != *pid));
    dev.end();
    assert_eq!(dev.yard.processes(), before);
}
