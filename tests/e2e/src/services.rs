//! What a yard's host says of its services.

use serde_json::Value;

use crate::machine;
use crate::wait::{until, until_some};
use crate::wire::request;
use crate::yard::Yard;

impl Yard {
    /// A document of the host, over its socket; nothing when no host answers, or it says no.
    pub fn get(&self, path: &str) -> Option<Value> {
        request(&self.socket(), "GET", &format!("/api/v1{path}"), b"").filter(|answer| answer.status == 200).map(|answer| answer.json())
    }

    /// One service in detail.
    ///
    /// # Panics
    /// When it is not there.
    #[track_caller]
    pub fn detail(&self, name: &str) -> Value {
        self.get(&format!("/services/{name}")).unwrap_or_else(|| panic!("the host says nothing of `{name}`"))
    }

    /// What its first replica uses, once its engine has said so: an answer waits for engines only so long.
    ///
    /// # Panics
    /// When it never does.
    #[track_caller]
    pub fn usage(&self, name: &str) -> Value {
        let usage = || self.detail(&format!("{name}?usage=true"))["replicas"][0]["usage"].clone();
        until_some(&format!("it is known what `{name}` uses"), || Some(usage()).filter(|usage| !usage.is_null()))
    }

    /// Its line of the list.
    ///
    /// # Panics
    /// When it is not there.
    #[track_caller]
    pub fn service(&self, name: &str) -> Value {
        self.detail(name)["service"].clone()
    }

    /// Its status, in one word.
    #[track_caller]
    pub fn status(&self, name: &str) -> String {
        self.service(name)["status"].as_str().unwrap_or_default().to_owned()
    }

    /// Its process, once it has one.
    ///
    /// # Panics
    /// When it never has.
    #[track_caller]
    pub fn pid(&self, name: &str) -> u32 {
        let service = self.until_service(name, "it has a process", |service| service["pid"].is_u64());
        service["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).expect("it is a process id")
    }

    /// Waits until it has this status, and is settled where that can be.
    ///
    /// # Panics
    /// When it never has.
    #[track_caller]
    pub fn until_status(&self, name: &str, status: &str) -> Value {
        self.until_service(name, &format!("it is {status}"), |service| service["status"] == status)
    }

    /// Waits until something holds of it; its line of the list then.
    ///
    /// # Panics
    /// When it never does.
    #[track_caller]
    pub fn until_service(&self, name: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let path = format!("/services/{name}");
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        loop {
            if let Some(detail) = self.get(&path) {
                last = detail["service"].clone();
                if holds(&last) {
                    return last;
                }
            }
            assert!(std::time::Instant::now() < deadline, "`{name}`: waited in vain until {what}; it is {last:#}");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    /// Waits until it runs as another process than this one.
    #[track_caller]
    pub fn until_again(&self, name: &str, before: u32) -> u32 {
        let service = self.until_service(name, &format!("it runs as another process than {before}"), |service| {
            service["status"] == "running" && service["pid"] != before && service["pid"].is_u64()
        });
        u32::try_from(service["pid"].as_u64().unwrap_or_default()).expect("a pid")
    }

    /// The host's process.
    #[track_caller]
    pub fn host_pid(&self) -> u32 {
        let host = until_some("the host answers", || self.get("/host"));
        u32::try_from(host["pid"].as_u64().unwrap_or_default()).expect("a pid")
    }

    /// The keeper's process.
    #[track_caller]
    pub fn keeper_pid(&self) -> u32 {
        until_some("the host knows its keeper", || self.get("/host")?["keeper"]["pid"].as_u64()).try_into().expect("a pid")
    }

    /// `kill -9` of the host.
    #[track_caller]
    pub fn kill_host(&self) {
        machine::kill(self.host_pid());
    }

    /// A host in the background again, that has looked at what the last one left.
    #[track_caller]
    pub fn serve(&self) {
        self.run("serve --detach").ok();
        until("the host has taken up what was there", || self.get("/host").is_some_and(|host| host["initialized"] == true));
    }

    /// What happened, as documents.
    #[track_caller]
    pub fn events(&self) -> Vec<Value> {
        self.run("events --json").documents()
    }

    /// What happened to one service, as `kind: message`.
    #[track_caller]
    pub fn story(&self, name: &str) -> Vec<String> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let events = self.events();
        let own = events.iter().filter(|event| event["service"] == name);
        own.map(|event| format!("{}: {}", text(&event["kind"]), text(&event["message"]))).collect()
    }

    /// The lines that a service has written.
    #[track_caller]
    pub fn log(&self, name: &str) -> Vec<String> {
        let documents = self.run(&format!("logs {name} --json --tail 1000000")).documents();
        let lines = documents.iter().filter(|item| item["type"] == "line");
        lines.map(|line| line["text"].as_str().unwrap_or_default().to_owned()).collect()
    }
}
