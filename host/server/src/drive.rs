//! The only loop: hear, decide, commit, act, wait. What it decides is the core's business.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use hostler_api::{Code, EventKind, Failure};
use hostler_core::{Action, Event, Health, NoticeKind, Run, Saved, ServiceName, Turn};
use hostler_failpoint::failpoint;
use hostler_store::{NewEvent, Outcome, Store, StoreError, Txn};
use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;
use tokio::sync::{oneshot, watch};

use crate::act::Actor;
use crate::clock;
use crate::desk::Desk;
use crate::feed::Feed;
use crate::ledger::{self, Ahead};
use crate::memory;
use crate::message::{Accepted, Change, Mark, Message};
use crate::operator::Operator;
use crate::queue::Queue;
use crate::{heartbeats, telemetry, upgrade};

mod news;

/// The loop and what it holds.
pub(crate) struct Driver {
    pub(crate) desk: Desk,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) queue: Queue,
    pub(crate) actor: Actor,
    pub(crate) operator: Operator,
    /// Where committed events go, for those who follow.
    pub(crate) feed: Feed,
    /// Counts the rounds, for those who wait for a state.
    pub(crate) rounds: watch::Sender<u64>,
    pub(crate) ahead: Ahead,
    /// To be committed with the next decision.
    pub(crate) next: Txn,
    /// To be committed with the change that is under way.
    pub(crate) marks: Vec<Mark>,
    /// Whom that change is about, in order, where marks are to say it.
    pub(crate) chosen: Vec<ServiceName>,
    /// When memory was last given back; nothing when it is to be, as soon as it is quiet.
    pub(crate) given_back: Option<Instant>,
    /// Something was heard since.
    pub(crate) heard: bool,
    /// The host ends after this round.
    pub(crate) leaving: bool,
    /// What the next decision comes of, where somebody collects that.
    pub(crate) because: Vec<Context>,
}

/// A transaction on its way to the disk.
struct Committing {
    events: Vec<NewEvent>,
    outcome: oneshot::Receiver<Result<Outcome, StoreError>>,
}

/// How many messages one round hears at most, so that a commit is never far away.
const MESSAGES_PER_ROUND: usize = 4_096;
/// How long it hears them, at most, where each is one that is committed by itself, and the disk is slow: what is due meanwhile waits for it.
const HEARING: Duration = Duration::from_millis(50);
/// Nothing to hear and nothing due for so long is quiet: then what was done before needs no memory any more.
const QUIET: Duration = Duration::from_secs(2);
/// Memory is not given back more often than this: what is needed again has to be read again.
const SELDOM: Duration = Duration::from_secs(5);
/// How long to wait before a commit that failed is tried again.
const COMMIT_AGAIN: Duration = Duration::from_secs(1);

impl Driver {
    /// Runs until everything is stopped after a shutdown, or until the host is to leave its tasks alone.
    pub(crate) async fn run(mut self) {
        // What an earlier host wrote for people may be behind.
        self.operator.show_all(&self.desk);
        failpoint!("host.loop.begun");
        let mut happened = true;
        loop {
            self.carry_out().await;
            while self.see_off().await {
                self.carry_out().await;
            }
            // Whoever waits looks again after each round that counts: one with nothing but looks would never end.
            if happened {
                self.rounds.send_modify(|round| *round += 1);
            }
            if self.leaving || self.desk.core.is_closed() {
                break;
            }
            let wake = self.desk.core.poll_timeout();
            let rest = self.until_rest();
            happened = true;
            tokio::select! {
                // 1. Something happened. Cancel-safe: a message is taken or it is not.
                more = self.queue.fill() => happened = self.hear_all(more).await,
                // 2. Something is due.
                () = clock::until(wake) => self.desk.core.handle(clock::now(), Event::Tick),
                // 3. Nothing is, for a while.
                () = tokio::time::sleep(rest), if self.heard => {
                    (self.heard, self.given_back) = (false, Some(Instant::now()));
                    self.queue.rest();
                    self.desk.core.board().take_all_down();
                    // Nobody waits for it.
                    drop(tokio::task::spawn_blocking(memory::give_back));
                }
            }
        }
        failpoint!("host.end.decided");
        self.operator.finish();
        failpoint!("host.end.view-written");
    }

