//! One operation's turn: step by step, from where its record says that it is.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hostler_api::{ActionResult, Code, DeployRequest, EventKind, Failure, OperationKind, OperationStatus, Shape};
use hostler_core::{ServiceName, Starting, Status, WorkspaceName};
use hostler_failpoint::failpoint;
use hostler_store::Txn;
use serde_json::Value;

use super::judge::{Aim, Verdict, judge};
use super::record::{Step, Task};
use super::{Operations, Over, RESULT_BYTES, Record, WRITE_AGAIN, deployment, event, key, sleep_until};
use crate::beside::{self, Added};
use crate::http::{Door, checked_now};
use crate::ledger::{self, Origin};
use crate::message::{Accepted, Change};
use crate::{apply, clock};

/// How soon it is looked at again whether something has come about: each look is a round of the loop, too,
const SOON: Duration = Duration::from_millis(20);
/// so that after a while it is looked at less often.
const SELDOM: Duration = Duration::from_millis(250);

/// Why an attempt ends before its end.
enum Stop {
    /// It did not work.
    Failed(Failure),
    /// These did not come up: another attempt starts them again.
    Short(Failure, Vec<String>),
    /// It is out of time.
    Late,
    /// Somebody has called it off.
    Cancelled,
    /// The store failed in the middle of a write.
    Unknown(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Stop {
        if failure.code == Code::Unknown { Stop::Unknown(failure) } else { Stop::Failed(failure) }
    }
}

struct Worker {
    operations: Arc<Operations>,
    door: Door,
    id: String,
}

/// One attempt at one operation that nobody else has.
pub(super) async fn work(operations: Arc<Operations>, door: Door, id: String) {
    let worker = Worker { operations, door, id };
    let outcome = match worker.begin().await {
        Ok(()) => worker.attempt().await,
        Err(stop) => Err(stop),
    };
    // What is refused because the host ends goes on with the next one.
    worker.stay_while_closing().await;
    worker.end(outcome).await;
    worker.operations.let_go(&worker.id);
}

impl Worker {
    /// It is under way, and that is known. One that a host died with was so before.
    async fn begin(&self) -> Result<(), Stop> {
        self.stay_while_closing().await;
        let record = self.record()?;
        if record.deadline <= clock::now().0 {
            return Err(Stop::Late);
        }
        if record.cancelled_by.is_some() {
            return Err(Stop::Cancelled);
        }
        if record.status == OperationStatus::Running {
            return Ok(());
        }
        self.amend(|record| {
            record.status = OperationStatus::Running;
            record.attempts += 1;
            "is under way".clone_into(&mut record.message);
            let mut events = vec![event(record, "started", &format!("is under way, attempt {} of {}", record.attempts, record.max_attempts))];
            if record.began.is_none() {
                (record.began, record.started_at) = (Some(clock::now().0), Some(clock::wall_ms()));
                if record.kind == OperationKind::Deploy {
                    events.push(deployment(record, EventKind::DeploymentStarted, "was begun"));
                }
            }
            events
        })
        .await?;
        failpoint!("host.operation.started");
        Ok(())
    }

    async fn attempt(&self) -> Result<Value, Stop> {
        let task = self.operations.task(&self.id).await?;
        loop {
            let record = self.record()?;
            let step = usize::try_from(record.step).ok().and_then(|step| task.steps().get(step));
            match step {
                Some(Step::Specify) => {
                    let change = self.unless_over(self.specification(&task, &record)).await??;
                    self.want(change, None).await?;
                }
                Some(Step::Want) => {
                    let (change, result) = self.unless_over(self.wish(&task, &record)).await??;
                    self.want(change, result).await?;
                    if record.kind == OperationKind::Apply {
                        self.door.front.settled().await;
                    }
                }
                Some(Step::Settle) => {
                    self.unless_over(self.settle(&task, &record)).await??;
                    failpoint!("host.operation.settled");
                    return Ok(result(&record));
                }
                Some(Step::Check) => {
                    let names = names(&record, &record.services)?;
                    let checked = self.unless_over(checked_now(&self.door, &record.workspace, names)).await??;
                    return serde_json::to_value(&checked).map_err(|error| Failure::new(Code::Internal, error.to_string()).into());
                }
                None => return Ok(result(&record)),
            }
        }
    }

