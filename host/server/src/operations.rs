//! Operations: what takes its time is written down, done by workers, and told; it outlives the host.
//!
//! An operation stands in the store before anybody is told of it. Each of its steps changes what is wanted, and is written in the same
//! transaction as that change: whoever takes it up after the death of a host knows from its own record what is done, and does the rest. So no
//! step is done twice, and none is lost. What was asked for stands beside it until it is over.

mod book;
mod judge;
mod record;
mod restored;
mod worker;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hostler_api::{Code, EventKind, Failure, Operation, OperationKind, OperationOptions, OperationStatus, OperationsQuery};
use hostler_core::{ServiceName, WorkspaceName};
use hostler_failpoint::failpoint;
use hostler_store::{NewEvent, Store, StoreError, Txn};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::http::{Door, idempotency};
use crate::ledger;
use crate::{HostError, clock};
use book::Book;
pub(crate) use record::{Record, Task};
pub(crate) use restored::restored;
#[cfg(test)]
pub(crate) use restored::{outcomes, waiting};
pub(crate) use worker::specified;

const PREFIX: &str = "operations/";
/// What was asked for, until it is done.
const TASKS: &str = "operation-tasks/";
/// Under `meta/`: the newest id.
const LAST: &str = "operation";
/// Operations of one workspace that are not over.
const MOST: usize = 1_000;
/// The longest request that is put off.
const TASK_BYTES: usize = 4 << 20;
/// A result that is longer is not kept.
const RESULT_BYTES: usize = 64 << 10;
/// How long to wait before a record that could not be written is written again.
const WRITE_AGAIN: Duration = Duration::from_secs(1);

/// All operations of this host.
pub(crate) struct Operations {
    store: Arc<dyn Store>,
    book: Mutex<Book>,
    /// Held while a record is changed: what is written and what is known do not part.
    changing: tokio::sync::Mutex<()>,
    /// Counts the changes, for those who wait.
    changes: watch::Sender<u64>,
}

impl Operations {
    /// Those that the store knows; what is not over goes on once [`Operations::run`] does.
    pub(crate) fn recall(store: Arc<dyn Store>) -> Result<Operations, HostError> {
        let mut book = Book::default();
        ledger::each(&*store, PREFIX, |id, record: Record| {
            book.records.insert(id.to_owned(), record.taken_up());
            Ok(())
        })?;
        let newest = book.records.keys().next_back().and_then(|id| book::read(id)).unwrap_or(0);
        book.last = newest.max(ledger::meta(&*store, LAST)?.unwrap_or(0));
        Ok(Operations { store, book: Mutex::new(book), changing: tokio::sync::Mutex::default(), changes: watch::Sender::new(0) })
    }

    /// Writes down what is to be done. One that is unfinished and has the same unique key is answered instead, where it is about the same.
    ///
    /// # Errors
    /// It makes no sense; the key belongs to something else; too many wait; it could not be written.
    pub(crate) async fn queue(
        self: &Arc<Self>,
        door: &Door,
        task: &Task,
        by: &str,
        workspace: WorkspaceName,
        options: &OperationOptions,
    ) -> Result<Operation, Failure> {
        let asked = ledger::to_json(task);
        if asked.len() > TASK_BYTES {
            let failure = Failure::new(Code::Invalid, format!("the request has {} bytes, more than the {TASK_BYTES} that are put off", asked.len()));
            return Err(failure.hint("ask for it without `Prefer: respond-async`"));
        }
        let _changing = self.changing.lock().await;
        let record = {
            let mut book = self.book();
            let id = book.new_id(clock::wall_ms());
            let record = Record::new(id, workspace, by, task, record::digest(&asked), options)?;
            if let Some(other) = book.with_key(&record) {
                return if other.digest == record.digest { Ok(other.told()) } else { Err(in_the_way(other)) };
            }
            if book.open().filter(|other| other.workspace == record.workspace).count() >= MOST {
                let failure = Failure::new(Code::TooMany, format!("{MOST} operations of workspace `{}` are unfinished", record.workspace));
                return Err(failure.hint("wait until some are done, or cancel them"));
            }
            record
        };
        let last = self.book().last;
        let mut txn = Txn::new().put(key(&record.id), ledger::to_json(&record)).put(task_key(&record.id), asked);
        txn = txn.put(format!("meta/{LAST}"), ledger::to_json(&last)).emit(event(&record, "queued", &format!("was asked for by {by}")));
        txn = idempotency::note_operation(txn, &record.id);
        let (told, operations) = (record.told(), Arc::clone(self));
        let written = door.write(&record.workspace.clone(), txn, move || operations.add(record)).await;
        written.map_err(|failure| asked_about(failure, &told.id))?;
        failpoint!("host.operation.queued");
        Ok(told)
    }

