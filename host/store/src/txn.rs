//! One transaction: what must hold, what is written, what is told.

use crate::StoreError;

/// What a transaction may carry; more is refused as [`StoreError::Invalid`] before anything is written.
pub mod limits {
    /// Longest key, lease name, holder, event kind and subject, in bytes.
    pub const NAME_BYTES: usize = 1024;
    /// Largest value and largest event data, in bytes.
    pub const VALUE_BYTES: usize = 16 * 1024 * 1024;
    /// How many idempotency keys are remembered, newest first.
    pub const IDEMPOTENCY_KEYS: u64 = 4096;
}

/// A change that is made as a whole or not at all.
///
/// The order of judgement is: a known idempotency key answers with its first outcome; then the fence; then the compares
/// in order; then all ops in order and all events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Txn {
    /// The lease that must still be held.
    pub fence: Option<Fence>,
    /// A name for this transaction: committed once, its outcome is what a repetition gets. Refusals are not remembered.
    pub idempotency_key: Option<String>,
    /// What must hold.
    pub compare: Vec<Compare>,
    /// What is written, in order; a later op on the same key wins.
    pub ops: Vec<Op>,
    /// What is told, in order.
    pub events: Vec<NewEvent>,
}

/// A lease epoch that must be the current one of a held lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    /// Name of the lease.
    pub lease: String,
    /// The epoch the caller was granted.
    pub epoch: u64,
}

/// A condition on one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compare {
    /// The key.
    pub key: String,
    /// What it must be.
    pub expect: Expect,
}

/// What a key must be for the transaction to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// There is no such key.
    Absent,
    /// The key exists, whatever it holds.
    Present,
    /// The key was last written by this revision.
    Revision(u64),
    /// The key holds exactly this.
    Value(Vec<u8>),
}

/// One write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Creates or replaces.
    Put {
        /// The key.
        key: String,
        /// What it holds from now on.
        value: Vec<u8>,
    },
    /// Removes; no change when the key is absent.
    Delete {
        /// The key.
        key: String,
    },
}

/// An event before it has a sequence number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// What happened, a word of the caller's.
    pub kind: String,
    /// Whom it happened to.
    pub subject: String,
    /// When, for people: Unix time in milliseconds.
    pub at_unix_ms: u64,
    /// Everything else, as JSON.
    pub data: String,
}

/// What became of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is durable.
    Committed {
        /// Its revision; it is also the revision of every key it put.
        revision: u64,
        /// Sequence number of its first event; the others follow without a gap.
        first_event: Option<u64>,
    },
    /// A compare did not hold; nothing changed.
    Conflict {
        /// The first key that was not as expected.
        key: String,
    },
    /// The lease is no longer held with that epoch; nothing changed, and nothing the caller sends may from now on.
    Fenced,
}

impl Txn {
    /// An empty transaction.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a put.
    pub fn put(mut self, key: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.ops.push(Op::Put { key: key.into(), value: value.into() });
        self
    }

    /// Adds a delete.
    pub fn delete(mut self, key: impl Into<String>) -> Self {
        self.ops.push(Op::Delete { key: key.into() });
        self
    }

    /// Adds a condition.
    pub fn compare(mut self, compare: Compare) -> Self {
        self.compare.push(compare);
        self
    }

    /// Adds an event.
    pub fn emit(mut self, event: NewEvent) -> Self {
        self.events.push(event);
        self
    }

    /// Commits only while `lease` is held with `epoch`.
    pub fn fenced_by(mut self, lease: impl Into<String>, epoch: u64) -> Self {
        self.fence = Some(Fence { lease: lease.into(), epoch });
        self
    }

    /// Commits at most once under this name.
    pub fn once(mut self, idempotency_key: impl Into<String>) -> Self {
        self.idempotency_key = Some(idempotency_key.into());
        self
    }

