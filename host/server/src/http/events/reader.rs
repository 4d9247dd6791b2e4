//! One reader of events: first the past from the store, then the present from the feed, with nothing lost or said twice in between.

use std::sync::Arc;
use std::time::Duration;

use hostler_api::access::DEFAULT_WORKSPACE;
use hostler_api::{EventKind, EventRecord, Failure};
use hostler_store::{EventPage, Store, StoreError};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::Instant;

use super::unreadable;
use crate::feed::{Batch, Readers};
use crate::http::scope::Scope;

/// Events read from the store at a time; a reader holds no more of the past than this.
const PAGE: usize = 100;

/// What a reader wants to hear of.
pub(super) struct Choice {
    pub(super) scope: Scope,
    pub(super) services: Option<Vec<String>>,
    pub(super) kinds: Option<Vec<String>>,
}

impl Choice {
    fn wants(&self, event: &EventRecord) -> bool {
        self.is_theirs(event)
            && self.services.as_ref().is_none_or(|names| event.service.as_ref().is_some_and(|name| names.contains(name)))
            && self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&event.kind))
    }

    /// What is about no service is the host's, and so of `default`; but what plugins do there is only told to who has a role on the host: it says
    /// what they are granted, and for whom they do it.
    fn is_theirs(&self, event: &EventRecord) -> bool {
        if self.scope.is_all() {
            return true;
        }
        let of_plugins =
            || event.workspace.is_none() && event.service.is_none() && EventKind::of(&event.kind).is_some_and(EventKind::is_about_plugins);
        event.workspace.as_deref().unwrap_or(DEFAULT_WORKSPACE) == self.scope.workspace.as_str()
            && (self.scope.caller.on_host().is_some() || !of_plugins())
    }
}

/// When a reader has enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// At the newest event there is.
    Now,
    /// The same, but not without an event before this instant; and it says where to go on.
    Some(Instant),
    /// At the end of the host, and after each such time of silence it says that it is there.
    End(Option<Duration>),
}

/// What a reader hears.
#[derive(Debug)]
pub(super) enum Step {
    /// Events of a batch, at these places.
    Events(Arc<Batch>, Vec<usize>),
    /// What came before this number is not there any more.
    Gap(u64),
    /// Nothing happened for a while; everything up to this number was heard.
    Quiet(u64),
    /// This is all for now; it goes on after this number.
    Cursor(u64),
    /// It was too slow; it can go on after this number.
    Cut(u64),
    /// The store cannot be read.
    Failed(Failure),
}

/// Where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Past,
    Present,
    /// It has all that it wanted, and is still to be told where to go on.
    Full,
    Over,
}

/// Reads on and on. It holds one page, or one batch that it shares with all others.
pub(super) struct Reader {
    store: Arc<dyn Store>,
    news: Receiver<Arc<Batch>>,
    choice: Choice,
    until: Until,
    /// The number of the last event that was heard or passed over.
    after: u64,
    /// How many events are still wanted.
    left: usize,
    /// Has it heard anything?
    heard: bool,
    place: Place,
    /// Read, and not yet heard.
    page: Option<EventPage>,
}

impl Reader {
    /// Begins after this number, 0 for all that is kept. The first page is read at once, so that a store that cannot be read is a refusal.
    ///
    /// # Errors
    /// The store cannot be read, or the host has ended.
    pub(super) async fn open(
        store: Arc<dyn Store>,
        readers: &Readers,
        choice: Choice,
        after: u64,
        until: Until,
        limit: usize,
    ) -> Result<Reader, Failure> {
        // Followed first, so that nothing falls between the past and the present.
        let news = readers.follow().ok_or_else(crate::http::ended)?;
        let page = past(&store, after).await?;
        Ok(Reader { store, news, choice, until, after, left: limit, heard: false, place: Place::Past, page: Some(page) })
    }

