//! Alerts: rules are held against what the desk knows, and whoever is to be told is told once for each change.
//!
//! `watch` looks, the core's machine decides, `book` says what is to be remembered of it: the alert, its event and a note for each sink, in one
//! transaction. Only then is anybody told. Each sink has a task and a queue of its own (`post`): one that hangs delays nobody, a storm fills
//! its queue and no more. A note goes when its sink has taken it: a host that is killed goes on with those that are left.

mod book;
mod facts;
mod message;
mod past;
mod post;
mod silence;
mod watch;
mod way;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use hostler_api::config::{Alerting as Config, LOG, Sink};
use hostler_api::metrics::Metric;
use hostler_api::{Alert, AlertList, AlertState, AlertsQuery, Code, Failure, Shape, Tested};
use hostler_core::{AlertKey, AlertStage, Subject, WorkspaceName, closest};
use hostler_store::{Store, StoreError, Txn};
use tokio::sync::{Notify, mpsc};

use crate::ledger::{self, LedgerError};
use crate::message::Message;
use crate::metrics::{Page, number};
use crate::{HostError, clock};
use book::{Book, Entry};
use post::Post;

/// Under `meta/`: the rules and sinks in force.
pub(crate) const CONFIG: &str = "meta/alerting";
/// Alerts in an answer, where nobody says how many.
const PAGE: usize = 1_000;

/// All about alerts.
pub(crate) struct Alerting {
    store: Arc<dyn Store>,
    outbox: mpsc::UnboundedSender<Message>,
    /// This host, as its tasks are tagged.
    owner: String,
    wanted: RwLock<Config>,
    book: Mutex<Book>,
    posts: Mutex<BTreeMap<String, Arc<Post>>>,
    /// Rules, sinks or silences are others now.
    changed: Notify,
    /// Somebody asked for something: it may end an alert, and no event need tell of it.
    asked: Notify,
    /// Held while silences are changed: what is committed and what is known do not part.
    silencing: tokio::sync::Mutex<()>,
}

impl Alerting {
    /// Goes on where the last host ended.
    pub(crate) fn recall(store: Arc<dyn Store>, outbox: mpsc::UnboundedSender<Message>, owner: &str) -> Result<Alerting, HostError> {
        let config: Config = ledger::meta(&*store, CONFIG.trim_start_matches("meta/"))?.unwrap_or_default();
        let book = Book::recall(&*store)?;
        let alerting = Alerting {
            outbox,
            owner: owner.to_owned(),
            wanted: RwLock::default(),
            book: Mutex::new(book),
            posts: Mutex::default(),
            changed: Notify::new(),
            asked: Notify::new(),
            silencing: tokio::sync::Mutex::default(),
            store: Arc::clone(&store),
        };
        alerting.want(config);
        let mut left: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
        ledger::each(&*store, book::OUTBOX, |_, entry: Entry| {
            left.entry(entry.sink.clone()).or_default().push(entry);
            Ok(())
        })?;
        left.into_values().for_each(|entries| alerting.hand_over(entries));
        Ok(alerting)
    }

    /// From now on these rules hold, and these sinks are told.
    pub(crate) fn want(&self, config: Config) {
        let log = (LOG.to_owned(), Sink::log());
        let sinks: BTreeMap<String, Sink> = config.sinks.clone().into_iter().chain([log]).collect();
        let mut posts = self.posts();
        for (name, sink) in &sinks {
            match posts.get(name) {
                Some(post) => post.becomes(sink.clone()),
                None => drop(posts.insert(name.clone(), Arc::new(Post::new(name.clone(), sink.clone())))),
            }
        }
        posts.retain(|name, post| {
            let stays = sinks.contains_key(name);
            if !stays {
                post.close();
            }
            stays
        });
        drop(posts);
        *self.wanted.write().unwrap_or_else(PoisonError::into_inner) = config;
        self.changed.notify_one();
    }

    /// Somebody's request was carried out.
    pub(crate) fn look_again(&self) {
        self.asked.notify_one();
    }

    /// What is wrong, the worst first, and what was; as far as whoever asks may see it.
    pub(crate) fn list(&self, asked: &AlertsQuery, may_see: impl Fn(&Alert) -> bool, with_sinks: bool) -> AlertList {
        let mut alerts = self.live();
        alerts.sort_by_key(|alert| (std::cmp::Reverse(alert.severity), alert.state, alert.fired_at, alert.since, alert.rule.clone()));
        if asked.history || asked.state == Some(AlertState::Resolved) {
            alerts.extend(self.book().history.iter().rev().map(|record| record.told(None)));
        }
        alerts.retain(|alert| chosen(asked, alert) && may_see(alert));
        alerts.truncate(asked.limit.unwrap_or(PAGE));
        let sinks = with_sinks.then(|| self.posts().values().map(|post| post.state()).collect());
        AlertList { version: Shape, alerts, sinks }
    }