    /// How long it must be quiet before memory is given back.
    fn until_rest(&self) -> Duration {
        self.given_back.map_or(QUIET, |last| QUIET.max(SELDOM.saturating_sub(last.elapsed())))
    }

    /// Hears all that there is to hear; was it more than looks?
    async fn hear_all(&mut self, is_more: bool) -> bool {
        if !is_more {
            self.leaving = true;
            return true;
        }
        self.heard = true;
        let begun = Instant::now();
        let (mut happened, mut waited, mut left) = (false, false, MESSAGES_PER_ROUND);
        loop {
            // Those that are there now: however many come, the others have their turn.
            let quick = self.queue.sort().min(left);
            for _ in 0..quick {
                let Some(message) = self.queue.quick() else { break };
                happened |= !matches!(message, Message::Look(_));
                self.hear(message).await;
                left -= 1;
                if begun.elapsed() >= HEARING {
                    break;
                }
            }
            let is_over = left == 0 || begun.elapsed() >= HEARING;
            // What happened while one was written is carried out before the next one is.
            if waited && is_over {
                break;
            }
            match self.queue.slow() {
                Some(message) => {
                    (happened, waited, left) = (true, true, left.saturating_sub(1));
                    self.hear(message).await;
                }
                None if quick == 0 || is_over => break,
                None => {}
            }
        }
        // While there is something to hear nobody waits for what is due.
        if self.desk.core.poll_timeout().is_some_and(|at| at <= clock::now()) {
            happened = true;
            self.desk.core.handle(clock::now(), Event::Tick);
        }
        happened
    }

    async fn hear(&mut self, message: Message) {
        failpoint!("host.loop.heard");
        let message = match message {
            Message::Traced(context, message) => {
                self.because.push(context);
                *message
            }
            message => message,
        };
        match message {
            Message::News(news) => self.hear_news(news),
            Message::Wake { backend, id } => self.hear_wake(backend, id),
            Message::Gone { backend, id } => {
                if let Some(strangers) = self.desk.strangers.get_mut(&backend) {
                    strangers.remove(&id);
                }
            }
            Message::Keeper => self.watch_closely(),
            Message::Standing { plugin, subject, turn } => self.hear_standing(plugin, &subject, turn),
            Message::Weigh { service, loads } => self.weigh(&service, &loads).await,
            Message::Note(event) => {
                let kept = self.kept(event);
                self.next.events.extend(kept);
            }
            Message::Said { about, note } => {
                let event = NewEvent { subject: self.desk.told_to(&about), ..note };
                // Nobody is told a secret of which that is not on record.
                let is_reveal = event.kind == EventKind::SecretRevealed.as_str();
                let kept = if is_reveal { vec![event] } else { self.kept(event) };
                self.next.events.extend(kept);
            }
            // It was looked into already: nobody wraps one twice.
            Message::Traced(_, message) => self.queue.put(*message),
            Message::Commit(txn, answer) => {
                let txn = self.within_rates(*txn);
                let committed = self.commit(txn).await;
                // Whoever asked may have gone.
                answer.send(committed).ok();
            }
            Message::Look(look) => look(&self.desk),
            Message::Change(change, answer) => self.hear_request(change, Vec::new(), answer).await,
            Message::Marked(change, marks, answer) => self.hear_request(change, marks, answer).await,
            Message::Write(writing, answer) => {
                let written = self.write(*writing).await;
                // Whoever asked may have gone; what he is not told is known all the same.
                answer.send(written).ok();
            }
            Message::Leave => self.leaving = true,
        }
    }

    async fn hear_request(&mut self, change: Change, marks: Vec<Mark>, answer: oneshot::Sender<Result<Accepted, Failure>>) {
        let accepted = self.change_marked(change, marks).await;
        failpoint!("host.request.before-answer");
        // Whoever asked may have gone; what was asked holds all the same.
        answer.send(accepted).ok();
        failpoint!("host.request.answered");
    }

