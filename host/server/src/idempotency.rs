//! Idempotency keys: a write that is sent again is not done again.
//!
//! That somebody began to do something with a key is in the store before it is done; a change of what is wanted writes into the same transaction
//! that it was made; and the answer is in the store before it goes out. So whoever sends the same again after the death of a host learns what
//! became of it: it is done again only where it was not done, or where that does no harm.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hostler_api::{Code, Failure};
use hostler_failpoint::failpoint;
use hostler_store::{Store, StoreError, Txn};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::change::{commit_failure, store_failure};
use crate::ledger;
use crate::{HostError, clock};

const PREFIX: &str = "idempotency/";
/// Beside a key: the generation of the change that was made for it.
const MARKS: &str = "idempotency-marks/";
/// How long a key is known.
pub(crate) const KEPT_MS: u64 = 86_400_000;
/// How often the keys of those who do not come back are let go of.
const TIDY_MS: u64 = 3_600_000;
/// Keys of one caller that are known at the same time.
const MOST: usize = 10_000;

/// What is known of one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Known {
    /// Of method, path, query and body.
    pub(crate) digest: String,
    /// When it was first sent.
    pub(crate) at: u64,
    /// What became of it.
    pub(crate) fate: Fate,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Fate {
    /// It was begun.
    Begun,
    /// It became this operation.
    Operation(String),
    /// It was answered.
    Answered(Answered),
    /// It was answered, and the answer is not kept: it has a secret, or is too long.
    Untold { status: u16 },
}

/// An answer, to be given again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

/// What is to be done with a request that has a key.
pub(crate) enum Found {
    /// Do it: nobody has sent it before. It is in the store that it was begun.
    New(Begun),
    /// It is being done.
    UnderWay(watch::Receiver<()>),
    /// An earlier host, or this one before its store failed, has begun it; this is the generation of the change that was made for it.
    Left { known: Known, generation: Option<u64>, begun: Begun },
    /// It is over.
    Over(Known),
    /// The store failed in the middle of it, and only the next host knows.
    Lost,
}

/// Every key that is known.
pub(crate) struct Keys {
    store: Arc<dyn Store>,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    /// When each was first sent, by caller and key.
    callers: BTreeMap<String, BTreeMap<String, u64>>,
    /// Those whose request is being done.
    under_way: BTreeMap<String, watch::Receiver<()>>,
    /// Those whose request met a store that failed in the middle of a write.
    lost: BTreeSet<String>,
    /// When keys that are too old were last let go of.
    tidied: u64,
}

/// A request with a key, which is being done for as long as this is held.
pub(crate) struct Begun {
    keys: Arc<Keys>,
    name: Name,
    digest: String,
    at: u64,
    /// Whoever waits for it hears when this goes.
    _under_way: watch::Sender<()>,
}

/// Whose key it is, and which. Neither is in the store as it was sent: a key may be a secret of somebody's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    caller: String,
    key: String,
}

impl Name {
    pub(crate) fn new(caller: &str, key: &str) -> Name {
        let short = |text: &str| blake3::hash(text.as_bytes()).to_hex()[..32].to_owned();
        Name { caller: short(caller), key: short(key) }
    }

    fn path(&self) -> String {
        format!("{}/{}", self.caller, self.key)
    }

    /// Adds to a transaction that the change in it was made for this key.
    pub(crate) fn mark(&self, txn: Txn, generation: u64) -> Txn {
        txn.put(format!("{MARKS}{}", self.path()), ledger::to_json(&generation))
    }
}

impl Keys {
    /// Those that the store knows.
    pub(crate) fn recall(store: Arc<dyn Store>) -> Result<Keys, HostError> {
        let mut book = Book::default();
        ledger::each(&*store, PREFIX, |path, known: Known| {
            if let Some((caller, key)) = path.split_once('/') {
                book.callers.entry(caller.to_owned()).or_default().insert(key.to_owned(), known.at);
            }
            Ok(())
        })?;
        Ok(Keys { store, book: Mutex::new(book) })
    }

    /// Looks a request up, and begins it where it is new.
    ///
    /// # Errors
    /// The caller has too many keys, or the store cannot be read or written: then nothing was begun.
    pub(crate) async fn find(self: &Arc<Self>, name: Name, digest: String) -> Result<Found, Failure> {
        if self.book().lost.contains(&name.path()) {
            return Ok(Found::Lost);
        }
        let (begun, is_new, outdated) = match self.claim(name, digest)? {
            Ok(claimed) => claimed,
            Err(under_way) => return Ok(Found::UnderWay(under_way)),
        };
        if is_new {
            let known = Known { digest: begun.digest.clone(), at: begun.at, fate: Fate::Begun };
            let txn = without(&outdated)
                .delete(format!("{MARKS}{}", begun.name.path()))
                .put(format!("{PREFIX}{}", begun.name.path()), ledger::to_json(&known));
            if let Err(failure) = self.write(txn).await {
                self.forget(&begun.name);
                return Err(not_begun(failure));
            }
            failpoint!("host.key.begun");
            return Ok(Found::New(begun));
        }
        if !outdated.is_empty()
            && let Err(failure) = self.write(without(&outdated)).await
        {
            tracing::warn!(%failure, "idempotency keys that are too old are not let go of yet");
        }
        let Some(known): Option<Known> = self.read(format!("{PREFIX}{}", begun.name.path())).await? else {
            self.forget(&begun.name);
            return Err(Failure::new(Code::Conflict, "this key was just let go of").hint("send it again"));
        };
        if known.fate != Fate::Begun {
            return Ok(Found::Over(known));
        }
        let generation = self.read(format!("{MARKS}{}", begun.name.path())).await?;
        Ok(Found::Left { known, generation, begun })
    }

