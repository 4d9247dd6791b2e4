//! Who may ask, and who has asked.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Shape;
use crate::access::Role;
use crate::routes;
use crate::secret::Secret;
use crate::stamp::Timestamp;

/// `POST /tokens`: a role on the host, or one in each of some workspaces.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TokenRequest {
    /// What people call it; no two that are good have the same.
    pub name: String,
    /// On the host, which goes for every workspace.
    pub role: Option<Role>,
    /// In each workspace that is named.
    pub workspaces: BTreeMap<String, Role>,
    /// How long it is good; for ever when absent.
    pub expires_in_ms: Option<u64>,
}

/// What is known of a token; never its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Token {
    /// The public part of it.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// On the host.
    pub role: Option<Role>,
    /// In workspaces.
    pub workspaces: BTreeMap<String, Role>,
    /// When it was made.
    pub created_at: Timestamp,
    /// By whom, as the audit log calls him.
    pub created_by: String,
    /// Until when it is good.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// When it was taken back.
    pub revoked_at: Option<Timestamp>,
    /// Is it good now?
    pub usable: bool,
}

/// A token that was just made: the only time that it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NewToken {
    /// Version of this shape.
    pub version: Shape,
    /// The token itself.
    #[serde(serialize_with = "Secret::told")]
    #[schemars(with = "String")]
    pub secret: Secret,
    /// What is known of it from now on.
    pub token: Token,
}

/// `GET /tokens`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokenList {
    /// Version of this shape.
    pub version: Shape,
    /// By age.
    pub tokens: Vec<Token>,
}

/// `DELETE /tokens/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RevokedToken {
    /// Version of this shape.
    pub version: Shape,
    /// As it is now: good for nothing.
    pub token: Token,
}

/// `?` of `GET /audit`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AuditQuery {
    /// Only what came after this number; from the oldest kept when absent.
    pub after: Option<u64>,
    /// At most so many, the oldest first: 100 when absent, never more than 1,000.
    pub limit: Option<usize>,
}

impl AuditQuery {
    /// The path with this query.
    pub fn path(&self) -> String {
        routes::with(routes::AUDIT, &[("after", self.after.map(|n| n.to_string())), ("limit", self.limit.map(|n| n.to_string()))])
    }
}

/// One page of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditPage {
    /// Version of this shape.
    pub version: Shape,
    /// In order.
    pub entries: Vec<AuditEntry>,
    /// The `after` of the next page.
    pub next: u64,
    /// The newest number there is.
    pub last: u64,
}

/// Who has asked for what, and what became of it. It holds no body, no query and no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditEntry {
    /// Counts up by one.
    #[serde(default)]
    pub seq: u64,
    /// When it was over.
    pub at: Timestamp,
    /// Who: `local:UID` on the socket, a token's name, `set-up`, or `nobody`.
    pub caller: String,
    /// His token.
    pub token: Option<String>,
    /// Whom his certificate names.
    pub certificate: Option<String>,
    /// From where: an address, or `socket`.
    pub from: String,
    /// The method.
    pub method: String,
    /// The route's pattern; nothing when there is no such route.
    pub route: Option<String>,
    /// What it was about: the part of the path that varies, or the whole path where there is no such route.
    pub subject: Option<String>,
    /// The workspace that was asked about, where it was not `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// The HTTP status of the answer.
    pub status: u16,
    /// `ok`, a failure's code, or `cut-off` when nobody waited for the answer: then it may have been done.
    pub code: String,
    /// So many more of the same kind came from there too fast to be written down one by one.
    #[serde(default)]
    pub more: u64,
}
