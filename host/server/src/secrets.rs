//! Files that hold a secret: for a task's environment, or by name for plugins.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::{PoisonError, RwLock};

use hostler_store::{Store, Txn};
use hostler_wasm::{SecretError, SecretStore, Turns, Wait};
use rustix::fs::{Mode, OFlags, open};
use serde::{Deserialize, Serialize};

use crate::ledger::{self, LedgerError};

/// Where secrets are kept in the books: their files, never what is in them.
const PREFIX: &str = "secrets/";

/// The secrets that the configuration in force describes: name and file.
#[derive(Debug, Default)]
pub(crate) struct Secrets(RwLock<BTreeMap<String, String>>);

#[derive(Serialize, Deserialize)]
struct Record {
    file: String,
}

impl Secrets {
    /// Those that the last configuration described.
    pub(crate) fn recall(store: &dyn Store) -> Result<Secrets, LedgerError> {
        let mut files = BTreeMap::new();
        ledger::each(store, PREFIX, |name, record: Record| {
            files.insert(name.to_owned(), record.file);
            Ok(())
        })?;
        Ok(Secrets(RwLock::new(files)))
    }

    /// Adds what must be there tomorrow, and takes out what must not.
    pub(crate) fn save(&self, after: &BTreeMap<String, String>, txn: Txn) -> Txn {
        let before = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let put = |txn: Txn, (name, file): (&String, &String)| txn.put(format!("{PREFIX}{name}"), ledger::to_json(&Record { file: file.clone() }));
        let txn = after.iter().filter(|(name, file)| before.get(*name) != Some(*file)).fold(txn, put);
        before.keys().filter(|name| !after.contains_key(*name)).fold(txn, |txn, name| txn.delete(format!("{PREFIX}{name}")))
    }

    /// Puts a configuration's secrets into force.
    pub(crate) fn swap(&self, after: BTreeMap<String, String>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = after;
    }
}

/// The files as they are named from anywhere.
pub(crate) fn absolute(files: BTreeMap<String, String>, base_dir: &Path) -> BTreeMap<String, String> {
    let absolute = |file: String| hostler_api::config::absolute(&file, base_dir).to_string_lossy().into_owned();
    files.into_iter().map(|(name, file)| (name, absolute(file))).collect()
}

impl SecretStore for Secrets {
    fn read<'a>(&'a self, name: &'a str) -> Wait<'a, Result<String, SecretError>> {
        let file = self.0.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        Box::pin(async move {
            let file = file.ok_or(SecretError::Unknown)?;
            read(&file).await.map_err(|why| SecretError::Unavailable(format!("{file}: {why}")))
        })
    }
}

/// The longest secret. An environment of the kernel's has room for 128 KiB per variable.
const MOST: u64 = 64 << 10;

/// Reads of one file at a time: where its disk does not answer, each keeps a thread. Nobody is told what another one read, because that may be older
/// than his question.
static READS: Turns = Turns::new(2);

/// What the file says, without the newline at its end. Whoever calls sets the time: a file may lie on a disk that does not answer.
pub(crate) async fn read(path: &str) -> Result<String, String> {
    let file = path.to_owned();
    let read = READS.run(path, move || read_now(&file)).await;
    let text = read.map_err(|error| error.to_string())??;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

fn read_now(path: &str) -> Result<String, String> {
    let said = |error: std::io::Error| error.to_string();
    // A pipe without a writer would keep whoever opens it waiting.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = File::from(open(path, flags, Mode::empty()).map_err(|error| said(error.into()))?);
    if !file.metadata().map_err(said)?.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let mut bytes = Vec::new();
    file.take(MOST + 1).read_to_end(&mut bytes).map_err(said)?;
    if bytes.len() as u64 > MOST {
        return Err(format!("it has more than {} KiB", MOST >> 10));
    }
    String::from_utf8(bytes).map_err(|_| "it is not text in UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use tokio::time::timeout;

    #[test]
    fn only_a_small_regular_file_of_text_is_a_secret() {
        let dir = tempfile::tempdir().expect("there is a temporary directory");
        let file = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).expect("the directory is ours");
            path.to_string_lossy().into_owned()
        };
        let pipe = dir.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).expect("the directory is ours");
        assert_eq!(read_now(&file("good", b"hunter2")).as_deref(), Ok("hunter2"));
        assert!(read_now(&file("huge", &[b'x'; (64 << 10) + 1])).is_err_and(|why| why.contains("64 KiB")));
        assert!(read_now(&file("odd", b"\xff")).is_err_and(|why| why.contains("UTF-8")));
        for path in [&pipe.to_string_lossy(), "/dev/zero", "/"] {
            assert!(read_now(path).is_err_and(|why| why.contains("not a regular file")), "{path}");
        }
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_read_keeps_few_threads_and_nothing_old_is_told() {
        let dir = tempfile::tempdir().expect("there is a temporary directory");
        let path = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
        let (dead, alive) = (path("dead"), path("alive"));
        std::fs::write(&dead, "old").expect("the directory is ours");
        std::fs::write(&alive, "alive").expect("the directory is ours");
        let (answers, stuck) = std::sync::mpsc::channel::<()>();
        let stuck = Arc::new(Mutex::new(stuck));
        for _ in 0..2 {
            let stuck = Arc::clone(&stuck);
            // until the other end is dropped
            let hang = move || stuck.lock().expect("no code panics while it holds this lock").recv().is_err();
            assert!(timeout(Duration::ZERO, READS.run(&dead, hang)).await.is_err(), "its caller goes away, its thread stays");
        }
        let mut reading = Box::pin(read(&dead));
        assert!(timeout(Duration::ZERO, &mut reading).await.is_err(), "it waits for its turn");
        assert_eq!(read(&alive).await.as_deref(), Ok("alive"), "another file does not wait for that");
        std::fs::write(&dead, "new").expect("the directory is ours");
        drop(answers);
        assert_eq!(reading.await.as_deref(), Ok("new"));
    }
}
