//! Workspaces and teams: whose services are whose, and how much of the host is theirs.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Service, Shape};
use crate::access::Role;
use crate::stamp::Timestamp;

/// What the services of a workspace are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Environment {
    /// Work on them.
    #[default]
    Development,
    /// Trying them.
    Staging,
    /// Use.
    Production,
}

impl Environment {
    /// Its word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Environment::Development => "development",
            Environment::Staging => "staging",
            Environment::Production => "production",
        }
    }
}

/// What its own admin says of a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WorkspaceSettings {
    /// May its services be containers?
    pub container_enabled: bool,
    /// For platforms: is what is found deployed by itself?
    pub auto_deploy: bool,
    /// For platforms: where its images are.
    pub registry_url: Option<String>,
    /// What its services are for.
    pub environment: Environment,
}

impl Default for WorkspaceSettings {
    fn default() -> WorkspaceSettings {
        WorkspaceSettings { container_enabled: true, auto_deploy: false, registry_url: None, environment: Environment::default() }
    }
}

/// How much there may be in a workspace; what is absent is without limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Quotas {
    /// Services.
    pub services: Option<u64>,
    /// Replicas of all of them.
    pub replicas: Option<u64>,
    /// Thousandths of a core that all replicas together may use; with it, each service has to say what it may use.
    pub cpu_millis: Option<u64>,
    /// Bytes of memory, likewise.
    pub memory_bytes: Option<u64>,
    /// Checks in a minute, of all replicas.
    pub checks_per_minute: Option<u64>,
    /// Plugins that its services use.
    pub plugins: Option<u64>,
    /// Events in a second that are kept; what comes faster is counted, and told as one.
    pub events_per_second: Option<u64>,
}

/// How much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct QuotaUse {
    /// Services.
    pub services: u64,
    /// Replicas of all of them.
    pub replicas: u64,
    /// Thousandths of a core that all replicas together may use.
    pub cpu_millis: u64,
    /// Bytes of memory that all replicas together may use.
    pub memory_bytes: u64,
    /// Checks in a minute, of all replicas.
    pub checks_per_minute: u64,
    /// Plugins that its services use.
    pub plugins: u64,
    /// Events that were left out since the host began.
    pub events_left_out: u64,
}

/// What checks of a workspace may reach by HTTP and TCP, beside what their plugins are granted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkPolicy {
    /// Addresses, `10.1.0.0/16` or `10.1.2.3`, that may be reached although they are private, loopback or link-local. The public ones may be.
    pub allow: Vec<String>,
    /// Addresses that may not be reached, whatever else is said.
    pub deny: Vec<String>,
    /// Ports, `443` or `8000-8999`, that alone may be reached; any when empty.
    pub ports: Vec<String>,
}

/// `POST /workspaces`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WorkspaceRequest {
    /// `[a-z0-9-]`, beginning with a letter or a digit, at most 32 bytes.
    pub name: String,
    /// The team it is of.
    pub team: Option<String>,
    /// The plugins of the host that its services may use; `*` is any.
    pub plugins: Vec<String>,
    /// What its own admin may change later.
    pub settings: WorkspaceSettings,
    /// How much there may be.
    pub quotas: Quotas,
    /// What its checks may reach.
    pub network: NetworkPolicy,
}

/// `PATCH /workspaces/{name}`: what is there takes the place of what was. Its own admin may change the settings, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WorkspaceChange {
    /// The team it is of; an empty text is none.
    pub team: Option<String>,
    /// The plugins of the host that its services may use.
    pub plugins: Option<Vec<String>>,
    /// All of them.
    pub settings: Option<WorkspaceSettings>,
    /// All of them.
    pub quotas: Option<Quotas>,
    /// All of it.
    pub network: Option<NetworkPolicy>,
}

/// One workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Workspace {
    /// Its name.
    pub name: String,
    /// When it was made; absent of the host's own.
    pub created_at: Option<Timestamp>,
    /// By whom, as the audit log calls him.
    pub created_by: Option<String>,
    /// The team it is of.
    pub team: Option<String>,
    /// The role of whoever asks.
    pub role: Option<Role>,
    /// The plugins of the host that its services may use; `*` is any.
    pub plugins: Vec<String>,
    /// What its own admin says of it.
    pub settings: WorkspaceSettings,
    /// How much there may be.
    pub quotas: Quotas,
    /// How much there is.
    pub used: QuotaUse,
    /// What its checks may reach.
    pub network: NetworkPolicy,
}

/// `GET`, `POST` and `PATCH` of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WorkspaceDetail {
    /// Version of this shape.
    pub version: Shape,
    /// As it is now.
    pub workspace: Workspace,
}

/// `GET /workspaces`: those in which whoever asks has a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WorkspaceList {
    /// Version of this shape.
    pub version: Shape,
    /// By name.
    pub workspaces: Vec<Workspace>,
}

/// `POST /teams`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TeamRequest {
    /// As a workspace's.
    pub name: String,
    /// Tokens, by name or id, and the role of each in the team's workspaces.
    pub members: BTreeMap<String, Role>,
}

/// `PUT /teams/{name}`: the members that it has from now on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TeamMembers {
    /// As in [`TeamRequest`].
    pub members: BTreeMap<String, Role>,
}

/// One member of a team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TeamMember {
    /// The id of his token.
    pub token: String,
    /// What it is called; absent when it is not there any more.
    pub name: Option<String>,
    /// His role in the team's workspaces.
    pub role: Role,
}

/// One team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Team {
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// By whom, as the audit log calls him.
    pub created_by: String,
    /// By the id of their tokens.
    pub members: Vec<TeamMember>,
    /// Its workspaces, by name.
    pub workspaces: Vec<String>,
}

/// `GET`, `POST` and `PUT` of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TeamDetail {
    /// Version of this shape.
    pub version: Shape,
    /// As it is now.
    pub team: Team,
}

/// `GET /teams`: every one for who has a role on the host, his own for anybody else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TeamList {
    /// Version of this shape.
    pub version: Shape,
    /// By name.
    pub teams: Vec<Team>,
}

/// What was removed, as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Removed {
    /// Version of this shape.
    pub version: Shape,
    /// Its name.
    pub name: String,
    /// The services that go with it.
    pub services: Vec<String>,
}

impl Service {
    /// What it is called among services of all workspaces: `acme/db`, and `db` in `default`.
    pub fn full_name(&self) -> String {
        self.workspace.as_ref().map_or_else(|| self.name.clone(), |workspace| format!("{workspace}/{}", self.name))
    }
}