    /// A plugin in quarantine makes its tasks unknown, as one that is missing does: nothing is restarted, nothing collected.
    fn hear_standing(&mut self, plugin: String, subject: &str, turn: Turn) {
        let whom = if subject.is_empty() { "it in general" } else { subject };
        let quarantine = self.desk.plugins.quarantine(&plugin).map(|(why, _)| why);
        let aside = self.desk.plugins.permit(&plugin, subject).err().map(|resting| resting.why);
        let (kind, message) = match turn {
            Turn::Aside => {
                (EventKind::PluginPutAside, Some(aside.unwrap_or_else(|| format!("plugin {plugin} had put {whom} aside: call after call broke it"))))
            }
            Turn::TakenBack => (EventKind::PluginTakenBack, Some(format!("plugin {plugin} answers about {whom} again"))),
            Turn::Quarantined => (EventKind::PluginQuarantined, quarantine.clone()),
            Turn::Recovered => (EventKind::PluginRecovered, Some(format!("plugin {plugin} answers again, about {whom}"))),
        };
        // What was said of a revision that is not in force any more.
        let Some(message) = message else { return };
        tracing::warn!(plugin, subject, kind = kind.as_str(), message, "calls that break a plugin");
        self.next.events.push(upgrade::event(kind, &plugin, message.clone()));
        match turn {
            Turn::Aside | Turn::TakenBack => {}
            Turn::Quarantined => {
                self.desk.core.handle(clock::now(), Event::Plugin { backend: plugin.clone(), missing: Some(message) });
                self.actor.try_again(plugin);
            }
            Turn::Recovered => {
                let missing = self.desk.plugins.get(&plugin).is_none().then(|| self.desk.plugins.why_not(&plugin)).or(quarantine);
                self.desk.core.handle(clock::now(), Event::Plugin { backend: plugin, missing });
            }
        }
    }

    fn hear_wake(&mut self, backend: String, id: Option<String>) {
        failpoint!("host.wake.heard");
        // A plugin may have something of the same name as another one's task: it says nothing about that task.
        let run = id.as_deref().and_then(|id| self.desk.run_of(id)).filter(|run| self.desk.is_held_by(*run, &backend));
        if let Some((name, replica)) = run.and_then(|run| self.desk.core.owner_of(run)) {
            self.desk.laps.woken(name, replica);
        }
        match run.and_then(|run| self.desk.handles.get(&run).map(|record| (run, record.handle.clone()))) {
            Some((run, handle)) => self.actor.look_at(&self.desk, backend, run, handle),
            None => self.desk.core.handle(clock::now(), Event::Hint { backend }),
        }
    }

    /// As long as the keeper is there it tells every end of what it holds: a backend whose tasks it holds all needs few looks.
    pub(crate) fn watch_closely(&mut self) {
        let is_there = self.desk.keeper.greeting().is_some();
        for (backend, is_held) in self.desk.plugins.backends() {
            self.desk.core.handle(clock::now(), Event::Watched { backend, closely: is_there && is_held });
        }
    }

    // ---- carrying out ----------------------------------------------------------------------------------------------

