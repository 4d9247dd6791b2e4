//! What bears a tag and is nobody's here: shown with its age and whose it may be, ended or ignored.

use std::collections::BTreeSet;
use std::time::Duration;

use hostler_api::{Code, EventKind, Failure, Found, Shape, Stranger, StrangerList, StrangerRequest, StrangerResult, Tag, Timestamp};
use hostler_core::closest;
use hostler_store::{StoreError, Txn};
use hostler_wasm::words::{Fault, Handle};
use hostler_wasm::{Call, CallError};
use serde_json::json;

use crate::change::{commit_failure, unreadable};
use crate::discovery;
use crate::http::Door;
use crate::ledger;
use crate::message::Message;

/// How long ending one may take.
const KILL: Duration = Duration::from_secs(60);

/// One of them, and what ends it.
struct Seen {
    stranger: Stranger,
    /// Of one that bears our own tag.
    handle: Option<Handle>,
}

/// Everything that bears a tag and is nobody's here.
pub(crate) async fn list(door: &Door) -> Result<StrangerList, Failure> {
    let (seen, away) = look(door, None).await?;
    Ok(StrangerList { version: Shape, strangers: seen.into_iter().map(|seen| seen.stranger).collect(), away })
}

async fn look(door: &Door, only: Option<&str>) -> Result<(Vec<Seen>, std::collections::BTreeMap<String, String>), Failure> {
    let ignored = ignored(door).await?;
    let is_ignored = |backend: &str, key: &str| ignored.contains(&format!("{backend}/{key}"));
    let owner = door.look(|desk| desk.owner.clone()).await?;
    let own = door
        .look(|desk| {
            let all = desk.strangers.iter().flat_map(|(backend, own)| own.iter().map(move |(id, own)| (backend.clone(), id.clone(), own.clone())));
            all.collect::<Vec<_>>()
        })
        .await?;
    let mut seen: Vec<Seen> = own
        .into_iter()
        .filter(|(backend, ..)| only.is_none_or(|only| only == backend))
        .map(|(backend, id, own)| Seen {
            stranger: Stranger {
                ignored: is_ignored(&backend, &id),
                phase: discovery::phase(&own.status.phase).to_owned(),
                started_at: own.status.started_at.map(Timestamp),
                probably: format!("this host, before it forgot: {}", service_of(&id, &owner)),
                tag: Tag { ours: true, owner: owner.clone(), id: id.clone() },
                name: id.clone(),
                key: id,
                backend,
            },
            handle: Some(own.handle),
        })
        .collect();
    let found = discovery::list(door, only).await?;
    let tagged = found.found.into_iter().filter(|found| found.service.is_none() && found.tag.as_ref().is_some_and(|tag| !tag.ours));
    seen.extend(tagged.map(|found| of_another(found, &is_ignored)));
    Ok((seen, found.away))
}

fn of_another(found: Found, is_ignored: &impl Fn(&str, &str) -> bool) -> Seen {
    let tag = found.tag.expect("only what has a tag comes here");
    let stranger = Stranger {
        ignored: is_ignored(&found.backend, &found.key),
        probably: format!("the host whose tag is {}: {}", tag.owner, service_of(&tag.id, &tag.owner)),
        backend: found.backend,
        key: found.key,
        name: found.name,
        phase: found.phase,
        started_at: found.started_at,
        tag,
    };
    Seen { stranger, handle: None }
}

/// `OWNER-SERVICE-REPLICA-RUN`, in words.
fn service_of(id: &str, owner: &str) -> String {
    let parts = id.strip_prefix(owner).and_then(|rest| rest.strip_prefix('-')).and_then(|rest| {
        let (rest, run) = rest.rsplit_once('-')?;
        let (service, replica) = rest.rsplit_once('-')?;
        Some((service, replica, run))
    });
    match parts {
        Some((service, replica, run)) => format!("its service {service}, replica {replica}, run {run}"),
        None => format!("its task {id}"),
    }
}

