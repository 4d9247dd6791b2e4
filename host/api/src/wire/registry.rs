//! Who is where, and who has said so himself: discovery, heartbeats, and how many there are of which kind.

use std::collections::BTreeMap;

use hostler_core::{Category, Health, Status};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::service::{Endpoint, ReplicaCounts};
use super::{Shape, schema};
use crate::routes;
use crate::stamp::Timestamp;

/// `POST /services/{name}/heartbeat`: the service is alive, and says so itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HeartbeatRequest {
    /// When the next one is to be expected; as before when absent, 60 s at first. One that is three times as late is missed.
    #[schemars(range(min = 100, max = 86_400_000))]
    pub ttl_ms: Option<u64>,
    /// What it says of itself; as before when absent. At most 32 texts of 256 bytes, under names of `[A-Za-z0-9._-]`, 64 bytes.
    pub metadata: Option<BTreeMap<String, String>>,
}

impl HeartbeatRequest {
    /// When nobody says otherwise.
    pub const TTL_MS: u64 = 60_000;
    /// The shortest and the longest.
    pub const TTLS_MS: (u64, u64) = (100, 86_400_000);
    /// After so many of them without a heartbeat it is missed.
    pub const MISSED_AFTER: u64 = 3;
    /// Texts that a service may say of itself.
    pub const MOST: usize = 32;
    /// The longest name of one.
    pub const NAME_BYTES: usize = 64;
    /// The longest.
    pub const TEXT_BYTES: usize = 256;

    /// What is wrong with it, if anything.
    pub fn doubt(&self) -> Option<String> {
        let (least, most) = HeartbeatRequest::TTLS_MS;
        if let Some(ttl) = self.ttl_ms.filter(|ttl| !(least..=most).contains(ttl)) {
            return Some(format!("`ttl_ms` is {ttl}: it is to be between {least} and {most}"));
        }
        let metadata = self.metadata.as_ref()?;
        if metadata.len() > HeartbeatRequest::MOST {
            return Some(format!("`metadata` has {} texts: at most {} are kept", metadata.len(), HeartbeatRequest::MOST));
        }
        let good = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
        for (name, text) in metadata {
            let shown: String = name.escape_default().take(HeartbeatRequest::NAME_BYTES).collect();
            if name.is_empty() || name.len() > HeartbeatRequest::NAME_BYTES || !name.chars().all(good) {
                return Some(format!("`metadata` has the name `{shown}`: use A-Z, a-z, 0-9, ., _ and -, at most {}", HeartbeatRequest::NAME_BYTES));
            }
            if text.len() > HeartbeatRequest::TEXT_BYTES || text.contains(char::is_control) {
                let most = HeartbeatRequest::TEXT_BYTES;
                return Some(format!("`metadata` says of `{shown}` what is no text of at most {most} bytes without control characters"));
            }
        }
        None
    }
}

/// Does somebody who sends heartbeats still send them?
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Pulse {
    /// Yes.
    Alive,
    /// Not for longer than he said.
    Missed,
    /// Nobody can say: he is not up, or this host has not listened for long enough.
    Unknown,
}

impl Pulse {
    /// Its word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Pulse::Alive => "alive",
            Pulse::Missed => "missed",
            Pulse::Unknown => "unknown",
        }
    }
}

/// What is known of a service that sends heartbeats; also the answer to each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Heartbeat {
    /// Version of this shape.
    pub version: Shape,
    /// Does it still send them?
    pub pulse: Pulse,
    /// The last one. Over a restart of the host it may be up to a minute older than it was.
    pub last_at: Timestamp,
    /// When the next one is to be expected.
    pub ttl_ms: u64,
    /// How many this service has sent; over a restart of the host those of its last minute may be missing.
    pub received: u64,
    /// How often they stayed away.
    pub missed: u64,
    /// What it says of itself.
    pub metadata: BTreeMap<String, String>,
}

/// `?` of `GET /registry`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RegistryQuery {
    /// Only of this category.
    #[schemars(with = "Option<schema::Category>")]
    pub category: Option<Category>,
    /// `true`: only what work may be sent to, with those of its endpoints that it may be sent to. `false`: only the others.
    pub healthy: Option<bool>,
    /// Only in this status.
    #[schemars(with = "Option<schema::Status>")]
    pub status: Option<Status>,
    /// Only those that send heartbeats, and are so.
    pub pulse: Option<Pulse>,
    /// Only those that say all of this of themselves, or have it as labels: `region=eu,tier=2`.
    pub metadata: Option<String>,
}

