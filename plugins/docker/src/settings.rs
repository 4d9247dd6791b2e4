//! What a service file says about one task; `task.json` says the same as a schema.

use std::collections::BTreeMap;

use hostler_sdk::host::containers::{Attachment, HealthCheck, Mount, Port, Ulimit};
use hostler_sdk::settings::{Argv, Text, pointer_key};
use hostler_sdk::{Problem, Value};
use serde::Deserialize;

use crate::more;
use crate::mounts::{is_name, tmpfs, volumes};
use crate::ports::ports;
use crate::written::{At, Problems, bytes, noted};

/// A container of one's own, or one that is there. What is written in more than one way is kept as it was written, until [`Settings::read`].
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) image: Option<String>,
    pub(crate) container: Option<String>,
    #[serde(default = "default_engine")]
    pub(crate) engine: String,
    pub(crate) command: Option<Argv>,
    #[serde(default)]
    pub(crate) args: Vec<Text>,
    pub(crate) entrypoint: Option<Argv>,
    #[serde(default)]
    pub(crate) env: BTreeMap<String, Text>,
    pub(crate) ports: Option<Value>,
    pub(crate) volumes: Option<Value>,
    pub(crate) base_dir: Option<String>,
    pub(crate) tmpfs: Option<Value>,
    pub(crate) networks: Option<Value>,
    pub(crate) network_mode: Option<String>,
    pub(crate) hostname: Option<String>,
    pub(crate) extra_hosts: Option<Value>,
    #[serde(default)]
    pub(crate) dns: Vec<String>,
    pub(crate) user: Option<Text>,
    pub(crate) working_dir: Option<String>,
    pub(crate) labels: Option<Value>,
    pub(crate) healthcheck: Option<Value>,
    pub(crate) stop_signal: Option<String>,
    #[serde(default)]
    pub(crate) pull: Pull,
    pub(crate) registry: Option<Registry>,
    pub(crate) platform: Option<String>,
    pub(crate) memory_swap: Option<Value>,
    pub(crate) pids_limit: Option<u32>,
    pub(crate) shm_size: Option<Value>,
    pub(crate) ulimits: Option<Value>,
    #[serde(default)]
    pub(crate) read_only: bool,
    #[serde(default)]
    pub(crate) init: bool,
    #[serde(default)]
    pub(crate) privileged: bool,
    #[serde(default)]
    pub(crate) cap_add: Vec<String>,
    #[serde(default)]
    pub(crate) cap_drop: Vec<String>,
    #[serde(default)]
    pub(crate) security_opt: Vec<String>,
    pub(crate) logging: Option<Logging>,
}

/// When the image is fetched.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Pull {
    #[default]
    Missing,
    Always,
    Never,
}

/// Who asks an image registry, and under which name the host keeps the password.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Registry {
    pub(crate) user: String,
    pub(crate) password_secret: String,
}

/// Where output goes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Logging {
    pub(crate) driver: Option<String>,
    #[serde(default)]
    pub(crate) options: BTreeMap<String, Text>,
}

/// The same, read.
#[derive(Debug, Default)]
pub(crate) struct Read {
    pub(crate) entrypoint: Option<Vec<String>>,
    pub(crate) command: Option<Vec<String>>,
    pub(crate) ports: Vec<Port>,
    pub(crate) mounts: Vec<Mount>,
    pub(crate) networks: Vec<Attachment>,
    pub(crate) extra_hosts: Vec<String>,
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) health: Option<HealthCheck>,
    pub(crate) ulimits: Vec<Ulimit>,
    pub(crate) memory_swap: Option<u64>,
    pub(crate) shared_memory: Option<u64>,
}

fn default_engine() -> String {
    "default".into()
}

impl Settings {
    /// Reads what is written in many ways, and says everything that a schema cannot.
    pub(crate) fn read(&self) -> Result<Read, Vec<Problem>> {
        let mut problems = Problems::new();
        self.check_kind(&mut problems);
        self.check_names(&mut problems);
        self.check_texts(&mut problems);
        let read = Read {
            entrypoint: words("/entrypoint", self.entrypoint.as_ref(), &mut problems),
            command: self.command_words(&mut problems),
            ports: self.ports.as_ref().map(|value| ports(&At::new("/ports", value), &mut problems)).unwrap_or_default(),
            mounts: self.mounts(&mut problems),
            networks: self.networks.as_ref().map(|value| more::networks(&At::new("/networks", value), &mut problems)).unwrap_or_default(),
            extra_hosts: self.extra_hosts.as_ref().map(|value| more::extra_hosts(&At::new("/extra_hosts", value), &mut problems)).unwrap_or_default(),
            labels: self.labels.as_ref().map(|value| more::labels(&At::new("/labels", value), &mut problems)).unwrap_or_default(),
            health: self.healthcheck.as_ref().and_then(|value| more::health(&At::new("/healthcheck", value), &mut problems)),
            ulimits: self.ulimits.as_ref().map(|value| more::ulimits(&At::new("/ulimits", value), &mut problems)).unwrap_or_default(),
            memory_swap: size("/memory_swap", self.memory_swap.as_ref(), &mut problems),
            shared_memory: size("/shm_size", self.shm_size.as_ref(), &mut problems),
        };
        self.check_network_mode(&read, &mut problems);
        if problems.is_empty() { Ok(read) } else { Err(problems) }
    }