    /// One of them.
    pub(crate) fn told(&self, id: &str) -> Option<(WorkspaceName, Operation)> {
        self.book().records.get(id).map(|record| (record.workspace.clone(), record.told()))
    }

    /// The same once it is over, or after this long.
    pub(crate) async fn told_when_over(&self, id: &str, wait: Duration) -> Option<Operation> {
        let mut changes = self.changes.subscribe();
        let end = tokio::time::Instant::now() + wait;
        loop {
            changes.mark_unchanged();
            let (_, operation) = self.told(id)?;
            if operation.status.is_over() || !matches!(tokio::time::timeout_at(end, changes.changed()).await, Ok(Ok(()))) {
                return Some(operation);
            }
        }
    }

    /// Is a deployment of this service asked for, and not over?
    pub(crate) fn is_deploying(&self, service: &ServiceName) -> bool {
        let is_of = |record: &Record| {
            record.kind == OperationKind::Deploy
                && record.workspace.as_str() == service.workspace()
                && record.services[..] == [service.local().to_owned()]
        };
        self.book().open().any(is_of)
    }

    /// A page of those of a workspace, and where the next one begins.
    pub(crate) fn page(&self, workspace: &WorkspaceName, asked: &OperationsQuery) -> (Vec<Operation>, Option<String>) {
        self.book().page(asked, |record| record.workspace == *workspace)
    }

    /// Calls one off. One that waits is over at once; one that is under way stops at its next step. A second call changes nothing.
    ///
    /// # Errors
    /// There is none, it is over, or that could not be written.
    pub(crate) async fn cancel(self: &Arc<Self>, door: &Door, id: &str, by: &str) -> Result<Operation, Failure> {
        let _changing = self.changing.lock().await;
        let (mut record, held) = {
            let mut book = self.book();
            let record = book.records.get(id).cloned().ok_or_else(|| not_found(id))?;
            // Nobody takes it from now on.
            let waits = record.status == OperationStatus::Queued && book.taken.insert(id.to_owned());
            drop(book);
            (record, waits.then(|| Held { operations: self, id }))
        };
        match record.status {
            OperationStatus::Cancelled => Ok(record.told()),
            OperationStatus::Succeeded | OperationStatus::Failed | OperationStatus::Unknown => {
                Err(Failure::new(Code::Conflict, format!("operation {id} is over: it {}", ended(record.status))))
            }
            _ if record.cancelled_by.is_some() => Ok(record.told()),
            _ => {
                record.cancelled_by = Some(by.to_owned());
                let txn = if held.is_some() { self.over(&mut record, Over::Cancelled) } else { Txn::new().put(key(id), ledger::to_json(&record)) };
                let told = record.told();
                self.write(door, record, txn).await?;
                Ok(told)
            }
        }
    }

    /// Writes a record that is known, and knows it so once that is written.
    async fn write(self: &Arc<Self>, door: &Door, record: Record, txn: Txn) -> Result<(), Failure> {
        let operations = Arc::clone(self);
        door.write(&record.workspace.clone(), txn, move || operations.keep(record)).await
    }

    /// Takes out of the store what there is of a workspace that is removed.
    pub(crate) fn without(&self, workspace: &WorkspaceName, txn: Txn) -> Txn {
        let book = self.book();
        let theirs = book.records.values().filter(|record| record.workspace == *workspace);
        theirs.fold(txn, |txn, record| txn.delete(key(&record.id)).delete(task_key(&record.id)))
    }

