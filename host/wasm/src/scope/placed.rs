//! Secrets within one call: placeholders that were given out, and their values at the moment they are needed.

use std::sync::MutexGuard;

use super::Scope;
use crate::hooks::Reveal;
use crate::text::{find, replaced};

/// Placeholders that one call may ask for.
const MOST: usize = 256;
/// By so many bytes a text may grow when secrets come in: one may stand in it a thousand times, and not a million.
const MAX_GROWTH: usize = 1 << 20;
/// What stands where a secret was.
const HIDDEN: &[u8] = b"***";

/// A placeholder and the secret it stands for. Its value is nowhere.
pub(super) struct Placed {
    placeholder: String,
    name: String,
}

impl Scope {
    /// The value of a secret as it is now. The error names the secret, and never says what is in it.
    pub(crate) async fn secret(&self, name: &str) -> Result<String, String> {
        let store = self.0.identity.secrets.as_ref().ok_or_else(|| "this host keeps no secrets".to_owned())?;
        match tokio::time::timeout_at(self.until(), store.read(name)).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(format!("the secret `{name}` cannot be read: {error}")),
            Err(_) => Err(format!("the secret `{name}` could not be read in time")),
        }
    }

    /// What stands for a secret until this call ends.
    pub(crate) fn place(&self, name: &str) -> Result<String, String> {
        let mut placed = self.placed();
        if let Some(there) = placed.iter().find(|there| there.name == name) {
            return Ok(there.placeholder.clone());
        }
        if placed.len() >= MOST {
            return Err(format!("more than {MOST} secrets in one call"));
        }
        let placeholder = format!("hostler-secret-{}", random_hex()?);
        placed.push(Placed { placeholder: placeholder.clone(), name: name.to_owned() });
        Ok(placeholder)
    }

    /// The same text with secrets in the place of their placeholders.
    pub(crate) async fn fill(&self, text: String) -> Result<String, String> {
        if self.placed_in(text.as_bytes()).is_empty() {
            return Ok(text);
        }
        let filled = self.fill_bytes(text.into_bytes()).await?;
        Ok(String::from_utf8(filled).expect("text with parts of it replaced by text"))
    }

    /// As [`Scope::fill`], of bytes.
    pub(crate) async fn fill_bytes(&self, bytes: Vec<u8>) -> Result<Vec<u8>, String> {
        let most = bytes.len().saturating_add(MAX_GROWTH);
        let mut bytes = bytes;
        for (placeholder, name) in self.placed_in(&bytes) {
            let value = self.secret(&name).await?;
            bytes = replaced(&bytes, placeholder.as_bytes(), value.as_bytes(), most).ok_or_else(|| format!("too much of the secret `{name}`"))?;
        }
        Ok(bytes)
    }

    /// As [`Scope::fill`], of each value.
    pub(crate) async fn fill_env(&self, env: Vec<(String, String)>) -> Result<Vec<(String, String)>, String> {
        let mut filled = Vec::with_capacity(env.len());
        for (name, value) in env {
            filled.push((name, self.fill(value).await?));
        }
        Ok(filled)
    }

    /// The same bytes without the secrets that this call used: what a command says of its environment is not for the plugin.
    /// A short value would be found everywhere, and is left. Where the bytes were `cut` off, the beginning of one at their end goes, too.
    pub(crate) async fn hide(&self, bytes: Vec<u8>, cut: bool) -> Vec<u8> {
        let names: Vec<String> = self.placed().iter().map(|there| there.name.clone()).collect();
        let mut bytes = bytes;
        for name in names {
            if let Ok(value) = self.secret(&name).await
                && value.len() > HIDDEN.len()
            {
                bytes = replaced(&bytes, value.as_bytes(), HIDDEN, usize::MAX).unwrap_or_default();
                bytes.truncate(if cut { bytes.len() - begun(&bytes, value.as_bytes()) } else { bytes.len() });
            }
        }
        bytes
    }

    /// Puts on record that a secret is told to the plugin; false when that did not work.
    pub(crate) fn revealed(&self, secret: &str) -> bool {
        let identity = &self.0.identity;
        identity.sink.revealed(Reveal {
            plugin: identity.name.clone(),
            revision: identity.revision.clone(),
            function: self.function(),
            subject: self.0.subject.clone(),
            secret: secret.to_owned(),
        })
    }

    fn placed_in(&self, bytes: &[u8]) -> Vec<(String, String)> {
        let placed = self.placed();
        let there = placed.iter().filter(|there| find(bytes, there.placeholder.as_bytes()).is_some());
        there.map(|there| (there.placeholder.clone(), there.name.clone())).collect()
    }

    fn placed(&self) -> MutexGuard<'_, Vec<Placed>> {
        self.0.placed.lock().expect("no code panics while it holds this lock")
    }
}

/// How many bytes at the end are how `what` begins.
fn begun(bytes: &[u8], what: &[u8]) -> usize {
    (1..what.len()).rev().find(|length| bytes.ends_with(&what[..*length])).unwrap_or(0)
}

/// Nobody guesses another call's.
fn random_hex() -> Result<String, String> {
    let mut bytes = [0; 16];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()).map_err(|error| format!("there are no random numbers: {error}"))?;
    Ok(format!("{:032x}", u128::from_le_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use super::begun;

    #[test]
    fn the_beginning_of_a_secret_at_a_cut_is_found() {
        let check = |bytes: &str, expected: usize| assert_eq!(begun(bytes.as_bytes(), b"secret"), expected, "{bytes}");
        check("it is secre", 5);
        check("it is s", 1);
        check("it is secret", 0);
        check("it was", 1);
        check("it was here", 0);
        check("", 0);
    }
}
