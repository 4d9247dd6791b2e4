//! One operation as it stands in the books, and what was asked for.

use std::collections::BTreeSet;

use hostler_api::{
    ApplyRequest, CheckNowRequest, Code, DeployRequest, DownRequest, Failure, Operation, OperationKind, OperationOptions, OperationProgress,
    OperationStatus, RestartRequest, ScaleRequest, Shape, StartRequest, StopRequest, Timestamp,
};
use hostler_core::WorkspaceName;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock;
use crate::ledger::Origin;

/// The longest that one may take.
const LONGEST_MS: u64 = 7 * 86_400_000;
/// The longest rest between two attempts.
const LONGEST_REST_MS: u64 = 10 * 60_000;
/// How long it rests after the first attempt, where it does not say.
const REST_MS: u64 = 2_000;
/// Attempts of one operation.
const MOST_ATTEMPTS: u32 = 20;
/// Services that one operation names.
const MOST_NAMES: usize = 1_000;
/// The longest key.
const KEY_BYTES: usize = 200;

/// What was asked for, as it was asked. It goes when the operation is over: it may hold secrets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Task {
    Deploy { name: String, request: DeployRequest },
    Apply(Box<ApplyRequest>),
    Start(StartRequest),
    Stop(StopRequest),
    Restart(RestartRequest),
    Scale(ScaleRequest),
    Down(DownRequest),
    Check(CheckNowRequest),
}

impl Task {
    pub(crate) fn kind(&self) -> OperationKind {
        match self {
            Task::Deploy { .. } => OperationKind::Deploy,
            Task::Apply(_) => OperationKind::Apply,
            Task::Start(_) => OperationKind::Start,
            Task::Stop(_) => OperationKind::Stop,
            Task::Restart(_) => OperationKind::Restart,
            Task::Scale(_) => OperationKind::Scale,
            Task::Down(_) => OperationKind::Down,
            Task::Check(_) => OperationKind::Check,
        }
    }

    /// The services it names; none is all.
    pub(crate) fn named(&self) -> Vec<String> {
        match self {
            Task::Deploy { name, .. } => vec![name.clone()],
            Task::Start(StartRequest { services, .. })
            | Task::Stop(StopRequest { services, .. })
            | Task::Restart(RestartRequest { services, .. })
            | Task::Check(CheckNowRequest { services }) => services.clone(),
            Task::Scale(request) => request.services.keys().cloned().collect(),
            Task::Apply(_) | Task::Down(_) => Vec::new(),
        }
    }

    /// What it does, one after the other. Each is told in the store together with what it has changed.
    pub(super) fn steps(&self) -> &'static [Step] {
        match self {
            Task::Deploy { request, .. } if request.service.is_some() => &[Step::Specify, Step::Want, Step::Settle],
            Task::Check(_) => &[Step::Check],
            _ => &[Step::Want, Step::Settle],
        }
    }

    /// The same for whoever asks twice at a time.
    fn unique_key(&self) -> Option<String> {
        if let Task::Deploy { name, .. } = self { Some(format!("deploy:{name}")) } else { None }
    }
}

/// One step of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// A service is wanted as it was written.
    Specify,
    /// What was asked for is wanted.
    Want,
    /// What is wanted comes about.
    Settle,
    /// Checks are run.
    Check,
}

/// One operation. Times that decide are of the clock that never jumps, and begin anew with another boot of the machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(super) id: String,
    pub(super) kind: OperationKind,
    pub(super) workspace: WorkspaceName,
    pub(super) services: Vec<String>,
    pub(super) created_by: String,
    pub(super) priority: i32,
    pub(super) status: OperationStatus,
    pub(super) attempts: u32,
    pub(super) max_attempts: u32,
    pub(super) rest_ms: u64,
    /// Steps that are behind it: with the last of them, what it has changed is in the store.
    pub(super) step: u32,
    pub(super) steps: u32,
    pub(super) message: String,
    /// The generation after its last change; nothing before the first.
    pub(super) generation: Option<u64>,
    /// The newest event before that change.
    pub(super) last_event: u64,
    /// Whom its change was about, in order; nothing while that is not known.
    pub(super) touched: Option<Vec<String>>,
    /// Who did not come up, and is to be started again by the next attempt.
    pub(super) short: Vec<String>,
    pub(super) cancelled_by: Option<String>,
    pub(super) unique_key: Option<String>,
    /// Of what was asked for.
    pub(super) digest: String,
    /// The boot that the times of this clock are of.
    pub(super) boot: String,
    pub(super) deadline: u64,
    pub(super) deadline_ms: u64,
    /// Not before.
    pub(super) next: u64,
    pub(super) began: Option<u64>,
    pub(super) queued_at: u64,
    pub(super) started_at: Option<u64>,
    pub(super) ended_at: Option<u64>,
    pub(super) took_ms: Option<u64>,
    pub(super) result: Option<Value>,
    pub(super) problem: Option<Failure>,
}