    /// The next piece of news; nothing at the end. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<Step> {
        loop {
            let step = match self.place {
                Place::Over => return None,
                Place::Full => self.end(Some(Step::Cursor(self.after))),
                Place::Past => self.past().await,
                Place::Present => self.present().await,
            };
            if let Some(step) = step {
                return Some(step);
            }
        }
    }

    async fn past(&mut self) -> Option<Step> {
        let page = match self.page.take() {
            Some(page) => page,
            None => match past(&self.store, self.after).await {
                Ok(page) => page,
                Err(failure) => {
                    self.place = Place::Over;
                    return Some(Step::Failed(failure));
                }
            },
        };
        let first = page.events.first().map_or(page.last + 1, |event| event.seq);
        if page.gap && self.after > 0 {
            // Said once; then the page is one that goes on.
            self.after = first - 1;
            self.page = Some(EventPage { gap: false, ..page });
            return Some(Step::Gap(first));
        }
        if page.events.is_empty() || page.next >= page.last {
            self.place = Place::Present;
        }
        let step = self.take(Arc::new(Batch::of(&page.events)));
        self.pass(page.next);
        step
    }

    async fn present(&mut self) -> Option<Step> {
        match self.news.try_recv() {
            Ok(batch) => return self.hear(batch),
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Lagged(_)) => return self.end(Some(Step::Cut(self.after))),
            Err(TryRecvError::Closed) => return self.close(),
        }
        let wait = match self.until {
            Until::Now => return self.end(None),
            Until::Some(_) if self.heard => return self.end(Some(Step::Cursor(self.after))),
            Until::Some(end) => Some(end),
            Until::End(quiet) => quiet.map(|quiet| Instant::now() + quiet),
        };
        let heard = match wait {
            Some(end) => tokio::time::timeout_at(end, self.news.recv()).await.ok(),
            None => Some(self.news.recv().await),
        };
        match heard {
            Some(Ok(batch)) => self.hear(batch),
            Some(Err(RecvError::Lagged(_))) => self.end(Some(Step::Cut(self.after))),
            Some(Err(RecvError::Closed)) => self.close(),
            None if matches!(self.until, Until::End(_)) => Some(Step::Quiet(self.after)),
            None => self.end(Some(Step::Cursor(self.after))),
        }
    }

    /// A batch of the feed, whose beginning the store may have told already.
    fn hear(&mut self, batch: Arc<Batch>) -> Option<Step> {
        let first = batch.events().iter().find(|event| event.seq > self.after)?.seq;
        if first > self.after + 1 {
            // Numbers were passed over: the store says what became of them.
            self.place = Place::Past;
            return None;
        }
        let last = batch.events().last().map_or(self.after, |event| event.seq);
        let step = self.take(batch);
        self.pass(last);
        step
    }

    /// Everything up to this number was heard or is not wanted, unless there was too much of it.
    fn pass(&mut self, last: u64) {
        if matches!(self.place, Place::Past | Place::Present) {
            self.after = last;
        }
    }

    /// Those of a batch that are new, wanted, and not too many.
    fn take(&mut self, batch: Arc<Batch>) -> Option<Step> {
        let (after, choice) = (self.after, &self.choice);
        let wanted = batch.events().iter().enumerate().filter(|(_, event)| event.seq > after && choice.wants(event));
        let places: Vec<usize> = wanted.map(|(place, _)| place).take(self.left).collect();
        let last = *places.last()?;
        self.heard = true;
        self.left -= places.len();
        if self.left == 0 {
            self.after = batch.events()[last].seq;
            self.place = if matches!(self.until, Until::Some(_)) { Place::Full } else { Place::Over };
        }
        Some(Step::Events(batch, places))
    }

    /// The host ends: whoever waits for a cursor gets it.
    fn close(&mut self) -> Option<Step> {
        let cursor = matches!(self.until, Until::Some(_)).then_some(Step::Cursor(self.after));
        self.end(cursor)
    }

    fn end(&mut self, last: Option<Step>) -> Option<Step> {
        self.place = Place::Over;
        last
    }
}

/// A page of events that are kept.
async fn past(store: &Arc<dyn Store>, after: u64) -> Result<EventPage, Failure> {
    let store = Arc::clone(store);
    let read = tokio::task::spawn_blocking(move || store.events(after, PAGE)).await;
    read.unwrap_or(Err(StoreError::Closed)).map_err(|error| unreadable(&error))
}
