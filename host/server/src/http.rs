//! The API over HTTP: a closed list of routes, each a read of the desk or a request to the loop.

use std::ops::Deref;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Response, StatusCode, Uri};
use axum::response::IntoResponse;
use axum::{Extension, Router, middleware};
use hostler_api::{Code, Failure, routes, token};
use hostler_core::{ServiceName, WorkspaceName};
use hostler_store::{Store, Txn};
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixListener;
use tokio::sync::{mpsc, oneshot, watch};

use crate::alerts::Alerting;
use crate::audit::Audit;
use crate::board::Board;
use crate::desk::Desk;
use crate::feed::Readers;
use crate::front::{Front, Guest};
use crate::heartbeats::Heartbeats;
use crate::idempotency::Keys;
use crate::identity::Identities;
use crate::message::{Accepted, Change, Mark, Message, Writing};
use crate::operations::Operations;
use crate::plugins::Plugins;
use crate::speak;
use crate::stats::Meter;
use crate::telemetry::{self, Telemetry};
use crate::workspaces::Workspaces;

mod alerts;
mod answer;
mod apart;
mod caller;
mod connection;
mod documents;
mod engines;
mod events;
mod gate;
pub(crate) mod idempotency;
mod limits;
mod listing;
mod metrics;
mod native;
pub(crate) mod operations;
mod origin;
mod record;
mod registry;
mod scope;
mod specs;
mod store;
mod table;
mod tokens;
mod workspaces;

pub(crate) use answer::line;
use answer::{Refusal, document};
use caller::{Caller, Peer};
pub(crate) use caller::{NOBODY, Visitor};
use connection::{Paced, Places, Wire};
pub(crate) use limits::{Limits, place};
use metrics::Traffic;
pub(crate) use native::checked_now;
use table::Table;

/// How long a client may take to send the head of a request.
const HEADERS: Duration = Duration::from_secs(10);
/// How long answers under way may take once the host ends.
const FAREWELL: Duration = Duration::from_secs(5);
/// The largest head of a request, and what is kept of an answer for a client that does not take it yet.
const BUFFER: usize = 80 << 10;
/// How late an expired token's connections end.
const EXPIRED: Duration = Duration::from_secs(15);
/// Who has shown no token until then has had all the answers that there are for him.
const STRANGER: Duration = Duration::from_secs(60);
/// The longest that a request may ask to wait.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);

/// What requests go through. Each takes several of it, on every processor at once.
#[derive(Clone)]
pub(crate) struct Door(Arc<Behind>);

impl Deref for Door {
    type Target = Behind;

    fn deref(&self) -> &Behind {
        &self.0
    }
}

/// What is behind the door.
pub(crate) struct Behind {
    pub(crate) outbox: mpsc::UnboundedSender<Message>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) plugins: Arc<Plugins>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) readers: Readers,
    pub(crate) board: Arc<Board>,
    pub(crate) traffic: Arc<Traffic>,
    pub(crate) rounds: watch::Receiver<u64>,
    pub(crate) identities: Arc<Identities>,
    pub(crate) audit: Arc<Audit>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) front: Arc<Front>,
    /// Held while a snapshot is written.
    pub(crate) snapshots: Arc<tokio::sync::Mutex<()>>,
    pub(crate) workspaces: Arc<Workspaces>,
    pub(crate) heartbeats: Arc<Heartbeats>,
    pub(crate) alerting: Arc<Alerting>,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) operations: Arc<Operations>,
    pub(crate) keys: Arc<Keys>,
}

impl Door {
    pub(crate) fn new(behind: Behind) -> Door {
        Door(Arc::new(behind))
    }

