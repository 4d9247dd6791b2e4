//! Endpoints that an operator names: where they are, who vouches for them, and what the host adds to each request.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One endpoint, which a plugin reaches as `http://NAME/…` without knowing where it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointGrant {
    /// `https://10.0.0.1:6443`, `http://registry.internal/v2` or `unix:/run/x.sock`.
    pub url: String,
    /// File of the certificate authority that vouches for it, PEM; the machine's own ones when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// File of the certificate that the host shows, PEM; with `client_key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<String>,
    /// File of the key to `client_certificate`, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_key: Option<String>,
    /// Name of the secret that goes along as `Authorization: Bearer …`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Further headers, which the plugin neither sees nor sets: a text, or `{ secret = "NAME" }`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, HeaderText>,
    /// Methods; `GET` and `HEAD` when absent, `"*"` for any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub methods: Option<Vec<String>>,
    /// Prefixes of paths, `"/api"`; any when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// Ranges that its addresses have to be in, `"10.0.0.0/8"`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// Bytes of one response that are read before it is cut off; 4 MiB when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_response_bytes: Option<u64>,
}

/// The value of a header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum HeaderText {
    /// As it is.
    Plain(String),
    /// What a secret says.
    Secret(SecretName),
}

/// A secret by its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretName {
    /// The name.
    pub secret: String,
}

impl EndpointGrant {
    /// Does the host put a secret into its requests?
    pub(crate) fn needs_secrets(&self) -> bool {
        self.token.is_some() || self.headers.values().any(|value| matches!(value, HeaderText::Secret(_)))
    }
}

/// The name of an endpoint stands where requests have their host.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    let fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !name.is_empty() && name.len() <= 63 && name.bytes().all(fine) && name.starts_with(|first: char| first.is_ascii_lowercase()) {
        return Ok(());
    }
    Err(format!("`{name}` is no name for an endpoint; use a-z, 0-9 and -, a letter first, at most 63 bytes"))
}
