//! The way to another host: what a file may say of it, and the `ssh` that goes there.

use crate::quote;
use hostler_sdk::Problem;
use serde::{Deserialize, Serialize};

/// How another host is reached. A link that is equal shares its connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// Name or address.
    pub host: String,
    /// 22 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The user of this host's own process when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// A private key; the usual ones of `~/.ssh` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_file: Option<String>,
    /// `[USER@]HOST[:PORT]` that the connection goes through, with the same key and known hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jump: Option<String>,
    /// Host keys; `~/.ssh/known_hosts` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_hosts: Option<String>,
    /// Remember the key of a host that is met for the first time. A key that changed is refused in any case.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub accept_new: bool,
    /// Seconds until a connection must stand; 5 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_timeout: Option<u16>,
    /// Where tasks live over there; `~/.local/state/hostler` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_dir: Option<String>,
}

impl Link {
    /// What could make `ssh` do something else than connect, and what it cannot read.
    ///
    /// Paths need not be absolute yet: the host makes them so after it has asked.
    pub fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if !is_host(&self.host) {
            problems.push(
                Problem::new("/host", "is no host name or address")
                    .hint("letters, digits, `.`, `-`, `_` and `:`; the user and the port have keys of their own"),
            );
        }
        if self.user.as_deref().is_some_and(|user| !is_user(user)) {
            problems.push(Problem::new("/user", "is no user name").hint("letters, digits, `.`, `-` and `_`, and no `-` in front"));
        }
        if self.port == Some(0) {
            problems.push(Problem::new("/port", "is 0, which is no port"));
        }
        if self.jump.as_deref().is_some_and(|jump| Hop::parse(jump).is_none()) {
            problems.push(Problem::new("/jump", "is no host to go through").hint("write `host`, `user@host` or `user@host:port`"));
        }
        for (at, path) in [("/key_file", &self.key_file), ("/known_hosts", &self.known_hosts)] {
            if let Some(why) = path.as_deref().and_then(bad_path) {
                problems.push(Problem::new(at, why));
            }
        }
        if self.connect_timeout == Some(0) {
            problems.push(Problem::new("/connect_timeout", "is 0 seconds"));
        }
        if self.state_dir.as_deref().is_some_and(|dir| !is_remote_directory(dir)) {
            problems.push(
                Problem::new("/state_dir", "is no directory of the other host").hint("an absolute path of letters, digits and `/._-`, without `..`"),
            );
        }
        problems
    }

    /// `user@host:port`, for messages.
    pub fn name(&self) -> String {
        let user = self.user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
        let port = self.port.filter(|port| *port != 22).map(|port| format!(":{port}")).unwrap_or_default();
        format!("{user}{}{port}", self.host)
    }

    /// A short name that no other link has: of its connection, and of what is remembered of it.
    pub fn digest(&self) -> String {
        let text = serde_json::to_string(self).unwrap_or_default();
        let folded = text.bytes().fold(FNV_OFFSET, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(FNV_PRIME));
        format!("{folded:032x}")
    }

    /// The shell expression of the directory that this host's tasks live in.
    pub fn own(&self, owner: &str) -> String {
        let base = self.state_dir.as_deref().map_or_else(|| "\"$HOME/.local/state/hostler\"".to_owned(), quote::word);
        format!("{base}/{}", quote::word(owner))
    }

    /// The arguments of `ssh` that run a POSIX shell over there, which reads its script from standard input.
    ///
    /// Nothing is read from anybody's configuration, nothing is asked, no agent and no other key is tried.
    pub fn argv(&self, seconds: u64, control: Option<&Control>) -> Vec<String> {
        let wait = u64::from(self.connect_timeout.unwrap_or(5)).min(seconds).max(1);
        let mut args = self.identity(wait);
        args.extend(option("ServerAliveInterval", "3"));
        args.extend(option("ServerAliveCountMax", "3"));
        match control {
            Some(control) => {
                args.extend(option("ControlMaster", "auto"));
                args.extend(option("ControlPath", &format!("{}/{}", control.directory, self.digest())));
                args.extend(option("ControlPersist", &control.persist.to_string()));
            }
            None => args.extend(option("ControlPath", "none")),
        }
        if let Some(hop) = self.jump.as_deref().and_then(Hop::parse) {
            args.extend(option("ProxyCommand", &self.through(&hop, wait)));
        }
        args.extend(["-p".into(), self.port.unwrap_or(22).to_string()]);
        if let Some(user) = &self.user {
            args.extend(["-l".into(), user.clone()]);
        }
        args.extend(["--".into(), self.host.clone(), "exec /bin/sh".into()]);
        args
    }

    /// What every hop has in common.
    fn identity(&self, wait: u64) -> Vec<String> {
        let mut args: Vec<String> = ["-F", "none", "-T", "-x", "-a"].map(String::from).into();
        for (name, value) in ALWAYS {
            args.extend(option(name, value));
        }
        args.extend(option("ConnectTimeout", &wait.to_string()));
        args.extend(option("StrictHostKeyChecking", if self.accept_new { "accept-new" } else { "yes" }));
        if let Some(known) = &self.known_hosts {
            args.extend(option("UserKnownHostsFile", &format!("\"{}\"", literal(known))));
            args.extend(option("GlobalKnownHostsFile", "none"));
        }
        if let Some(key) = &self.key_file {
            args.extend(["-i".into(), literal(key)]);
        }
        args
    }

    /// The command that a shell on this machine runs for a hop. Every `%` is for the inner `ssh`, but for the target's own.
    fn through(&self, hop: &Hop<'_>, wait: u64) -> String {
        let mut args = self.identity(wait);
        args.extend(["-p".into(), hop.port.to_string()]);
        if let Some(user) = hop.user {
            args.extend(["-l".into(), user.to_owned()]);
        }
        let words = quote::words(args.iter().map(String::as_str)).replace('%', "%%");
        format!("ssh {words} -W '[%h]:%p' -- {}", hop.host)
    }
}

