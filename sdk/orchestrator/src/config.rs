//! Services as a program describes them, in the words of a service file.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

/// One service. What else a service file may say of it is added by [`ServiceConfig::with`].
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceConfig {
    /// `[a-z0-9]` first, then `[a-z0-9_-]`, at most 63 bytes.
    pub name: String,
    /// What runs it.
    pub backend: ExecutionBackend,
    /// Whom it needs up first.
    pub dependencies: Vec<String>,
    /// How it says that it is well.
    pub health_check: Option<HealthCheck>,
}

impl ServiceConfig {
    /// A service that depends on nobody and is not checked.
    pub fn new(name: impl Into<String>, backend: ExecutionBackend) -> ServiceConfig {
        ServiceConfig { name: name.into(), backend, dependencies: Vec::new(), health_check: None }
    }

    /// The same with another key of a service file: `restart`, `replicas`, `resources`, `secrets`, …
    #[must_use]
    pub fn with(self, key: &str, value: impl Into<Value>) -> ServiceDefinition {
        ServiceDefinition::from(self).with(key, value)
    }
}

/// A service with all that a service file may say of it.
///
/// ```
/// use hostler_orchestrator::{ExecutionBackend, ServiceConfig};
/// let backend = ExecutionBackend::process("./bin/api", ["--port", "8080"]).with("working_dir", "/srv/api");
/// let api = ServiceConfig::new("api", backend).with("replicas", 2).with("critical", true);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceDefinition {
    pub(crate) name: String,
    /// As it would stand under `[services.NAME]`.
    pub(crate) written: Map<String, Value>,
}

impl ServiceDefinition {
    /// The same with this key; it takes the place of what was said before.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> ServiceDefinition {
        self.written.insert(key.to_owned(), value.into());
        self
    }

    /// The settings of each plugin that it names, which says what runs it or how well it is.
    pub(crate) fn settings(&mut self) -> impl Iterator<Item = &mut Value> {
        self.written.iter_mut().flat_map(|(key, value)| match (key.as_str(), value) {
            ("backend" | "health_check", one) => vec![one],
            ("health_checks", Value::Array(several)) => several.iter_mut().collect(),
            ("health_checks", Value::Object(several)) => several.values_mut().collect(),
            _ => Vec::new(),
        })
    }
}

impl From<ServiceConfig> for ServiceDefinition {
    fn from(service: ServiceConfig) -> ServiceDefinition {
        let mut written = Map::new();
        written.insert("backend".to_owned(), Value::Object(service.backend.written()));
        if !service.dependencies.is_empty() {
            written.insert("dependencies".to_owned(), json!(service.dependencies));
        }
        if let Some(check) = &service.health_check {
            written.insert("health_check".to_owned(), Value::Object(check.written()));
        }
        ServiceDefinition { name: service.name, written }
    }
}

/// What runs a service. Its relative paths mean places in the directory that this program works in.
#[derive(Debug, Clone, PartialEq)]
pub enum ExecutionBackend {
    /// A process of this machine. It works in the same directory, unless [`ExecutionBackend::with`] says another `working_dir`.
    Process {
        /// The program.
        binary: String,
        /// Its arguments.
        args: Vec<String>,
        /// Its environment.
        env: HashMap<String, String>,
    },
    /// A container.
    Docker {
        /// Its image.
        image: String,
        /// `"8080:80"`.
        ports: Vec<String>,
        /// `"/data:/var/lib/app"`.
        volumes: Vec<String>,
        /// Its environment.
        env: HashMap<String, String>,
    },
    /// A process of another machine.
    Ssh {
        /// Which one.
        host: String,
        /// As whom.
        user: Option<String>,
        /// With which key.
        key_file: Option<String>,
        /// The program, there.
        binary: String,
        /// Its arguments.
        args: Vec<String>,
        /// Its environment.
        env: HashMap<String, String>,
    },
    /// A unit of systemd that is installed.
    Systemd {
        /// Its name.
        unit: String,
    },
    /// A package, unpacked here or on another machine.
    Package {
        /// On which machine; this one when absent.
        host: Option<String>,
        /// The archive.
        package: String,
        /// Where to.
        install_path: String,
        /// Commands before that.
        pre_install: Vec<String>,
        /// Commands after it.
        post_install: Vec<String>,
    },
    /// Any other plugin, with its settings.
    Plugin {
        /// Its name.
        name: String,
        /// As its schema says.
        settings: Map<String, Value>,
    },
}

