//! Workspaces and teams as they stand in the books, and what may be written there.

use std::collections::BTreeMap;

use hostler_api::access::{DEFAULT_WORKSPACE, Role};
use hostler_api::{Code, Failure, NetworkPolicy, Quotas, WorkspaceRequest, WorkspaceSettings};
use hostler_wasm::NetworkRules;
use serde::{Deserialize, Serialize};

/// The most entries of any list of a workspace, and members of a team.
const ENTRIES: usize = 256;
/// The longest text of one.
const TEXT: usize = 256;
/// What stands for every plugin.
const ANY: &str = "*";

/// One workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Nothing of the host's own.
    pub(crate) created_at: Option<u64>,
    pub(crate) created_by: Option<String>,
    pub(crate) team: Option<String>,
    pub(crate) plugins: Vec<String>,
    pub(crate) settings: WorkspaceSettings,
    pub(crate) quotas: Quotas,
    pub(crate) network: NetworkPolicy,
    /// What happened up to this number happened to others, even if they were called the same.
    #[serde(default)]
    pub(crate) after: u64,
}

/// One team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TeamRecord {
    pub(crate) created_at: u64,
    pub(crate) created_by: String,
    /// By the ids of tokens.
    pub(crate) members: BTreeMap<String, Role>,
}

impl Record {
    /// `default`, as long as nobody has said anything of it: everything there is, and no limit.
    pub(crate) fn of_the_host() -> Record {
        Record {
            created_at: None,
            created_by: None,
            team: None,
            plugins: vec![ANY.to_owned()],
            settings: WorkspaceSettings::default(),
            quotas: Quotas::default(),
            network: NetworkPolicy::default(),
            after: 0,
        }
    }

    /// What was asked for, as of now.
    pub(crate) fn new(request: WorkspaceRequest, by: &str, now: u64) -> Record {
        let WorkspaceRequest { team, plugins, settings, quotas, network, .. } = request;
        let team = team.filter(|team| !team.is_empty());
        Record { created_at: Some(now), created_by: Some(by.to_owned()), team, plugins, settings, quotas, network, after: 0 }
    }

    /// May its services use this plugin of the host?
    pub(crate) fn may_use(&self, plugin: &str) -> bool {
        self.plugins.iter().any(|allowed| allowed == ANY || allowed == plugin)
    }

    /// What its checks may reach, as it is asked at each connection; nothing where that is what their plugins are granted.
    pub(super) fn rules(&self, workspace: &str) -> Result<Option<NetworkRules>, Failure> {
        let NetworkPolicy { allow, deny, ports } = &self.network;
        let is_host = workspace == DEFAULT_WORKSPACE;
        if is_host && self.network == NetworkPolicy::default() {
            return Ok(None);
        }
        let rules = NetworkRules::read(allow, deny, ports, is_host);
        rules.map(Some).map_err(|why| Failure::new(Code::Invalid, format!("`network`: {why}")))
    }

    /// What of it makes no sense.
    pub(crate) fn doubt(&self) -> Result<(), Failure> {
        let invalid = |message: String| Err(Failure::new(Code::Invalid, message));
        let lists = [("plugins", &self.plugins), ("network/allow", &self.network.allow), ("network/deny", &self.network.deny)];
        for (what, list) in lists.into_iter().chain([("network/ports", &self.network.ports)]) {
            if list.len() > ENTRIES || list.iter().any(|text| text.is_empty() || text.len() > TEXT || text.chars().any(char::is_control)) {
                return invalid(format!("`{what}` has at most {ENTRIES} texts of 1 to {TEXT} bytes each"));
            }
        }
        if self.settings.registry_url.as_ref().is_some_and(|url| url.len() > 2_048 || url.chars().any(char::is_control)) {
            return invalid("`settings/registry_url` has at most 2,048 bytes, and no control characters".to_owned());
        }
        Ok(())
    }
}

impl TeamRecord {
    /// What of it makes no sense.
    pub(crate) fn doubt(&self) -> Result<(), Failure> {
        if self.members.len() > ENTRIES {
            return Err(Failure::new(Code::Invalid, format!("a team has at most {ENTRIES} members")));
        }
        Ok(())
    }
}
