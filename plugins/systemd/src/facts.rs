//! What a unit carries of its task, so that it is found again after every other memory is lost.
//!
//! A unit that is made at run time can carry no properties of one's own; its description lasts as long as the unit, over
//! `daemon-reload` and `daemon-reexec`. It reads `web/0 run 7 of default [hostler owner=h1 id=h1-web-0-7 digest=…]`.

use std::collections::BTreeMap;

use hostler_sdk::Task;
use serde::{Deserialize, Serialize};

use crate::engine::Scope;

/// What finds a task again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Held {
    /// The task's id.
    pub(crate) id: String,
    pub(crate) scope: Scope,
    /// The unit that is ours: the task itself, or the claim on an installed unit.
    pub(crate) unit: String,
    /// The unit that was there before us, and stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) installed: Option<String>,
    /// What the lines of all runs of one replica carry in the journal.
    pub(crate) log: String,
}

impl hostler_sdk::Handle for Held {}

impl Held {
    /// The unit that runs.
    pub(crate) fn runs_as(&self) -> &str {
        self.installed.as_deref().unwrap_or(&self.unit)
    }

    /// The unit that kills what outlives its grace.
    pub(crate) fn killer(&self) -> String {
        format!("{}-kill", self.unit.trim_end_matches(".service"))
    }
}

/// All facts of one task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) owner: String,
    pub(crate) id: String,
    pub(crate) digest: String,
    /// Identifies everything of the task but its limits, which can change while it runs.
    pub(crate) same: String,
    pub(crate) log: String,
    /// The installed unit that is claimed.
    pub(crate) installed: Option<String>,
    /// Which life of the installed unit is ours, once it lives.
    pub(crate) life: Option<String>,
}

/// The name of a task's unit. Owner and id are `[a-z0-9-]` and short: every name fits.
pub(crate) fn unit_name(owner: &str, id: &str) -> String {
    format!("hostler-{owner}-{id}.service")
}

impl Facts {
    /// The facts of a task, before it lives.
    pub(crate) fn of<S>(owner: &str, task: &Task<S>, same: String, installed: Option<String>) -> Facts {
        let id = &task.id;
        let log = format!("{owner}/{}/{}/{}", plain(&id.workspace), plain(&id.service), id.replica);
        Facts { owner: owner.to_owned(), id: id.id.clone(), digest: task.spec_digest.clone(), same, log, installed, life: None }
    }

    /// The handle that says the same.
    pub(crate) fn handle(&self, scope: Scope) -> Held {
        let unit = unit_name(&self.owner, &self.id);
        Held { id: self.id.clone(), scope, unit, installed: self.installed.clone(), log: self.log.clone() }
    }

    /// A unit's description: for people in front, for us in brackets.
    pub(crate) fn written(&self, title: &str) -> String {
        let mut text = format!("{} [hostler", plain(title).replace("~20", " ").replace("~2f", "/"));
        let optional = [("unit", &self.installed), ("life", &self.life)];
        let always = [("owner", &self.owner), ("id", &self.id), ("digest", &self.digest), ("same", &self.same), ("log", &self.log)];
        let all = always.into_iter().chain(optional.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?))));
        for (name, value) in all {
            text.push_str(&format!(" {name}={}", spelled(value)));
        }
        text + "]"
    }

    /// Reads them back; nothing of a unit that carries none.
    pub(crate) fn read(description: &str) -> Option<Facts> {
        let (_, facts) = description.rsplit_once(" [hostler ")?;
        let pairs = facts.strip_suffix(']')?.split(' ').filter_map(|pair| pair.split_once('='));
        let mut facts: BTreeMap<&str, String> = pairs.filter_map(|(name, value)| Some((name, read_back(value)?))).collect();
        Some(Facts {
            owner: facts.remove("owner")?,
            id: facts.remove("id")?,
            digest: facts.remove("digest")?,
            same: facts.remove("same")?,
            log: facts.remove("log")?,
            installed: facts.remove("unit"),
            life: facts.remove("life"),
        })
    }
}

/// For people: which task this is.
pub(crate) fn title<S>(task: &Task<S>) -> String {
    let id = &task.id;
    format!("{}/{} run {} of {}", id.service, id.replica, id.run, id.workspace)
}

/// A digest of anything that can be written as JSON (FNV-1a): it tells changes, and keeps no secret from anybody who can guess it.
pub(crate) fn digest(value: &impl Serialize) -> String {
    let text = serde_json::to_vec(value).unwrap_or_default();
    let hash = text.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    format!("{hash:016x}")
}

/// Nothing but letters, digits, `-`, `_` and `.`: anything else as `~` and two hexadecimal digits.
fn plain(text: &str) -> String {
    escaped(text, b"-_.")
}

fn spelled(text: &str) -> String {
    escaped(text, b"-_./:@\\")
}

fn escaped(text: &str, also: &[u8]) -> String {
    let mut plain = String::new();
    for byte in text.bytes() {
        match byte {
            byte if byte.is_ascii_alphanumeric() || also.contains(&byte) => plain.push(char::from(byte)),
            byte => plain.push_str(&format!("~{byte:02x}")),
        }
    }
    plain
}

fn read_back(text: &str) -> Option<String> {
    let mut parts = text.split('~');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            owner: "h1".into(),
            id: "h1-web-0-7".into(),
            digest: "blake3:ab cd]~=ü\n".into(),
            same: "00".into(),
            log: "h1/default/we~5fb/0".into(),
            installed: Some(r"system-a\x2db@1.service".into()),
            life: None,
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let written = facts().written("web/0 run 7 of default");
        assert!(written.starts_with("web/0 run 7 of default [hostler owner=h1 id=h1-web-0-7 digest=blake3:ab~20cd"), "{written}");
        assert!(written.is_ascii() && !written.contains('\n'));
        assert_eq!(Facts::read(&written), Some(facts()));
        let alive = Facts { life: Some("ab12".into()), ..facts() };
        assert_eq!(Facts::read(&alive.written("web/0 run 7 of default")), Some(alive));
    }

    #[test]
    fn a_name_cannot_pose_as_facts() {
        let written = facts().written("x [hostler owner=evil id=x digest=x same=x log=x]\n");
        assert_eq!(Facts::read(&written), Some(facts()));
    }

    #[test]
    fn strangers_carry_none() {
        for text in ["", "A high performance web server", "x [hostler owner=a]", "x [hostler owner=a id=~zz digest=d same=s log=l]", "[hostler "] {
            assert_eq!(Facts::read(text), None, "{text}");
        }
    }

    #[test]
    fn the_task_and_its_killer_have_names_of_their_own() {
        let held = facts().handle(Scope::System);
        assert_eq!((held.unit.as_str(), held.runs_as()), ("hostler-h1-h1-web-0-7.service", r"system-a\x2db@1.service"));
        assert_eq!(held.killer(), "hostler-h1-h1-web-0-7-kill");
    }
}