/// Connections that outlive a call, so that the next one need not build its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    /// Of this machine, and nobody else's.
    pub directory: String,
    /// Seconds that an idle connection stays.
    pub persist: u32,
}

const FNV_OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
const FNV_PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

/// What no link can change.
const ALWAYS: [(&str, &str); 9] = [
    ("BatchMode", "yes"),
    ("IdentitiesOnly", "yes"),
    ("IdentityAgent", "none"),
    ("PreferredAuthentications", "publickey"),
    ("ClearAllForwardings", "yes"),
    ("PermitLocalCommand", "no"),
    ("UpdateHostKeys", "no"),
    ("EscapeChar", "none"),
    ("LogLevel", "ERROR"),
];

fn option(name: &str, value: &str) -> [String; 2] {
    ["-o".into(), format!("{name}={value}")]
}

/// A path in which `ssh` expands nothing.
fn literal(path: &str) -> String {
    path.replace('%', "%%")
}

/// One host on the way.
#[derive(Debug, PartialEq, Eq)]
struct Hop<'a> {
    user: Option<&'a str>,
    host: &'a str,
    port: u16,
}

impl<'a> Hop<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (user, rest) = text.split_once('@').map_or((None, text), |(user, rest)| (Some(user), rest));
        let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host, 22),
            Some((host, port)) => (host, port.strip_prefix(':')?.parse().ok()?),
            None => match rest.split_once(':') {
                Some((host, port)) => (host, port.parse().ok()?),
                None => (rest, 22),
            },
        };
        (user.is_none_or(is_user) && is_host(host) && port != 0).then_some(Self { user, host, port })
    }
}

fn is_host(host: &str) -> bool {
    let starts_well = host.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric() || first == b':');
    starts_well && host.len() <= 253 && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte))
}

fn is_user(user: &str) -> bool {
    let starts_well = user.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric() || first == b'_');
    starts_well && user.len() <= 64 && user.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

fn is_remote_directory(dir: &str) -> bool {
    let plain = dir.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte));
    dir.starts_with('/') && dir.len() > 1 && dir.len() <= 1024 && plain && !dir.split('/').any(|part| part == "..")
}

