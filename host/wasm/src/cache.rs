//! Compiled components on disk, so that a plugin is compiled once per machine.
//!
//! Loading compiled code runs it. Therefore the directory must be the host's own and closed to everybody else (0700), every
//! file is checked for owner, mode and checksum before it is trusted, and a file that fails a check is removed and written
//! anew. No error of the cache ever fails a load. What no host has read for a month belongs to a plugin or an engine that is gone,
//! and is removed when the cache is opened.

use std::hash::{Hash, Hasher};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use hostler_failpoint::failpoint;
use wasmtime::component::Component;

mod trusted;

/// Behind the code, which begins where pages of memory do, stand this and the code's checksum.
const MAGIC: &[u8; 16] = b"hostler-cwasm-2\n";
const TRAILER_BYTES: usize = MAGIC.len() + blake3::OUT_LEN;
/// How long compiled code is kept that nobody reads.
const UNREAD: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How long a file that is being written may take: an older one was left behind by a host that was killed.
const WRITING: Duration = Duration::from_secs(60 * 60);

/// A directory of compiled components.
#[derive(Debug)]
pub(crate) struct Cache {
    dir: PathBuf,
}

impl Cache {
    /// Opens the directory, making it if need be; refuses one that others may write to or that is not ours.
    pub(crate) fn open(dir: &Path) -> Result<Cache, String> {
        let failed = |error: std::io::Error| format!("cache directory {}: {error}", dir.display());
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
        let metadata = std::fs::symlink_metadata(dir).map_err(failed)?;
        if !metadata.is_dir() || metadata.uid() != rustix::process::geteuid().as_raw() || metadata.mode() & 0o077 != 0 {
            return Err(format!(
                "cache directory {} must be a directory of the host's own user with mode 0700: compiled code in it is run",
                dir.display()
            ));
        }
        let cache = Cache { dir: dir.to_owned() };
        if let Err(error) = cache.sweep(SystemTime::now()) {
            tracing::warn!(dir = %dir.display(), %error, "old compiled code could not be removed");
        }
        Ok(cache)
    }

