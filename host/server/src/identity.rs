//! Who may come in over TCP: tokens, and the one that makes the first of them.
//!
//! A token's secret is 190 bits from the system's randomness, so what is stored is its plain SHA-256: a slow, salted hash protects what people
//! make up and a machine can guess, and nobody guesses this. It lets a token be proved in a microsecond, by whoever asks and however often.

mod record;
mod set_up;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use hostler_api::access::Role;
use hostler_api::{Code, Failure, NewToken, Shape, Timestamp, Token, TokenRequest, token};
use hostler_store::{Compare, Outcome, Store, StoreError, Txn};
use rustix::rand::{GetRandomFlags, getrandom};
use tokio::sync::watch;

use crate::ledger::{self, LedgerError};
use crate::{HostError, clock};
use record::{Digest, Record};

/// Where tokens stand in the books; never their secrets.
const TOKENS: &str = "tokens/";
/// When each was used, which changes often and decides nothing.
const USES: &str = "token-uses/";
/// The digest of the set-up token.
const SET_UP: &str = "meta/set-up-token";
/// Tokens that are good at the same time.
const MOST: usize = 1_000;
/// A token that is good no more is still listed for so long.
const KEPT_MS: u64 = 30 * 86_400_000;
/// How exact the last use is.
const USE_MS: u64 = 60_000;

/// Everybody who may come in.
pub(crate) struct Identities {
    store: Arc<dyn Store>,
    /// Where the set-up token is written.
    file: PathBuf,
    book: RwLock<Book>,
    /// Held while the book is changed: what is committed and what is known do not part.
    changing: tokio::sync::Mutex<()>,
    /// Counts what was taken back.
    taken_back: watch::Sender<u64>,
}

#[derive(Default)]
struct Book {
    tokens: BTreeMap<String, Known>,
    set_up: Option<Digest>,
}

struct Known {
    record: Record,
    /// 0: never.
    used_at: AtomicU64,
}

/// Tokens that were taken back since a backup was made are not good again once that is restored.
pub(crate) fn restored(mut txn: Txn, now: &dyn Store, then: &dyn Store) -> Result<Txn, LedgerError> {
    let mut taken_back = BTreeMap::new();
    ledger::each(now, TOKENS, |id, record: Record| {
        taken_back.extend(record.revoked_at.map(|at| (id.to_owned(), at)));
        Ok(())
    })?;
    let mut good = Vec::new();
    ledger::each(then, TOKENS, |id, record: Record| {
        good.extend(record.revoked_at.is_none().then(|| (id.to_owned(), record)));
        Ok(())
    })?;
    if now.get(SET_UP)?.is_none() {
        // It has made the first token since.
        txn = txn.delete(SET_UP);
    }
    for (id, record) in good {
        if let Some(at) = taken_back.get(&id) {
            txn = txn.put(format!("{TOKENS}{id}"), ledger::to_json(&Record { revoked_at: Some(*at), ..record }));
        }
    }
    Ok(txn)
}

/// Whom a token has proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Proven {
    /// A token of the book.
    Token {
        /// Its public part.
        id: String,
        /// What people call it.
        name: String,
        /// On the host.
        role: Option<Role>,
        /// In workspaces.
        workspaces: BTreeMap<String, Role>,
    },
    /// The one that makes the first of them.
    SetUp,
}

impl Identities {
    /// Those that the store knows.
    pub(crate) fn recall(store: Arc<dyn Store>, state_dir: &Path) -> Result<Identities, HostError> {
        let mut book = Book { set_up: ledger::meta(&*store, "set-up-token")?, ..Book::default() };
        let mut uses: BTreeMap<String, u64> = BTreeMap::new();
        ledger::each(&*store, USES, |id, at: u64| {
            uses.insert(id.to_owned(), at);
            Ok(())
        })?;
        let read: Result<(), LedgerError> = ledger::each(&*store, TOKENS, |id, record: Record| {
            let used_at = AtomicU64::new(uses.get(id).copied().unwrap_or(0));
            book.tokens.insert(id.to_owned(), Known { record, used_at });
            Ok(())
        });
        read?;
        let file = state_dir.join(set_up::FILE);
        Ok(Identities { store, file, book: RwLock::new(book), changing: tokio::sync::Mutex::default(), taken_back: watch::Sender::new(0) })
    }