    /// Commits what was decided, and then does it.
    async fn carry_out(&mut self) {
        let (because, since) = (std::mem::take(&mut self.because), SystemTime::now());
        let mut txn = std::mem::take(&mut self.next);
        // Starts that need not wait for the disk, and whatever else is to be done.
        let (mut early, mut effects) = (Vec::new(), Vec::new());
        let mut touched: BTreeSet<ServiceName> = BTreeSet::new();
        let mut told = Vec::new();
        while let Some(action) = self.desk.core.poll_action() {
            match action {
                Action::Save(saved) => {
                    match &saved {
                        Saved::Task(run, Some(record)) => self.desk.hold(*run, &record.backend),
                        Saved::Task(run, None) => self.desk.forget(*run),
                        Saved::Slot(name, ..) => drop(touched.insert(name.clone())),
                        Saved::NextRun(_) | Saved::Reserve(_) => {}
                    }
                    self.ahead.saves(&saved);
                    txn = ledger::save(txn, saved);
                }
                Action::Tell(notice) => {
                    touched.insert(notice.service.clone());
                    txn = self.kept(ledger::event(&notice)).into_iter().fold(txn, Txn::emit);
                    if notice.kind == NoticeKind::Removed {
                        // Whoever bears its name later begins anew.
                        txn = txn.delete(heartbeats::key(&notice.service));
                    }
                    told.push(notice);
                }
                Action::Start { run, ref spec, .. } if self.ahead.may_begin(run, self.desk.plugins.is_held(&spec.backend.plugin)) => {
                    early.push(action)
                }
                effect => effects.push(effect),
            }
        }
        let decided = Instant::now();
        let actions = early.len() + effects.len();
        let decision = if actions > 0 { self.desk.telemetry.decision(&because, since, actions) } else { None };
        let is_remembered = (txn.ops.is_empty() && txn.events.is_empty()) || self.commit_at_last(txn, &mut early, decided, decision.as_ref()).await;
        if !is_remembered {
            // The host ends here; the next one decides again, from what was committed.
            return;
        }
        self.ahead.durable();
        self.begin_all(early, decided, decision.as_ref());
        // What brings a service up goes before what tidies up behind it.
        effects.sort_by_key(|effect| !matches!(effect, Action::Start { .. }));
        self.begin_all(effects, decided, decision.as_ref());
        if let Some(decision) = &decision {
            decision.span().end();
        }
        failpoint!("host.loop.effects-begun");
        for notice in &told {
            self.time_starts(notice.kind, &notice.service, notice.replica, notice.run);
            if notice.kind == NoticeKind::Removed {
                self.desk.forget_service(&notice.service);
            }
            if notice.kind == NoticeKind::HealthChanged {
                self.operator.health(&notice.service, &notice.message);
            }
        }
        for name in touched {
            self.operator.show(&self.desk, &name);
        }
        failpoint!("host.loop.shown");
    }

    fn begin_all(&mut self, effects: Vec<Action>, decided: Instant, decision: Option<&Context>) {
        for effect in effects {
            failpoint!("host.loop.before-effect");
            if let Action::Start { run, replica, spec } = &effect {
                self.desk.begun.insert(*run, clock::now());
                self.desk.laps.starting(&spec.name, *replica, decided);
            }
            let span = decision.and_then(|decision| self.desk.telemetry.action(decision, &self.desk, &effect));
            let _present = span.map(Context::attach);
            self.actor.begin(&self.desk, effect);
        }
    }

    /// Notes how long a start took, once it is judged.
    fn time_starts(&mut self, kind: NoticeKind, name: &ServiceName, replica: Option<u32>, run: Option<Run>) {
        let (Some(replica), Some(run)) = (replica, run) else { return };
        if !matches!(kind, NoticeKind::Started | NoticeKind::HealthChanged) {
            return;
        }
        let Some(view) = self.desk.core.service(name.as_str()) else { return };
        let judged = view.spec.checks.is_empty() || view.replicas.iter().any(|part| part.replica == replica && part.health == Health::Healthy);
        if !judged {
            return;
        }
        if let Some(begun) = self.desk.begun.remove(&run) {
            let took = clock::now().since(begun);
            self.desk.startup_ms.insert((name.clone(), replica), took.0);
            self.desk.core.board().take_down(name);
        }
    }

    /// Commits, however long it takes: nothing is done that is not remembered. Reads go on meanwhile. False when the host is to end first.
    /// What is `early` is taken and begun as soon as the decision is written.
    async fn commit_at_last(&mut self, mut txn: Txn, early: &mut Vec<Action>, decided: Instant, decision: Option<&Context>) -> bool {
        failpoint!("host.loop.before-commit");
        loop {
            let (write, written) = oneshot::channel();
            let committing = self.submit(txn.clone(), write);
            if !early.is_empty() && written.await.is_ok() {
                self.begin_all(std::mem::take(early), decided, decision);
                failpoint!("host.loop.begun-early");
            }
            match self.committed(committing).await {
                Ok(()) => {
                    failpoint!("host.loop.committed");
                    if self.desk.trouble.take().is_some() {
                        tracing::info!("the store takes commits again");
                    }
                    return true;
                }
                Err(StoreError::Invalid(reason)) => {
                    let refused = txn.drop_refused();
                    refused.iter().for_each(|error| tracing::error!(%error, "this can never be remembered, and is left out"));
                    if !refused.is_empty() {
                        continue;
                    }
                    self.note_trouble(&StoreError::Invalid(reason));
                }
                Err(error) => self.note_trouble(&error),
            }
            if self.leaving {
                return false;
            }
            self.serve_reads(COMMIT_AGAIN).await;
        }
    }