    fn command_words(&self, problems: &mut Problems) -> Option<Vec<String>> {
        let command = words("/command", self.command.as_ref(), problems);
        if self.args.is_empty() {
            return command;
        }
        Some(command.unwrap_or_default().into_iter().chain(self.args.iter().map(|arg| arg.0.clone())).collect())
    }

    fn mounts(&self, problems: &mut Problems) -> Vec<Mount> {
        let mut mounts =
            self.volumes.as_ref().map(|value| volumes(&At::new("/volumes", value), self.base_dir.as_deref(), problems)).unwrap_or_default();
        mounts.extend(self.tmpfs.as_ref().map(|value| tmpfs(&At::new("/tmpfs", value), problems)).unwrap_or_default());
        for (index, mount) in mounts.iter().enumerate() {
            if mounts[..index].iter().any(|before| before.target == mount.target) {
                problems.push(Problem::new("/volumes", format!("mounts `{}` twice", mount.target.escape_debug())));
            }
        }
        mounts
    }

    fn check_kind(&self, problems: &mut Problems) {
        match (&self.image, &self.container) {
            (None, None) => {
                problems.push(Problem::new("", "names neither an image nor a container").hint("give `image`, or `container` for one that is there"))
            }
            (Some(image), None) if !is_image(image) => problems.push(
                Problem::new("/image", format!("`{}` is no image", image.escape_debug()))
                    .hint("NAME, NAME:TAG, registry.example.com/NAME:TAG or NAME@sha256:…"),
            ),
            (Some(_), None) => {}
            (_, Some(name)) => {
                if !is_name(name) {
                    problems.push(
                        Problem::new("/container", format!("`{}` is no container", name.escape_debug()))
                            .hint("its name or id, as `docker ps` shows it"),
                    );
                }
                problems.extend(self.beside_a_container().map(|at| {
                    Problem::new(at, "does not go with `container`: it is taken over as it is")
                        .hint("leave it out, or make a container of your own with `image`")
                }));
            }
        }
    }

