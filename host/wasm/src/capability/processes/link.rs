//! The host's link to the keeper: connects, says who it is, hears of exits, and comes back after a loss.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use hostler_keeper::protocol::{Event, Exit, Greeting, PROTOCOL, Refusal, Request, Response};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;

use super::connection::Connection;
use crate::hooks::Wait;

/// Starts the keeper again when nobody listens on its socket. Runs at most once at a time.
pub type RestartHook = Arc<dyn Fn() -> Wait<'static, Result<(), String>> + Send + Sync>;

/// Why the keeper gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeeperError {
    /// The request was not sent: nothing happened.
    #[error("the keeper is away: {0}")]
    Unavailable(String),
    /// The connection broke before the answer: it may have happened.
    #[error("the connection to the keeper was lost before its answer came")]
    Lost,
    /// The keeper said no.
    #[error("the keeper refused: {0}")]
    Refused(Refusal),
    /// It speaks another language.
    #[error("the keeper's answer cannot be read: {0}")]
    Protocol(String),
}

/// Wakes whoever waits for processes. A hint: truth is what `inspect` says. A receiver that lags should look at everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExitNews {
    /// A process ended.
    Exited {
        /// Name of the plugin that holds it.
        plugin: String,
        /// The plugin's key for it: for a backend, usually the task's id.
        key: String,
        /// How it ended.
        exit: Exit,
    },
    /// The connection to the keeper was lost and is back: exits may have been missed.
    Reconnected,
}

/// Plays a keeper, for who has none to speak to: the conformance suite's engine in memory.
pub trait KeeperRole: Send + Sync {
    /// Answers one request, as a keeper would.
    fn request(&self, request: Request) -> Wait<'_, Result<(Response, Vec<u8>), KeeperError>>;
}

/// A lasting link to one keeper.
pub struct KeeperLink {
    inner: Arc<Inner>,
    played: Option<Arc<dyn KeeperRole>>,
    tending: JoinHandle<()>,
}

struct Inner {
    dir: PathBuf,
    restart: Option<RestartHook>,
    current: RwLock<Option<Arc<Connection>>>,
    greeting: watch::Sender<Option<Greeting>>,
    news: broadcast::Sender<ExitNews>,
    /// The host is about to end: a keeper that goes is not brought back.
    retired: AtomicBool,
}

const HELLO_DEADLINE: Duration = Duration::from_secs(5);
const RESTART_DEADLINE: Duration = Duration::from_secs(15);
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
const NEWS_KEPT: usize = 4_096;

impl KeeperLink {
    /// Connects to the keeper as the one host, starting it through `restart` if nobody listens. `path` is the keeper's
    /// directory, or the socket in it.
    ///
    /// Older connections that also claimed to be the host are closed by the keeper. After a loss the link reconnects by
    /// itself; meanwhile requests fail with [`KeeperError::Unavailable`].
    pub async fn connect(path: PathBuf, restart: Option<RestartHook>) -> Result<Arc<KeeperLink>, KeeperError> {
        let dir = if path.is_dir() { path } else { path.parent().map_or_else(PathBuf::new, Path::to_owned) };
        let inner = Arc::new(Inner {
            dir,
            restart,
            current: RwLock::new(None),
            greeting: watch::Sender::new(None),
            news: broadcast::Sender::new(NEWS_KEPT),
            retired: AtomicBool::new(false),
        });
        let (connection, pumping) = inner.establish().await?;
        inner.set(Some(connection));
        let tending = tokio::spawn(tend(Arc::clone(&inner), pumping));
        Ok(Arc::new(KeeperLink { inner, played: None, tending }))
    }

    /// A link to no keeper, for ever: a door for `tests/fuzz`.
    #[doc(hidden)]
    pub fn nobody() -> Arc<KeeperLink> {
        KeeperLink::apart(None)
    }

    /// A link to somebody who plays a keeper. There is no news of exits.
    pub fn played_by(role: Arc<dyn KeeperRole>) -> Arc<KeeperLink> {
        KeeperLink::apart(Some(role))
    }

    fn apart(played: Option<Arc<dyn KeeperRole>>) -> Arc<KeeperLink> {
        let inner = Arc::new(Inner {
            dir: PathBuf::new(),
            restart: None,
            current: RwLock::new(None),
            greeting: watch::Sender::new(None),
            news: broadcast::Sender::new(NEWS_KEPT),
            retired: AtomicBool::new(true),
        });
        Arc::new(KeeperLink { inner, played, tending: tokio::spawn(std::future::ready(())) })
    }

    /// Asks the keeper. The answer's bytes, if it has any, come beside it; a refusal is an error.
    pub async fn request(&self, request: Request) -> Result<(Response, Vec<u8>), KeeperError> {
        if let Some(role) = &self.played {
            return role.request(request).await;
        }
        let connection = self.inner.current.read().expect("no code panics while it holds this lock").clone();
        match connection {
            Some(connection) => connection.request(&request).await,
            None => Err(KeeperError::Unavailable("its connection was lost; reconnecting".to_owned())),
        }
    }

