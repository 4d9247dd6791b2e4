//! The past of one service, read backwards: the newest events are the ones that people ask for.

use std::sync::Arc;

use hostler_api::{Code, EventRecord, Failure};
use hostler_store::{Store, StoreError};

use crate::ledger;

/// Events read at a time.
const PAGE: u64 = 2_000;

/// What happened to a service, the oldest first, from as far back as `enough` needs it: it is shown all that was found so far.
///
/// # Errors
/// The store cannot be read.
pub(crate) async fn of_service(store: &Arc<dyn Store>, service: &str, enough: impl Fn(&[EventRecord]) -> bool) -> Result<Vec<EventRecord>, Failure> {
    let mut found: Vec<EventRecord> = Vec::new();
    let mut before = u64::MAX;
    loop {
        let (page, first) = page(store, service, before).await.map_err(|error| unreadable(&error))?;
        found.splice(0..0, page);
        match first {
            Some(first) if first > 1 && !enough(&found) => before = first,
            _ => return Ok(found),
        }
    }
}

/// Those of a service among the events before this number, and the number of the first of the page; nothing when there is none.
async fn page(store: &Arc<dyn Store>, service: &str, before: u64) -> Result<(Vec<EventRecord>, Option<u64>), StoreError> {
    let (store, service) = (Arc::clone(store), service.to_owned());
    let read = tokio::task::spawn_blocking(move || {
        let before = if before == u64::MAX { store.events(u64::MAX, 1)?.last.saturating_add(1) } else { before };
        let after = before.saturating_sub(1).saturating_sub(PAGE);
        let mut page = store.events(after, usize::try_from(PAGE).unwrap_or(usize::MAX))?;
        page.events.retain(|event| event.seq < before);
        // What is not kept any more has no page before it.
        let first = page.events.first().map(|event| event.seq).filter(|_| !page.gap || after == 0);
        let own = page.events.iter().filter(|event| event.subject == service).map(ledger::told).collect();
        Ok((own, first))
    });
    read.await.unwrap_or(Err(StoreError::Closed))
}

fn unreadable(error: &StoreError) -> Failure {
    let failure = Failure::new(Code::Failed, format!("the events cannot be read: {error}"));
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
