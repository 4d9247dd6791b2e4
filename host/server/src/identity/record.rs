//! One token as it stands in the books.

use std::collections::BTreeMap;
use std::fmt;

use hostler_api::access::{Role, is_workspace_name};
use hostler_api::{Code, Failure, TokenRequest};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

use crate::http::NOBODY;

/// The longest name.
const NAME_BYTES: usize = 64;
/// Names of nobody's token.
const RESERVED: [&str; 2] = [NOBODY, "set-up"];
/// Workspaces of one token.
const WORKSPACES: usize = 100;
/// The longest life: ten years.
const LONGEST_MS: u64 = 3_650 * 86_400_000;

/// A token, but for its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) name: String,
    pub(super) digest: Digest,
    pub(super) role: Option<Role>,
    pub(super) workspaces: BTreeMap<String, Role>,
    pub(super) created_at: u64,
    pub(super) created_by: String,
    pub(super) expires_at: Option<u64>,
    pub(super) revoked_at: Option<u64>,
}

impl Record {
    /// What was asked for, if it makes sense.
    pub(super) fn new(request: &TokenRequest, digest: Digest, by: &str, now: u64) -> Result<Record, Failure> {
        let TokenRequest { name, role, workspaces, expires_in_ms } = request.clone();
        let invalid = |message: String| Err(Failure::new(Code::Invalid, message));
        if name.is_empty() || name.len() > NAME_BYTES || name.trim() != name || name.chars().any(char::is_control) {
            return invalid(format!("`name` must be 1 to {NAME_BYTES} bytes without control characters, and not begin or end with a blank"));
        }
        // What the audit log calls those who have none.
        if RESERVED.contains(&name.as_str()) || name.starts_with("local:") {
            return invalid(format!("`{name}` is what callers without a token are called"));
        }
        if role.is_none() && workspaces.is_empty() {
            return invalid("a token needs a `role` on the host, or one in some of its `workspaces`".to_owned());
        }
        if let Some(odd) = workspaces.keys().find(|name| !is_workspace_name(name)) {
            return invalid(format!("`{}` is no name of a workspace: it is [a-z0-9-], 1 to 32 bytes", odd.escape_default()));
        }
        if workspaces.len() > WORKSPACES {
            return invalid(format!("a token has roles in at most {WORKSPACES} workspaces"));
        }
        if expires_in_ms.is_some_and(|ms| ms == 0 || ms > LONGEST_MS) {
            return invalid("`expires_in_ms` must be more than nothing, and at most ten years".to_owned());
        }
        let expires_at = expires_in_ms.map(|ms| now.saturating_add(ms));
        Ok(Record { name, digest, role, workspaces, created_at: now, created_by: by.to_owned(), expires_at, revoked_at: None })
    }

    /// What an unknown token is compared with.
    pub(super) fn nobody() -> Record {
        Record {
            name: String::new(),
            digest: Digest([0; 32]),
            role: None,
            workspaces: BTreeMap::new(),
            created_at: 0,
            created_by: String::new(),
            expires_at: None,
            revoked_at: None,
        }
    }

    /// Is it good at this time?
    pub(super) fn is_usable(&self, now: u64) -> bool {
        self.revoked_at.is_none() & self.expires_at.is_none_or(|at| now < at)
    }

    /// When it ceased to be good, or will.
    pub(super) fn ended_at(&self) -> Option<u64> {
        self.revoked_at.or(self.expires_at)
    }
}

/// The SHA-256 of a token.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Digest([u8; 32]);

impl Digest {
    pub(super) fn of(text: &str) -> Digest {
        Digest(Sha256::digest(text.as_bytes()).into())
    }

    /// Are they the same? It takes as long for every answer.
    pub(super) fn is(&self, other: &Digest) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[digest]")
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text: String = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bad = || serde::de::Error::custom("a digest is 64 hexadecimal digits");
        let digits = text.as_bytes().as_chunks::<2>().0;
        let byte = |pair: &[u8; 2]| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok());
        let bytes: Vec<u8> = digits.iter().map(byte).collect::<Option<_>>().ok_or_else(bad)?;
        if text.len() != 64 {
            return Err(bad());
        }
        bytes.try_into().map(Digest).map_err(|_| bad())
    }
}