    /// Takes out what no engine may store, and says why of each: what is left can be committed.
    pub fn drop_refused(&mut self) -> Vec<StoreError> {
        let mut refused = Vec::new();
        let mut keep = |checked: Result<(), StoreError>| checked.map_err(|error| refused.push(error)).is_ok();
        self.ops.retain(|op| keep(op.check()));
        self.events.retain(|event| keep(event.check()));
        refused
    }

    /// Refuses what no engine may store.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        self.ops.iter().try_for_each(Op::check)?;
        if let Some(key) = &self.idempotency_key {
            check_name("idempotency key", key)?;
        }
        self.events.iter().try_for_each(NewEvent::check)
    }
}

impl Op {
    fn check(&self) -> Result<(), StoreError> {
        match self {
            Op::Put { key, value } => {
                check_name("key", key)?;
                check_size("value", key, value.len())
            }
            Op::Delete { key } => check_name("key", key),
        }
    }
}

impl Compare {
    /// The key must not exist.
    pub fn absent(key: impl Into<String>) -> Self {
        Self { key: key.into(), expect: Expect::Absent }
    }

    /// The key must exist.
    pub fn present(key: impl Into<String>) -> Self {
        Self { key: key.into(), expect: Expect::Present }
    }

    /// The key must have been last written by `revision`.
    pub fn revision(key: impl Into<String>, revision: u64) -> Self {
        Self { key: key.into(), expect: Expect::Revision(revision) }
    }

    /// The key must hold `value`.
    pub fn value(key: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        Self { key: key.into(), expect: Expect::Value(value.into()) }
    }
}

impl Expect {
    /// Whether a key with this revision and value (none: absent) is as expected.
    pub(crate) fn holds(&self, found: Option<(u64, &[u8])>) -> bool {
        match (self, found) {
            (Self::Absent, found) => found.is_none(),
            (Self::Present, found) => found.is_some(),
            (Self::Revision(wanted), Some((revision, _))) => *wanted == revision,
            (Self::Value(wanted), Some((_, value))) => wanted == value,
            (Self::Revision(_) | Self::Value(_), None) => false,
        }
    }
}

impl NewEvent {
    /// An event; `data` must be JSON.
    pub fn new(kind: impl Into<String>, subject: impl Into<String>, at_unix_ms: u64, data: impl Into<String>) -> Self {
        Self { kind: kind.into(), subject: subject.into(), at_unix_ms, data: data.into() }
    }

    fn check(&self) -> Result<(), StoreError> {
        check_name("event kind", &self.kind)?;
        if self.subject.len() > limits::NAME_BYTES {
            return Err(StoreError::Invalid(format!("the subject of event `{}` is longer than {} bytes", self.kind, limits::NAME_BYTES)));
        }
        if i64::try_from(self.at_unix_ms).is_err() {
            return Err(StoreError::Invalid(format!("the time of event `{}` is not a Unix time: {}", self.kind, self.at_unix_ms)));
        }
        check_size("data of event", &self.kind, self.data.len())?;
        serde_json::from_str::<serde::de::IgnoredAny>(&self.data)
            .map(drop)
            .map_err(|error| StoreError::Invalid(format!("the data of event `{}` is not JSON: {error}", self.kind)))
    }
}

/// Refuses names that are empty, too long or would garble a terminal.
pub(crate) fn check_name(what: &str, name: &str) -> Result<(), StoreError> {
    let reason = match name {
        "" => "is empty".to_owned(),
        name if name.len() > limits::NAME_BYTES => format!("is longer than {} bytes", limits::NAME_BYTES),
        name if name.chars().any(char::is_control) => format!("has control characters: {name:?}"),
        _ => return Ok(()),
    };
    Err(StoreError::Invalid(format!("the {what} {reason}")))
}

fn check_size(what: &str, whose: &str, bytes: usize) -> Result<(), StoreError> {
    if bytes <= limits::VALUE_BYTES {
        return Ok(());
    }
    Err(StoreError::Invalid(format!("the {what} `{whose}` has {bytes} bytes, more than {}", limits::VALUE_BYTES)))
}
