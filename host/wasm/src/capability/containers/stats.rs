//! What containers use.

use std::path::{Path, PathBuf};

use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde_json::Value;

use super::api::{Ask, ONE, Trouble};
use super::convert::items;
use super::engine::Engine;
use super::time::millis;
use crate::bindings::hostler::host::containers::Usage;

/// What each of these uses; nothing of one that does not run, or is none. Engines answer with what they measure next, up to a second later: these
/// requests wait, and where a connection costs nothing very many are made together.
pub(super) async fn measure(engine: &Engine, ids: Vec<Option<String>>) -> Result<Vec<Option<Usage>>, Trouble> {
    let each = stream::iter(ids).map(|id| async move {
        match id {
            Some(id) => measure_one(engine, &id).await,
            None => Ok(None),
        }
    });
    each.buffered(engine.api.endpoint().side_by_side()).try_collect().await
}

async fn measure_one(engine: &Engine, id: &str) -> Result<Option<Usage>, Trouble> {
    let ask = Ask::get(format!("/containers/{id}/stats")).with("stream", false).with("one-shot", true);
    // as a stream it takes the place of no other request
    let mut reply = match engine.api.stream(ask).await {
        Ok(reply) => reply,
        Err(Trouble::Refused { status: 404 | 409, .. }) => return Ok(None),
        Err(trouble) => return Err(trouble),
    };
    let said: Value = serde_json::from_slice(&reply.bytes(ONE).await?)
        .map_err(|error| Trouble::Garbled { changes: false, why: format!("its answer is no JSON: {error}") })?;
    Ok(read(&said))
}

/// An engine answers zeros of what does not run.
fn read(said: &Value) -> Option<Usage> {
    let at = said["read"].as_str().and_then(millis)?;
    let memory = &said["memory_stats"];
    let limit = memory["limit"].as_u64().filter(|limit| *limit != 0);
    let cpu = said["cpu_stats"]["cpu_usage"]["total_usage"].as_u64();
    let processes = said["pids_stats"]["current"].as_u64().and_then(|count| u32::try_from(count).ok());
    if limit.is_none() && cpu.unwrap_or(0) == 0 && processes.unwrap_or(0) == 0 {
        return None;
    }
    let network = |name: &str| {
        let each = said["networks"].as_object()?.values().map(|network| network[name].as_u64().unwrap_or(0));
        Some(each.fold(0_u64, u64::saturating_add))
    };
    Some(Usage {
        at,
        cpu_nanos: cpu,
        memory_bytes: memory["usage"].as_u64().map(|used| used - cache(memory).min(used)),
        memory_limit_bytes: limit,
        network_received_bytes: network("rx_bytes"),
        network_sent_bytes: network("tx_bytes"),
        processes,
        disk_free_bytes: None,
    })
}

/// What the page cache can give back, as `docker stats` leaves it out: it stands under another name in each version of cgroups.
fn cache(memory: &Value) -> u64 {
    let of = |name: &str| memory["stats"][name].as_u64();
    of("total_inactive_file").or_else(|| of("inactive_file")).unwrap_or(0)
}

/// Free bytes where an engine on this machine keeps what containers write; nothing where that cannot be seen.
pub(super) async fn disk_free(engine: &Engine) -> Result<Option<u64>, Trouble> {
    if !engine.is_local() {
        return Ok(None);
    }
    let known = engine.root.lock().expect("no code panics while it holds this lock").clone();
    let root = match known {
        Some(root) => root,
        None => {
            let Some(root) = root(&engine.api.json(Ask::get("/info"), ONE).await?) else { return Ok(None) };
            *engine.root.lock().expect("no code panics while it holds this lock") = Some(root.clone());
            root
        }
    };
    Ok(free(&root))
}

/// Its storage has file systems of its own beneath some drivers; `DockerRootDir` is where they lie.
fn root(info: &Value) -> Option<PathBuf> {
    let graph = items(&info["DriverStatus"]).find(|pair| pair[0] == "GraphRoot").and_then(|pair| pair[1].as_str());
    graph.or(info["DockerRootDir"].as_str()).map(PathBuf::from).filter(|root| root.is_absolute())
}

fn free(root: &Path) -> Option<u64> {
    let about = rustix::fs::statvfs(root).ok()?;
    about.f_bavail.checked_mul(about.f_frsize)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use serde_json::json;
    use tokio::sync::Barrier;

    use super::super::engine::Engines;
    use super::super::played::{EngineReply, EngineRequest, EngineRole};
    use super::*;
    use crate::grant::EngineGrant;
    use crate::hooks::Wait;

    const MANY: usize = 100;

    /// Answers when all of them have been asked for.
    struct Slow(Barrier);

    impl EngineRole for Slow {
        fn answer(&self, request: EngineRequest) -> Wait<'_, EngineReply> {
            Box::pin(async move {
                let said = if request.path == "/version" {
                    json!({ "Version": "1", "ApiVersion": "1.41" })
                } else {
                    self.0.wait().await;
                    json!({ "read": "2026-11-21T22:30:25Z", "memory_stats": { "usage": 7, "limit": 9 } })
                };
                EngineReply { status: 200, body: said.to_string().into_bytes() }
            })
        }
    }

    #[tokio::test]
    async fn containers_are_measured_together_not_one_after_the_other() {
        let engines = Engines::new("owner".to_owned());
        engines.play(Arc::new(Slow(Barrier::new(MANY))));
        let grant: EngineGrant = serde_json::from_value(json!({ "endpoint": "unix:///nowhere/docker.sock" })).expect("a grant");
        let engine = engines.at(&grant).expect("nothing is connected to");
        let ids: Vec<Option<String>> = (0..MANY).map(|n| Some(n.to_string())).chain([None]).collect();
        let measured = tokio::time::timeout(Duration::from_secs(20), measure(&engine, ids)).await.expect("each waits for all others");
        let memory: Vec<Option<u64>> = measured.expect("it answers").into_iter().map(|usage| usage?.memory_bytes).collect();
        assert_eq!((memory.len(), memory[0], memory[MANY - 1], memory[MANY]), (MANY + 1, Some(7), Some(7), None));
    }

    #[test]
    fn memory_is_counted_without_what_the_cache_gives_back() {
        let said = |stats: Value| {
            json!({ "read": "2026-11-21T22:30:25Z", "cpu_stats": { "cpu_usage": { "total_usage": 5 } }, "pids_stats": { "current": 1 },
                "memory_stats": { "usage": 1000, "limit": 5000, "stats": stats }, "networks": { "a": { "rx_bytes": 1 }, "b": { "rx_bytes": 2 } } })
        };
        let used = |stats: Value| read(&said(stats)).and_then(|usage| usage.memory_bytes);
        assert_eq!(used(json!({ "total_inactive_file": 300, "inactive_file": 1 })), Some(700));
        assert_eq!(used(json!({ "inactive_file": 400 })), Some(600));
        assert_eq!(used(json!({ "inactive_file": 4_000 })), Some(0));
        assert_eq!(read(&said(json!({}))).and_then(|usage| usage.network_received_bytes), Some(3));
        let zeros = json!({ "read": "0001-01-01T00:00:00Z", "memory_stats": {}, "cpu_stats": { "cpu_usage": { "total_usage": 0 } } });
        assert_eq!(read(&zeros), None);
    }
}
