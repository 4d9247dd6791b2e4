//! What the operator grants a plugin: the one place where policy lives.
//!
//! [`Grants`] is the `grants` table of a plugin, read with unknown keys refused. What a plugin imports decides what it must
//! be granted ([`needed`]); the modules below decide each single use of a grant:
//! `program` and `environment` for commands and processes, `url` and `address` for HTTP and TCP.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub(crate) mod address;
pub(crate) mod containers;
pub(crate) mod endpoint;
pub(crate) mod environment;
pub(crate) mod filesystem;
pub(crate) mod host;
pub(crate) mod network;
pub(crate) mod program;
mod stanza;
pub(crate) mod url;

pub(crate) use hostler_core::pattern;

pub use containers::{EngineGrant, Strangers, Verb};
pub use endpoint::{EndpointGrant, HeaderText, SecretName};
pub use filesystem::{Access, DirectoryGrant};
pub use network::NetworkRules;
pub use stanza::{stanza_for, stanza_of};

/// Everything one plugin may do. What is absent is refused.
///
/// ```
/// let grants: hostler_wasm::Grants = serde_json::from_str(r#"{
///     "processes": { "programs": ["/usr/bin/redis-server"] },
///     "http": { "hosts": ["http://127.0.0.1:*"], "private": "allow" }
/// }"#).unwrap();
/// assert!(grants.commands.is_none());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Grants {
    /// Long-lived processes on this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processes: Option<ProcessesGrant>,
    /// Short-lived commands on this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commands: Option<CommandsGrant>,
    /// Engines of containers, by the names that the plugin knows them by.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub containers: BTreeMap<String, EngineGrant>,
    /// HTTP requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpGrant>,
    /// TCP connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp: Option<TcpGrant>,
    /// Directories of this machine.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filesystem: Vec<DirectoryGrant>,
    /// A small durable memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<StateGrant>,
    /// Secrets that the plugin may have put into places, by name. An empty list lets in a plugin that could use some, and has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secrets: Option<Vec<String>>,
    /// Secrets whose values the plugin may read, by name.
    #[serde(skip_serializing_if = "Vec::is_empty", alias = "secrets_reveal")]
    pub secrets_reveal: Vec<String>,
    /// Commands inside the task that is being checked, through its backend.
    #[serde(skip_serializing_if = "std::ops::Not::not", alias = "task_exec")]
    pub task_exec: bool,
}

/// Which processes may be held.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessesGrant {
    /// `"*"`, an absolute path, or a bare name that the host resolves on its own search path.
    pub programs: Vec<ProgramRule>,
    /// Users a process may run as, beside the host's own; `"*"` for any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<String>,
    /// Names of environment variables that may be set, `*` standing for any text. When absent, any where `programs` has a plain `"*"`, else
    /// none by which a program is made to run another (`LD_PRELOAD`, `BASH_ENV`, `PATH`, …).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<Vec<String>>,
}

/// Which commands may be run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandsGrant {
    /// As for processes.
    pub programs: Vec<ProgramRule>,
    /// As for processes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<Vec<String>>,
}

/// One program, with patterns for its arguments where they matter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ProgramRule {
    /// With any arguments.
    Any(String),
    /// With these arguments only.
    Exact(ProgramArgs),
}

/// A program and what each of its arguments may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgramArgs {
    /// As for a program without patterns.
    pub program: String,
    /// One pattern per position, `*` standing for any text; a last `"..."` allows any further arguments.
    pub args: Vec<String>,
}

/// Which HTTP requests may be sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpGrant {
    /// URL prefixes: `"http://127.0.0.1:*"`, `"https://*.example.com/health"`, `"*"`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// Endpoints by the names that the plugin knows them by.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub endpoints: BTreeMap<String, EndpointGrant>,
    /// Ranges that the addresses of `hosts` have to be in, `"10.0.0.0/8"`; private ones count as named by them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// Methods; `GET` and `HEAD` when absent, `"*"` for any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub methods: Option<Vec<String>>,
    /// May loopback and private addresses be reached that no pattern names?
    #[serde(default)]
    pub private: Private,
    /// Bytes of one response that are read before it is cut off; 4 MiB when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_response_bytes: Option<u64>,
}

/// Whether addresses of one's own machine and network may be reached.
///
/// Link-local addresses, where clouds keep their credentials, are refused in either case, unless a pattern names the address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Private {
    /// Loopback, private and shared ranges may be reached.
    Allow,
    /// Only public addresses, and those that a pattern names.
    #[default]
    Deny,
}