    /// Whose token is this? What is unknown, mistyped, expired and taken back takes the same steps to the same answer.
    pub(crate) fn prove(&self, presented: &str) -> Option<Proven> {
        let digest = Digest::of(presented);
        let id = token::id_of(presented).unwrap_or_default();
        let now = clock::wall_ms();
        let book = self.book();
        let nobody = Record::nobody();
        let known = book.tokens.get(id);
        let record = known.map_or(&nobody, |known| &known.record);
        // Both are always compared, each in constant time.
        let is_token = digest.is(&record.digest) & record.is_usable(now) & known.is_some();
        let is_set_up = digest.is(book.set_up.as_ref().unwrap_or(&nobody.digest)) & book.set_up.is_some();
        if is_set_up {
            return Some(Proven::SetUp);
        }
        let known = known.filter(|_| is_token)?;
        self.note_use(id, known, now);
        let Record { name, role, workspaces, .. } = known.record.clone();
        Some(Proven::Token { id: id.to_owned(), name, role, workspaces })
    }

    /// Is this one still good?
    pub(crate) fn is_usable(&self, id: &str) -> bool {
        self.book().tokens.get(id).is_some_and(|known| known.record.is_usable(clock::wall_ms()))
    }

    /// Can anybody come in at all?
    pub(crate) fn is_anybody_let_in(&self) -> bool {
        let now = clock::wall_ms();
        let book = self.book();
        book.set_up.is_some() || book.tokens.values().any(|known| known.record.is_usable(now))
    }

    /// Changes whenever a token was taken back.
    pub(crate) fn taken_back(&self) -> watch::Receiver<u64> {
        self.taken_back.subscribe()
    }

    /// All of them, the oldest first.
    pub(crate) fn list(&self) -> Vec<Token> {
        let now = clock::wall_ms();
        let mut tokens: Vec<Token> = self.book().tokens.iter().map(|(id, known)| told(id, known, now)).collect();
        tokens.sort_by(|one, other| (one.created_at, &one.id).cmp(&(other.created_at, &other.id)));
        tokens
    }

    /// Makes one. With the first that is admin of the host the set-up token has done its work.
    pub(crate) async fn create(&self, request: TokenRequest, by: &str, with_set_up: bool) -> Result<NewToken, Failure> {
        let _changing = self.changing.lock().await;
        let now = clock::wall_ms();
        let (id, secret) = (random(token::ID_ALPHABET, token::ID_CHARS)?, random(token::SECRET_ALPHABET, token::SECRET_CHARS)?);
        let secret = token::compose(&id, &secret);
        let record = Record::new(&request, Digest::of(secret.reveal()), by, now)?;
        self.doubt(&record, now, with_set_up)?;
        let mut txn = Txn::new().compare(Compare::absent(format!("{TOKENS}{id}"))).put(format!("{TOKENS}{id}"), ledger::to_json(&record));
        let ends_set_up = record.role == Some(Role::Admin) && self.book().set_up.is_some();
        if ends_set_up {
            txn = txn.compare(Compare::present(SET_UP)).delete(SET_UP);
        }
        let old = self.outdated(now);
        txn = old.iter().fold(txn, |txn, id| txn.delete(format!("{TOKENS}{id}")).delete(format!("{USES}{id}")));
        self.commit(txn).await?;
        let known = Known { record, used_at: AtomicU64::new(0) };
        let answer = NewToken { version: Shape, secret, token: told(&id, &known, now) };
        let mut book = self.book.write().unwrap_or_else(PoisonError::into_inner);
        old.iter().for_each(|id| drop(book.tokens.remove(id)));
        book.tokens.insert(id, known);
        if ends_set_up {
            book.set_up = None;
            drop(book);
            set_up::remove(&self.file);
        }
        Ok(answer)
    }

