//! The look: who may have changed is held against the rules, and what comes of it is committed and handed over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use hostler_api::EventRecord;
use hostler_core::{AlertRule, AlertTurn, Facts, ServiceName, Span, Subject, Time, Trigger};
use hostler_failpoint::failpoint;
use hostler_store::{Event, StoreError};
use tokio::sync::{broadcast, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::past::{Concerns, Past};
use super::{Alerting, facts};
use crate::feed::Batch;
use crate::http::Door;
use crate::message::Message;
use crate::stats::{self, Life};
use crate::{clock, ledger};

/// What happens at once is looked at together.
const GATHER: Duration = Duration::from_millis(50);
/// Whom the loop is asked for at a time, so that it is never kept long.
const AT_ONCE: usize = 200;
/// From one look at everybody to the next, where a rule asks for figures or for how long ago something was.
const OFTEN: Duration = Duration::from_secs(10);
/// The same where no rule does: events and requests tell of everything, and this only makes sure.
const SELDOM: Duration = Duration::from_secs(60);
/// When a commit did not work.
const AGAIN: Duration = Duration::from_secs(1);
/// Events of the past that are read when there are rules for the first time.
const PAST: u64 = 10_000;

/// What one who watches knows.
struct Watch {
    alerting: Arc<Alerting>,
    door: Door,
    past: Past,
    /// The newest event that was heard.
    last: u64,
    /// Events came faster than they were heard: the rest stands in the store.
    behind: bool,
    /// To be looked at.
    dirty: BTreeSet<Subject>,
    /// Everybody is.
    all: bool,
    next_all: Instant,
    /// Not committed yet.
    turns: Vec<AlertTurn>,
}

/// What services use, by their names.
type Measured = BTreeMap<String, Facts>;

impl Alerting {
    /// Watches and tells, for as long as the host is there.
    pub(crate) async fn watch(self: Arc<Self>, door: Door) {
        let mut telling = JoinSet::new();
        let mut watch: Option<Watch> = None;
        let mut reader: Option<broadcast::Receiver<Arc<Batch>>> = None;
        // Apart: an engine that hangs is waited for by nobody.
        let mut measuring: JoinSet<Option<Measured>> = JoinSet::new();
        let mut measured = Measured::new();
        let mut new = true;
        loop {
            if new {
                self.tell_each(&mut telling);
                let config = self.config();
                let turns = self.book().alerts.set_rules(config.rules.clone());
                if config.rules.is_empty() && turns.is_empty() && self.book().firing.is_empty() {
                    // Without a rule nothing is read, and nothing asked.
                    (watch, reader) = (None, None);
                } else {
                    let mut now = match watch.take() {
                        Some(watch) => watch,
                        None => {
                            // Followed first, and then the past: what comes between is in both, and heard once.
                            reader = door.readers.follow();
                            Watch::new(&self, &door).await
                        }
                    };
                    now.turns.extend(turns);
                    now.all = true;
                    watch = Some(now);
                }
            }
            let Some(now) = &mut watch else {
                self.changed.notified().await;
                new = true;
                continue;
            };
            let Some(wake) = now.round(std::mem::take(&mut measured), &mut measuring).await else { return };
            new = tokio::select! {
                () = self.changed.notified() => true,
                () = now.heard(&mut reader) => false,
                Some(done) = measuring.join_next() => {
                    measured = done.ok().flatten().unwrap_or_default();
                    false
                }
                () = self.asked.notified() => {
                    now.dirty.extend(self.book().subjects());
                    false
                }
                () = sleep_until(wake) => false,
            };
        }
    }

    /// Sees to it that each sink has somebody who tells it.
    fn tell_each(self: &Arc<Self>, telling: &mut JoinSet<()>) {
        while telling.try_join_next().is_some() {}
        for post in self.posts().values() {
            if post.begins() {
                telling.spawn(Arc::clone(post).run(Arc::clone(self)));
            }
        }
    }
}

impl Watch {
    async fn new(alerting: &Arc<Alerting>, door: &Door) -> Watch {
        let mut watch = Watch {
            alerting: Arc::clone(alerting),
            door: door.clone(),
            past: Past::default(),
            last: 0,
            behind: false,
            dirty: BTreeSet::new(),
            all: true,
            next_all: Instant::now(),
            turns: Vec::new(),
        };
        if let Err(error) = watch.read_the_past().await {
            tracing::warn!(%error, "the events of the past cannot be read: rules about restarts count from now on");
        }
        watch
    }

    async fn read_the_past(&mut self) -> Result<(), StoreError> {
        let store = Arc::clone(&self.door.store);
        let newest = tokio::task::spawn_blocking(move || store.events(u64::MAX, 1).map(|page| page.last));
        self.last = newest.await.unwrap_or(Err(StoreError::Closed))?.saturating_sub(PAST);
        self.catch_up().await
    }

    /// Hears from the store what was told since the last event that was heard.
    async fn catch_up(&mut self) -> Result<(), StoreError> {
        let (store, after) = (Arc::clone(&self.door.store), self.last);
        let read = tokio::task::spawn_blocking(move || -> Result<Vec<Event>, StoreError> {
            let (mut events, mut after) = (Vec::new(), after);
            loop {
                let page = store.events(after, 1_000)?;
                let (next, last) = (page.next.max(after + 1), page.last);
                events.extend(page.events);
                if next >= last {
                    return Ok(events);
                }
                after = next;
            }
        });
        let (now, wall) = (clock::now(), clock::wall_ms());
        for event in read.await.unwrap_or(Err(StoreError::Closed))? {
            let ago = Span(wall.saturating_sub(event.at_unix_ms));
            self.hear(now - ago, &ledger::told(&event));
        }
        self.behind = false;
        Ok(())
    }

    /// Notes whom an event concerns, unless it was heard; and whether it concerns anybody.
    fn hear(&mut self, at: Time, event: &EventRecord) -> bool {
        if event.seq <= self.last {
            return false;
        }
        self.last = event.seq;
        let concerned = self.past.hear(at, event).and_then(subject);
        let any = concerned.is_some();
        self.dirty.extend(concerned);
        any
    }

    /// Looks at whom there is to look at, and commits what comes of it; when to look again, or nothing when the host has ended.
    async fn round(&mut self, measured: Measured, measuring: &mut JoinSet<Option<Measured>>) -> Option<Instant> {
        if self.behind
            && let Err(error) = self.catch_up().await
        {
            // The next round tries again; whoever is looked at meanwhile is looked at as he is.
            tracing::warn!(%error, "events that came too fast cannot be read yet: rules about restarts may count too few");
        }
        if self.look(&measured).await? {
            self.begin_to_measure(measuring).await?;
        }
        let due = self.alerting.book().alerts.tick(clock::now());
        self.turns.extend(due);
        let committed = self.settle().await && !self.behind;
        let next = if committed { self.next_all } else { Instant::now() + AGAIN };
        let book_next = self.alerting.book().alerts.poll_timeout().map(|at| from_now(at.since(clock::now())));
        let silence_next = self.alerting.next_silence_turn().map(|at| from_now(Span(at.saturating_sub(clock::wall_ms()))));
        [book_next, silence_next].into_iter().flatten().chain([next]).min()
    }

    /// Looks at whoever may have changed, and at those who were measured; and whether that was everybody.
    async fn look(&mut self, measured: &Measured) -> Option<bool> {
        let full = std::mem::take(&mut self.all) || Instant::now() >= self.next_all;
        if full {
            self.dirty = self.door.look(facts::everybody).await.ok()?.into_iter().collect();
            self.next_all = Instant::now() + if self.looks_often() { OFTEN } else { SELDOM };
            let there = self.dirty.iter().filter_map(|subject| if let Subject::Service(name) = subject { Some(name.to_string()) } else { None });
            self.past.keep(clock::now(), &there.collect());
            // Whoever is gone, and an alert is about him.
            self.dirty.extend(self.alerting.book().subjects());
        }
        self.dirty.extend(measured.keys().filter_map(|name| ServiceName::read(name).ok().map(Subject::Service)));
        let subjects: Vec<Subject> = std::mem::take(&mut self.dirty).into_iter().filter(|subject| self.is_asked_for(subject)).collect();
        for some in subjects.chunks(AT_ONCE) {
            let asked = some.to_vec();
            let found = self.door.look(move |desk| asked.iter().map(|subject| facts::of(desk, subject)).collect::<Vec<_>>()).await.ok()?;
            let now = clock::now();
            for (subject, facts) in some.iter().zip(found) {
                let facts = facts.map(|facts| self.with_more(subject, facts, measured));
                let turns = self.alerting.book().alerts.observe(now, subject, facts.as_ref());
                self.turns.extend(turns);
            }
        }
        Some(full)
    }

    fn with_more(&self, subject: &Subject, mut facts: Facts, measured: &Measured) -> Facts {
        if let Subject::Service(name) = subject {
            self.past.add_to(name.as_str(), &mut facts);
            if let Some(more) = measured.get(name.as_str()) {
                facts.figures.extend(more.figures.clone());
            }
        }
        facts
    }

    /// Is there a rule about such a one, or an alert?
    fn is_asked_for(&self, subject: &Subject) -> bool {
        let book = self.alerting.book();
        book.alerts.rules().values().any(|rule| rule.is_about(subject)) || book.alerts.live().any(|(key, ..)| key.subject == *subject)
    }

    fn looks_often(&self) -> bool {
        let by_time = |trigger: &Trigger| match trigger {
            // What was missed is told once: of a new life that is silent too no event tells.
            Trigger::Restarts { .. } | Trigger::Uptime { .. } | Trigger::Metric { .. } | Trigger::HeartbeatMissed => true,
            Trigger::Unhealthy | Trigger::Degraded | Trigger::Failed | Trigger::PluginQuarantined => false,
        };
        self.alerting.book().alerts.rules().values().any(|rule| by_time(&rule.trigger))
    }

    /// Asks what the services use that a rule asks it of, unless that is under way.
    async fn begin_to_measure(&self, measuring: &mut JoinSet<Option<Measured>>) -> Option<()> {
        let rules: Vec<AlertRule> = {
            let book = self.alerting.book();
            let is_measured = |rule: &&AlertRule| matches!(rule.trigger, Trigger::Metric { figure, .. } if figure.is_measured());
            book.alerts.rules().values().filter(is_measured).cloned().collect()
        };
        if rules.is_empty() || !measuring.is_empty() {
            return Some(());
        }
        let everybody = self.door.look(facts::everybody).await.ok()?;
        let asked = everybody.into_iter().filter(|subject| rules.iter().any(|rule| rule.is_about(subject)));
        let asked: Vec<ServiceName> = asked.filter_map(|subject| if let Subject::Service(name) = subject { Some(name) } else { None }).collect();
        if !asked.is_empty() {
            measuring.spawn(measure(self.door.clone(), asked));
        }
        Some(())
    }

    /// Commits what was decided, and hands it over; false when that cannot be done now.
    async fn settle(&mut self) -> bool {
        let mut step = {
            let posts: BTreeMap<String, usize> = self.alerting.posts().iter().map(|(name, post)| (name.clone(), post.room())).collect();
            self.alerting.book().plan(&self.turns, |sink| posts.get(sink).copied().unwrap_or(0))
        };
        if step.is_empty() {
            self.turns.clear();
            return true;
        }
        let (answer, answered) = oneshot::channel();
        self.door.outbox.send(Message::Commit(Box::new(step.txn.clone()), answer)).ok();
        match answered.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "what became of alerts cannot be remembered yet, and nobody is told");
                return false;
            }
            // The host ends: the next one decides again.
            Err(_) => return false,
        }
        failpoint!("host.alert.committed");
        self.turns.clear();
        self.alerting.book().apply(&mut step);
        let posts = self.alerting.posts().clone();
        for (sink, count) in std::mem::take(&mut step.dropped) {
            if let Some(post) = posts.get(&sink) {
                post.drop_some(count);
            }
        }
        self.alerting.hand_over(std::mem::take(&mut step.entries));
        true
    }

    /// Waits until something happens, and for what happens with it.
    async fn heard(&mut self, reader: &mut Option<broadcast::Receiver<Arc<Batch>>>) {
        let Some(reader) = reader else { return std::future::pending().await };
        let mut found = false;
        while !found {
            found = match reader.recv().await {
                Ok(batch) => self.note(&batch),
                Err(broadcast::error::RecvError::Lagged(_)) => {
                    self.behind = true;
                    true
                }
                // Whoever looks next learns that the host has ended.
                Err(broadcast::error::RecvError::Closed) => {
                    self.all = true;
                    true
                }
            };
        }
        tokio::time::sleep(GATHER).await;
        loop {
            match reader.try_recv() {
                Ok(batch) => drop(self.note(&batch)),
                Err(broadcast::error::TryRecvError::Lagged(_)) => self.behind = true,
                Err(broadcast::error::TryRecvError::Empty | broadcast::error::TryRecvError::Closed) => return,
            }
        }
    }

    /// Notes whom these events concern; all in their order, so that none is heard before those that were missed.
    fn note(&mut self, batch: &Batch) -> bool {
        if self.behind {
            return true;
        }
        let now = clock::now();
        batch.events().iter().filter(|event| self.hear(now, event)).count() > 0
    }
}

/// What these services use; nothing when the host has ended.
async fn measure(door: Door, asked: Vec<ServiceName>) -> Option<Measured> {
    // Services that went meanwhile are named by nobody.
    let lives = door.look(move |desk| asked.iter().filter_map(|name| stats::lives(desk, [name]).ok()).flatten().collect());
    let lives: Vec<Life> = lives.await.ok()?;
    let measured = door.meter.measure(&door.plugins, &lives).await;
    let mut by_service: BTreeMap<String, Vec<Life>> = BTreeMap::new();
    lives.into_iter().for_each(|life| by_service.entry(life.service.to_string()).or_default().push(life));
    let figures = by_service.into_iter().map(|(name, lives)| {
        let figures = facts::measured(&lives, |life| measured.of(life));
        (name, Facts { figures, ..Facts::default() })
    });
    Some(figures.collect())
}

fn subject(concerns: Concerns) -> Option<Subject> {
    match concerns {
        Concerns::Service(name) => ServiceName::read(&name).ok().map(Subject::Service),
        Concerns::Plugin(name) => Some(Subject::Plugin(name)),
    }
}

fn from_now(span: Span) -> Instant {
    Instant::now() + Duration::from_millis(span.0)
}