/// Which TCP connections may be opened.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TcpGrant {
    /// `"127.0.0.1:*"`, `"*:5432"`, `"db.internal:5432"`, `"[::1]:6379"`.
    pub connect: Vec<String>,
}

/// How much may be remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StateGrant {
    /// Of keys and values together: bytes, or text such as `"1Mi"`.
    #[serde(deserialize_with = "crate::limits::bytes")]
    pub bytes: u64,
    /// Number of keys.
    pub keys: u32,
}

impl Default for StateGrant {
    fn default() -> Self {
        StateGrant { bytes: 1 << 20, keys: 256 }
    }
}

/// A capability that has to be granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Capability {
    /// `hostler:host/processes`
    Processes,
    /// `hostler:host/commands`
    Commands,
    /// `hostler:host/containers`
    Containers,
    /// `wasi:http`
    Http,
    /// `wasi:sockets`
    Tcp,
    /// `wasi:filesystem`, which everybody may import, and which reaches nothing until directories are granted.
    Filesystem,
    /// `hostler:host/state`
    State,
    /// `hostler:host/secrets`
    Secrets,
    /// `hostler:host/secrets-reveal`
    SecretsReveal,
    /// `hostler:host/task-exec`
    TaskExec,
}

impl Capability {
    /// All of them.
    pub const ALL: [Capability; 10] = [
        Capability::Processes,
        Capability::Commands,
        Capability::Containers,
        Capability::Http,
        Capability::Tcp,
        Capability::Filesystem,
        Capability::State,
        Capability::Secrets,
        Capability::SecretsReveal,
        Capability::TaskExec,
    ];

    /// The capability that the key of a grant names.
    pub fn named(name: &str) -> Option<Capability> {
        Capability::ALL.into_iter().find(|capability| capability.name() == name)
    }

    /// The key of its grant.
    pub fn name(self) -> &'static str {
        match self {
            Capability::Processes => "processes",
            Capability::Commands => "commands",
            Capability::Containers => "containers",
            Capability::Http => "http",
            Capability::Tcp => "tcp",
            Capability::Filesystem => "filesystem",
            Capability::State => "state",
            Capability::Secrets => "secrets",
            Capability::SecretsReveal => "secrets-reveal",
            Capability::TaskExec => "task-exec",
        }
    }
}

impl std::fmt::Display for Capability {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.name())
    }
}

/// What an import means for permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Import {
    /// Types only, or always given and harmless.
    Baseline,
    /// Has to be granted.
    Needs(Capability),
    /// This host has no such thing.
    Unknown,
}

/// Reads one import's name, `package:namespace/interface@version`.
pub(crate) fn import(name: &str) -> Import {
    let (bare, version) = name.split_once('@').unwrap_or((name, ""));
    let ours = version.starts_with("0.1.");
    let wasi = version.starts_with("0.2.");
    match bare {
        "hostler:host/log" | "hostler:host/context" | "hostler:host/errors" | "hostler:plugin/types" if ours => Import::Baseline,
        "hostler:host/processes" if ours => Import::Needs(Capability::Processes),
        "hostler:host/commands" if ours => Import::Needs(Capability::Commands),
        "hostler:host/containers" if ours => Import::Needs(Capability::Containers),
        "hostler:host/task-exec" if ours => Import::Needs(Capability::TaskExec),
        "hostler:host/state" if ours => Import::Needs(Capability::State),
        "hostler:host/secrets" if ours => Import::Needs(Capability::Secrets),
        "hostler:host/secrets-reveal" if ours => Import::Needs(Capability::SecretsReveal),
        "wasi:http/types" | "wasi:http/outgoing-handler" if wasi => Import::Needs(Capability::Http),
        "wasi:sockets/network" | "wasi:sockets/udp" | "wasi:sockets/udp-create-socket" if wasi => Import::Baseline,
        _ if !wasi => Import::Unknown,
        _ if bare.starts_with("wasi:sockets/") => Import::Needs(Capability::Tcp),
        _ if ["wasi:io/", "wasi:clocks/", "wasi:random/", "wasi:cli/", "wasi:filesystem/"].iter().any(|package| bare.starts_with(package)) => {
            Import::Baseline
        }
        _ => Import::Unknown,
    }
}

