//! Engines of containers, and what may be done there.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::pattern::matches;

mod image;
mod mounts;

use image::ImagePattern;
pub(crate) use mounts::{Mounts, Refusal};

/// One engine that speaks Docker's API, and what a plugin may do there.
///
/// ```
/// let grant: hostler_wasm::EngineGrant = serde_json::from_str(r#"{ "endpoint": "unix:///var/run/docker.sock", "mounts": ["/srv/data"] }"#).unwrap();
/// assert!(!grant.privileged);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngineGrant {
    /// `unix:///var/run/docker.sock`, `tcp://10.0.0.1:2376` or `ssh://user@host`.
    pub endpoint: String,
    /// File of the certificate authority that vouches for a `tcp` endpoint, PEM; with any of these three files the connection is TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// File of the certificate that the host shows, PEM; with `client_key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<String>,
    /// File of the key to `client_certificate`, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_key: Option<String>,
    /// What may be done; everything when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verbs: Option<Vec<Verb>>,
    /// Images that may be run and pulled, `*` standing for any text: `"postgres:*"`, `"registry.internal/*"`. Any when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<Vec<String>>,
    /// Directories and files of the engine's machine that may be mounted, with what is below them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<String>,
    /// May volumes of the engine be used?
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub volumes: bool,
    /// May containers have all that root has on the engine's machine?
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub privileged: bool,
    /// Capabilities that may be added, `NET_ADMIN`; `ALL` for any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    /// Security options that may be set, as they are written: `apparmor=unconfined`. Beside them `no-new-privileges`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub security_options: Vec<String>,
    /// Networks and modes of a network, `*` standing for any text; any network when absent. `host` and `container:NAME` have to be named: `"container:*"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_modes: Option<Vec<String>>,
    /// What of containers that this host has not made.
    #[serde(default, skip_serializing_if = "Strangers::is_none")]
    pub strangers: Strangers,
}

fn yes() -> bool {
    true
}

/// A group of things to do on an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// See the engine, images and containers, and what they use.
    Look,
    /// Read what containers write.
    Logs,
    /// Run commands in containers.
    Exec,
    /// Make containers, start, signal, change, stop and remove them.
    Run,
    /// Fetch images.
    Pull,
    /// Make networks.
    Network,
}

impl Verb {
    fn name(self) -> &'static str {
        match self {
            Verb::Look => "look",
            Verb::Logs => "logs",
            Verb::Exec => "exec",
            Verb::Run => "run",
            Verb::Pull => "pull",
            Verb::Network => "network",
        }
    }
}

/// What may be done with containers that carry another host's tag, or none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Strangers {
    /// Nothing: they are not there.
    #[default]
    None,
    /// Those of other hosts are seen.
    Tagged,
    /// All are seen.
    See,
    /// As if they were ours.
    Take,
}

impl Strangers {
    fn is_none(&self) -> bool {
        *self == Strangers::None
    }
}

/// A grant, read. Each `admit` says what was refused.
pub(crate) struct Rules {
    verbs: Option<Vec<Verb>>,
    images: Option<Vec<ImagePattern>>,
    pub(crate) mounts: Mounts,
    volumes: bool,
    privileged: bool,
    capabilities: Vec<String>,
    security_options: Vec<String>,
    network_modes: Option<Vec<String>>,
    pub(crate) strangers: Strangers,
}

impl Rules {
    /// `socket` is that of an engine on this machine.
    pub(crate) fn settle(grant: &EngineGrant, local: bool, socket: Option<PathBuf>) -> Result<Rules, String> {
        Ok(Rules {
            verbs: grant.verbs.clone(),
            images: grant.images.as_ref().map(|images| images.iter().map(|text| ImagePattern::parse(text)).collect()),
            mounts: Mounts::settle(&grant.mounts, local, socket)?,
            volumes: grant.volumes,
            privileged: grant.privileged,
            capabilities: grant.capabilities.iter().map(|name| capability(name)).collect(),
            security_options: grant.security_options.clone(),
            network_modes: grant.network_modes.clone(),
            strangers: grant.strangers,
        })
    }

    pub(crate) fn admit_verb(&self, verb: Verb) -> Result<(), String> {
        refuse(self.verbs.as_ref().is_none_or(|verbs| verbs.contains(&verb)), || format!("verb `{}`", verb.name()))
    }

    pub(crate) fn admit_image(&self, reference: &str) -> Result<(), String> {
        let admits = |images: &Vec<ImagePattern>| images.iter().any(|image| image.admits(reference));
        refuse(self.images.as_ref().is_none_or(admits), || format!("image `{reference}`"))
    }