    /// Takes one back, at once; nothing when there is none of this id. A second time changes nothing.
    pub(crate) async fn revoke(&self, id: &str) -> Result<Option<Token>, Failure> {
        let _changing = self.changing.lock().await;
        let now = clock::wall_ms();
        let Some(mut record) = self.book().tokens.get(id).map(|known| known.record.clone()) else { return Ok(None) };
        if record.revoked_at.is_none() {
            record.revoked_at = Some(now);
            self.commit(Txn::new().put(format!("{TOKENS}{id}"), ledger::to_json(&record))).await?;
        }
        let mut book = self.book.write().unwrap_or_else(PoisonError::into_inner);
        let known = book.tokens.get_mut(id).expect("tokens go only while changes are held");
        known.record = record;
        let told = told(id, known, now);
        drop(book);
        self.taken_back.send_modify(|count| *count += 1);
        Ok(Some(told))
    }

    /// Takes its roles in this workspace from every token, and says which had one. One that is left with nothing is taken back.
    pub(crate) async fn forget_workspace(&self, workspace: &str) -> Result<Vec<String>, Failure> {
        let _changing = self.changing.lock().await;
        let now = clock::wall_ms();
        let has = |known: &&Known| known.record.workspaces.contains_key(workspace);
        let fewer = |known: &Known| {
            let mut record = known.record.clone();
            record.workspaces.remove(workspace);
            if record.role.is_none() && record.workspaces.is_empty() {
                record.revoked_at.get_or_insert(now);
            }
            record
        };
        let changed: BTreeMap<String, Record> =
            self.book().tokens.iter().filter(|(_, known)| has(known)).map(|(id, known)| (id.clone(), fewer(known))).collect();
        if changed.is_empty() {
            return Ok(Vec::new());
        }
        let put = |txn: Txn, (id, record): (&String, &Record)| txn.put(format!("{TOKENS}{id}"), ledger::to_json(record));
        self.commit(changed.iter().fold(Txn::new(), put)).await?;
        let ids = changed.keys().cloned().collect();
        let mut book = self.book.write().unwrap_or_else(PoisonError::into_inner);
        for (id, record) in changed {
            book.tokens.get_mut(&id).expect("tokens go only while changes are held").record = record;
        }
        drop(book);
        self.taken_back.send_modify(|count| *count += 1);
        Ok(ids)
    }

    /// Writes the set-up token when nobody could come in otherwise, and says where; nothing when it is not needed.
    pub(crate) async fn offer_set_up(&self) -> Result<Option<PathBuf>, String> {
        let _changing = self.changing.lock().await;
        let now = clock::wall_ms();
        let (somebody, offered) = {
            let book = self.book();
            (book.tokens.values().any(|known| known.record.is_usable(now)), book.set_up.clone())
        };
        if somebody {
            // A host that was killed just then may have left the file of one that is used.
            if offered.is_none() {
                set_up::remove(&self.file);
            }
            return Ok(None);
        }
        // One that an earlier host wrote is good as long as its file says it.
        if offered.is_some_and(|digest| set_up::read(&self.file).is_some_and(|text| Digest::of(&text).is(&digest))) {
            return Ok(Some(self.file.clone()));
        }
        let secret = random(token::SECRET_ALPHABET, token::SECRET_CHARS).map_err(|failure| failure.message)?;
        let secret = token::compose(set_up::ID, &secret);
        let digest = Digest::of(secret.reveal());
        // The file first: a token that is known and stands nowhere would be of no use to anybody.
        set_up::write(&self.file, &secret).map_err(|error| format!("cannot write {}: {error}", self.file.display()))?;
        self.commit(Txn::new().put(SET_UP, ledger::to_json(&digest))).await.map_err(|failure| failure.message)?;
        self.book.write().unwrap_or_else(PoisonError::into_inner).set_up = Some(digest);
        Ok(Some(self.file.clone()))
    }