/// What has to be granted for these imports.
///
/// `task-exec` and `processes` use the words of other interfaces, whose types appear among the imports without a function in
/// them; the caller passes only names of imports that have functions.
pub fn needed<'a>(imports: impl IntoIterator<Item = &'a str>) -> BTreeSet<Capability> {
    imports
        .into_iter()
        .filter_map(|name| match import(name) {
            Import::Needs(capability) => Some(capability),
            Import::Baseline | Import::Unknown => None,
        })
        .collect()
}

/// Those of these imports that this host has no such thing for.
pub fn unknown<'a>(imports: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    imports.into_iter().filter(|name| import(name) == Import::Unknown).collect()
}

/// Everything that a plugin wants to be granted: what it imports, and what it says it needs.
pub fn needed_by(plugin: &crate::Plugin) -> BTreeSet<Capability> {
    let permissions = plugin.permissions();
    let mut wanted = needed(permissions.iter().map(String::as_str));
    wanted.extend(Capability::ALL.into_iter().filter(|capability| plugin.declares(*capability)));
    wanted
}

impl Grants {
    /// Is anything of this capability granted?
    pub fn has(&self, capability: Capability) -> bool {
        match capability {
            Capability::Processes => self.processes.is_some(),
            Capability::Commands => self.commands.is_some(),
            Capability::Containers => !self.containers.is_empty(),
            Capability::Http => self.http.is_some(),
            Capability::Tcp => self.tcp.is_some(),
            Capability::Filesystem => !self.filesystem.is_empty(),
            Capability::State => self.state.is_some(),
            Capability::Secrets => self.secrets.is_some(),
            Capability::SecretsReveal => !self.secrets_reveal.is_empty(),
            Capability::TaskExec => self.task_exec,
        }
    }

    /// Identifies these grants: the same text for the same grants.
    pub fn digest(&self) -> String {
        let text = serde_json::to_vec(self).expect("grants are plain data");
        blake3::hash(&text).to_hex().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_list_of_secrets_is_a_grant_of_none() {
        let read = |text: &str| serde_json::from_str::<Grants>(text).expect("it is a grant");
        assert!(read(r#"{"secrets": []}"#).has(Capability::Secrets) && !read("{}").has(Capability::Secrets));
        assert_ne!(read(r#"{"secrets": []}"#).digest(), read("{}").digest());
    }

    #[test]
    fn typos_in_grants_are_refused_by_name() {
        let check = |text: &str, word: &str| {
            let error = serde_json::from_str::<Grants>(text).expect_err(word);
            assert!(error.to_string().contains(word), "{error}");
        };
        check(r#"{"proceses": {}}"#, "proceses");
        check(r#"{"processes": {"programs": [], "user": []}}"#, "user");
        check(r#"{"containers": {"default": {"endpoint": "unix:///x", "image": []}}}"#, "image");
        check(r#"{"http": {"hosts": [], "private": "yes"}}"#, "yes");
        check(r#"{"http": {"endpoints": {"hub": {"ulr": "https://hub"}}}}"#, "ulr");
        check(r#"{"http": {"endpoints": {"hub": {"token": "t"}}}}"#, "url");
    }

    #[test]
    fn imports_are_read_by_what_they_allow() {
        let check = |name: &str, expected: Import| assert_eq!(import(name), expected, "{name}");
        check("hostler:host/log@0.1.0", Import::Baseline);
        check("hostler:host/processes@0.1.0", Import::Needs(Capability::Processes));
        check("hostler:host/processes@0.1.7", Import::Needs(Capability::Processes));
        check("hostler:host/processes@0.2.0", Import::Unknown);
        check("hostler:host/containers@0.1.0", Import::Needs(Capability::Containers));
        check("hostler:host/volumes@0.1.0", Import::Unknown);
        check("wasi:http/outgoing-handler@0.2.0", Import::Needs(Capability::Http));
        check("wasi:http/incoming-handler@0.2.0", Import::Unknown);
        check("wasi:sockets/tcp@0.2.3", Import::Needs(Capability::Tcp));
        check("wasi:sockets/ip-name-lookup@0.2.3", Import::Needs(Capability::Tcp));
        check("wasi:io/streams@0.2.0", Import::Baseline);
        check("wasi:io/streams@0.3.0", Import::Unknown);
        check("evil:corp/everything", Import::Unknown);
    }

    #[test]
    fn the_digest_changes_with_any_grant() {
        let none = Grants::default();
        let exec = Grants { task_exec: true, ..Grants::default() };
        assert_ne!(none.digest(), exec.digest());
        assert_eq!(none.digest(), Grants::default().digest());
    }
}