    /// Everything under way.
    fn live(&self) -> Vec<Alert> {
        let (book, now) = (self.book(), clock::wall_ms());
        let pending = book.alerts.live().filter_map(|(key, stage, message)| {
            let AlertStage::Pending { since, .. } = stage else { return None };
            let rule = book.alerts.rules().get(&key.rule)?;
            Some(Alert {
                id: None,
                rule: key.rule.clone(),
                on: rule.trigger.as_str().to_owned(),
                severity: rule.severity,
                state: AlertState::Pending,
                service: service_of(key),
                plugin: plugin_of(key),
                message: message.to_owned(),
                since: clock::wall(*since),
                fired_at: None,
                resolved_at: None,
                silenced_by: None,
            })
        });
        let firing = book.firing.values().map(|record| record.told(book.silencer(&record.key, record.severity, now)));
        pending.chain(firing).collect()
    }

    /// Tells a sink something that says that it is a test.
    pub(crate) async fn test(&self, name: &str) -> Result<Tested, Failure> {
        let sink = self.posts().get(name).map(|post| post.sink());
        let Some(sink) = sink else {
            let failure = Failure::new(Code::NotFound, format!("there is no sink `{}`", name.escape_default()));
            let known: Vec<String> = self.posts().keys().cloned().collect();
            return Err(failure.hint(match closest(name, known.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known here: {}", known.join(", ")),
            }));
        };
        let begun = Instant::now();
        let told = way::deliver(&sink, &message::test(&self.owner)).await;
        told.map_err(|why| Failure::new(Code::Failed, format!("sink `{name}` did not take it: {why}")))?;
        Ok(Tested { version: Shape, sink: name.to_owned(), took_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX) })
    }

    /// Takes out of the store what there is of a workspace that is removed.
    pub(crate) fn without(&self, workspace: &WorkspaceName, txn: Txn) -> Txn {
        self.book().without(workspace, txn)
    }

    /// It is not there any more.
    pub(crate) fn forget_workspace(&self, workspace: &WorkspaceName) {
        self.book().forget(workspace);
        self.changed.notify_one();
    }

    /// Its figures.
    pub(crate) fn add_to(&self, page: &mut Page) {
        let mut counts: BTreeMap<(String, &str), u64> = BTreeMap::new();
        for (key, stage, _) in self.book().alerts.live() {
            let state = if *stage == AlertStage::Firing { "firing" } else { "pending" };
            *counts.entry((key.rule.clone(), state)).or_default() += 1;
        }
        for ((rule, state), count) in counts {
            page.add(Metric::Alerts, &[&rule, state], number(count));
        }
        self.posts().values().for_each(|post| post.add_to(page));
    }

    /// Puts committed notes into the queues of their sinks.
    fn hand_over(&self, entries: Vec<Entry>) {
        let mut orphans = Vec::new();
        let posts = self.posts();
        for entry in entries {
            match posts.get(&entry.sink) {
                Some(post) => post.push(entry),
                None => orphans.push(entry.key()),
            }
        }
        drop(posts);
        if !orphans.is_empty() {
            tracing::warn!(count = orphans.len(), "there is no sink any more for some changes of alerts");
            self.store.submit(orphans.into_iter().fold(Txn::new(), Txn::delete), Box::new(drop));
        }
    }

    /// Forgets notes whose sinks were told, or are told no more. What cannot be forgotten now would be told again by the next host.
    async fn forget(&self, entries: &[Entry]) {
        const AGAIN: Duration = Duration::from_secs(1);
        let txn = entries.iter().map(Entry::key).fold(Txn::new(), Txn::delete);
        loop {
            let (store, txn) = (Arc::clone(&self.store), txn.clone());
            let done = tokio::task::spawn_blocking(move || store.txn(txn)).await.unwrap_or(Err(StoreError::Closed));
            match done {
                Ok(_) | Err(StoreError::Closed) => return,
                Err(error) => tracing::warn!(%error, "that a sink was told cannot be written yet"),
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn posts(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Post>>> {
        self.posts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn config(&self) -> Config {
        self.wanted.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Nobody is told again of what happened before a backup was made.
pub(crate) fn restored(txn: Txn, then: &dyn Store) -> Result<Txn, LedgerError> {
    Ok(ledger::keys(then, book::OUTBOX)?.into_iter().fold(txn, Txn::delete))
}

fn chosen(asked: &AlertsQuery, alert: &Alert) -> bool {
    asked.state.is_none_or(|state| state == alert.state)
        && asked.rule.as_ref().is_none_or(|rule| *rule == alert.rule)
        && asked.service.as_ref().is_none_or(|service| Some(service) == alert.service.as_ref())
        && asked.severity.is_none_or(|severity| alert.severity >= severity)
}

fn service_of(key: &AlertKey) -> Option<String> {
    match &key.subject {
        Subject::Service(name) => Some(name.to_string()),
        Subject::Plugin(_) => None,
    }
}

fn plugin_of(key: &AlertKey) -> Option<String> {
    match &key.subject {
        Subject::Service(_) => None,
        Subject::Plugin(name) => Some(name.clone()),
    }
}
