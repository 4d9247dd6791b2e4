//! A real keeper, and the link to it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hostler_keeper::client;
use hostler_keeper::protocol::{Command, Request, Response};
use hostler_wasm::{ExitNews, KeeperError, KeeperLink, RestartHook};

use crate::support::{keeper_program, until};

const DEADLINE: Duration = Duration::from_secs(10);

/// A keeper in a directory of its own; everything it holds ends with it.
pub(crate) struct Keeper {
    dir: tempfile::TempDir,
}

impl Keeper {
    pub(crate) fn dir(&self) -> PathBuf {
        self.dir.path().join("keeper")
    }

    fn pid(&self) -> u32 {
        client::Client::connect(&self.dir(), "test", false).expect("the keeper answers").greeting().pid
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if let Ok(mut client) = client::Client::connect(&self.dir(), "test", false) {
            let _ = client.ask(&Request::Shutdown { if_idle: false });
        }
    }
}

/// Starts a keeper and links to it.
pub(crate) async fn start() -> (Keeper, Arc<KeeperLink>) {
    let keeper = Keeper { dir: tempfile::tempdir().expect("a directory") };
    let link = KeeperLink::connect(keeper.dir().join("keeper.sock"), Some(restarting(keeper.dir()))).await.expect("the keeper starts");
    (keeper, link)
}

fn restarting(dir: PathBuf) -> RestartHook {
    Arc::new(move || {
        let dir = dir.clone();
        Box::pin(async move {
            let started = tokio::task::spawn_blocking(move || client::ensure(&dir, &keeper_program(), DEADLINE).map(drop));
            started.await.expect("the hook does not panic").map_err(|error| error.to_string())
        })
    })
}

fn spawn(key: &str, owner: &str, program: &str, args: &[&str]) -> Request {
    let args = args.iter().map(|arg| (*arg).to_owned()).collect();
    Request::Spawn { key: key.to_owned(), owner: owner.to_owned(), command: Command { program: program.to_owned(), args, ..Command::default() } }
}

#[tokio::test]
async fn without_a_keeper_and_without_a_hook_there_is_no_link() {
    let dir = tempfile::tempdir().expect("a directory");
    let error = KeeperLink::connect(dir.path().join("keeper.sock"), None).await.err().expect("nobody listens");
    assert!(matches!(error, KeeperError::Unavailable(_)), "{error}");
}

#[tokio::test]
async fn many_requests_share_the_connection() {
    let (_keeper, link) = start().await;
    let asking: Vec<_> = (0..200)
        .map(|_| {
            let link = Arc::clone(&link);
            tokio::spawn(async move { link.request(Request::List { owner: None }).await })
        })
        .collect();
    for answer in asking {
        let (response, _) = answer.await.expect("no panic").expect("an answer");
        assert_eq!(response, Response::List(Vec::new()));
    }
}

#[tokio::test]
async fn exits_are_heard_under_the_plugins_own_key() {
    let (_keeper, link) = start().await;
    let mut exits = link.exits();
    link.request(spawn("web.a", "web", "/bin/sh", &["-c", "exit 3"])).await.expect("spawned");
    let news = tokio::time::timeout(DEADLINE, exits.recv()).await.expect("in time").expect("news");
    let ExitNews::Exited { plugin, key, exit } = news else { panic!("{news:?}") };
    assert_eq!((plugin.as_str(), key.as_str(), exit.code), ("web", "a", Some(3)));
}

#[tokio::test]
async fn a_lost_keeper_is_started_again_and_its_processes_are_still_there() {
    let (keeper, link) = start().await;
    let mut exits = link.exits();
    link.request(spawn("web.nap", "web", "/bin/sleep", &["60"])).await.expect("spawned");
    let first = keeper.pid();
    kill(first);
    let news = tokio::time::timeout(DEADLINE, exits.recv()).await.expect("in time").expect("news");
    assert_eq!(news, ExitNews::Reconnected);
    until("the link greets another keeper", async || link.greeting().is_some_and(|greeting| greeting.pid != first)).await;
    let (response, _) = link.request(Request::Inspect { keys: vec!["web.nap".to_owned()] }).await.expect("an answer");
    let Response::Processes(found) = response else { panic!("{response:?}") };
    let pid = found[0].as_ref().and_then(|process| process.pid).expect("the process is known");
    assert!(Path::new(&format!("/proc/{pid}")).exists(), "and it runs");
}

fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("not zero");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("killed");
}
