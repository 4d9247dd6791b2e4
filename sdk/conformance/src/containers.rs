//! An engine of containers in memory, by Docker's API: it runs nothing, has every image, and answers as a real one does.

use std::collections::BTreeMap;
use std::sync::Mutex;

use hostler_wasm::{EngineReply, EngineRequest, EngineRole, Wait};
use serde_json::{Value, json};

/// Host ports are chosen from here on.
const FIRST_PORT: u64 = 32_768;
/// What never happened, as engines write it.
const NEVER: &str = "0001-01-01T00:00:00Z";
/// Signals that end what does not expect them.
const ENDING: [(&str, i64); 4] = [("KILL", 137), ("TERM", 143), ("INT", 130), ("QUIT", 131)];

/// Holds containers that do not run.
#[derive(Debug, Default)]
pub struct FakeEngine(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    containers: BTreeMap<String, Value>,
    networks: BTreeMap<String, Value>,
    /// Commands that were run, by id: what they were given.
    execs: BTreeMap<String, Value>,
    counted: u64,
}

type Answer = Result<Value, (u16, String)>;

impl FakeEngine {
    /// Containers that are there, running or not, as the engine shows them.
    pub fn containers(&self) -> Vec<Value> {
        self.0.lock().expect("no code panics while it holds this lock").containers.values().cloned().collect()
    }
}

impl EngineRole for FakeEngine {
    fn answer(&self, request: EngineRequest) -> Wait<'_, EngineReply> {
        let answer = self.0.lock().expect("no code panics while it holds this lock").answer(&request);
        let reply = match answer {
            // a log, or what a command writes, is no JSON
            Ok(Value::String(text)) => EngineReply { status: 200, body: text.into_bytes() },
            Ok(Value::Null) => EngineReply { status: 204, body: Vec::new() },
            Ok(said) => EngineReply { status: 200, body: said.to_string().into_bytes() },
            Err((status, message)) => EngineReply { status, body: json!({ "message": message }).to_string().into_bytes() },
        };
        Box::pin(std::future::ready(reply))
    }
}

impl Held {
    fn answer(&mut self, request: &EngineRequest) -> Answer {
        let path = request.path.strip_prefix("/v1.41").unwrap_or(&request.path);
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        match (request.method.as_str(), parts.as_slice()) {
            ("GET", ["version"]) => Ok(json!({ "Version": "0.0.0", "ApiVersion": "1.41", "MinAPIVersion": "1.12" })),
            ("GET", ["info"]) => Ok(json!({ "OperatingSystem": "none", "Architecture": "none", "NCPU": 1, "MemTotal": 1 << 30, "Driver": "memory" })),
            ("GET", ["images", .., "json"]) => {
                let name = path.trim_start_matches("/images/").trim_end_matches("/json");
                Ok(json!({ "Id": image_id(name), "RepoDigests": [], "Size": 1, "Config": {} }))
            }
            ("POST", ["images", "create"]) => Ok(json!({ "status": "Image is up to date" })),
            ("GET", ["containers", "json"]) => Ok(self.list(request)),
            ("POST", ["containers", "create"]) => self.create(request),
            ("GET", ["networks", name]) => self.networks.get(*name).cloned().ok_or_else(|| absent("network", name)),
            ("POST", ["networks", "create"]) => {
                let name = request.body["Name"].as_str().unwrap_or_default().to_owned();
                self.networks.insert(name, request.body.clone());
                Ok(json!({ "Id": "0" }))
            }
            ("POST", ["networks", _, "connect"]) => Ok(Value::Null),
            ("GET", ["volumes", name]) => Err(absent("volume", name)),
            ("GET", ["exec", id, "json"]) => self.execs.get(*id).cloned().ok_or_else(|| absent("exec instance", id)),
            ("POST", ["exec", _, "start"]) => Ok(json!("")),
            (method, ["containers", id, rest @ ..]) => self.of_one(method, id, rest, request),
            _ => Err((404, "page not found".to_owned())),
        }
    }