/// Why `ssh` would not read this path as it is.
fn bad_path(path: &str) -> Option<&'static str> {
    if path.is_empty() || !path.contains('/') {
        return Some("is no path: a file beside the service file is `./name`");
    }
    if path.contains("${") || path.contains('"') || path.contains('\\') || path.bytes().any(|byte| byte < b' ' || byte == 127) {
        return Some("contains `${`, a quote, a backslash or a control character, which ssh would interpret");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(json: &str) -> Link {
        serde_json::from_str(json).expect("the test's link is readable")
    }

    fn places(json: &str) -> Vec<String> {
        link(json).check().into_iter().map(|problem| problem.at).collect()
    }

    #[test]
    fn no_option_hides_in_a_name() {
        for host in ["-oProxyCommand=id", "", "a b", "a;b", "$(id)", "%h", "a\nb", "user@host", "-", "a/b", "[::1]", "a'b"] {
            assert_eq!(places(&serde_json::json!({ "host": host }).to_string()), ["/host"], "{host:?}");
        }
        for user in ["-oProxyCommand=id", "", "a b", "$(id)", "%u", "a\nb", "a@b", "a:b"] {
            assert_eq!(places(&serde_json::json!({ "host": "h", "user": user }).to_string()), ["/user"], "{user:?}");
        }
        for jump in ["-oProxyCommand=id", "", "a b", "u@-h", "-u@h", "h:0", "h:x", "h:22:22", "h,g", "$(id)", "[::1", "[::1]x"] {
            assert_eq!(places(&serde_json::json!({ "host": "h", "jump": jump }).to_string()), ["/jump"], "{jump:?}");
        }
        for path in ["id", "", "./a\"b", "./${HOME}", "./a\nb", "./a\\b"] {
            assert_eq!(places(&serde_json::json!({ "host": "h", "key_file": path }).to_string()), ["/key_file"], "{path:?}");
        }
        for dir in ["relative", "/", "/a/../b", "/a b", "/a'b", "~/x", "-x"] {
            assert_eq!(places(&serde_json::json!({ "host": "h", "state_dir": dir }).to_string()), ["/state_dir"], "{dir:?}");
        }
    }

    #[test]
    fn usual_names_pass() {
        for json in [
            r#"{"host": "db-1.example.com", "user": "deploy", "port": 2222, "key_file": "~/.ssh/id", "jump": "u@[::1]:2200"}"#,
            r#"{"host": "fe80::1", "jump": "bastion", "known_hosts": "/etc/100%/known", "state_dir": "/var/lib/hostler"}"#,
        ] {
            assert_eq!(places(json), [""; 0], "{json}");
        }
    }

    #[test]
    fn the_host_comes_after_every_option_and_tokens_mean_nothing() {
        let link = link(r#"{"host": "h", "user": "u", "key_file": "/k/100%h", "jump": "j:2200"}"#);
        let argv = link.argv(10, None);
        assert_eq!(argv[argv.len() - 3..], ["--", "h", "exec /bin/sh"]);
        assert!(argv.contains(&"/k/100%%h".to_owned()), "{argv:?}");
        assert!(argv.contains(&"StrictHostKeyChecking=yes".to_owned()) && argv[..2] == ["-F", "none"], "{argv:?}");
        let proxy = argv.iter().find(|arg| arg.starts_with("ProxyCommand=")).expect("it goes through j");
        assert!(proxy.contains("'/k/100%%%%h'") && proxy.ends_with("-W '[%h]:%p' -- j"), "{proxy}");
    }

    #[test]
    fn other_keys_are_other_connections() {
        let digest = |json: &str| link(json).digest();
        assert_eq!(digest(r#"{"host": "h"}"#), digest(r#"{"host": "h"}"#));
        assert_ne!(digest(r#"{"host": "h", "key_file": "/a"}"#), digest(r#"{"host": "h", "key_file": "/b"}"#));
        assert_ne!(digest(r#"{"host": "h"}"#), digest(r#"{"host": "h", "accept_new": true}"#));
    }
}