impl ExecutionBackend {
    /// A process of this machine with these arguments.
    pub fn process<A: Into<String>>(binary: impl Into<String>, args: impl IntoIterator<Item = A>) -> ExecutionBackend {
        ExecutionBackend::Process { binary: binary.into(), args: args.into_iter().map(Into::into).collect(), env: HashMap::new() }
    }

    /// The same plugin with another of its settings: `working_dir`, `port`, `networks`, …
    #[must_use]
    pub fn with(self, key: &str, value: impl Into<Value>) -> ExecutionBackend {
        let (name, settings) = with(self.written(), key, value.into());
        ExecutionBackend::Plugin { name, settings }
    }

    fn written(&self) -> Map<String, Value> {
        let settings = match self {
            ExecutionBackend::Process { binary, args, env } => json!({ "type": "process", "binary": binary, "args": args, "env": env }),
            ExecutionBackend::Docker { image, ports, volumes, env } => {
                json!({ "type": "docker", "image": image, "ports": ports, "volumes": volumes, "env": env })
            }
            ExecutionBackend::Ssh { host, user, key_file, binary, args, env } => {
                json!({ "type": "ssh", "host": host, "user": user, "key_file": key_file, "binary": binary, "args": args, "env": env })
            }
            ExecutionBackend::Systemd { unit } => json!({ "type": "systemd", "unit": unit }),
            ExecutionBackend::Package { host, package, install_path, pre_install, post_install } => json!({
                "type": "package", "host": host, "package": package, "install_path": install_path,
                "pre_install": pre_install, "post_install": post_install,
            }),
            ExecutionBackend::Plugin { name, settings } => return of_plugin(name, settings),
        };
        without_unsaid(settings)
    }
}

/// How a service says that it is well.
#[derive(Debug, Clone, PartialEq)]
pub enum HealthCheck {
    /// It answers well; [`HealthCheck::with`] says which `expected_status` is that.
    Http {
        /// What is asked.
        url: String,
        /// From one to the next.
        interval_secs: u64,
        /// How long one may take.
        timeout_secs: u64,
        /// Failures in a row that make it unhealthy.
        retries: u32,
    },
    /// It listens.
    Tcp {
        /// Where.
        host: String,
        /// At which port.
        port: u16,
        /// From one to the next.
        interval_secs: u64,
        /// How long one may take.
        timeout_secs: u64,
        /// Failures in a row that make it unhealthy.
        retries: u32,
    },
    /// A command ends as expected.
    Command {
        /// The program.
        command: String,
        /// Its arguments.
        args: Vec<String>,
        /// 0 when absent.
        expected_exit_code: Option<i32>,
        /// From one to the next.
        interval_secs: u64,
    },
    /// A script ends well.
    Script {
        /// Its file.
        path: String,
        /// From one to the next.
        interval_secs: u64,
    },
    /// Any other plugin, with its settings.
    Plugin {
        /// Its name.
        name: String,
        /// As its schema says, and what every check may have.
        settings: Map<String, Value>,
    },
}

impl HealthCheck {
    /// The same plugin with another of its settings, or of those that every check may have: `expected_status`, `start_period_secs`, …
    #[must_use]
    pub fn with(self, key: &str, value: impl Into<Value>) -> HealthCheck {
        let (name, settings) = with(self.written(), key, value.into());
        HealthCheck::Plugin { name, settings }
    }