    pub(crate) fn admit_volume(&self, name: &str) -> Result<(), String> {
        refuse(self.volumes, || format!("volume `{name}`"))
    }

    pub(crate) fn admit_privileged(&self) -> Result<(), String> {
        refuse(self.privileged, || "a privileged container".to_owned())
    }

    pub(crate) fn admit_capability(&self, name: &str) -> Result<(), String> {
        let name = capability(name);
        refuse(self.capabilities.iter().any(|granted| granted == "ALL" || *granted == name), || format!("capability `{name}`"))
    }

    pub(crate) fn admit_security_option(&self, option: &str) -> Result<(), String> {
        let harmless = ["no-new-privileges", "no-new-privileges:true", "no-new-privileges=true"].contains(&option);
        refuse(harmless || self.security_options.iter().any(|granted| granted == option), || format!("security option `{option}`"))
    }

    pub(crate) fn admit_network(&self, mode: &str) -> Result<(), String> {
        let admits = match &self.network_modes {
            None => !is_shared(mode),
            // what shares somebody's network is never meant by `*` alone
            Some(modes) => modes.iter().any(|granted| matches(granted, mode) && (!is_shared(mode) || is_shared(granted))),
        };
        refuse(admits, || format!("network `{mode}`"))
    }
}

/// Is it a network of the engine's machine, or of another container, and none of its own?
fn is_shared(mode: &str) -> bool {
    mode == "host" || mode.contains(':')
}

fn capability(name: &str) -> String {
    let name = name.to_ascii_uppercase();
    name.strip_prefix("CAP_").map(str::to_owned).unwrap_or(name)
}

fn refuse(admits: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if admits { Ok(()) } else { Err(what()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Rules {
        let grant = serde_json::from_str(text).expect("a grant");
        Rules::settle(&grant, true, None).expect("it can be given")
    }

    #[test]
    fn what_reaches_out_of_a_container_has_to_be_named() {
        let plain = rules(r#"{ "endpoint": "unix:///x" }"#);
        assert!(plain.admit_privileged().is_err());
        assert!(plain.admit_capability("NET_ADMIN").is_err());
        assert!(plain.admit_security_option("seccomp=unconfined").is_err());
        assert!(plain.admit_security_option("no-new-privileges").is_ok());
        assert!(plain.admit_verb(Verb::Exec).is_ok() && plain.admit_image("nginx").is_ok() && plain.admit_volume("data").is_ok());
        let wide = rules(
            r#"{ "endpoint": "unix:///x", "privileged": true, "capabilities": ["cap_net_admin"], "security_options": ["seccomp=unconfined"] }"#,
        );
        assert!(wide.admit_privileged().is_ok());
        assert!(wide.admit_capability("NET_ADMIN").is_ok() && wide.admit_capability("SYS_ADMIN").is_err());
        assert!(wide.admit_security_option("seccomp=unconfined").is_ok() && wide.admit_security_option("apparmor=unconfined").is_err());
    }

    #[test]
    fn another_ones_network_has_to_be_named() {
        let check = |grant: &str, mode: &str, expected: bool| assert_eq!(rules(grant).admit_network(mode).is_ok(), expected, "{grant} ~ {mode}");
        let none = r#"{ "endpoint": "unix:///x" }"#;
        check(none, "bridge", true);
        check(none, "back", true);
        check(none, "host", false);
        check(none, "container:db", false);
        check(none, "ns:/proc/1/ns/net", false);
        let any = r#"{ "endpoint": "unix:///x", "network_modes": ["*"] }"#;
        check(any, "back", true);
        check(any, "host", false);
        let named = r#"{ "endpoint": "unix:///x", "network_modes": ["host", "container:d*", "back"] }"#;
        check(named, "host", true);
        check(named, "container:db", true);
        check(named, "container:web", false);
        check(named, "bridge", false);
    }

    #[test]
    fn verbs_are_a_list_of_known_words() {
        assert!(rules(r#"{ "endpoint": "unix:///x", "verbs": ["look"] }"#).admit_verb(Verb::Run).is_err());
        let error = serde_json::from_str::<EngineGrant>(r#"{ "endpoint": "unix:///x", "verbs": ["lok"] }"#).expect_err("a typo");
        assert!(error.to_string().contains("lok"), "{error}");
        let error = serde_json::from_str::<EngineGrant>(r#"{ "endpoint": "unix:///x", "mount": [] }"#).expect_err("a typo");
        assert!(error.to_string().contains("mount"), "{error}");
    }
}