impl Record {
    /// What was asked for, if it makes sense.
    pub(super) fn new(
        id: String,
        workspace: WorkspaceName,
        by: &str,
        task: &Task,
        digest: String,
        options: &OperationOptions,
    ) -> Result<Record, Failure> {
        let queue = task.kind().queue();
        let (priority, deadline_ms) = (options.priority.unwrap_or(0), options.deadline_ms.unwrap_or(queue.deadline_ms()));
        let max_attempts = options.max_attempts.unwrap_or(queue.max_attempts());
        let invalid = |message: String| Err(Failure::new(Code::Invalid, message));
        if !(-100..=100).contains(&priority) {
            return invalid(format!("`priority` must be from -100 to 100, and is {priority}"));
        }
        if deadline_ms == 0 || deadline_ms > LONGEST_MS {
            return invalid(format!("`deadline_ms` must be more than nothing and at most {LONGEST_MS}, and is {deadline_ms}"));
        }
        if !(1..=MOST_ATTEMPTS).contains(&max_attempts) {
            return invalid(format!("`max_attempts` must be from 1 to {MOST_ATTEMPTS}, and is {max_attempts}"));
        }
        let odd = |key: &String| key.is_empty() || key.len() > KEY_BYTES || key.chars().any(char::is_control);
        if options.unique_key.as_ref().is_some_and(odd) {
            return invalid(format!("`unique_key` must be 1 to {KEY_BYTES} bytes without control characters"));
        }
        let mut services = task.named();
        let mut seen = BTreeSet::new();
        services.retain(|name| seen.insert(name.clone()));
        if services.len() > MOST_NAMES {
            return invalid(format!("{} services are named, more than the {MOST_NAMES} of one operation", services.len()));
        }
        let now = clock::now().0;
        Ok(Record {
            id,
            kind: task.kind(),
            workspace,
            services,
            created_by: by.to_owned(),
            priority,
            status: OperationStatus::Queued,
            attempts: 0,
            max_attempts,
            rest_ms: options.backoff_ms.unwrap_or(REST_MS).min(LONGEST_REST_MS),
            step: 0,
            steps: u32::try_from(task.steps().len()).expect("there are few"),
            message: "waits for its turn".to_owned(),
            generation: None,
            last_event: 0,
            touched: None,
            short: Vec::new(),
            cancelled_by: None,
            unique_key: options.unique_key.clone().or_else(|| task.unique_key()),
            digest,
            boot: clock::boot_id(),
            deadline: now.saturating_add(deadline_ms),
            deadline_ms,
            next: now,
            began: None,
            queued_at: clock::wall_ms(),
            started_at: None,
            ended_at: None,
            took_ms: None,
            result: None,
            problem: None,
        })
    }

    /// Who asks for a service that it makes.
    pub(super) fn origin(&self) -> Origin {
        Origin::Request { by: self.created_by.clone() }
    }

    /// Is it over for good?
    pub(super) fn is_finished(&self) -> bool {
        matches!(self.status, OperationStatus::Succeeded | OperationStatus::Failed | OperationStatus::Cancelled)
    }

    /// As it is after the death of a host: what was under way goes on; in another boot its time begins anew.
    pub(super) fn taken_up(mut self) -> Record {
        let (now, boot) = (clock::now().0, clock::boot_id());
        if self.boot != boot && !self.is_finished() {
            self.boot = boot;
            self.deadline = now.saturating_add(self.deadline_ms);
            self.next = now;
            self.began = self.began.map(|_| now);
        }
        self
    }

