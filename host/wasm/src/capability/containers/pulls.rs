//! Fetching images: a pull belongs to the host, and whoever asks for the same image joins it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;

use super::api::{Ask, Trouble};
use super::engine::Engine;
use crate::limits::MAX_TEXT_BYTES;
use crate::text::escape;

/// How long the end of a pull is told to whoever asks again.
const REMEMBERED: Duration = Duration::from_secs(60);
/// Longest line of a stream of JSON; longer ones are passed over.
const MAX_LINE: usize = 64 << 10;
/// Layers that are counted.
const MAX_LAYERS: usize = 1_024;
/// A registry that says nothing at all for so long has gone.
const SILENCE: Duration = Duration::from_secs(300);

/// How one pull stands.
#[derive(Debug, Clone)]
pub(super) enum Standing {
    /// For people.
    UnderWay(String),
    Done,
    /// Why not; the engine or its registry may have been away.
    Failed(Failed),
}

#[derive(Debug, Clone)]
pub(super) enum Failed {
    Refused(String),
    Away(String),
    Other(String),
}

/// Those of one engine.
#[derive(Default)]
pub(super) struct Pulls(Mutex<HashMap<Key, Pull>>);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) reference: String,
    pub(super) platform: Option<String>,
    /// Another login is another pull.
    pub(super) user: Option<String>,
}

struct Pull {
    standing: watch::Receiver<Standing>,
    ended: Option<Instant>,
}

impl Pulls {
    /// Joins the pull that is under way, hears how the last one ended, or begins one.
    pub(super) fn join(&self, engine: &Arc<Engine>, key: Key, auth: Option<String>) -> watch::Receiver<Standing> {
        let mut pulls = self.0.lock().expect("no code panics while it holds this lock");
        pulls.retain(|_, pull| pull.ended.is_none_or(|ended| ended.elapsed() < REMEMBERED));
        // an end is told once: who asks again after that wants it tried again
        match pulls.get(&key).map(|pull| (pull.standing.clone(), pull.ended)) {
            Some((standing, None)) => return standing,
            Some((standing, Some(_))) => {
                pulls.remove(&key);
                return standing;
            }
            None => {}
        }
        let (tell, standing) = watch::channel(Standing::UnderWay("it begins".to_owned()));
        pulls.insert(key.clone(), Pull { standing: standing.clone(), ended: None });
        drop(pulls);
        let engine = Arc::clone(engine);
        tokio::spawn(async move {
            let end = match fetch(&engine, &key, auth, &tell).await {
                Ok(()) => Standing::Done,
                Err(failed) => Standing::Failed(failed),
            };
            // who waits takes it away; nobody who comes later may hear of it twice
            let heard = tell.receiver_count() > 1;
            engine.pulls.end(&key, heard);
            tell.send_replace(end);
        });
        standing
    }

    fn end(&self, key: &Key, heard: bool) {
        let mut pulls = self.0.lock().expect("no code panics while it holds this lock");
        if heard {
            pulls.remove(key);
        } else if let Some(pull) = pulls.get_mut(key) {
            pull.ended = Some(Instant::now());
        }
    }
}

async fn fetch(engine: &Engine, key: &Key, auth: Option<String>, tell: &watch::Sender<Standing>) -> Result<(), Failed> {
    let mut ask = Ask::post("/images/create").with("fromImage", with_version(&key.reference)).auth(auth);
    if let Some(platform) = &key.platform {
        ask = ask.with("platform", platform);
    }
    let mut reply = engine.api.stream(ask).await.map_err(failed)?;
    let (mut lines, mut layers) = (Lines::default(), Layers::default());
    loop {
        let part = tokio::time::timeout(SILENCE, reply.next())
            .await
            .map_err(|_| Failed::Away("the engine has said nothing of it for minutes".to_owned()))?;
        let Some(part) = part.map_err(failed)? else { return Ok(()) };
        lines.push(&part);
        while let Some(line) = lines.next() {
            let Ok(said) = serde_json::from_slice::<Value>(&line) else { continue };
            if let Some(error) = said["errorDetail"]["message"].as_str().or(said["error"].as_str()) {
                return Err(judge(error));
            }
            layers.hear(&said);
        }
        tell.send_replace(Standing::UnderWay(layers.to_string()));
    }
}

/// Without a tag an engine would fetch all of them.
fn with_version(reference: &str) -> String {
    let name = reference.rsplit('/').next().unwrap_or(reference);
    if name.contains([':', '@']) { reference.to_owned() } else { format!("{reference}:latest") }
}

fn failed(trouble: Trouble) -> Failed {
    match trouble {
        Trouble::Refused { message, .. } => judge(&message),
        Trouble::Away(why) | Trouble::Lost { why, .. } => Failed::Away(why),
        Trouble::Garbled { why, .. } => Failed::Other(why),
    }
}