impl RegistryQuery {
    /// The path with this query.
    pub fn path(&self) -> String {
        let word = |value: serde_json::Value| value.as_str().map(str::to_owned);
        let pairs = [
            ("category", self.category.and_then(|category| word(serde_json::to_value(category).unwrap_or_default()))),
            ("healthy", self.healthy.map(|healthy| healthy.to_string())),
            ("status", self.status.map(|status| status.as_str().to_owned())),
            ("pulse", self.pulse.map(|pulse| pulse.as_str().to_owned())),
            ("metadata", self.metadata.clone()),
        ];
        routes::with(routes::REGISTRY, &pairs)
    }
}

/// Where somebody listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RegistryEndpoint {
    /// Of which replica.
    pub replica: u32,
    /// May work be sent there?
    pub healthy: bool,
    /// Who says so: `backend`, or `check`, the place that a check of the service asks, where its backend names none.
    pub source: String,
    /// Which of its endpoints, and where.
    #[serde(flatten)]
    pub endpoint: Endpoint,
}

/// One service, for those who look for one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RegistryEntry {
    /// Its name.
    pub name: String,
    /// For people.
    pub display_name: Option<String>,
    /// What it is for.
    #[schemars(with = "schema::Category")]
    pub category: Category,
    /// Free-form.
    pub labels: BTreeMap<String, String>,
    /// What is believed of it.
    #[schemars(with = "schema::Status")]
    pub status: Status,
    /// How well it is, by its checks.
    #[schemars(with = "schema::Health")]
    pub health: Health,
    /// May work be sent to it? A replica of it is up, no check says otherwise, and no heartbeat is missed.
    pub healthy: bool,
    /// How many there are.
    pub replicas: ReplicaCounts,
    /// Where each replica listens.
    pub endpoints: Vec<RegistryEndpoint>,
    /// Absent of one that has sent no heartbeat.
    pub heartbeat: Option<Heartbeat>,
}

/// `GET /registry`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Registry {
    /// Version of this shape.
    pub version: Shape,
    /// By name.
    pub services: Vec<RegistryEntry>,
}

/// Those who send heartbeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct PulseCounts {
    /// Who has sent one.
    pub services: usize,
    /// Who still sends them.
    pub alive: usize,
    /// Who does not.
    pub missed: usize,
    /// Of whom nobody can say.
    pub unknown: usize,
    /// All that were received.
    pub received_total: u64,
    /// How often somebody's stayed away.
    pub missed_total: u64,
}

/// `GET /registry/statistics`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RegistryStatistics {
    /// Version of this shape.
    pub version: Shape,
    /// How many services there are.
    pub services: usize,
    /// To how many work may be sent.
    pub healthy: usize,
    /// By the word of their status.
    pub by_status: BTreeMap<String, usize>,
    /// By the word of their health.
    pub by_health: BTreeMap<String, usize>,
    /// By the word of their category.
    pub by_category: BTreeMap<String, usize>,
    /// Of those that send any.
    pub heartbeats: PulseCounts,
    /// How long it took to find the order of all services, just now.
    pub dependency_resolution_ms: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(name: &str, text: &str) -> Option<String> {
        HeartbeatRequest { ttl_ms: None, metadata: Some([(name.to_owned(), text.to_owned())].into()) }.doubt()
    }

    #[test]
    fn what_a_service_says_of_itself_is_short_and_plain() {
        assert_eq!(says("region", "eu-west"), None);
        assert_eq!(HeartbeatRequest::default().doubt(), None);
        for (name, text) in [("", "x"), ("a b", "x"), ("ü", "x"), (&*"n".repeat(65), "x"), ("a", "\u{1b}[2J"), ("a", &*"t".repeat(257))] {
            assert!(says(name, text).is_some(), "{name:?} {text:?}");
        }
        let many = (0..33).map(|number| (number.to_string(), String::new())).collect();
        assert!(HeartbeatRequest { ttl_ms: None, metadata: Some(many) }.doubt().is_some());
        for (ttl, good) in [(99, false), (100, true), (86_400_000, true), (86_400_001, false), (u64::MAX, false)] {
            assert_eq!(HeartbeatRequest { ttl_ms: Some(ttl), metadata: None }.doubt().is_none(), good, "{ttl}");
        }
    }

    #[test]
    fn a_query_is_written_as_it_is_read() {
        let query = RegistryQuery { category: Some(Category::Ai), healthy: Some(true), metadata: Some("a=b".into()), ..RegistryQuery::default() };
        assert_eq!(query.path(), "/api/v1/registry?category=ai&healthy=true&metadata=a%3Db");
        assert_eq!(RegistryQuery::default().path(), "/api/v1/registry");
    }
}
