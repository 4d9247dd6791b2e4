//! Who is calling whom about what: shared by everything that happens within one call.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tokio::time::Instant;

use crate::call::Call;
use crate::function::Function;
use crate::grant::NetworkRules;
use crate::hooks::{Denial, Level, NetworkPolicies, PluginLine, PluginSink, SecretStore};
use crate::limits::MAX_DENIAL_BYTES;
use crate::tap::{CallTap, Tap};
use crate::text::escape;

mod placed;

use placed::Placed;

/// What is the same for every call of one plugin revision.
pub(crate) struct Identity {
    pub(crate) name: String,
    pub(crate) revision: String,
    /// The tag that everything this host owns carries.
    pub(crate) owner: String,
    /// The plugin's configuration as it reads it.
    pub(crate) config: String,
    pub(crate) sink: Arc<dyn PluginSink>,
    /// Absent on a host that keeps none.
    pub(crate) secrets: Option<Arc<dyn SecretStore>>,
    /// Known once the host is: empty on one without workspaces.
    pub(crate) networks: Arc<OnceLock<Arc<dyn NetworkPolicies>>>,
    pub(crate) counters: Counters,
}

/// What happened since the plugin was loaded.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) calls: AtomicU64,
    pub(crate) faults: AtomicU64,
    pub(crate) traps: AtomicU64,
    pub(crate) timeouts: AtomicU64,
    pub(crate) limits: AtomicU64,
    pub(crate) malformed: AtomicU64,
    pub(crate) denied: AtomicU64,
    pub(crate) dropped_lines: AtomicU64,
}

/// [`Counters`] at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Calls begun.
    pub calls: u64,
    /// Calls answered with a fault.
    pub faults: u64,
    /// Calls that broke the instance.
    pub traps: u64,
    /// Calls cut off at their deadline.
    pub timeouts: u64,
    /// Calls ended because they wanted too much.
    pub limits: u64,
    /// Answers that broke the contract.
    pub malformed: u64,
    /// Uses of a capability that were refused.
    pub denied: u64,
    /// Log lines over the budget.
    pub dropped_lines: u64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            calls: read(&self.calls),
            faults: read(&self.faults),
            traps: read(&self.traps),
            timeouts: read(&self.timeouts),
            limits: read(&self.limits),
            malformed: read(&self.malformed),
            denied: read(&self.denied),
            dropped_lines: read(&self.dropped_lines),
        }
    }
}

/// One call, as its capabilities see it. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Scope(Arc<Inner>);

struct Inner {
    identity: Arc<Identity>,
    function: Function,
    subject: String,
    workspace: String,
    until: Instant,
    lines_left: AtomicU32,
    lines_dropped: AtomicU32,
    last_error: Mutex<Option<String>>,
    tap: Option<Arc<CallTap>>,
    placed: Mutex<Vec<Placed>>,
}

impl Scope {
    pub(crate) fn new(identity: &Arc<Identity>, function: Function, call: &Call<'_>, until: Instant, lines: u32, tap: Option<Arc<dyn Tap>>) -> Scope {
        Scope(Arc::new(Inner {
            tap: tap.map(|tap| CallTap::new(tap, function.name(), call.subject(), until)),
            identity: Arc::clone(identity),
            function,
            subject: call.subject().to_owned(),
            workspace: call.workspace().to_owned(),
            until,
            lines_left: AtomicU32::new(lines),
            lines_dropped: AtomicU32::new(0),
            last_error: Mutex::new(None),
            placed: Mutex::default(),
        }))
    }

    /// Who listens to this call.
    pub(crate) fn tap(&self) -> Option<&Arc<CallTap>> {
        self.0.tap.as_ref()
    }

    pub(crate) fn plugin(&self) -> &str {
        &self.0.identity.name
    }

    pub(crate) fn revision(&self) -> &str {
        &self.0.identity.revision
    }

    pub(crate) fn owner(&self) -> &str {
        &self.0.identity.owner
    }

    pub(crate) fn config(&self) -> &str {
        &self.0.identity.config
    }

    /// What the call is about; connections are kept per subject.
    pub(crate) fn subject(&self) -> &str {
        &self.0.subject
    }

    /// What its workspace says of the network; nothing where it says nothing.
    pub(crate) fn network(&self) -> Option<Arc<NetworkRules>> {
        self.0.identity.networks.get()?.rules(&self.0.workspace)
    }

    pub(crate) fn until(&self) -> Instant {
        self.0.until
    }

    pub(crate) fn remaining(&self) -> Duration {
        self.0.until.saturating_duration_since(Instant::now())
    }

    /// Passes a line on, within the call's budget. The text must be escaped already.
    pub(crate) fn line(&self, level: Level, message: String, fields: BTreeMap<String, String>) {
        if level == Level::Error {
            *self.0.last_error.lock().expect("no code panics while it holds this lock") = Some(message.clone());
        }
        let left = self.0.lines_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if left.is_err() {
            self.0.lines_dropped.fetch_add(1, Ordering::Relaxed);
            Counters::add(&self.0.identity.counters.dropped_lines);
            return;
        }
        self.tell(level, message, fields);
    }

    /// The call is over: says how many lines were dropped.
    pub(crate) fn close(&self) {
        let dropped = self.0.lines_dropped.load(Ordering::Relaxed);
        if dropped > 0 {
            self.tell(Level::Warn, format!("{dropped} more lines of this call were dropped"), BTreeMap::new());
        }
    }

    /// The guest's own last error line: a panic leaves its message there.
    pub(crate) fn last_error(&self) -> Option<String> {
        self.0.last_error.lock().expect("no code panics while it holds this lock").clone()
    }

    /// Every capability asks this before it does anything: a function that promises to touch nothing outside is held to it,
    /// whatever is granted. The error is the text for the guest.
    pub(crate) fn permit(&self, capability: &'static str) -> Result<(), String> {
        if !self.0.function.is_pure() {
            return Ok(());
        }
        self.refused(capability, "this function may touch nothing outside".to_owned());
        Err(format!(
            "plugin `{}` may not use {capability} in {}: the contract promises that it touches nothing outside",
            self.plugin(),
            self.function()
        ))
    }

    /// Counts and reports a refusal; the answer is the text for the guest.
    pub(crate) fn denied(&self, capability: &'static str, what: &str) -> String {
        let (plugin, what) = (self.plugin(), escape(what, MAX_DENIAL_BYTES));
        let text = format!("plugin `{plugin}` is not granted {capability}: {what}; add it to [plugins.{plugin}.grants]");
        self.refused(capability, what);
        text
    }

    fn function(&self) -> &'static str {
        self.0.function.name()
    }

    fn refused(&self, capability: &'static str, what: String) {
        let identity = &self.0.identity;
        Counters::add(&identity.counters.denied);
        identity.sink.denied(Denial {
            plugin: identity.name.clone(),
            revision: identity.revision.clone(),
            function: self.function(),
            subject: self.0.subject.clone(),
            capability,
            what,
        });
    }

    fn tell(&self, level: Level, message: String, fields: BTreeMap<String, String>) {
        let identity = &self.0.identity;
        identity.sink.line(PluginLine {
            plugin: identity.name.clone(),
            revision: identity.revision.clone(),
            function: self.0.function.name(),
            subject: self.0.subject.clone(),
            level,
            message,
            fields,
        });
    }
}