    fn of_one(&mut self, method: &str, id: &str, rest: &[&str], request: &EngineRequest) -> Answer {
        let id = self.find(id).ok_or_else(|| absent("container", id))?;
        self.counted += 1;
        let (now, counted) = (self.now(), self.counted);
        let Some(container) = self.containers.get_mut(&id) else { return Err(absent("container", &id)) };
        let runs = container["State"]["Running"] == true;
        match (method, rest) {
            ("GET", ["json"]) => Ok(container.clone()),
            ("GET", ["logs"]) => Ok(json!("")),
            ("GET", ["stats"]) if !runs => Ok(json!({ "read": NEVER })),
            ("GET", ["stats"]) => Ok(json!({
                "read": now, "cpu_stats": { "cpu_usage": { "total_usage": counted } }, "pids_stats": { "current": 1 },
                "memory_stats": { "usage": 1 << 20, "limit": 1 << 30, "stats": {} },
            })),
            ("POST", ["start"]) => {
                if !runs {
                    begin(container, &now);
                }
                Ok(Value::Null)
            }
            ("POST", ["wait"]) => Ok(json!({ "StatusCode": container["State"]["ExitCode"] })),
            ("POST", ["kill"]) if !runs => Err((409, format!("Container {id} is not running"))),
            ("POST", ["kill"]) => {
                let signal = value(request, "signal").unwrap_or("KILL").trim_start_matches("SIG");
                if let Some((_, code)) = ENDING.iter().find(|(name, _)| *name == signal) {
                    end(container, *code, &now);
                }
                Ok(Value::Null)
            }
            ("POST", ["update"]) => {
                for (name, limit) in request.body.as_object().into_iter().flatten() {
                    container["HostConfig"][name.as_str()] = limit.clone();
                }
                Ok(json!({ "Warnings": [] }))
            }
            ("POST", ["exec"]) if !runs => Err((409, format!("Container {id} is not running"))),
            ("POST", ["exec"]) => {
                self.execs.insert(counted.to_string(), json!({ "Running": false, "ExitCode": 0, "Pid": 0, "Asked": request.body }));
                Ok(json!({ "Id": counted.to_string() }))
            }
            ("DELETE", []) if runs && !["1", "true"].contains(&value(request, "force").unwrap_or_default()) => {
                Err((409, format!("You cannot remove a running container {id}. Stop the container before attempting removal or force remove")))
            }
            ("DELETE", []) => {
                self.containers.remove(&id);
                Ok(Value::Null)
            }
            _ => Err((404, "page not found".to_owned())),
        }
    }

    fn find(&self, id: &str) -> Option<String> {
        let named = |container: &&Value| container["Id"] == id || container["Name"].as_str() == Some(&format!("/{id}"));
        self.containers.values().find(named).and_then(|container| container["Id"].as_str()).map(str::to_owned)
    }

    fn create(&mut self, request: &EngineRequest) -> Answer {
        let name = value(request, "name").unwrap_or_default();
        if let Some(there) = self.find(name) {
            return Err((409, format!("Conflict. The container name \"/{name}\" is already in use by container \"{there}\".")));
        }
        self.counted += 1;
        let (id, body) = (format!("{:064x}", self.counted), &request.body);
        let mut ports = body["HostConfig"]["PortBindings"].clone();
        for place in ports.as_object_mut().into_iter().flatten().filter_map(|(_, places)| places.as_array_mut()).flatten() {
            if place["HostPort"] == "" {
                self.counted += 1;
                place["HostPort"] = json!((FIRST_PORT + self.counted).to_string());
            }
        }
        let container = json!({
            "Id": id, "Name": format!("/{name}"), "Created": self.now(), "Image": image_id(body["Image"].as_str().unwrap_or_default()),
            "Path": "", "Args": [], "RestartCount": 0, "Mounts": [], "Config": body, "HostConfig": body["HostConfig"],
            "NetworkSettings": { "Ports": ports, "Networks": {} },
            "State": { "Status": "created", "Running": false, "Paused": false, "ExitCode": 0, "StartedAt": NEVER, "FinishedAt": NEVER },
        });
        self.containers.insert(id.clone(), container);
        Ok(json!({ "Id": id, "Warnings": [] }))
    }

    fn list(&self, request: &EngineRequest) -> Value {
        let filters: Value = value(request, "filters").and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let wanted: Vec<&str> = filters["label"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let has = |container: &&Value| {
            wanted.iter().all(|label| match label.split_once('=') {
                Some((name, value)) => container["Config"]["Labels"][name] == value,
                None => container["Config"]["Labels"][*label].is_string(),
            })
        };
        self.containers.values().filter(has).map(|container| json!({ "Id": container["Id"] })).collect()
    }

    /// Times are counted, not read: a case plays the same every time.
    fn now(&self) -> String {
        let at = self.counted;
        format!("2026-01-{:02}T{:02}:{:02}:{:02}.000000001Z", 1 + at / 86_400 % 28, at / 3_600 % 24, at / 60 % 60, at % 60)
    }
}

fn begin(container: &mut Value, now: &str) {
    container["State"] =
        json!({ "Status": "running", "Running": true, "Paused": false, "ExitCode": 0, "Pid": 4_000, "StartedAt": now, "FinishedAt": NEVER });
}

fn end(container: &mut Value, code: i64, now: &str) {
    let started = container["State"]["StartedAt"].clone();
    container["State"] = json!({ "Status": "exited", "Running": false, "ExitCode": code, "Pid": 0, "StartedAt": started, "FinishedAt": now });
}

fn image_id(name: &str) -> String {
    format!("sha256:{}", name.bytes().map(|byte| format!("{byte:02x}")).collect::<String>())
}

fn absent(what: &str, name: &str) -> (u16, String) {
    (404, format!("No such {what}: {name}"))
}

fn value<'a>(request: &'a EngineRequest, name: &str) -> Option<&'a str> {
    request.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}