    /// They are not there any more; whoever carries one out finds that, and stops.
    pub(crate) fn forget(&self, workspace: &WorkspaceName) {
        self.book().records.retain(|_, record| record.workspace != *workspace);
        self.changes.send_modify(|count| *count += 1);
    }

    /// Gives each its turn, for as long as the host lives.
    pub(crate) async fn run(self: Arc<Self>, door: Door) {
        let mut changes = self.changes.subscribe();
        let mut workers = JoinSet::new();
        loop {
            changes.mark_unchanged();
            for id in self.take(door.workspaces.each().len() <= 1) {
                workers.spawn(worker::work(Arc::clone(&self), door.clone(), id));
            }
            let due = self.book().due(clock::now().0);
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = sleep_until(due) => {}
                // What broke is not lost: the next host takes it up.
                Some(Err(error)) = workers.join_next() => tracing::error!(%error, "an operation broke"),
            }
        }
    }

    /// Those whose turn it is, and those that are out of time.
    fn take(&self, alone: bool) -> Vec<String> {
        let now = clock::now().0;
        let mut book = self.book();
        let mut taken = book.late(now);
        book.taken.extend(taken.iter().cloned());
        while let Some(id) = book.next(now, alone) {
            book.taken.insert(id.clone());
            taken.push(id);
        }
        taken
    }

    /// What was asked for.
    async fn task(&self, id: &str) -> Result<Task, Failure> {
        let (store, at) = (Arc::clone(&self.store), task_key(id));
        let read = tokio::task::spawn_blocking(move || store.get(&at)).await.unwrap_or(Err(StoreError::Closed));
        let found = read.map_err(|error| crate::change::store_failure(&error))?;
        let found = found.ok_or_else(|| Failure::new(Code::Internal, "what was asked for is not in the store"))?;
        serde_json::from_slice(&found.value).map_err(|error| Failure::new(Code::Internal, format!("what was asked for cannot be read: {error}")))
    }

    /// Its record as it is now.
    fn record(&self, id: &str) -> Option<Record> {
        self.book().records.get(id).cloned()
    }

    /// Says what it waits for; that is not written.
    fn say(&self, id: &str, message: String) {
        let mut book = self.book();
        if let Some(record) = book.records.get_mut(id).filter(|record| record.message != message) {
            record.message = message;
            drop(book);
            self.changes.send_modify(|count| *count += 1);
        }
    }

    /// Knows a new one that was written.
    fn add(&self, record: Record) {
        self.book().records.insert(record.id.clone(), record);
        self.changes.send_modify(|count| *count += 1);
    }

    /// Puts a record that was written in the place of the one before. One that went with its workspace stays away.
    fn keep(&self, record: Record) {
        let mut book = self.book();
        let Some(known) = book.records.get_mut(&record.id) else { return };
        let ended = record.is_finished().then(|| record.id.clone());
        *known = record;
        for old in ended.map(|ended| book.outdated(&ended)).unwrap_or_default() {
            book.records.remove(&old);
        }
        drop(book);
        self.changes.send_modify(|count| *count += 1);
    }

    /// A worker has let go of it.
    fn let_go(&self, id: &str) {
        self.book().taken.remove(id);
        self.changes.send_modify(|count| *count += 1);
    }

    /// Ends a record, and answers what is to be written for that.
    fn over(&self, record: &mut Record, over: Over) -> Txn {
        let now = clock::now().0;
        record.ended_at = Some(clock::wall_ms());
        record.took_ms = record.began.map(|began| now.saturating_sub(began));
        record.short.clear();
        let (status, message) = match over {
            Over::Succeeded(result) => {
                record.step = record.steps;
                record.result = Some(result).filter(|result| result.to_string().len() <= RESULT_BYTES);
                (OperationStatus::Succeeded, "is done".to_owned())
            }
            Over::Failed(failure) => {
                let message = format!("has failed: {}", failure.message);
                record.problem = Some(failure);
                (OperationStatus::Failed, message)
            }
            Over::Cancelled => {
                let by = record.cancelled_by.as_deref().unwrap_or("somebody");
                let stays = if record.generation.is_some() { "; what it has made wanted stays so" } else { "; nothing was changed" };
                (OperationStatus::Cancelled, format!("was cancelled by {by}{stays}"))
            }
        };
        record.status = status;
        record.message.clone_from(&message);
        let mut txn = Txn::new().put(key(&record.id), ledger::to_json(record)).delete(task_key(&record.id));
        txn = self.book().outdated(&record.id).iter().fold(txn, |txn, old| txn.delete(key(old)));
        txn = txn.emit(event(record, status.as_str(), &message));
        if record.kind == OperationKind::Deploy && record.began.is_some() {
            let kind = if status == OperationStatus::Succeeded { EventKind::DeploymentCompleted } else { EventKind::DeploymentFailed };
            txn = txn.emit(deployment(record, kind, &message));
        }
        txn
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Holds one that waits, so that no worker takes it.
struct Held<'a> {
    operations: &'a Operations,
    id: &'a str,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.operations.let_go(self.id);
    }
}

