//! Services as a program describes them, in the words of a service file.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// One service.
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
    /// Its environment.
    pub env: BTreeMap<String, String>,
    /// Anything else of a service file: `restart`, `replicas`, `resources`, …; these win over what stands above.
    pub more: Map<String, Value>,
}

impl ServiceConfig {
    /// A service that depends on nobody and is not checked.
    pub fn new(name: impl Into<String>, backend: ExecutionBackend) -> ServiceConfig {
        ServiceConfig { name: name.into(), backend, dependencies: Vec::new(), health_check: None, env: BTreeMap::new(), more: Map::new() }
    }

    /// As it would stand under `[services.NAME]`.
    pub(crate) fn written(&self) -> Map<String, Value> {
        let mut written = Map::new();
        written.insert("backend".to_owned(), self.backend.written());
        if !self.dependencies.is_empty() {
            written.insert("dependencies".to_owned(), json!(self.dependencies));
        }
        if let Some(check) = &self.health_check {
            written.insert("health_check".to_owned(), check.written());
        }
        if !self.env.is_empty() {
            written.insert("env".to_owned(), json!(self.env));
        }
        written.extend(self.more.clone());
        written
    }
}

/// What runs a service. Paths are absolute: the host has a directory of its own.
#[derive(Debug, Clone, PartialEq)]
pub enum ExecutionBackend {
    /// A process of this machine.
    Process {
        /// The program.
        binary: String,
        /// Its arguments.
        args: Vec<String>,
        /// Where it runs.
        working_dir: Option<String>,
    },
    /// A container.
    Docker {
        /// Its image.
        image: String,
        /// `"8080:80"`.
        ports: Vec<String>,
        /// `"/data:/var/lib/app"`.
        volumes: Vec<String>,
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
        ExecutionBackend::Process { binary: binary.into(), args: args.into_iter().map(Into::into).collect(), working_dir: None }
    }

    fn written(&self) -> Value {
        let settings = match self {
            ExecutionBackend::Process { binary, args, working_dir } => {
                json!({ "type": "process", "binary": binary, "args": args, "working_dir": working_dir })
            }
            ExecutionBackend::Docker { image, ports, volumes } => json!({ "type": "docker", "image": image, "ports": ports, "volumes": volumes }),
            ExecutionBackend::Ssh { host, user, key_file, binary, args } => {
                json!({ "type": "ssh", "host": host, "user": user, "key_file": key_file, "binary": binary, "args": args })
            }
            ExecutionBackend::Systemd { unit } => json!({ "type": "systemd", "unit": unit }),
            ExecutionBackend::Package { host, package, install_path } => {
                json!({ "type": "package", "host": host, "package": package, "install_path": install_path })
            }
            ExecutionBackend::Plugin { name, settings } => {
                let mut settings = settings.clone();
                settings.insert("type".to_owned(), name.clone().into());
                Value::Object(settings)
            }
        };
        without_absent(settings)
    }
}

/// How a service says that it is well.
#[derive(Debug, Clone, PartialEq)]
pub enum HealthCheck {
    /// It answers.
    Http {
        /// What is asked.
        url: String,
        /// 200 when absent.
        expected_status: Option<u16>,
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
}

impl HealthCheck {
    fn written(&self) -> Value {
        without_absent(match self {
            HealthCheck::Http { url, expected_status, interval_secs, timeout_secs, retries } => json!({
                "type": "http", "url": url, "expected_status": expected_status,
                "interval_secs": interval_secs, "timeout_secs": timeout_secs, "retries": retries,
            }),
            HealthCheck::Tcp { host, port, interval_secs, timeout_secs, retries } => json!({
                "type": "tcp", "host": host, "port": port, "interval_secs": interval_secs, "timeout_secs": timeout_secs, "retries": retries,
            }),
            HealthCheck::Command { command, args, expected_exit_code, interval_secs } => json!({
                "type": "command", "command": command, "args": args, "expected_exit_code": expected_exit_code, "interval_secs": interval_secs,
            }),
            HealthCheck::Script { path, interval_secs } => json!({ "type": "script", "path": path, "interval_secs": interval_secs }),
        })
    }
}

/// What nobody said is not written: it has the plugin's default.
fn without_absent(mut value: Value) -> Value {
    if let Some(members) = value.as_object_mut() {
        members.retain(|_, member| !member.is_null());
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every form is one that a service file may have; what its plugin makes of it is the host's to say.
    #[test]
    fn what_is_written_is_a_service_of_a_file() {
        let plugin = |name: &str| ExecutionBackend::Plugin { name: name.into(), settings: Map::new() };
        let backends = [
            ExecutionBackend::process("/bin/a", ["b"]),
            ExecutionBackend::Docker { image: "a".into(), ports: vec!["1:2".into()], volumes: vec![] },
            ExecutionBackend::Ssh { host: "h".into(), user: None, key_file: None, binary: "/b".into(), args: vec![] },
            ExecutionBackend::Systemd { unit: "a.service".into() },
            ExecutionBackend::Package { host: None, package: "/p.tar.gz".into(), install_path: "/opt/p".into() },
            plugin("mine"),
        ];
        let (interval_secs, timeout_secs, retries) = (10, 5, 3);
        let checks = [
            HealthCheck::Http { url: "http://localhost:1/".into(), expected_status: None, interval_secs, timeout_secs, retries },
            HealthCheck::Tcp { host: "localhost".into(), port: 1, interval_secs, timeout_secs, retries },
            HealthCheck::Command { command: "/bin/true".into(), args: vec![], expected_exit_code: Some(0), interval_secs },
            HealthCheck::Script { path: "/s.sh".into(), interval_secs },
        ];
        let services = backends.iter().flat_map(|backend| checks.iter().map(move |check| (backend, check))).enumerate();
        for (number, (backend, check)) in services {
            let service = ServiceConfig { health_check: Some(check.clone()), ..ServiceConfig::new(format!("s{number}"), backend.clone()) };
            let document = json!({ "services": { service.name.clone(): service.written() } });
            let read = hostler_api::config::read(&document).unwrap_or_else(|problems| panic!("{document}: {problems:?}"));
            assert!(!read.services[service.name.as_str()].backend.settings.contains("null"));
        }
    }
}