    /// Takes a key, or says that somebody has it: is it new, and which keys are so old that they go.
    #[expect(clippy::type_complexity, reason = "it is taken apart at once, by its only caller")]
    fn claim(self: &Arc<Self>, name: Name, digest: String) -> Result<Result<(Begun, bool, Vec<String>), watch::Receiver<()>>, Failure> {
        let now = clock::wall_ms();
        let mut book = self.book();
        if let Some(under_way) = book.under_way.get(&name.path()) {
            return Ok(Err(under_way.clone()));
        }
        let outdated = book.tidy(&name.caller, now);
        let known = book.callers.entry(name.caller.clone()).or_default();
        if known.len() >= MOST && !known.contains_key(&name.key) {
            let failure = Failure::new(Code::TooMany, format!("{MOST} idempotency keys of this caller are known"));
            return Err(failure.hint("each is known for a day; send what needs none without one"));
        }
        let is_new = !known.contains_key(&name.key);
        let at = *known.entry(name.key.clone()).or_insert(now);
        let (begun, under_way) = watch::channel(());
        book.under_way.insert(name.path(), under_way);
        drop(book);
        Ok(Ok((Begun { keys: Arc::clone(self), name, digest, at, _under_way: begun }, is_new, outdated)))
    }

    fn forget(&self, name: &Name) {
        if let Some(known) = self.book().callers.get_mut(&name.caller) {
            known.remove(&name.key);
        }
    }

    async fn read<T: serde::de::DeserializeOwned + Send + 'static>(&self, key: String) -> Result<Option<T>, Failure> {
        let store = Arc::clone(&self.store);
        let read = tokio::task::spawn_blocking(move || store.get(&key)).await.unwrap_or(Err(StoreError::Closed));
        let found = read.map_err(|error| store_failure(&error))?;
        let unreadable = |error| Failure::new(Code::Internal, format!("what is known of this key cannot be read: {error}"));
        found.map(|entry| serde_json::from_slice(&entry.value).map_err(unreadable)).transpose()
    }

    async fn write(&self, txn: Txn) -> Result<(), Failure> {
        let store = Arc::clone(&self.store);
        let written = tokio::task::spawn_blocking(move || store.txn(txn)).await.unwrap_or(Err(StoreError::Closed));
        written.map(drop).map_err(|error| commit_failure(&error))
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    /// Takes out what is too old, of this caller and now and then of all, and answers what that was.
    fn tidy(&mut self, caller: &str, now: u64) -> Vec<String> {
        let all = self.tidied.saturating_add(TIDY_MS) < now;
        if all {
            self.tidied = now;
        }
        let mut old = Vec::new();
        for (caller, known) in self.callers.iter_mut().filter(|(other, _)| all || *other == caller) {
            let outdated = known.extract_if(.., |_, at| at.saturating_add(KEPT_MS) < now);
            old.extend(outdated.map(|(key, _)| format!("{caller}/{key}")));
        }
        self.callers.retain(|_, known| !known.is_empty());
        old
    }
}

/// Takes these out of the store.
fn without(paths: &[String]) -> Txn {
    paths.iter().fold(Txn::new(), |txn, path| txn.delete(format!("{PREFIX}{path}")).delete(format!("{MARKS}{path}")))
}

/// Whatever became of the key, what it is for was not done.
fn not_begun(failure: Failure) -> Failure {
    if failure.code != Code::Unknown {
        return failure;
    }
    Failure { code: Code::Unavailable, message: format!("nothing was done: its key could not be written: {}", failure.message), ..failure }
}

impl Begun {
    /// What a transaction is to say that makes an operation of it.
    pub(crate) fn becomes(name: &Name, digest: &str, at: u64, txn: Txn, id: &str) -> Txn {
        let known = Known { digest: digest.to_owned(), at, fate: Fate::Operation(id.to_owned()) };
        txn.put(format!("{PREFIX}{}", name.path()), ledger::to_json(&known))
    }

    /// The parts of it that a record takes.
    pub(crate) fn parts(&self) -> (Name, String, u64) {
        (self.name.clone(), self.digest.clone(), self.at)
    }

    /// Keeps what came of it.
    ///
    /// # Errors
    /// It could not be written: the next one who sends it is told that it was begun.
    pub(crate) async fn end(self, fate: Fate) -> Result<(), Failure> {
        let known = Known { digest: self.digest.clone(), at: self.at, fate };
        self.keys.write(Txn::new().put(format!("{PREFIX}{}", self.name.path()), ledger::to_json(&known))).await?;
        failpoint!("host.key.answered");
        Ok(())
    }

    /// Nobody knows what became of it, until the host is started anew.
    pub(crate) fn lose(self) {
        let path = self.name.path();
        self.keys.book().lost.insert(path);
    }

    /// Lets go of it: nothing was done, and whoever sends it again has it done.
    ///
    /// # Errors
    /// As [`Begun::end`].
    pub(crate) async fn let_go(self) -> Result<(), Failure> {
        let path = self.name.path();
        self.keys.write(Txn::new().delete(format!("{PREFIX}{path}")).delete(format!("{MARKS}{path}"))).await?;
        self.keys.forget(&self.name);
        Ok(())
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.keys.book().under_way.remove(&self.name.path());
    }
}

#[cfg(test)]
mod tests;