    /// Removes our own files that nobody needs any more: by name, so that nothing else in the directory is touched.
    fn sweep(&self, now: SystemTime) -> std::io::Result<()> {
        for entry in std::fs::read_dir(&self.dir)? {
            let entry = entry?;
            let keep = match Path::new(&entry.file_name()).extension().and_then(|extension| extension.to_str()) {
                Some("cwasm") => UNREAD,
                Some("part") => WRITING,
                _ => continue,
            };
            // a time in the future says nothing about age
            let age = now.duration_since(entry.metadata()?.modified()?).unwrap_or_default();
            if age > keep {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// The component of this digest, if its code is here and sound.
    pub(crate) fn get(&self, engine: &wasmtime::Engine, digest: &str) -> Option<Component> {
        let path = self.path(engine, digest);
        let loaded = match sound(&path) {
            Ok(None) => return None,
            // A file system that may not be executed from (`noexec`) lets nobody map it: then a copy is what runs.
            Ok(Some(code)) => trusted::load_file(engine, &path).or_else(|_| trusted::load(engine, &code)).map_err(|error| format!("{error:#}")),
            Err(why) => Err(why),
        };
        loaded.map_err(|why| self.discard(&path, &why)).ok()
    }

    /// Keeps what our own compiler just made of the component of this digest, and loads it.
    pub(crate) fn put(&self, engine: &wasmtime::Engine, digest: &str, code: &[u8]) -> wasmtime::Result<Component> {
        let path = self.path(engine, digest);
        let component = trusted::load(engine, code)?;
        if let Err(error) = self.write(&path, code) {
            tracing::warn!(file = %path.display(), %error, "compiled code could not be cached");
        }
        failpoint!("host.cache.cached");
        // From its file it takes less memory.
        Ok(self.get(engine, digest).unwrap_or(component))
    }

    fn path(&self, engine: &wasmtime::Engine, digest: &str) -> PathBuf {
        let mut hasher = Blake(blake3::Hasher::new());
        // Two versions of this program may use one cache.
        MAGIC.hash(&mut hasher);
        engine.precompile_compatibility_hash().hash(&mut hasher);
        self.dir.join(format!("{digest}-{:016x}.cwasm", hasher.finish()))
    }

    fn discard(&self, path: &Path, why: &str) {
        tracing::warn!(file = %path.display(), why, "cached code is damaged or not trusted; compiling anew");
        if let Err(error) = std::fs::remove_file(path) {
            tracing::warn!(file = %path.display(), %error, "cached code could not be removed");
        }
    }

    /// Writes beside and renames, so that a reader sees all or nothing.
    fn write(&self, path: &Path, code: &[u8]) -> std::io::Result<()> {
        static COUNTER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let count = COUNTER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let beside = self.dir.join(format!(".{}-{count}.part", std::process::id()));
        let written = (|| {
            let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
            file.write_all(code)?;
            file.write_all(MAGIC)?;
            file.write_all(blake3::hash(code).as_bytes())?;
            failpoint!("host.cache.filled");
            std::fs::rename(&beside, path)
        })();
        if written.is_err() {
            let _ = std::fs::remove_file(&beside);
        }
        written
    }
}

/// The code in it, if it is there, ours, and as it was written.
fn sound(path: &Path) -> Result<Option<Vec<u8>>, String> {
    let mut file = match std::fs::OpenOptions::new().read(true).custom_flags(nofollow()).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    if !metadata.is_file() || metadata.uid() != rustix::process::geteuid().as_raw() || metadata.mode() & 0o022 != 0 {
        return Err("not a file of the host's own, or writable by others".to_owned());
    }
    let mut code = Vec::new();
    file.read_to_end(&mut code).map_err(|error| error.to_string())?;
    let trailer = code.len().checked_sub(TRAILER_BYTES).map(|length| code.split_off(length)).ok_or("shorter than what stands at its end")?;
    let (magic, checksum) = trailer.split_at(MAGIC.len());
    if magic != MAGIC {
        return Err("not compiled code of this version".to_owned());
    }
    if blake3::hash(&code).as_bytes() != checksum {
        return Err("its checksum does not match".to_owned());
    }
    // whoever opens the cache sees by this time that the code is still wanted; without it, it is compiled anew some day
    let _ = file.set_modified(SystemTime::now());
    Ok(Some(code))
}

fn nofollow() -> i32 {
    i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).expect("flags of open fit its argument")
}

/// blake3 behind std's `Hasher`: the same on every machine and in every release, which std does not promise of its own.
struct Blake(blake3::Hasher);

impl Hasher for Blake {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let hash = self.0.finalize();
        u64::from_le_bytes(*hash.as_bytes().first_chunk().expect("a hash has 32 bytes"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

    fn engine() -> wasmtime::Engine {
        crate::engine::Engine::new(crate::PoolOptions { instances: 4, ..Default::default() }).expect("an engine").wasmtime
    }

    /// Is it there? If not, it is afterwards.
    fn is_cached(cache: &Cache, engine: &wasmtime::Engine, digest: &str) -> bool {
        cache.get(engine, digest).is_some() || {
            let code = engine.precompile_component(COMPONENT).expect("a component");
            cache.put(engine, digest, &code).expect("code");
            false
        }
    }

    fn only_file(dir: &Path) -> PathBuf {
        let mut files: Vec<PathBuf> = std::fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path()).collect();
        assert_eq!(files.len(), 1, "{files:?}");
        files.remove(0)
    }

    #[test]
    fn what_was_compiled_once_is_not_compiled_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let cache = Cache::open(&dir.path().join("cache")).expect("opens");
        let engine = engine();
        let is_cached = || is_cached(&cache, &engine, "d1");
        assert!(!is_cached());
        assert!(is_cached());
    }

    #[test]
    fn a_damaged_file_is_compiled_anew() {
        let dir = tempfile::tempdir().expect("a directory");
        let cache = Cache::open(&dir.path().join("cache")).expect("opens");
        let engine = engine();
        let is_cached = || is_cached(&cache, &engine, "d1");
        assert!(!is_cached());
        let file = only_file(&dir.path().join("cache"));
        let whole = std::fs::read(&file).expect("readable");
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 1;
        for damaged in
            [&flipped[..], &whole[..20], &whole[..whole.len() - 1], b"", b"garbage that is longer than the trailer of a file of ours ......."]
        {
            std::fs::write(&file, damaged).expect("writable");
            assert!(!is_cached(), "{} bytes", damaged.len());
            assert!(is_cached());
        }
    }

    #[test]
    fn a_file_that_others_may_write_is_not_trusted() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("a directory");
        let cache = Cache::open(&dir.path().join("cache")).expect("opens");
        let engine = engine();
        let is_cached = || is_cached(&cache, &engine, "d1");
        assert!(!is_cached());
        let file = only_file(&dir.path().join("cache"));
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o666)).expect("chmod");
        assert!(!is_cached());
    }

    #[test]
    fn what_nobody_reads_any_more_is_removed() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("cache");
        let engine = engine();
        let is_cached = |digest: &str| is_cached(&Cache::open(&path).expect("opens"), &engine, digest);
        let age = |file: &Path, days: u64| {
            let file = std::fs::OpenOptions::new().write(true).open(file).expect("a file");
            file.set_modified(SystemTime::now() - Duration::from_secs(days * 24 * 60 * 60)).expect("a time");
        };
        is_cached("d1");
        age(&only_file(&path), 31);
        is_cached("d2");
        age(&only_file(&path), 29);
        assert!(is_cached("d2"), "a month has not passed");
        age(&only_file(&path), 29);
        is_cached("d2");
        assert!(only_file(&path).metadata().expect("a file").modified().expect("a time").elapsed().expect("past") < UNREAD / 2, "reading counts");
        for (name, days) in [(".1-0.part", 1), (".2-0.part", 0), ("notes.txt", 99)] {
            std::fs::write(path.join(name), "x").expect("writable");
            age(&path.join(name), days);
        }
        Cache::open(&path).expect("opens");
        let left = |name: &str| path.join(name).exists();
        assert_eq!([left(".1-0.part"), left(".2-0.part"), left("notes.txt")], [false, true, true]);
    }

    #[test]
    fn an_open_directory_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).expect("chmod");
        let error = Cache::open(dir.path()).expect_err("open to others");
        assert!(error.contains("0700"), "{error}");
    }
}
