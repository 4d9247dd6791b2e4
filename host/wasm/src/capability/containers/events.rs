//! What an engine tells by itself. It only wakes: what is true is looked at.

use std::sync::Weak;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::api::{Ask, Reply, Trouble};
use super::engine::Engine;
use super::pulls::Lines;
use super::{OWNER, PLUGIN, TASK, time};

/// What may change what is known of a task.
const KINDS: [&str; 8] = ["start", "die", "oom", "stop", "pause", "unpause", "destroy", "health_status"];
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A stream that lasted so long was fine.
const FINE: Duration = Duration::from_secs(30);

/// Follows the events of an engine as long as somebody is granted it, each time from where the stream broke.
pub(super) async fn follow(engine: Weak<Engine>) {
    let (mut since, mut pause) = (None, FIRST_PAUSE);
    loop {
        let Some(strong) = engine.upgrade() else { return };
        let begun = Instant::now();
        let trouble = listen(&strong, &engine, &mut since).await;
        tracing::debug!(?trouble, "an engine's events ended");
        // whatever happened meanwhile
        strong.tell_all();
        drop(strong);
        if begun.elapsed() > FINE {
            pause = FIRST_PAUSE;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn listen(engine: &Engine, still: &Weak<Engine>, since: &mut Option<u64>) -> Result<(), Trouble> {
    let filters = json!({ "type": ["container"], "label": [format!("{OWNER}={}", engine.owner())], "event": KINDS });
    let mut ask = Ask::get("/events").with("filters", filters);
    if let Some(last) = since {
        ask = ask.with("since", time::since(*last + 1));
    }
    let mut reply = engine.api.stream(ask).await?;
    engine.tell_all();
    let mut lines = Lines::default();
    while let Some(line) = next_line(&mut reply, &mut lines, still).await? {
        let Ok(event) = serde_json::from_slice::<Value>(&line) else { continue };
        if let Some(at) = event["timeNano"].as_u64() {
            *since = Some(at.max(since.unwrap_or(0)));
        }
        let labels = &event["Actor"]["Attributes"];
        if let Some(plugin) = labels[PLUGIN].as_str() {
            engine.tell(plugin, labels[TASK].as_str());
        }
    }
    Ok(())
}

/// The next event; nothing when the stream ends, or nobody is granted the engine any more.
async fn next_line(reply: &mut Reply<'_>, lines: &mut Lines, still: &Weak<Engine>) -> Result<Option<Vec<u8>>, Trouble> {
    const LOOK: Duration = Duration::from_secs(30);
    loop {
        if let Some(line) = lines.next() {
            return Ok(Some(line));
        }
        match tokio::time::timeout(LOOK, reply.next()).await {
            Ok(part) => match part? {
                Some(part) => lines.push(&part),
                None => return Ok(None),
            },
            // this one is the last that holds it
            Err(_) if still.strong_count() <= 1 => return Ok(None),
            Err(_) => {}
        }
    }
}