/// How one ends.
enum Over {
    Succeeded(serde_json::Value),
    Failed(Failure),
    Cancelled,
}

/// There is no such operation.
pub(crate) fn not_found(id: &str) -> Failure {
    Failure::new(Code::NotFound, format!("there is no operation `{}`", id.escape_default())).hint("`hostler operations` shows them")
}

fn in_the_way(other: &Record) -> Failure {
    let key = other.unique_key.as_deref().unwrap_or_default().escape_default().to_string();
    let failure = Failure::new(Code::Conflict, format!("operation {} has the key `{key}`, is about something else, and is not over", other.id));
    failure.hint(format!("wait for it (`hostler operations wait {0}`), or call it off (`hostler operations cancel {0}`)", other.id))
}

/// Where nobody knows whether it was written, the next host does.
fn asked_about(failure: Failure, id: &str) -> Failure {
    if failure.code != Code::Unknown {
        return failure;
    }
    let hint = format!("once the host was started anew, `hostler operations show {id}` shows it, or says that it was never queued");
    failure.hint(hint)
}

fn ended(status: OperationStatus) -> &'static str {
    match status {
        OperationStatus::Succeeded => "is done",
        OperationStatus::Failed => "has failed",
        _ => "is as the store was left",
    }
}

fn key(id: &str) -> String {
    format!("{PREFIX}{id}")
}

fn task_key(id: &str) -> String {
    format!("{TASKS}{id}")
}

/// Whom it is about, where it is one, as the whole host calls it; else its workspace.
fn subject(record: &Record) -> String {
    let workspace = || ledger::of_workspace(record.workspace.as_str());
    match &record.services[..] {
        [one] => ServiceName::new(one).map_or_else(|_| workspace(), |name| name.within(&record.workspace).to_string()),
        _ => workspace(),
    }
}

fn event(record: &Record, state: &str, what: &str) -> NewEvent {
    let whom = if record.services.is_empty() { "all services".to_owned() } else { record.services.join(", ") };
    let data = json!({
        "message": format!("operation {}, {} of {whom}, {what}", record.id, record.kind.as_str()),
        "operation": record.id,
        "operation_kind": record.kind,
        "state": state,
        "attempt": record.attempts,
        "services": record.services,
        "duration_ms": record.took_ms,
    });
    ledger::note(EventKind::Operation, &subject(record), &data)
}

fn deployment(record: &Record, kind: EventKind, what: &str) -> NewEvent {
    let error = record.problem.as_ref().map(|problem| problem.message.clone());
    let data = json!({
        "message": format!("the deployment {what}"),
        "operation": record.id,
        "duration_ms": record.took_ms,
        "triggered_by": record.created_by,
        "error": error,
    });
    ledger::note(kind, &subject(record), &data)
}

async fn sleep_until(due: Option<u64>) {
    match due {
        Some(at) => tokio::time::sleep(Duration::from_millis(at.saturating_sub(clock::now().0))).await,
        None => std::future::pending().await,
    }
}
