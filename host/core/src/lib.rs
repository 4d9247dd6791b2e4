//! The core decides, and touches nothing: no clock, disk, socket, thread, randomness or async.
mod graph;
mod problem;
mod spec;
mod time;

pub use graph::Graph;
pub use problem::{Problem, closest, pointer_key};
pub use spec::{
    BackendSpec, Category, CheckSpec, Condition, Dependency, Kind, MAX_REPLICAS, Replicas, Resources, RestartMode, RestartPolicy, ServiceName, Spec, StopSpec,
    doubt,
};
pub use time::{Span, Time};