/// Ends one, whoever made it.
pub(crate) async fn kill(door: &Door, asked: StrangerRequest) -> Result<StrangerResult, Failure> {
    let Seen { stranger, handle } = one(door, &asked).await?;
    let plugin = door.plugins.get(&stranger.backend).ok_or_else(|| Failure::new(Code::Unavailable, door.plugins.why_not(&stranger.backend)))?;
    let backend = plugin.backend().ok_or_else(|| Failure::new(Code::Unavailable, format!("plugin `{}` is no backend", stranger.backend)))?;
    let call = Call::within(KILL).about(&stranger.name);
    let went = match &handle {
        Some(handle) => backend.destroy(call, handle, true).await,
        None => backend.kill(call, &stranger.key).await,
    };
    went.map_err(|error| refused(&stranger, &error))?;
    let told = json!({ "message": format!("{} of {} was ended by request", stranger.name, stranger.backend), "backend": stranger.backend, "tag": stranger.tag });
    record(door, EventKind::StrangerKilled, &told);
    let key = key(&stranger.backend, &stranger.key);
    write(door, Txn::new().delete(key)).await?;
    // The next listing shows that it is gone.
    door.outbox.send(Message::Wake { backend: stranger.backend.clone(), id: None }).ok();
    if handle.is_some() {
        door.outbox.send(Message::Gone { backend: stranger.backend.clone(), id: stranger.key.clone() }).ok();
    }
    Ok(StrangerResult { version: Shape, stranger })
}

/// Says that one is nobody's business, or takes that back.
pub(crate) async fn ignore(door: &Door, asked: StrangerRequest) -> Result<StrangerResult, Failure> {
    let Seen { mut stranger, .. } = one(door, &asked).await?;
    let key = key(&stranger.backend, &stranger.key);
    write(door, if asked.notice { Txn::new().delete(key) } else { Txn::new().put(key, ledger::to_json(&true)) }).await?;
    stranger.ignored = !asked.notice;
    Ok(StrangerResult { version: Shape, stranger })
}

async fn one(door: &Door, asked: &StrangerRequest) -> Result<Seen, Failure> {
    let (seen, _) = look(door, asked.backend.as_deref()).await?;
    let names: Vec<String> = seen.iter().map(|seen| seen.stranger.name.clone()).collect();
    let mut named: Vec<Seen> = seen.into_iter().filter(|seen| seen.stranger.key == asked.what || seen.stranger.name == asked.what).collect();
    match (named.pop(), named.is_empty()) {
        (Some(one), true) => Ok(one),
        (Some(_), false) => {
            let failure = Failure::new(Code::Conflict, format!("several strangers are called `{}`", asked.what.escape_default()));
            Err(failure.hint("say which with --backend, or with its key"))
        }
        (None, _) => {
            let failure = Failure::new(Code::NotFound, format!("there is no stranger `{}`", asked.what.escape_default()));
            Err(match closest(&asked.what, names.iter().map(String::as_str)) {
                Some(near) => failure.hint(format!("did you mean `{near}`?")),
                None => failure.hint("`hostler strangers` shows every one"),
            })
        }
    }
}

fn refused(stranger: &Stranger, error: &CallError) -> Failure {
    let code = match error.fault() {
        Some(Fault::Denied(_)) => Code::Denied,
        Some(Fault::Unavailable(_)) => Code::Unavailable,
        Some(Fault::Unsupported(_)) => Code::Invalid,
        _ => Code::Failed,
    };
    Failure::new(code, format!("{}: {}", stranger.name, error.brief()))
}

fn key(backend: &str, key: &str) -> String {
    format!("ignored/{backend}/{key}")
}

async fn ignored(door: &Door) -> Result<BTreeSet<String>, Failure> {
    let store = std::sync::Arc::clone(&door.store);
    let keys = tokio::task::spawn_blocking(move || ledger::keys(&*store, "ignored/")).await.unwrap_or(Err(StoreError::Closed));
    let keys = keys.map_err(|error| unreadable(&error))?;
    Ok(keys.into_iter().filter_map(|key| key.strip_prefix("ignored/").map(str::to_owned)).collect())
}

async fn write(door: &Door, txn: Txn) -> Result<(), Failure> {
    let store = std::sync::Arc::clone(&door.store);
    let went = tokio::task::spawn_blocking(move || store.txn(txn)).await.unwrap_or(Err(StoreError::Closed));
    went.map(drop).map_err(|error| commit_failure(&error))
}

fn record(door: &Door, kind: EventKind, data: &serde_json::Value) {
    // The loop is gone only when the host is.
    door.outbox.send(Message::Note(ledger::note(kind, ledger::OF_THE_HOST, data))).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_says_whose_it_may_be() {
        assert_eq!(service_of("h01-my-db-0-17", "h01"), "its service my-db, replica 0, run 17");
        assert_eq!(service_of("elsewhere", "h01"), "its task elsewhere");
    }
}
