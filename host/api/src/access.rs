//! Who may ask what: roles, and what a route demands.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What somebody may do, in a workspace or on the host as a whole. Each may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AccessRole")]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Looks.
    Viewer,
    /// Starts, stops, restarts, scales; changes nothing of what is configured.
    Operator,
    /// Everything.
    Admin,
}

impl Role {
    /// Each, the least first.
    pub const ALL: [Role; 3] = [Role::Viewer, Role::Operator, Role::Admin];

    /// The one with this word.
    pub fn parse(word: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.as_str() == word)
    }

    /// Its word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Admin => "admin",
        }
    }
}

/// The workspace of whoever names none.
pub const DEFAULT_WORKSPACE: &str = "default";

/// Every workspace, where one is named that is asked about: for those with a role on the host.
pub const ALL_WORKSPACES: &str = "*";

/// May a workspace be called this? `[a-z0-9-]`, 1 to 32 bytes, beginning with a letter or a digit.
pub fn is_workspace_name(name: &str) -> bool {
    hostler_core::WorkspaceName::new(name).is_ok()
}

/// What a route demands of whoever asks. There is no default: a route without one cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// Nothing: it tells nothing that is anybody's.
    Anybody,
    /// To be somebody: it tells him what is his.
    Known,
    /// A role in the workspace that is asked about: the one in the path, else the one of the query's `workspace`, else `default`.
    Workspace(Role),
    /// To be admin of the workspace that is asked about, and of the host for `default`: its document is the host's own.
    Document,
    /// A role on the host, which goes for every workspace.
    Host(Role),
}