    /// Looks at the desk, between two rounds of the loop.
    pub(crate) async fn look<T: Send + 'static>(&self, look: impl FnOnce(&Desk) -> T + Send + 'static) -> Result<T, Failure> {
        let (answer, answered) = oneshot::channel();
        let message = Message::Look(Box::new(move |desk| drop(answer.send(look(desk)))));
        self.outbox.send(message).map_err(|_| ended())?;
        answered.await.map_err(|_| ended())
    }

    pub(crate) async fn change(&self, change: Change) -> Result<Accepted, Failure> {
        let (answer, answered) = oneshot::channel();
        let message = match idempotency::mark() {
            Some(mark) => Message::Marked(change, vec![mark], answer),
            None => Message::Change(change, answer),
        };
        self.outbox.send(telemetry::traced(message)).map_err(|_| ended())?;
        let accepted = answered.await.map_err(|_| ended())?;
        if accepted.is_ok() {
            idempotency::has_changed();
        }
        accepted
    }

    /// The same, and writes this in the transaction of the change.
    pub(crate) async fn change_marked(&self, change: Change, mark: Mark) -> Result<Accepted, Failure> {
        let (answer, answered) = oneshot::channel();
        self.outbox.send(Message::Marked(change, vec![mark], answer)).map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }

    /// Writes something of a workspace that changes nothing that is wanted, and tells its events; `then` is done once it is written, also when
    /// nobody waits for that any more.
    pub(crate) async fn write(&self, workspace: &WorkspaceName, txn: Txn, then: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
        write(&self.outbox, workspace, txn, then).await
    }

    /// Waits until these are settled; false when the time was up first, the host ends, or nobody waits for the answer any more. What was asked
    /// for is wanted all the same: that is no error.
    pub(crate) async fn settle(&self, names: &[ServiceName], wait: Duration) -> bool {
        let names: Arc<[ServiceName]> = names.into();
        self.settle_all(move |_| Arc::clone(&names), wait).await
    }

    /// The same of those that are chosen anew at each look.
    pub(crate) async fn settle_all<N>(&self, choose: impl Fn(&Desk) -> N + Clone + Send + 'static, wait: Duration) -> bool
    where
        N: AsRef<[ServiceName]>,
    {
        let mut rounds = self.rounds.clone();
        let end = tokio::time::Instant::now() + wait.min(LONGEST_WAIT);
        loop {
            rounds.mark_unchanged();
            let choose = choose.clone();
            match self.look(move |desk| speak::settled(desk, choose(desk).as_ref())).await {
                Ok(true) => return true,
                Ok(false) => {}
                Err(_) => return false,
            }
            tokio::select! {
                changed = tokio::time::timeout_at(end, rounds.changed()) => if !matches!(changed, Ok(Ok(()))) { return false },
                () = apart::nobody_waits() => return false,
            }
        }
    }
}

/// The same, for whoever has only the way to the loop.
pub(crate) async fn write(
    outbox: &mpsc::UnboundedSender<Message>,
    workspace: &WorkspaceName,
    txn: Txn,
    then: impl FnOnce() + Send + 'static,
) -> Result<(), Failure> {
    let (answer, answered) = oneshot::channel();
    let writing = Writing { workspace: workspace.clone(), txn, then: Box::new(then) };
    outbox.send(Message::Write(Box::new(writing), answer)).map_err(|_| ended())?;
    answered.await.map_err(|_| ended())?
}

pub(crate) fn ended() -> Failure {
    Failure::new(Code::Unavailable, "the host has ended")
}

/// Answers requests until the loop ends; then what is being answered may finish, for a moment, and nothing new is taken.
pub(crate) async fn serve(listener: UnixListener, door: Door) {
    let mut rounds = door.rounds.clone();
    let (ending, is_ending) = watch::channel(());
    let places = Places::new(is_ending, Arc::clone(&door.traffic));
    // Guests have places of their own: however many come, there is one for whoever uses the socket.
    let answering = TowerToHyperService::new(router(door.clone()));
    let house = Arc::new(House { answering, guests: places.beside(), workspaces: Arc::clone(&door.workspaces) });
    let receiving = {
        let (house, identities) = (Arc::clone(&house), Arc::clone(&door.identities));
        move |guest: Guest| drop(tokio::spawn(receive(Arc::clone(&house), Arc::clone(&identities), guest)))
    };
    let front = tokio::spawn(Arc::clone(&door.front).run(Arc::clone(&door.identities), receiving));
    let counting = tokio::spawn(Arc::clone(&door.audit).sum_up_always());
    loop {
        // Both are cancel-safe: a place that was taken and not used is free again.
        let taken = async { (places.take().await, listener.accept().await) };
        let (wire, accepted) = tokio::select! {
            taken = taken => taken,
            () = end_of_loop(&mut rounds) => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors: what runs goes on, and the next one is tried a little later.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let peer = Peer::local(&stream);
        tokio::spawn(converse(stream, peer, wire, house.answering.clone()));
    }
    front.abort();
    front.await.ok();
    counting.abort();
    counting.await.ok();
    door.audit.sum_up();
    drop((places, house));
    ending.send_replace(());
    if tokio::time::timeout(FAREWELL, ending.closed()).await.is_err() {
        tracing::debug!("somebody did not take the end of an answer");
    }
}

/// What guests are answered by.
struct House {
    answering: TowerToHyperService<Router>,
    guests: Places,
    workspaces: Arc<Workspaces>,
}

/// One connection to its end. At the end of the host, the request under way is its last.
async fn converse<S>(stream: S, peer: Peer, wire: Wire, answering: TowerToHyperService<Router>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut ending = wire.ending();
    let stream = TokioIo::new(Paced::new(stream, wire.clone()));
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        request.extensions_mut().insert(wire.clone());
        answering.call(request)
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    // Without `pipeline_flush`: it takes whatever a stream has to say, however slow its reader is.
    http.timer(TokioTimer::new()).header_read_timeout(HEADERS).max_headers(64).max_buf_size(BUFFER);
    let mut connection = pin!(http.serve_connection(stream, service).with_upgrades());
    // A client that breaks off breaks only its own connection.
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = ending.changed() => connection.as_mut().graceful_shutdown(),
    }
    connection.await.ok();
}

