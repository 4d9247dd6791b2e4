//! A value that says nothing of itself.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A secret: printed, logged or serialized it reads `[secret]`. Only [`Secret::reveal`] says it, and that word can be searched for.
///
/// ```
/// use hostler_api::Secret;
/// let secret = Secret::new("hunter2");
/// assert_eq!(format!("{secret} {secret:?}"), "[secret] [secret]");
/// assert_eq!(serde_json::to_string(&secret).expect("a text"), "\"[secret]\"");
/// assert_eq!(secret.reveal(), "hunter2");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// What is seen of it.
const SEEN: &str = "[secret]";

impl Secret {
    /// Takes it in.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The secret itself, for the one place that has to have it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// For `#[serde(serialize_with)]` of the one field in which it is to be told.
    ///
    /// # Errors
    /// The serializer's own.
    pub fn told<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(secret.reveal())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SEEN)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SEEN)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(SEEN)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Secret)
    }
}
