//! The only loop: hear, decide, commit, act, wait. What it decides is the core's business.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use hostler_api::{Code, EventKind, Failure};
use hostler_core::{Action, CheckResult, Event, Health, NoticeKind, Phase, Run, Saved, ServiceName, Turn};
use hostler_failpoint::failpoint;
use hostler_store::{NewEvent, Outcome, Store, StoreError, Txn};
use hostler_wasm::words::{Found, Status};
use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;
use tokio::sync::{mpsc, oneshot, watch};

use crate::act::Actor;
use crate::clock;
use crate::desk::{Desk, Stranger, phase};
use crate::feed::Feed;
use crate::ledger::{self, Ahead, HandleRecord};
use crate::memory;
use crate::message::{Accepted, Change, Mark, Message, News};
use crate::operator::Operator;
use crate::{heartbeats, telemetry, upgrade};

/// The loop and what it holds.
pub(crate) struct Driver {
    pub(crate) desk: Desk,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) inbox: mpsc::UnboundedReceiver<Message>,
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
    /// Heard while nothing could be committed.
    pub(crate) backlog: VecDeque<Message>,
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
                message = next_message(&mut self.backlog, &mut self.inbox) => happened = self.hear_all(message).await,
                // 2. Something is due.
                () = sleep_until(wake) => self.desk.core.handle(clock::now(), Event::Tick),
                // 3. Nothing is, for a while.
                () = tokio::time::sleep(rest), if self.heard => {
                    (self.heard, self.given_back) = (false, Some(Instant::now()));
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
    async fn hear_all(&mut self, first: Option<Message>) -> bool {
        let Some(first) = first else {
            self.leaving = true;
            return true;
        };
        self.heard = true;
        let begun = Instant::now();
        let mut happened = !matches!(first, Message::Look(_));
        self.hear(first).await;
        for _ in 1..MESSAGES_PER_ROUND {
            if begun.elapsed() >= HEARING {
                break;
            }
            let Some(message) = self.backlog.pop_front().or_else(|| self.inbox.try_recv().ok()) else { break };
            happened |= !matches!(message, Message::Look(_));
            self.hear(message).await;
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
            Message::Traced(_, message) => self.backlog.push_back(*message),
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

    fn hear_news(&mut self, news: News) {
        let now = clock::now();
        let event = match news {
            News::Started { run, backend, id, handle, status } => {
                self.keep_handle(run, HandleRecord { id, handle });
                if let Some((name, replica)) = self.desk.core.owner_of(run) {
                    self.desk.laps.started(name, replica);
                }
                self.desk.core.handle(now, Event::Started { run });
                let Some(status) = status else { return };
                let phase = phase(&status);
                self.desk.note_seen(run, status);
                Event::Seen { backend, seen: vec![(run, phase)] }
            }
            News::StartFailed { run, fault } => Event::StartFailed { run, fault },
            News::Updated { run, ticket, fault } => Event::Updated { run, ticket, fault },
            News::Stopped { run, status } => {
                let exit = status.as_ref().and_then(|status| match phase(status) {
                    Phase::Exited(exit) => Some(exit),
                    Phase::Pending | Phase::Running | Phase::Stopping | Phase::Gone | Phase::Unknown(_) => None,
                });
                Event::Stopped { run, exit }
            }
            News::StopFailed { run, fault } => Event::StopFailed { run, fault },
            News::Destroyed { run, fault } => Event::Destroyed { run, fault },
            News::Looked { backend, seen } => Event::Looked { backend, seen: seen.map(|seen| self.note_statuses(seen)) },
            News::Seen { backend, run, status } => {
                if let Some((name, replica)) = self.desk.core.owner_of(run) {
                    self.desk.laps.seen(name, replica);
                }
                Event::Seen { backend, seen: self.note_statuses(vec![(run, status)]) }
            }
            News::Listed { backend, found } => {
                let found = found.map(|found| self.note_found(&backend, found));
                Event::Listed { backend, found }
            }
            News::Checked { result, details } => {
                self.note_result(&result, details);
                Event::Checked(result)
            }
        };
        failpoint!("host.news.before-deciding");
        self.desk.core.handle(now, event);
        failpoint!("host.news.decided");
    }

    fn keep_handle(&mut self, run: Run, record: HandleRecord) {
        let next = std::mem::take(&mut self.next);
        self.next = next.put(ledger::handle_key(run), ledger::to_json(&record));
        self.desk.handles.insert(run, record);
        failpoint!("host.news.handle-kept");
    }

    fn note_statuses(&mut self, seen: Vec<(Run, Status)>) -> Vec<(Run, Phase)> {
        let mut phases = Vec::with_capacity(seen.len());
        for (run, status) in seen {
            phases.push((run, phase(&status)));
            if self.desk.handles.contains_key(&run) {
                self.desk.note_seen(run, status);
            }
        }
        phases
    }

    /// What a backend has of ours: handles we did not know are kept, and strangers are reported once.
    fn note_found(&mut self, backend: &str, found: Vec<Found>) -> Vec<(Run, Phase)> {
        let mut phases = Vec::new();
        let mut strangers = BTreeMap::new();
        for Found { id, handle, status, .. } in found {
            let Some(run) = self.desk.run_of(&id).filter(|run| self.is_ours(*run, &id, backend)) else {
                strangers.insert(id, Stranger { handle, status });
                continue;
            };
            if !self.desk.handles.contains_key(&run) {
                self.keep_handle(run, HandleRecord { id, handle });
                failpoint!("host.news.found-kept");
            }
            phases.push((run, phase(&status)));
            self.desk.note_seen(run, status);
        }
        self.report_strangers(backend, strangers);
        phases
    }

    /// Is this a life that we know, under its own id, at the backend that holds it?
    fn is_ours(&self, run: Run, id: &str, backend: &str) -> bool {
        self.desk.is_held_by(run, backend)
            && match self.desk.core.owner_of(run) {
                Some((name, replica)) => self.desk.task_id(name, replica, run) == id,
                None => self.desk.core.is_abandoned(run),
            }
    }

    /// Tells of those that the listing before did not have: one event for all of them.
    fn report_strangers(&mut self, backend: &str, strangers: BTreeMap<String, Stranger>) {
        /// More are only counted.
        const NAMED: usize = 5;
        let before = self.desk.strangers.remove(backend).unwrap_or_default();
        let new: Vec<&String> = strangers.keys().filter(|id| !before.contains_key(*id)).collect();
        if !new.is_empty() {
            let named: Vec<&str> = new.iter().take(NAMED).map(|id| id.as_str()).collect();
            let more = if new.len() > named.len() { format!(" and {} more", new.len() - named.len()) } else { String::new() };
            let message = format!("backend {backend} has `{}`{more} with our tag, which nobody here knows; it is left alone", named.join("`, `"));
            let data = serde_json::json!({ "message": message, "backend": backend, "count": new.len(), "ids": named });
            self.next.events.push(ledger::note(EventKind::Stranger, ledger::OF_THE_HOST, &data));
        }
        if !strangers.is_empty() {
            self.desk.strangers.insert(backend.to_owned(), strangers);
        }
    }

    /// Keeps the figures of a check under its name, unless the spec has it no longer.
    fn note_result(&mut self, result: &CheckResult, details: BTreeMap<String, String>) {
        let Some((name, replica, index)) = self.desk.core.asked_by(result) else { return };
        let check = self.desk.core.wanted(name.as_str()).and_then(|wanted| wanted.spec.checks.get(index)).map(|spec| spec.name.clone());
        if let Some(check) = check {
            let latency = self.desk.latencies.entry((name.clone(), check.clone())).or_default();
            latency.hear(result.verdict, result.took);
            let key = (name.clone(), replica, check);
            self.desk.details.insert(key, details);
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
        while let Ok(message) = tokio::time::timeout_at(end, self.inbox.recv()).await {
            match message.map(telemetry::untraced) {
                Some(Message::Look(look)) => look(&self.desk),
                Some(Message::Leave) | None => {
                    self.leaving = true;
                    return;
                }
                Some(Message::Change(leave @ Change::Shutdown { stop_services: false, .. }, answer)) => {
                    answer.send(self.change(leave).await).ok();
                    return;
                }
                Some(Message::Change(_, answer) | Message::Marked(_, _, answer)) => drop(answer.send(Err(self.cannot_remember()))),
                Some(Message::Write(_, answer)) => drop(answer.send(Err(self.cannot_remember()))),
                Some(other) => self.backlog.push_back(other),
            }
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

async fn next_message(backlog: &mut VecDeque<Message>, inbox: &mut mpsc::UnboundedReceiver<Message>) -> Option<Message> {
    match backlog.pop_front() {
        Some(message) => Some(message),
        None => inbox.recv().await,
    }
}

async fn sleep_until(wake: Option<hostler_core::Time>) {
    match wake {
        Some(at) => tokio::time::sleep(Duration::from_millis(at.since(clock::now()).0)).await,
        None => std::future::pending().await,
    }
}