    /// From now on a keeper that goes is let go: it is neither connected to nor started again. For a host's last request.
    pub fn retire(&self) {
        self.inner.retired.store(true, Ordering::SeqCst);
    }

    /// News of exits from now on.
    pub fn exits(&self) -> broadcast::Receiver<ExitNews> {
        self.inner.news.subscribe()
    }

    /// What the keeper said of itself when last connected; absent while it is away.
    pub fn greeting(&self) -> Option<Greeting> {
        self.inner.greeting.borrow().clone()
    }

    /// Follows the keeper: its greeting when it is there, nothing while it is away.
    pub fn presence(&self) -> watch::Receiver<Option<Greeting>> {
        self.inner.greeting.subscribe()
    }
}

impl Drop for KeeperLink {
    fn drop(&mut self) {
        self.tending.abort();
        self.inner.set(None);
    }
}

/// Waits for the connection to break, then brings it back, again and again.
async fn tend(inner: Arc<Inner>, mut pumping: Pumping) {
    loop {
        let why = (&mut pumping.0).await.unwrap_or_else(|error| error.to_string());
        inner.set(None);
        inner.greeting.send_replace(None);
        if inner.retired.load(Ordering::SeqCst) {
            return;
        }
        tracing::warn!(%why, "lost the keeper; reconnecting");
        let mut pause = FIRST_PAUSE;
        pumping = loop {
            match inner.establish().await {
                Ok((connection, pumping)) => {
                    inner.set(Some(connection));
                    break pumping;
                }
                Err(error) => tracing::warn!(%error, "the keeper cannot be reached"),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        };
        tracing::info!("the keeper is back");
        let _ = inner.news.send(ExitNews::Reconnected);
    }
}

/// The task that moves a connection's bytes; ends with it.
struct Pumping(JoinHandle<String>);

impl Drop for Pumping {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Inner {
    fn set(&self, connection: Option<Arc<Connection>>) {
        *self.current.write().expect("no code panics while it holds this lock") = connection;
    }

    /// Opens a connection, introduces the host and subscribes to exits.
    async fn establish(self: &Arc<Self>) -> Result<(Arc<Connection>, Pumping), KeeperError> {
        let connection = Arc::new(self.open().await?);
        let (news, pumped) = (self.news.clone(), Arc::clone(&connection));
        let pumping = Pumping(tokio::spawn(async move { pumped.pump(|event| tell(&news, event)).await }));
        let greeting = tokio::time::timeout(HELLO_DEADLINE, introduce(&connection)).await;
        let greeting = greeting.map_err(|_| KeeperError::Unavailable("it does not answer".to_owned()))??;
        self.greeting.send_replace(Some(greeting));
        Ok((connection, pumping))
    }

    async fn open(&self) -> Result<Connection, KeeperError> {
        let away = |error: std::io::Error| KeeperError::Unavailable(format!("{}: {error}", self.dir.display()));
        let first = match Connection::open(&self.dir) {
            Ok(connection) => return Ok(connection),
            Err(error) => error,
        };
        let Some(restart) = &self.restart else { return Err(away(first)) };
        match tokio::time::timeout(RESTART_DEADLINE, restart()).await {
            Ok(Ok(())) => Connection::open(&self.dir).map_err(away),
            Ok(Err(why)) => Err(KeeperError::Unavailable(format!("it could not be started: {why}"))),
            Err(_) => Err(KeeperError::Unavailable(format!("it did not start within {RESTART_DEADLINE:?}"))),
        }
    }
}

async fn introduce(connection: &Connection) -> Result<Greeting, KeeperError> {
    let hello = Request::Hello { protocol: PROTOCOL, client: format!("host, pid {}", std::process::id()), exclusive: true };
    let greeting = match connection.request(&hello).await? {
        (Response::Hello(greeting), _) => greeting,
        (other, _) => return Err(KeeperError::Protocol(format!("{other:?} to a greeting"))),
    };
    if greeting.protocol != PROTOCOL {
        return Err(KeeperError::Protocol(format!("it speaks version {}, this host version {PROTOCOL}", greeting.protocol)));
    }
    connection.request(&Request::Subscribe).await?;
    Ok(greeting)
}

/// Passes an event on. A key that carries no plugin's name is none of ours.
fn tell(news: &broadcast::Sender<ExitNews>, event: Event) {
    let Event::Exited { key, owner, exit, .. } = event;
    let Some(bare) = key.strip_prefix(&owner).and_then(|rest| rest.strip_prefix('.')) else { return };
    let _ = news.send(ExitNews::Exited { plugin: owner.clone(), key: bare.to_owned(), exit });
}