    fn written(&self) -> Map<String, Value> {
        without_unsaid(match self {
            HealthCheck::Http { url, interval_secs, timeout_secs, retries } => json!({
                "type": "http", "url": url, "interval_secs": interval_secs, "timeout_secs": timeout_secs, "retries": retries,
            }),
            HealthCheck::Tcp { host, port, interval_secs, timeout_secs, retries } => json!({
                "type": "tcp", "host": host, "port": port, "interval_secs": interval_secs, "timeout_secs": timeout_secs, "retries": retries,
            }),
            HealthCheck::Command { command, args, expected_exit_code, interval_secs } => json!({
                "type": "command", "command": command, "args": args, "expected_exit_code": expected_exit_code, "interval_secs": interval_secs,
            }),
            HealthCheck::Script { path, interval_secs } => json!({ "type": "script", "path": path, "interval_secs": interval_secs }),
            HealthCheck::Plugin { name, settings } => return of_plugin(name, settings),
        })
    }
}

/// A plugin's name among its settings, as a file has it.
fn of_plugin(name: &str, settings: &Map<String, Value>) -> Map<String, Value> {
    let mut settings = settings.clone();
    settings.insert("type".to_owned(), name.into());
    settings
}

/// The way back, with one setting more.
fn with(mut settings: Map<String, Value>, key: &str, value: Value) -> (String, Map<String, Value>) {
    let name = settings.remove("type").and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default();
    settings.insert(key.to_owned(), value);
    (name, settings)
}

/// What nobody said is not written: it has the plugin's default.
fn without_unsaid(settings: Value) -> Map<String, Value> {
    let is_said = |value: &Value| match value {
        Value::Null => false,
        Value::Array(items) => !items.is_empty(),
        Value::Object(table) => !table.is_empty(),
        _ => true,
    };
    let Value::Object(mut settings) = settings else { return Map::new() };
    settings.retain(|_, value| is_said(value));
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every form is one that a service file may have; what its plugin makes of it is the host's to say.
    #[test]
    fn what_is_written_is_a_service_of_a_file() {
        let env = || HashMap::from([("A".to_owned(), "b".to_owned())]);
        let plugin = |name: &str| ExecutionBackend::Plugin { name: name.into(), settings: Map::new() };
        let backends = [
            ExecutionBackend::process("/bin/a", ["b"]),
            ExecutionBackend::process("/bin/a", ["b"]).with("working_dir", "/srv"),
            ExecutionBackend::Docker { image: "a".into(), ports: vec!["1:2".into()], volumes: vec![], env: env() },
            ExecutionBackend::Ssh { host: "h".into(), user: None, key_file: None, binary: "/b".into(), args: vec![], env: env() },
            ExecutionBackend::Systemd { unit: "a.service".into() },
            ExecutionBackend::Package {
                host: None,
                package: "/p.tar.gz".into(),
                install_path: "/opt/p".into(),
                pre_install: vec!["sync".into()],
                post_install: vec![],
            },
            plugin("mine"),
        ];
        let (interval_secs, timeout_secs, retries) = (10, 5, 3);
        let http = HealthCheck::Http { url: "http://localhost:1/".into(), interval_secs, timeout_secs, retries };
        let checks = [
            http.clone().with("expected_status", 204),
            http,
            HealthCheck::Tcp { host: "localhost".into(), port: 1, interval_secs, timeout_secs, retries },
            HealthCheck::Command { command: "/bin/true".into(), args: vec![], expected_exit_code: Some(0), interval_secs },
            HealthCheck::Script { path: "/s.sh".into(), interval_secs },
        ];
        let services = backends.iter().flat_map(|backend| checks.iter().map(move |check| (backend, check))).enumerate();
        for (number, (backend, check)) in services {
            let service = ServiceConfig { health_check: Some(check.clone()), ..ServiceConfig::new(format!("s{number}"), backend.clone()) };
            let service = service.with("replicas", 2);
            let document = json!({ "services": { service.name.clone(): service.written } });
            let read = hostler_api::config::read(&document).unwrap_or_else(|problems| panic!("{document}: {problems:?}"));
            assert!(!read.services[service.name.as_str()].backend.settings.contains("null"));
        }
    }

    #[test]
    fn another_setting_leaves_the_others_as_they_are() {
        let backend = ExecutionBackend::process("/bin/a", ["b"]).with("working_dir", "/srv").with("user", 1000);
        let written = json!({ "type": "process", "binary": "/bin/a", "args": ["b"], "working_dir": "/srv", "user": 1000 });
        assert_eq!(Value::Object(backend.written()), written);
    }
}