/// Answers a guest for as long as the tokens that he has shown are good.
async fn receive(house: Arc<House>, identities: Arc<Identities>, guest: Guest) {
    let Guest { stream, visitor, seat } = guest;
    let wire = house.guests.take().await;
    wire.sit(seat);
    let peer = Peer::Remote(visitor);
    let connection = converse(stream, peer.clone(), wire, house.answering.clone());
    let workspaces = Arc::clone(&house.workspaces);
    drop(house);
    tokio::select! {
        () = connection => {}
        () = unwelcome(peer, identities, workspaces) => {}
    }
}

/// Returns once a token that this guest has shown is good no more, or for less than it was, or when he has shown none for so long. On our own
/// socket nobody shows one.
async fn unwelcome(peer: Peer, identities: Arc<Identities>, workspaces: Arc<Workspaces>) {
    let Peer::Remote(visitor) = peer else { return std::future::pending().await };
    let (mut taken_back, mut losses) = (identities.taken_back(), workspaces.watch_losses());
    let begun = tokio::time::Instant::now();
    loop {
        tokio::select! {
            changed = taken_back.changed() => if changed.is_err() { return },
            changed = losses.changed() => if changed.is_err() { return },
            // One that has expired ends what it began, a little later.
            () = tokio::time::sleep(EXPIRED) => {}
        }
        if !visitor.all_shown(|id, since| identities.is_usable(id) && !workspaces.has_lost(id, since)) {
            return;
        }
        if begun.elapsed() > STRANGER && visitor.is_stranger() {
            return;
        }
    }
}

fn router(door: Door) -> Router {
    let table = engines::routes(specs::routes(listing::routes(native::routes(Table::new(Arc::clone(&door.workspaces))))));
    let table = operations::routes(table);
    let table = tokens::routes(documents::routes(metrics::routes(events::routes(table))));
    let table = alerts::routes(registry::routes(workspaces::routes(store::routes(table))));
    table
        .whole()
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(door.clone(), gate::pass))
        .with_state(door)
}

async fn unknown(Extension(caller): Extension<Caller>, uri: Uri) -> Refusal {
    if caller.is_unknown() {
        return Refusal(gate::unknown());
    }
    Refusal(Failure::new(Code::NotFound, format!("there is no route `{}`", token::redacted(uri.path()).escape_default())))
}

async fn wrong_method(Extension(caller): Extension<Caller>, uri: Uri) -> Response<Body> {
    if caller.is_unknown() {
        return Refusal(gate::unknown()).into_response();
    }
    let failure = Failure::new(Code::Invalid, format!("`{}` does not take this method", uri.path().escape_default()));
    document(StatusCode::METHOD_NOT_ALLOWED, routes::PROBLEM_JSON, &failure)
}

/// Returns once the loop has ended, which counts its rounds for as long as it goes.
pub(crate) async fn end_of_loop(rounds: &mut watch::Receiver<u64>) {
    while rounds.changed().await.is_ok() {}
}
