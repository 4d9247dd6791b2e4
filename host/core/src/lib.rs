//! The core decides, and touches nothing: no clock, disk, socket, thread, randomness or async.
//!
//! Its nouns: a [`Spec`] is what was asked, an [`Event`] what happened, an [`Action`] what to do, a [`Status`] what is believed, and
//! [`Time`] is handed in. Its verbs, on [`Core`]: `handle(now, event)` hears, `poll_action()` asks, `poll_timeout()` says when to wake it,
//! and the views look. Each life of a task has a [`Run`] number that is never used twice; every event and action about a task carries
//! it, so that late news of an old life is known as old.
//!
//! Where things are: `spec`, `doubt` and `graph` are what was asked; `registry` holds wanted beside believed, `edges` what dependencies allow; `scheduler` settles the two;
//! `lifecycle` hears news of one life, `resolve` what is there, `backends` who can be asked, `checks` how it is; `health` and `restart` are
//! the policies; `alert` is who is told that something is wrong; `record` and `restore` lead over a host restart; `view` and `explain` look.

/// Is this planted fault there? Never, without the feature.
#[cfg(feature = "planted")]
macro_rules! planted {
    ($number:literal) => {
        crate::planted::is($number)
    };
    (wall) => {
        crate::planted::wall_ms()
    };
}
#[cfg(not(feature = "planted"))]
macro_rules! planted {
    ($number:literal) => {
        false
    };
    (wall) => {
        0_u64
    };
}

mod alert;
mod autoscale;
mod backends;
mod chance;
mod checks;
mod doubt;
mod edges;
mod event;
mod explain;
mod graph;
mod health;
mod lifecycle;
mod live;
mod machine;
pub mod pattern;
mod plan;
#[cfg(feature = "planted")]
pub mod planted;
mod problem;
mod record;
mod registry;
mod resolve;
mod restart;
mod restore;
mod scaling;
mod scheduler;
mod services;
mod spec;
mod strikes;
mod task;
mod time;
mod timer;
mod uptime;
mod view;
mod words;
mod workspace;

pub use alert::{AlertKey, AlertRule, AlertStage, AlertTurn, Alerts, Bound, Facts, Figure, Finding, Severity, Subject, Trigger, Window};
pub use autoscale::{Autoscale, Load, Loads};
pub use doubt::{doubt, doubt_one};
pub use event::{Action, CheckResult, Desired, Event, Exit, Fault, Notice, NoticeKind, Phase, Run, Starting, Wanted};
pub use graph::Graph;
pub use health::{HISTORY, Health, Sample, Verdict};
pub use machine::{Config, Core};
pub use plan::{Change, ChangeKind, plan};
pub use problem::{Problem, closest, pointer_key};
pub use record::{After, CheckRecord, Leaving, Memory, Saved, SlotRecord, Stage, TaskRecord};
pub use restore::Remembered;
pub use spec::{
    BackendSpec, Category, CheckSpec, Condition, Dependency, Kind, MAX_REPLICAS, Quorum, Replicas, Resources, RestartMode, RestartPolicy,
    ServiceName, Spec, StopSpec,
};
pub use strikes::{Rest, Strikes, Turn};
pub use time::{Span, Time};
pub use view::{CheckView, Next, ReplicaView, ServiceView, Status};
pub use words::{check_plugin_name, parse_size};
pub use workspace::WorkspaceName;
