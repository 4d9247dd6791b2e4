//! Our program on a test host, looked at over its socket.

use std::ops::Deref;
use std::process::Command;

use hostler_e2e::{Ran, Value, parse, until_some};

use crate::TestHost;

/// Where the configuration is, and commands run.
const DIR: &str = "/srv/hostler";
const STATE: &str = "/var/lib/hostler-test";

/// A test host with `hostler` on it, and a directory and a state directory of its own.
#[derive(Debug)]
pub struct Hosted {
    machine: TestHost,
}

impl Hosted {
    /// Boots a test host and installs the program; nothing where there is no engine for it.
    #[track_caller]
    pub fn boot() -> Option<Hosted> {
        Hosted::boot_with(&[])
    }

    /// The same, with more words for `docker run`.
    #[track_caller]
    pub fn boot_with(more: &[&str]) -> Option<Hosted> {
        let machine = TestHost::boot_with(more)?;
        machine.install_hostler();
        machine.run(&["mkdir", "-p", DIR]).ok();
        Some(Hosted { machine })
    }

    /// Writes `hostler.toml`.
    #[track_caller]
    pub fn config(&self, text: &str) {
        self.machine.write(&format!("{DIR}/hostler.toml"), format!("version = \"1.0\"\n{text}\n"));
    }

    /// Writes a shell script, without the line that names the shell; its path.
    #[track_caller]
    pub fn script(&self, name: &str, text: &str) -> String {
        let path = format!("{DIR}/{name}");
        self.machine.write(&path, format!("#!/bin/sh\n{text}\n"));
        self.machine.run(&["chmod", "755", &path]).ok();
        path
    }

    /// A command of `hostler`: words with blanks between them.
    pub fn command(&self, line: &str) -> Command {
        self.command_with(line, &[])
    }

    /// The same with more variables, `NAME=VALUE`.
    pub fn command_with(&self, line: &str, env: &[String]) -> Command {
        let state = format!("HOSTLER_STATE_DIR={STATE}");
        let mut command = Command::new("docker");
        command.args(["exec", "--workdir", DIR, "--env", &state, "--env", "TZ=UTC"]);
        command.args(env.iter().flat_map(|pair| ["--env", pair])).args([self.machine.id(), "hostler"]);
        command.args(line.split_whitespace());
        command
    }

    /// Runs a command of `hostler` to its end.
    #[track_caller]
    pub fn hostler(&self, line: &str) -> Ran {
        Ran::of(&mut self.command(line))
    }

    /// Writes a configuration, and starts all of it in the background; all of it comes up.
    #[track_caller]
    pub fn up(&self, config: &str) {
        self.config(config);
        self.hostler("up --detach").ok();
    }

    /// A document of the host, over its socket; nothing when no host answers, or it says no.
    pub fn get(&self, path: &str) -> Option<Value> {
        let url = format!("http://hostler/api/v1{path}");
        let ran = self.machine.run(&["curl", "--silent", "--fail", "--unix-socket", &format!("{STATE}/api.sock"), &url]);
        (ran.code == 0).then(|| parse(&ran.out).ok()).flatten()
    }

    /// A service's line of the list.
    ///
    /// # Panics
    /// When it is not there.
    #[track_caller]
    pub fn service(&self, name: &str) -> Value {
        let detail = self.get(&format!("/services/{name}")).unwrap_or_else(|| panic!("the host says nothing of `{name}`"));
        detail["service"].clone()
    }

    /// The process of a service, as the host says it, once it has one.
    ///
    /// # Panics
    /// When it never has.
    #[track_caller]
    pub fn pid(&self, name: &str) -> u64 {
        let service = self.until_service(name, "it has a process", |service| service["pid"].is_u64());
        service["pid"].as_u64().expect("it is a process id")
    }

    /// Waits until something holds of a service; its line of the list then.
    ///
    /// # Panics
    /// When it never does.
    #[track_caller]
    pub fn until_service(&self, name: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        until_some(&format!("`{name}`: {what}"), || {
            let detail = self.get(&format!("/services/{name}"))?;
            holds(&detail["service"]).then(|| detail["service"].clone())
        })
    }

    /// Waits until it has this status.
    #[track_caller]
    pub fn until_status(&self, name: &str, status: &str) -> Value {
        self.until_service(name, &format!("it is {status}"), |service| service["status"] == status)
    }

    /// Waits until it runs as another process than this one.
    #[track_caller]
    pub fn until_again(&self, name: &str, before: u64) -> u64 {
        let again = |service: &Value| service["status"] == "running" && service["pid"].is_u64() && service["pid"] != before;
        self.until_service(name, &format!("it runs as another process than {before}"), again)["pid"].as_u64().expect("it has one")
    }

    /// `kill -9` of the host.
    #[track_caller]
    pub fn kill_host(&self) {
        let host = until_some("the host answers", || self.get("/host"));
        self.machine.run(&["kill", "-9", &host["pid"].to_string()]).ok();
        hostler_e2e::until("the host is gone", || self.get("/host").is_none());
    }

    /// A host in the background again, that has looked at what the last one left.
    #[track_caller]
    pub fn serve(&self) {
        self.hostler("serve --detach").ok();
        hostler_e2e::until("the host has taken up what was there", || self.get("/host").is_some_and(|host| host["initialized"] == true));
    }

    /// What happened to a service, as `kind: message`.
    #[track_caller]
    pub fn story(&self, name: &str) -> Vec<String> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let events = self.hostler("events --json").documents();
        let own = events.iter().filter(|event| event["service"] == name);
        own.map(|event| format!("{}: {}", text(&event["kind"]), text(&event["message"]))).collect()
    }

    /// What the host answers when it is asked for a service's log, document by document; `query` is that of the URL, but for its `?`.
    ///
    /// # Panics
    /// When it does not answer.
    #[track_caller]
    pub fn logs(&self, name: &str, query: &str) -> Vec<Value> {
        let url = format!("http://hostler/api/v1/services/{name}/logs?{query}");
        let ran = self.machine.run(&["curl", "--silent", "--fail", "--unix-socket", &format!("{STATE}/api.sock"), &url]).ok();
        ran.lines().map(|line| parse(line).expect("one document per line")).collect()
    }

    /// The lines that a service has written.
    #[track_caller]
    pub fn log(&self, name: &str) -> Vec<String> {
        let documents = self.hostler(&format!("logs {name} --json --tail 1000000")).documents();
        let lines = documents.iter().filter(|item| item["type"] == "line");
        lines.map(|line| line["text"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

impl Deref for Hosted {
    type Target = TestHost;

    fn deref(&self) -> &TestHost {
        &self.machine
    }
}

impl Drop for Hosted {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for line in ["ps", "events"] {
                eprintln!(
                    "$ hostler {line}\n{}",
                    self.command(line).output().map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
                );
            }
            eprintln!("host.log:\n{}", self.machine.read(&format!("{STATE}/host.log")));
        }
    }
}