    /// How long it rests before another attempt: twice as long after each.
    pub(super) fn rest(&self) -> u64 {
        let doubled = 1_u64 << self.attempts.saturating_sub(1).min(20);
        self.rest_ms.saturating_mul(doubled).min(LONGEST_REST_MS)
    }

    /// As it is told.
    pub(super) fn told(&self) -> Operation {
        let waits = self.status == OperationStatus::Queued;
        Operation {
            version: Shape,
            id: self.id.clone(),
            kind: self.kind,
            workspace: self.workspace.to_string(),
            services: self.services.clone(),
            created_by: self.created_by.clone(),
            queue: self.kind.queue(),
            priority: self.priority,
            status: self.status,
            attempts: self.attempts,
            max_attempts: self.max_attempts,
            progress: OperationProgress { done: self.step, of: self.steps, message: self.message.clone() },
            cancel_requested: self.cancelled_by.is_some() && !self.is_finished(),
            unique_key: self.unique_key.clone(),
            queued_at: Timestamp(self.queued_at),
            started_at: self.started_at.map(Timestamp),
            next_attempt_at: (waits && self.attempts > 0).then(|| clock::wall(hostler_core::Time(self.next))),
            deadline_at: (!self.is_finished()).then(|| clock::wall(hostler_core::Time(self.deadline))),
            ended_at: self.ended_at.map(Timestamp),
            duration_ms: self.took_ms,
            result: self.result.clone(),
            problem: self.problem.clone(),
        }
    }
}

/// The digest of what was asked for: the same for the same.
pub(super) fn digest(task: &[u8]) -> String {
    blake3::hash(task).to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(options: &OperationOptions) -> Result<Record, String> {
        let task = Task::Start(StartRequest::default());
        Record::new("1".to_owned(), WorkspaceName::default(), "me", &task, String::new(), options).map_err(|failure| failure.message)
    }

    #[test]
    fn it_rests_twice_as_long_after_each_attempt_and_never_for_ever() {
        let mut record = with(&OperationOptions { backoff_ms: Some(100), ..OperationOptions::default() }).expect("it makes sense");
        let mut rests = Vec::new();
        for attempts in [1, 2, 3, 30, u32::MAX] {
            record.attempts = attempts;
            rests.push(record.rest());
        }
        assert_eq!(rests, [100, 200, 400, LONGEST_REST_MS, LONGEST_REST_MS]);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let none = OperationOptions::default;
        for odd in [
            OperationOptions { priority: Some(101), ..none() },
            OperationOptions { deadline_ms: Some(0), ..none() },
            OperationOptions { deadline_ms: Some(u64::MAX), ..none() },
            OperationOptions { max_attempts: Some(0), ..none() },
            OperationOptions { max_attempts: Some(21), ..none() },
            OperationOptions { unique_key: Some(String::new()), ..none() },
            OperationOptions { unique_key: Some("a\nb".to_owned()), ..none() },
        ] {
            assert!(with(&odd).is_err(), "{odd:?}");
        }
    }

    #[test]
    fn a_service_is_named_once_and_only_so_many_are() {
        let of = |services: Vec<String>| {
            let task = Task::Start(StartRequest { services, ..StartRequest::default() });
            Record::new("1".to_owned(), WorkspaceName::default(), "me", &task, String::new(), &OperationOptions::default())
        };
        let same = of(["b", "a", "b"].repeat(100_000).into_iter().map(str::to_owned).collect()).expect("it makes sense");
        assert_eq!(same.services, ["b", "a"]);
        assert!(of((0..=MOST_NAMES).map(|number| format!("s{number}")).collect()).is_err());
    }

    #[test]
    fn another_boot_gives_what_is_unfinished_its_whole_time_again() {
        let mut record = with(&OperationOptions { deadline_ms: Some(5_000), ..OperationOptions::default() }).expect("it makes sense");
        (record.boot, record.deadline, record.began) = ("another".to_owned(), 7, Some(3));
        let taken_up = record.clone().taken_up();
        assert!(taken_up.deadline >= clock::now().0 && taken_up.began > Some(3) && taken_up.boot == clock::boot_id());
        record.status = OperationStatus::Failed;
        assert_eq!(record.clone().taken_up(), record);
    }
}
