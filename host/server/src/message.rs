//! What the loop hears.

use std::collections::BTreeMap;

use hostler_api::Failure;
use hostler_core::{CheckResult, Fault, Loads, Run, ServiceName, Turn, WorkspaceName};
use hostler_store::{NewEvent, StoreError, Txn};
use hostler_wasm::words::{Found, Handle, Status};
use opentelemetry::Context;
use tokio::sync::oneshot;

use crate::apply::Prepared;
use crate::beside::{Added, OnlyIf};
use crate::desk::Desk;
use crate::upgrade::Revise;
use crate::workspaces::Estate;

/// One thing for the loop to hear.
pub(crate) enum Message {
    /// An action was carried out.
    News(News),
    /// A backend's task changed: look at it, or at all of them.
    Wake {
        /// The plugin.
        backend: String,
        /// The task's id, when that is known.
        id: Option<String>,
    },
    /// What had our tag and nobody knew was ended.
    Gone {
        /// The plugin.
        backend: String,
        /// The task's id.
        id: String,
    },
    /// The keeper came, went, or told more than could be heard: ends may have been missed.
    Keeper,
    /// Calls broke a plugin so often that something follows, or work again.
    Standing {
        /// The plugin.
        plugin: String,
        /// Whom the calls were about.
        subject: String,
        /// What follows.
        turn: Turn,
    },
    /// What the replicas of a service use.
    Weigh {
        /// Whose.
        service: String,
        /// How much.
        loads: Loads,
    },
    /// One of the others, with what it came of.
    Traced(Context, Box<Message>),
    /// Something to stand in the event log.
    Note(NewEvent),
    /// The same of a call of a plugin: it is told to those whom the call was about.
    Said {
        /// What the call was about, as the plugin was told.
        about: String,
        /// Still without a subject.
        note: NewEvent,
    },
    /// Something to be remembered and told beside any decision, and where to say whether it is.
    Commit(Box<Txn>, oneshot::Sender<Result<(), StoreError>>),
    /// A read.
    Look(Box<dyn FnOnce(&Desk) + Send>),
    /// A request, and where its answer goes.
    Change(Change, oneshot::Sender<Result<Accepted, Failure>>),
    /// The same, with what else is to be written in its transaction.
    Marked(Change, Vec<Mark>, oneshot::Sender<Result<Accepted, Failure>>),
    /// A transaction that changes nothing that is wanted.
    Write(Box<Writing>, oneshot::Sender<Result<(), Failure>>),
    /// The host ends; the tasks stay.
    Leave,
}

impl Message {
    /// Is it one that is committed by itself, or the end? Whoever hears it waits for the disk.
    pub(crate) fn writes(&self) -> bool {
        match self {
            Self::Commit(..) | Self::Change(..) | Self::Marked(..) | Self::Write(..) | Self::Weigh { .. } | Self::Leave => true,
            Self::Traced(_, message) => message.writes(),
            Self::News(_) | Self::Wake { .. } | Self::Gone { .. } | Self::Keeper | Self::Standing { .. } => false,
            Self::Note(_) | Self::Said { .. } | Self::Look(_) => false,
        }
    }
}

/// A transaction that changes nothing that is wanted.
pub(crate) struct Writing {
    /// Whose it is: it is refused when there is no such workspace any more.
    pub(crate) workspace: WorkspaceName,
    pub(crate) txn: Txn,
    /// What is known from then on. It is done before anything else is heard, so that what is written and what is known do not part.
    pub(crate) then: Box<dyn FnOnce() + Send>,
}

/// Adds to the transaction of a change, of which it is told what it comes to: whoever finds it in the store knows that the change was made,
/// and whoever does not, that it was not.
pub(crate) type Mark = Box<dyn FnOnce(Txn, &Accepted) -> Txn + Send>;

/// What became of an action.
pub(crate) enum News {
    Started { run: Run, backend: String, id: String, handle: Handle, status: Option<Status> },
    StartFailed { run: Run, fault: Fault },
    Updated { run: Run, ticket: u64, fault: Option<Fault> },
    Stopped { run: Run, status: Option<Status> },
    StopFailed { run: Run, fault: Fault },
    Destroyed { run: Run, fault: Option<Fault> },
    Looked { backend: String, seen: Result<Vec<(Run, Status)>, String> },
    Seen { backend: String, run: Run, status: Status },
    Listed { backend: String, found: Result<Vec<Found>, String> },
    Checked { result: CheckResult, details: BTreeMap<String, String> },
}

/// What is asked of the host.
pub(crate) enum Change {
    Start {
        names: Vec<ServiceName>,
        deps: bool,
    },
    Stop {
        names: Vec<ServiceName>,
        force: bool,
    },
    Restart {
        names: Vec<ServiceName>,
        force: bool,
    },
    Scale(BTreeMap<ServiceName, u32>),
    Replica {
        name: ServiceName,
        replica: u32,
        wish: Wish,
        force: bool,
    },
    Apply(Box<Prepared>),
    Add(Box<Added>),
    Remove {
        names: Vec<ServiceName>,
        only_if: OnlyIf,
        force: bool,
    },
    Absent(Vec<ServiceName>),
    Release(Vec<ServiceName>),
    Down {
        keep: bool,
        force: bool,
    },
    CheckNow(Vec<ServiceName>),
    Revise(Box<Revise>),
    Estate(Box<Estate>),
    /// The same of this workspace, or of every one, where nobody is named; what is asked without is of `default`.
    Within(Option<WorkspaceName>, Box<Change>),
    Shutdown {
        stop_services: bool,
        force: bool,
    },
}

/// What is asked of one replica alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// To be up.
    Up,
    /// To be down, until somebody asks for it or for its service.
    Down,
    /// To go for good: one less is wanted.
    Gone,
}

/// What was accepted: it is committed, and the core has heard it.
#[derive(Debug, Clone)]
pub(crate) struct Accepted {
    /// After it.
    pub(crate) generation: u64,
    /// Before it.
    pub(crate) last_event: u64,
    /// In the order it happens.
    pub(crate) services: Vec<ServiceName>,
    /// Of the one service that was written by itself.
    pub(crate) tag: Option<String>,
}