    /// Goes on until it is out of time, or somebody calls it off.
    async fn unless_over<T>(&self, going_on: impl Future<Output = T>) -> Result<T, Stop> {
        let deadline = self.record()?.deadline;
        let mut changes = self.operations.changes.subscribe();
        let cancelled = async {
            // One that is not there any more went with its workspace.
            while self.operations.record(&self.id).is_some_and(|record| record.cancelled_by.is_none()) {
                if changes.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::select! {
            biased;
            () = cancelled => Err(Stop::Cancelled),
            done = going_on => Ok(done),
            () = sleep_until(Some(deadline)) => Err(Stop::Late),
        }
    }

    /// A service as it is to be.
    async fn specification(&self, task: &Task, record: &Record) -> Result<Change, Failure> {
        let Task::Deploy { request, .. } = task else { return Err(Failure::new(Code::Internal, "nothing is written there")) };
        let name = names(record, &record.services)?.remove(0);
        Ok(Change::Add(Box::new(specified(&self.door, record.origin(), &record.workspace, name, request).await?)))
    }

    /// What is to be wanted, and what is told of that beside the usual.
    async fn wish(&self, task: &Task, record: &Record) -> Result<(Change, Option<Value>), Failure> {
        if !record.short.is_empty() {
            // What was asked for is wanted: those who did not come up are started again.
            return Ok((Change::Start { names: full_names(&record.short)?, deps: true }, record.result.clone()));
        }
        let named = names(record, &record.services)?;
        let change = match task {
            Task::Deploy { request, .. } => self.deployment(named, request.restart).await?,
            Task::Start(asked) => Change::Start { names: named, deps: !asked.no_deps },
            Task::Stop(asked) => Change::Stop { names: named, force: asked.force },
            Task::Restart(asked) => Change::Restart { names: named, force: asked.force },
            Task::Scale(asked) => {
                let counts: BTreeMap<ServiceName, u32> = named.into_iter().zip(asked.services.values().copied()).collect();
                Change::Scale(counts)
            }
            Task::Down(asked) => Change::Down { keep: asked.keep, force: asked.force },
            Task::Apply(asked) => {
                let prepared = apply::prepare(&self.door.plugins, &self.door.workspaces, record.workspace.clone(), (**asked).clone()).await?;
                if !prepared.problems.is_empty() {
                    return Err(Failure::config(prepared.problems));
                }
                let looked = self.door.look(move |desk| {
                    let plan = apply::plan(desk, &prepared, true);
                    (prepared, plan)
                });
                let (prepared, plan) = looked.await?;
                return Ok((Change::Apply(Box::new(prepared)), serde_json::to_value(&plan).ok()));
            }
            Task::Check(_) => return Err(Failure::new(Code::Internal, "a check wants nothing")),
        };
        // Where nobody is named, all of this workspace are meant.
        Ok((Change::Within(Some(record.workspace.clone()), Box::new(change)), None))
    }

    /// What runs is restarted where that is asked for; what does not is started.
    async fn deployment(&self, named: Vec<ServiceName>, restart: bool) -> Result<Change, Failure> {
        let asked: Vec<String> = named.iter().map(ToString::to_string).collect();
        let is_up = |status: Status| matches!(status, Status::Running | Status::Unhealthy | Status::Starting | Status::Scaling);
        let runs = self.door.look(move |desk| asked.iter().any(|name| is_up(desk.core.status(name)))).await?;
        Ok(if restart && runs { Change::Restart { names: named, force: true } } else { Change::Start { names: named, deps: true } })
    }

    /// Makes it wanted, once: that this step is done is written with it. Nobody calls it off in the middle.
    async fn want(&self, change: Change, result: Option<Value>) -> Result<(), Stop> {
        let _changing = self.operations.changing.lock().await;
        let mut record = self.record()?;
        if record.cancelled_by.is_some() {
            return Err(Stop::Cancelled);
        }
        record.step += 1;
        record.short.clear();
        record.result = result.filter(|result| result.to_string().len() <= RESULT_BYTES);
        "is wanted".clone_into(&mut record.message);
        let (operations, marking) = (Arc::clone(&self.operations), record.clone());
        let mark = Box::new(move |txn: Txn, made: &Accepted| {
            // It may have gone with its workspace.
            if operations.record(&marking.id).is_none() {
                return txn;
            }
            let record = wanted(marking, made);
            txn.put(key(&record.id), ledger::to_json(&record))
        });
        let accepted = self.door.change_marked(change, mark).await?;
        failpoint!("host.operation.wanted");
        self.operations.keep(wanted(record, &accepted));
        Ok(())
    }

    /// Waits until it has come about.
    async fn settle(&self, task: &Task, record: &Record) -> Result<(), Stop> {
        let aim = match task.kind() {
            OperationKind::Stop | OperationKind::Down => Aim::Down,
            OperationKind::Apply | OperationKind::Scale => Aim::AsWanted,
            _ => Aim::Up,
        };
        let chosen = match &record.touched {
            // There was nothing to do.
            Some(touched) if touched.is_empty() => return Ok(()),
            Some(touched) if task.kind() != OperationKind::Deploy => touched.clone(),
            _ => names(record, &record.services)?.iter().map(ToString::to_string).collect(),
        };
        let (mut rounds, mut pause) = (self.door.rounds.clone(), SOON);
        loop {
            rounds.mark_unchanged();
            let (asked, whose) = (chosen.clone(), record.workspace.clone());
            let verdict = self.door.look(move |desk| (!desk.shutting_down).then(|| judge(desk, &whose, &asked, aim))).await?;
            match verdict {
                Some(Verdict::Good) => return Ok(()),
                Some(Verdict::Wait(why)) => self.operations.say(&self.id, why),
                Some(Verdict::Short(failure, names)) => return Err(Stop::Short(failure, names)),
                Some(Verdict::Overtaken(failure)) => return Err(Stop::Failed(failure)),
                // The host ends: the next one looks again.
                None => {}
            }
            tokio::time::sleep(pause).await;
            pause = SELDOM.min(pause * 2);
            if rounds.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Ends it, or puts it off until the next attempt; for as long as the store takes nothing, it is tried again.
    async fn end(&self, outcome: Result<Value, Stop>) {
        if let Err(Stop::Unknown(failure)) = outcome {
            return self.lost_sight(failure);
        }
        failpoint!("host.operation.before-end");
        loop {
            match self.end_once(&outcome).await {
                Ok(()) => break,
                Err(Stop::Unknown(failure)) => return self.lost_sight(failure),
                // It went with its workspace.
                Err(_) if self.operations.record(&self.id).is_none() => return,
                Err(_) => tokio::time::sleep(WRITE_AGAIN).await,
            }
        }
        failpoint!("host.operation.ended");
    }

    async fn end_once(&self, outcome: &Result<Value, Stop>) -> Result<(), Stop> {
        let _changing = self.operations.changing.lock().await;
        let mut record = self.record()?;
        let again = match outcome {
            Err(Stop::Short(failure, names)) => may_again(&record, failure).then_some((failure, Some(names))),
            Err(Stop::Failed(failure)) => may_again(&record, failure).then_some((failure, None)),
            _ => None,
        };
        let txn = match (again, outcome) {
            (Some((failure, short)), _) => put_off(&mut record, failure, short),
            (None, Ok(result)) => self.operations.over(&mut record, Over::Succeeded(result.clone())),
            (None, Err(Stop::Failed(failure) | Stop::Short(failure, _) | Stop::Unknown(failure))) => {
                self.operations.over(&mut record, Over::Failed(failure.clone()))
            }
            (None, Err(Stop::Late)) => {
                let failure = late(&record);
                self.operations.over(&mut record, Over::Failed(failure))
            }
            (None, Err(Stop::Cancelled)) => self.operations.over(&mut record, Over::Cancelled),
        };
        Ok(self.operations.write(&self.door, record, txn).await?)
    }

    /// Nobody knows what is on the disk; the next host does, and goes on from there.
    fn lost_sight(&self, failure: Failure) {
        let Some(mut record) = self.operations.record(&self.id) else { return };
        record.status = OperationStatus::Unknown;
        record.message = "the store failed in the middle of a write; the next start of the host goes on with it".to_owned();
        record.problem = Some(failure);
        self.operations.keep(record);
    }

    /// Changes its record, and writes it.
    async fn amend(&self, change: impl FnOnce(&mut Record) -> Vec<hostler_store::NewEvent>) -> Result<(), Failure> {
        let _changing = self.operations.changing.lock().await;
        let mut record = self.record()?;
        let events = change(&mut record);
        let txn = Txn::new().put(key(&self.id), ledger::to_json(&record));
        self.operations.write(&self.door, record, events.into_iter().fold(txn, Txn::emit)).await
    }

    /// A host that ends carries out nothing more; this never returns then.
    async fn stay_while_closing(&self) {
        if self.door.look(|desk| desk.shutting_down).await.unwrap_or(true) {
            std::future::pending::<()>().await;
        }
    }

    fn record(&self) -> Result<Record, Failure> {
        self.operations.record(&self.id).ok_or_else(|| super::not_found(&self.id))
    }
}

/// A service as a deployment writes it.
///
/// # Errors
/// Every mistake in it.
pub(crate) async fn specified(
    door: &Door,
    origin: Origin,
    workspace: &WorkspaceName,
    name: ServiceName,
    request: &DeployRequest,
) -> Result<Added, Failure> {
    let base_dir = Path::new(request.base_dir.as_deref().unwrap_or("/"));
    if !base_dir.is_absolute() {
        return Err(Failure::new(Code::Invalid, format!("`base_dir` must be absolute, and is `{}`", base_dir.display())));
    }
    let service = vec![(name, Value::Object(request.service.clone().unwrap_or_default()), origin)];
    beside::prepare_at(base_dir, door, workspace, service, Starting::Nothing).await
}

/// As it is once this change was made for it.
fn wanted(mut record: Record, made: &Accepted) -> Record {
    (record.generation, record.last_event) = (Some(made.generation), made.last_event);
    record.touched.get_or_insert_with(|| made.services.iter().map(ToString::to_string).collect());
    record
}

/// Is another attempt worth it, and is there time for it?
fn may_again(record: &Record, failure: &Failure) -> bool {
    let passes = matches!(failure.code, Code::Failed | Code::Unavailable | Code::Timeout | Code::TooMany);
    let in_time = clock::now().0.saturating_add(record.rest()) < record.deadline;
    passes && record.attempts < record.max_attempts && in_time && record.cancelled_by.is_none()
}

/// Another attempt, later.
fn put_off(record: &mut Record, failure: &Failure, short: Option<&Vec<String>>) -> Txn {
    let rest = record.rest();
    record.status = OperationStatus::Queued;
    record.next = clock::now().0.saturating_add(rest);
    if let Some(short) = short {
        // Back to what makes them wanted, which is the step before the last.
        record.step = record.steps.saturating_sub(2);
        record.short.clone_from(short);
    }
    let length = Duration::from_millis(rest);
    record.message = format!("attempt {} of {} has failed, and the next is in {length:?}: {}", record.attempts, record.max_attempts, failure.message);
    Txn::new().put(key(&record.id), ledger::to_json(record)).emit(event(record, "failed-attempt", &record.message))
}

fn late(record: &Record) -> Failure {
    let failure =
        Failure::new(Code::Timeout, format!("it was not done within {:?}; it {}", Duration::from_millis(record.deadline_ms), record.message));
    match record.generation {
        Some(_) => failure.hint("what it has made wanted stays so, and may still come about"),
        None => failure.hint("nothing was changed"),
    }
}

/// What came of it, as the same request says that was not put off.
fn result(record: &Record) -> Value {
    let generation = record.generation.unwrap_or_default();
    if let Some(mut told) = record.result.clone() {
        (told["generation"], told["last_event"]) = (generation.into(), record.last_event.into());
        return told;
    }
    let touched = record.touched.as_ref().map(|touched| touched.iter().map(|name| local(name).to_owned()).collect());
    let services = touched.unwrap_or_else(|| record.services.clone());
    let result = ActionResult { version: Shape, generation, last_event: record.last_event, services, settled: true };
    serde_json::to_value(&result).unwrap_or_default()
}

/// Services as their workspace calls them.
fn names(record: &Record, texts: &[String]) -> Result<Vec<ServiceName>, Failure> {
    let named = |text: &String| ServiceName::new(text).map(|name| name.within(&record.workspace));
    texts.iter().map(named).collect::<Result<_, _>>().map_err(|why| Failure::new(Code::Invalid, why))
}

/// A service of the whole host as its workspace calls it.
pub(super) fn local(name: &str) -> &str {
    name.split_once('.').map_or(name, |(_, local)| local)
}

/// Services as the whole host calls them.
fn full_names(texts: &[String]) -> Result<Vec<ServiceName>, Failure> {
    texts.iter().map(|text| ServiceName::read(text)).collect::<Result<_, _>>().map_err(|why| Failure::new(Code::Invalid, why))
}