    /// Settings that only a container of one's own can have.
    fn beside_a_container(&self) -> impl Iterator<Item = &'static str> {
        [
            ("/image", self.image.is_some()),
            ("/command", self.command.is_some()),
            ("/args", !self.args.is_empty()),
            ("/entrypoint", self.entrypoint.is_some()),
            ("/env", !self.env.is_empty()),
            ("/ports", self.ports.is_some()),
            ("/volumes", self.volumes.is_some()),
            ("/tmpfs", self.tmpfs.is_some()),
            ("/networks", self.networks.is_some()),
            ("/network_mode", self.network_mode.is_some()),
            ("/hostname", self.hostname.is_some()),
            ("/extra_hosts", self.extra_hosts.is_some()),
            ("/dns", !self.dns.is_empty()),
            ("/user", self.user.is_some()),
            ("/working_dir", self.working_dir.is_some()),
            ("/labels", self.labels.is_some()),
            ("/healthcheck", self.healthcheck.is_some()),
            ("/stop_signal", self.stop_signal.is_some()),
            ("/pull", self.pull != Pull::Missing),
            ("/registry", self.registry.is_some()),
            ("/platform", self.platform.is_some()),
            ("/memory_swap", self.memory_swap.is_some()),
            ("/pids_limit", self.pids_limit.is_some()),
            ("/shm_size", self.shm_size.is_some()),
            ("/ulimits", self.ulimits.is_some()),
            ("/read_only", self.read_only),
            ("/init", self.init),
            ("/privileged", self.privileged),
            ("/cap_add", !self.cap_add.is_empty()),
            ("/cap_drop", !self.cap_drop.is_empty()),
            ("/security_opt", !self.security_opt.is_empty()),
            ("/logging", self.logging.is_some()),
        ]
        .into_iter()
        .filter(|(_, given)| *given)
        .map(|(at, _)| at)
    }

    fn check_names(&self, problems: &mut Problems) {
        let plain = |name: &str| {
            !name.is_empty()
                && name.len() <= 64
                && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte))
        };
        if !plain(&self.engine) {
            problems.push(
                Problem::new("/engine", format!("`{}` is no name of an engine", self.engine.escape_debug())).hint("a key of the grant `containers`"),
            );
        }
        if let Some(signal) = self.stop_signal.as_deref().filter(|signal| !crate::signals::is_one(signal)) {
            problems.push(Problem::new("/stop_signal", format!("`{}` is no signal", signal.escape_debug())).hint("SIGTERM, SIGINT, SIGQUIT, …"));
        }
        if self.pids_limit == Some(0) {
            problems.push(Problem::new("/pids_limit", "is 0: nothing could run").hint("leave it out for no limit"));
        }
        for (index, address) in self.dns.iter().enumerate().filter(|(_, address)| address.parse::<std::net::IpAddr>().is_err()) {
            problems.push(Problem::new(format!("/dns/{index}"), format!("`{}` is no address", address.escape_debug())));
        }
        for (key, list) in [("cap_add", &self.cap_add), ("cap_drop", &self.cap_drop)] {
            let is_capability = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_');
            for (index, name) in list.iter().enumerate().filter(|(_, name)| !is_capability(name)) {
                problems.push(
                    Problem::new(format!("/{key}/{index}"), format!("`{}` is no capability", name.escape_debug()))
                        .hint("NET_ADMIN, SYS_PTRACE, ALL, …"),
                );
            }
        }
    }

    fn check_texts(&self, problems: &mut Problems) {
        let text = |at: &str, text: &Option<String>| text.clone().map(|text| (at.to_owned(), text));
        let single = [
            text("/working_dir", &self.working_dir),
            text("/hostname", &self.hostname),
            text("/network_mode", &self.network_mode),
            text("/platform", &self.platform),
            self.user.clone().map(|user| ("/user".to_owned(), user.0)),
        ];
        let args = self.args.iter().enumerate().map(|(index, arg)| (format!("/args/{index}"), arg.0.clone()));
        let lists = [("/command", &self.command), ("/entrypoint", &self.entrypoint)];
        let words = lists
            .into_iter()
            .flat_map(|(at, argv)| argv.iter().flat_map(|argv| argv.words().unwrap_or_default()).map(move |word| (at.to_owned(), word)));
        let env = self.env.iter().flat_map(|(name, value)| [name, &value.0].map(|text| (variable(name), text.clone())));
        for (at, text) in single.into_iter().flatten().chain(args).chain(words).chain(env) {
            if text.contains('\0') {
                problems.push(Problem::new(at, "contains a NUL byte, which no program can be given"));
            }
        }
        for name in self.env.keys().filter(|name| name.is_empty() || name.contains('=')) {
            problems.push(Problem::new(variable(name), "is no name for a variable: it is empty or contains `=`"));
        }
        if let Some(directory) = self.working_dir.as_ref().filter(|directory| !directory.starts_with('/')) {
            problems.push(Problem::new("/working_dir", format!("`{}` is no absolute path within the container", directory.escape_debug())));
        }
    }

    fn check_network_mode(&self, read: &Read, problems: &mut Problems) {
        let Some(mode) = self.network_mode.as_deref() else { return };
        let (kind, name) = mode.split_once(':').unwrap_or((mode, ""));
        let known = match kind {
            "container" => is_name(name),
            _ => mode == kind && is_name(mode),
        };
        if !known {
            let hint = "bridge, none, host, container:NAME, or the name of a network";
            problems.push(Problem::new("/network_mode", format!("`{}` is no network mode", mode.escape_debug())).hint(hint));
        }
        let alone = ["host", "none", "container"].contains(&kind);
        if alone && !read.networks.is_empty() {
            problems.push(Problem::new("/networks", format!("do not go with `network_mode = \"{mode}\"`")).hint("leave one of them out"));
        }
        if alone && !read.ports.is_empty() {
            problems.push(Problem::new("/ports", format!("cannot be published with `network_mode = \"{mode}\"`")).hint("leave one of them out"));
        }
    }
}

fn words(at: &str, argv: Option<&Argv>, problems: &mut Problems) -> Option<Vec<String>> {
    let words = argv?.words().map_err(|why| Problem::new(at, why).hint("or write a list of words: [\"sh\", \"-c\", \"…\"]"));
    noted(words, problems)
}

fn size(at: &str, value: Option<&Value>, problems: &mut Problems) -> Option<u64> {
    noted(bytes(&At::new(at, value?)), problems)
}

/// The pointer to an environment variable.
fn variable(name: &str) -> String {
    format!("/env/{}", pointer_key(name))
}

/// A reference as engines read it, roughly: the engine itself is the judge of the rest. Never one that reads as an option or a path.
fn is_image(image: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@".contains(&byte);
    let first = image.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    first && image.len() <= 512 && image.bytes().all(allowed) && !image.contains("..") && !image.contains("//")
}

#[cfg(test)]
mod tests;