/// An engine tells by words alone whether asking again may help.
fn judge(message: &str) -> Failed {
    let text = escape(message.trim(), MAX_TEXT_BYTES);
    let words = text.to_ascii_lowercase();
    let has = |any: &[&str]| any.iter().any(|word| words.contains(word));
    let refused = [
        "denied",
        "unauthorized",
        "not found",
        "manifest unknown",
        "authentication required",
        "no matching manifest",
        "invalid reference",
        "no basic auth",
    ];
    let away = [
        "timeout",
        "timed out",
        "dial tcp",
        "connection refused",
        "no such host",
        "eof",
        "toomanyrequests",
        "unavailable",
        "reset by peer",
        "no space left",
        "tls",
    ];
    if has(&away) {
        Failed::Away(text)
    } else if has(&refused) {
        Failed::Refused(text)
    } else {
        Failed::Other(text)
    }
}

/// How far the layers of an image are.
#[derive(Default)]
struct Layers(BTreeMap<String, (bool, u64, u64)>);

impl Layers {
    fn hear(&mut self, said: &Value) {
        let (Some(id), Some(status)) = (said["id"].as_str(), said["status"].as_str()) else { return };
        if status.starts_with("Pulling from") || (self.0.len() >= MAX_LAYERS && !self.0.contains_key(id)) {
            return;
        }
        let layer = self.0.entry(escape(id, 80)).or_default();
        layer.0 |= ["Pull complete", "Already exists"].contains(&status);
        if status == "Downloading" {
            let number = |name: &str| said["progressDetail"][name].as_u64().unwrap_or_default();
            (layer.1, layer.2) = (number("current"), number("total"));
        }
        if status == "Download complete" || layer.0 {
            layer.1 = layer.2;
        }
    }
}

impl std::fmt::Display for Layers {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let done = self.0.values().filter(|layer| layer.0).count();
        let sum = |part: fn(&(bool, u64, u64)) -> u64| self.0.values().map(part).fold(0_u64, u64::saturating_add) / 1_000_000;
        write!(out, "{done} of {} layers, {} of {} MB", self.0.len(), sum(|layer| layer.1), sum(|layer| layer.2))
    }
}

/// Cuts a stream into lines; what is longer than a line may be is dropped.
#[derive(Default)]
pub(super) struct Lines {
    whole: VecDeque<Vec<u8>>,
    begun: Vec<u8>,
    too_long: bool,
}

impl Lines {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = part.strip_suffix(b"\n").map_or((part, false), |text| (text, true));
            if self.begun.len() + text.len() > MAX_LINE {
                self.too_long = true;
                self.begun.clear();
            }
            if !self.too_long {
                self.begun.extend_from_slice(text);
            }
            if ends {
                let line = std::mem::take(&mut self.begun);
                if !std::mem::take(&mut self.too_long) && !line.is_empty() {
                    self.whole.push_back(line);
                }
            }
        }
    }

    pub(super) fn next(&mut self) -> Option<Vec<u8>> {
        self.whole.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_line_that_does_not_end_costs_no_memory() {
        let mut lines = Lines::default();
        for _ in 0..100 {
            lines.push(&[b'x'; 4_096]);
        }
        assert!(lines.begun.len() <= MAX_LINE);
        lines.push(b"\nnext\n\nlast");
        assert_eq!((lines.next(), lines.next()), (Some(b"next".to_vec()), None));
        lines.push(b" one\r\n");
        assert_eq!(lines.next(), Some(b"last one\r".to_vec()));
    }

    #[test]
    fn layers_are_counted_for_people() {
        let mut layers = Layers::default();
        layers.hear(&json!({ "status": "Pulling from library/x", "id": "latest" }));
        layers.hear(&json!({ "status": "Already exists", "id": "a" }));
        layers.hear(&json!({ "status": "Downloading", "id": "b", "progressDetail": { "current": 40_000_000, "total": 120_000_000 } }));
        assert_eq!(layers.to_string(), "1 of 2 layers, 40 of 120 MB");
        layers.hear(&json!({ "status": "Download complete", "id": "b" }));
        assert_eq!(layers.to_string(), "1 of 2 layers, 120 of 120 MB");
    }

    #[test]
    fn what_may_help_by_asking_again_is_told_apart() {
        assert!(matches!(judge("pull access denied for x, repository does not exist"), Failed::Refused(_)));
        assert!(matches!(judge("manifest for x:1 not found: manifest unknown"), Failed::Refused(_)));
        assert!(matches!(judge("Get \"https://x/v2/\": dial tcp: lookup x: no such host"), Failed::Away(_)));
        assert!(matches!(judge("write /var/lib/docker/tmp/x: no space left on device"), Failed::Away(_)));
        assert!(matches!(judge("strange"), Failed::Other(_)));
    }
}