    fn note_trouble(&mut self, error: &StoreError) {
        if self.desk.trouble.is_none() {
            tracing::error!(%error, "nothing can be committed; the host waits, and tasks go on as they are");
        }
        self.desk.trouble = Some(error.to_string());
    }

    /// Answers reads for a while, and keeps everything else for later. Only leaving needs nothing remembered, so it can be asked for.
    async fn serve_reads(&mut self, time: Duration) {
        let end = tokio::time::Instant::now() + time;
        for message in self.queue.take() {
            self.serve_read(message).await;
        }
        while !self.leaving {
            match tokio::time::timeout_at(end, self.queue.sent()).await {
                Ok(Some(message)) => self.serve_read(message).await,
                Ok(None) => self.leaving = true,
                Err(_) => return,
            }
        }
    }

    async fn serve_read(&mut self, message: Message) {
        match telemetry::untraced(message) {
            Message::Look(look) => look(&self.desk),
            Message::Leave => self.leaving = true,
            Message::Change(leave @ Change::Shutdown { stop_services: false, .. }, answer) => {
                answer.send(self.change(leave).await).ok();
            }
            Message::Change(_, answer) | Message::Marked(_, _, answer) => drop(answer.send(Err(self.cannot_remember()))),
            Message::Write(_, answer) => drop(answer.send(Err(self.cannot_remember()))),
            other => self.queue.put(other),
        }
    }

    fn cannot_remember(&self) -> Failure {
        let why = self.desk.trouble.as_deref().unwrap_or_default();
        Failure::new(Code::Unavailable, format!("nothing was changed: nothing can be remembered now: {why}"))
    }

    /// Commits once, and tells those who follow.
    pub(crate) async fn commit(&mut self, txn: Txn) -> Result<(), StoreError> {
        let (write, _written) = oneshot::channel();
        let committing = self.submit(txn, write);
        self.committed(committing).await
    }

    fn submit(&self, txn: Txn, write: oneshot::Sender<()>) -> Committing {
        let events = txn.events.clone();
        let (tell, outcome) = oneshot::channel();
        // Nobody may wait for the moment in which it is written.
        self.store.submit_in_steps(txn, Box::new(move || _ = write.send(())), Box::new(move |outcome| drop(tell.send(outcome))));
        failpoint!("host.commit.submitted");
        Committing { events, outcome }
    }

    async fn committed(&mut self, Committing { events, outcome }: Committing) -> Result<(), StoreError> {
        match outcome.await.unwrap_or(Err(StoreError::Closed))? {
            Outcome::Committed { revision, first_event } => {
                failpoint!("host.commit.durable");
                let first = first_event.unwrap_or(self.desk.last_event + 1);
                let numbered = (first..).zip(events).map(|(seq, event)| {
                    let NewEvent { kind, subject, at_unix_ms, data } = event;
                    hostler_store::Event { seq, revision, kind, subject, at_unix_ms, data }
                });
                let told: Vec<hostler_store::Event> = numbered.collect();
                self.desk.commits = Some(revision);
                for kind in told.iter().filter_map(|event| EventKind::of(&event.kind)) {
                    *self.desk.told.entry(kind).or_default() += 1;
                }
                if let Some(last) = told.last() {
                    self.desk.last_event = last.seq;
                    self.desk.core.board().has_told(last.seq);
                    self.feed.tell(told);
                }
                failpoint!("host.commit.told");
                Ok(())
            }
            Outcome::Conflict { key } => Err(StoreError::Invalid(format!("somebody else changed {key}"))),
            Outcome::Fenced => Err(StoreError::Invalid("another host has taken over".to_owned())),
        }
    }
}