    fn doubt(&self, record: &Record, now: u64, with_set_up: bool) -> Result<(), Failure> {
        if with_set_up && record.role != Some(Role::Admin) {
            return Err(Failure::new(Code::Invalid, "the set-up token makes the first token, and that one is admin of the host")
                .hint("ask for `role`: `admin`, without workspaces; that token makes the others"));
        }
        let book = self.book();
        // Two at once: one of them was second.
        if with_set_up && book.set_up.is_none() {
            return Err(Failure::new(Code::Denied, "the set-up token has been used"));
        }
        let good = || book.tokens.iter().filter(|(_, known)| known.record.is_usable(now));
        if let Some((id, _)) = good().find(|(_, known)| known.record.name == record.name) {
            let failure = Failure::new(Code::Conflict, format!("there is a token `{}` already", record.name));
            return Err(failure.hint(format!("take another name, or take that one back first: `hostler token revoke {id}`")));
        }
        if good().count() >= MOST {
            return Err(
                Failure::new(Code::Conflict, format!("there are {MOST} tokens, and no more are kept")).hint("take some back that nobody uses")
            );
        }
        Ok(())
    }

    /// Those that have been good for nothing for so long that nobody asks for them.
    fn outdated(&self, now: u64) -> Vec<String> {
        let is_old = |known: &Known| known.record.ended_at().is_some_and(|at| at + KEPT_MS < now);
        self.book().tokens.iter().filter(|(_, known)| is_old(known)).map(|(id, _)| id.clone()).collect()
    }

    /// Written behind everybody's back: the answer does not wait for it, and a lost one costs a minute of knowledge.
    fn note_use(&self, id: &str, known: &Known, now: u64) {
        let minute = now - now % USE_MS;
        if known.used_at.fetch_max(minute, Ordering::Relaxed) < minute {
            self.store.submit(Txn::new().put(format!("{USES}{id}"), ledger::to_json(&minute)), Box::new(drop));
        }
    }

    async fn commit(&self, txn: Txn) -> Result<(), Failure> {
        let store = Arc::clone(&self.store);
        let outcome = tokio::task::spawn_blocking(move || store.txn(txn)).await.unwrap_or(Err(StoreError::Closed));
        match outcome {
            Ok(Outcome::Committed { .. }) => Ok(()),
            Ok(Outcome::Conflict { .. } | Outcome::Fenced) => {
                Err(Failure::new(Code::Conflict, "somebody else changed the tokens just now").hint("look at them, and try again"))
            }
            Err(error) => Err(crate::change::commit_failure(&error)),
        }
    }

    fn book(&self) -> RwLockReadGuard<'_, Book> {
        self.book.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn told(id: &str, known: &Known, now: u64) -> Token {
    let Record { name, role, workspaces, created_at, created_by, expires_at, revoked_at, .. } = known.record.clone();
    let used_at = known.used_at.load(Ordering::Relaxed);
    Token {
        id: id.to_owned(),
        name,
        role,
        workspaces,
        created_at: Timestamp(created_at),
        created_by,
        expires_at: expires_at.map(Timestamp),
        last_used_at: (used_at > 0).then_some(Timestamp(used_at)),
        revoked_at: revoked_at.map(Timestamp),
        usable: known.record.is_usable(now),
    }
}

/// Characters of an alphabet, each as likely as any other: bytes beyond a multiple of its size are thrown away.
fn random(alphabet: &[u8], count: usize) -> Result<String, Failure> {
    let fair = 256 - 256 % alphabet.len();
    let mut text = String::with_capacity(count);
    let mut bytes = [0_u8; 64];
    while text.len() < count {
        getrandom(&mut bytes, GetRandomFlags::empty())
            .map_err(|error| Failure::new(Code::Internal, format!("the system gives no random numbers: {error}")))?;
        let chosen = bytes.iter().map(|byte| usize::from(*byte)).filter(|byte| *byte < fair).map(|byte| char::from(alphabet[byte % alphabet.len()]));
        text.extend(chosen.take(count - text.len()));
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
