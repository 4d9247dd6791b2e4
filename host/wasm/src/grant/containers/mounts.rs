//! What of the engine's machine may be mounted into containers.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Component, Path, PathBuf};

/// Sockets by which a container would command an engine: never in a mount that does not name them.
const ENGINES: [&str; 8] = [
    "/var/run/docker.sock",
    "/run/docker.sock",
    "/var/run/podman/podman.sock",
    "/run/podman/podman.sock",
    "/var/run/containerd/containerd.sock",
    "/run/containerd/containerd.sock",
    "/var/run/crio/crio.sock",
    "/run/crio/crio.sock",
];

/// What may be mounted.
pub(crate) struct Mounts {
    roots: Vec<PathBuf>,
    sockets: Vec<PathBuf>,
    /// The engine's machine is this one: paths can be looked at.
    local: bool,
}

/// Why something is not mounted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is not granted.
    Denied(String),
    /// It cannot be mounted at all.
    Invalid(String),
}

impl Mounts {
    pub(crate) fn settle(roots: &[String], local: bool, socket: Option<PathBuf>) -> Result<Mounts, String> {
        let roots = roots.iter().map(|root| plain(root).ok_or_else(|| format!("mount `{root}` is no absolute path without `..`")));
        let roots: Vec<PathBuf> = roots.collect::<Result<_, _>>()?;
        let mut sockets: Vec<PathBuf> = ENGINES.iter().map(PathBuf::from).chain(socket).collect();
        if local {
            let real: Vec<PathBuf> = sockets.iter().filter_map(|path| fs::canonicalize(path).ok()).collect();
            sockets.extend(real);
        }
        Ok(Mounts { roots, sockets, local })
    }

    /// The path to mount: where the engine's machine is this one, it has no symlink in it any more.
    pub(crate) fn admit(&self, source: &str) -> Result<String, Refusal> {
        let asked = plain(source).ok_or_else(|| Refusal::Invalid(format!("mount source {source:?} is not an absolute path without `..`")))?;
        let denied = || Refusal::Denied(format!("mount of `{source}`"));
        if !self.is_beneath(&asked, false) {
            return Err(denied());
        }
        let real =
            if self.local { self.real(&asked).map_err(|why| Refusal::Invalid(format!("mount source `{source}`: {why}")))? } else { asked.clone() };
        // A directory that is granted names no socket in it.
        let named = self.roots.contains(&asked) && (self.sockets.contains(&asked) || (self.local && is_socket(&real)));
        if !self.is_beneath(&real, true) {
            return Err(Refusal::Denied(format!("mount of `{source}`, which is {}", real.display())));
        }
        if !named && (self.holds_engine(&asked) || self.holds_engine(&real) || (self.local && is_socket(&real))) {
            return Err(Refusal::Denied(format!("mount of `{source}`, which has an engine's socket in it; name it to grant it")));
        }
        real.into_os_string().into_string().map_err(|_| Refusal::Invalid(format!("mount source `{source}` is no text")))
    }

    /// Is this source still what it was when it was admitted? Nobody can say of another machine.
    pub(crate) fn still(&self, source: &str) -> bool {
        !self.local || fs::canonicalize(source).map_or(true, |real| real == Path::new(source))
    }

    fn is_beneath(&self, path: &Path, real: bool) -> bool {
        let below =
            |root: &PathBuf| path.starts_with(root) || (real && self.local && fs::canonicalize(root).is_ok_and(|root| path.starts_with(root)));
        self.roots.iter().any(below)
    }

    /// Follows symlinks of what is there. What is not there yet the engine refuses.
    fn real(&self, path: &Path) -> Result<PathBuf, String> {
        fs::canonicalize(path).map_err(|error| error.to_string())
    }

    /// Also what lies below: `/run` has the socket in it.
    fn holds_engine(&self, path: &Path) -> bool {
        self.sockets.iter().any(|socket| socket.starts_with(path) && !self.roots.contains(socket))
    }
}

fn is_socket(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|about| about.file_type().is_socket())
}

/// An absolute path with nothing in it that leads elsewhere.
fn plain(path: &str) -> Option<PathBuf> {
    let path = Path::new(path);
    let fine = |component: Component<'_>| matches!(component, Component::RootDir | Component::Normal(_));
    (path.is_absolute() && path.components().all(fine) && !path.as_os_str().as_encoded_bytes().contains(&0)).then(|| path.components().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mounts(roots: &[&str]) -> Mounts {
        let roots: Vec<String> = roots.iter().map(|root| (*root).to_owned()).collect();
        Mounts::settle(&roots, true, None).expect("roots")
    }

    #[test]
    fn only_what_lies_beneath_is_mounted() {
        let dir = tempfile::tempdir().expect("a directory");
        let base = dir.path().canonicalize().expect("it is there");
        let data = base.join("data");
        fs::create_dir_all(data.join("db")).expect("a directory");
        fs::create_dir_all(base.join("data-of-others")).expect("a directory");
        std::os::unix::fs::symlink("/etc", data.join("out")).expect("a link");
        std::os::unix::fs::symlink(data.join("db"), data.join("in")).expect("a link");
        let text = |path: &Path| path.to_str().expect("text").to_owned();
        let granted = mounts(&[&text(&data)]);
        let check = |path: &str, expected: Result<String, bool>| {
            let answer = granted.admit(path).map_err(|why| matches!(why, Refusal::Denied(_)));
            assert_eq!(answer, expected, "{path}");
        };
        check(&text(&data.join("db")), Ok(text(&data.join("db"))));
        check(&text(&data), Ok(text(&data)));
        check(&text(&data.join("in")), Ok(text(&data.join("db"))));
        check(&text(&data.join("out")), Err(true));
        check(&text(&data.join("out/passwd")), Err(true));
        check(&text(&base.join("data-of-others")), Err(true));
        check("/etc", Err(true));
        check(&format!("{}/../../etc", text(&data)), Err(false));
        check("relative", Err(false));
        check(&text(&data.join("absent")), Err(false));
        assert!(granted.still(&text(&data.join("db"))));
        fs::remove_dir(data.join("db")).expect("empty");
        std::os::unix::fs::symlink("/etc", data.join("db")).expect("a link");
        assert!(!granted.still(&text(&data.join("db"))), "it was swapped after it was admitted");
    }

    #[test]
    fn an_engines_socket_has_to_be_named() {
        let dir = tempfile::tempdir().expect("a directory");
        let base = dir.path().canonicalize().expect("it is there");
        let socket = base.join("engine.sock");
        let _listening = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
        let text = |path: &Path| path.to_str().expect("text").to_owned();
        let settle = |roots: &[String]| Mounts::settle(roots, true, Some(socket.clone())).expect("roots");
        let around = settle(&[text(&base)]);
        assert!(matches!(around.admit(&text(&socket)), Err(Refusal::Denied(_))));
        assert!(matches!(around.admit(&text(&base)), Err(Refusal::Denied(_))), "a directory brings what is in it");
        assert!(settle(&[text(&base), text(&socket)]).admit(&text(&socket)).is_ok());
        for path in ["/", "/var/run", "/run/docker.sock"] {
            assert!(mounts(&["/"]).admit(path).is_err(), "{path}");
        }
    }
}
