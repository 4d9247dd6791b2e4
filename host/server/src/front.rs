//! The TCP door: bound where the configuration says, for as long as it says so, and only while somebody could be let in.
//!
//! The door that is wanted changes with an apply; what came through the one before goes on. A door that cannot be opened is tried again every
//! second, and `hostler status` says why: a port that is taken is no reason to leave services alone.

mod subject;
mod tls;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hostler_api::Listening;
use hostler_api::config::Listen;
use rustix::net::sockopt;
use rustix::process::{Resource, getrlimit};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};

use crate::http::{Visitor, place};
use crate::identity::Identities;
use tls::{Fresh, Look, Tls};

pub(crate) use tls::doubt;

/// A door that does not open is tried again after this, and the files of certificates are looked at as often.
const AGAIN: Duration = Duration::from_secs(1);
/// How long a client may take to shake hands.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long an apply waits for the door that it asks for.
const PATIENCE: Duration = Duration::from_secs(2);
/// Connections at a time, of everybody, that are no streams; a sixteenth of what there is of descriptors where that is less: streams may have half.
const CONNECTIONS: u64 = 4_096;
/// So many even where there are hardly any descriptors.
const FEW: u64 = 16;
/// Connections of one address. More are closed at once.
const OF_ONE: usize = 256;

/// What is wanted of the door, and how it is.
pub(crate) struct Front {
    wanted: watch::Sender<Option<Listen>>,
    standing: watch::Sender<Standing>,
    reload: Notify,
}

/// How the door is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Standing {
    /// What was wanted when it was looked at last.
    of: Option<Listen>,
    /// Where it is; nothing while it is closed.
    address: Option<SocketAddr>,
    trouble: Option<String>,
}

/// One connection that came in, and is counted until this is dropped.
pub(crate) struct Guest {
    pub(crate) stream: Box<dyn Stream>,
    pub(crate) visitor: Arc<Visitor>,
    pub(crate) seat: Seat,
}

/// Plain, or behind TLS.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

impl Front {
    /// The door that the last configuration wanted.
    pub(crate) fn new(wanted: Option<Listen>) -> Front {
        Front { wanted: watch::Sender::new(wanted), standing: watch::Sender::default(), reload: Notify::new() }
    }

    /// Wants another door, or none.
    pub(crate) fn want(&self, listen: Option<Listen>) {
        self.wanted.send_if_modified(|wanted| {
            let changed = *wanted != listen;
            *wanted = listen;
            changed
        });
    }

    /// Reads the files of certificates anew.
    pub(crate) fn reload(&self) {
        self.reload.notify_one();
    }

    /// Waits, for a moment, until it was tried to open the door that is wanted.
    pub(crate) async fn settled(&self) {
        let wanted = self.wanted.borrow().clone();
        let mut standing = self.standing.subscribe();
        let tried =
            standing.wait_for(|standing| standing.of == wanted && (wanted.is_none() || standing.address.is_some() || standing.trouble.is_some()));
        // What takes longer is told by `hostler status`.
        tokio::time::timeout(PATIENCE, tried).await.ok();
    }

    /// How it is, for people.
    pub(crate) fn told(&self) -> Option<Listening> {
        let wanted = self.wanted.borrow().clone()?;
        let Standing { address, trouble, .. } = self.standing.borrow().clone();
        Some(Listening { address: address.unwrap_or(wanted.address).to_string(), tls: wanted.tls.is_some(), open: address.is_some(), trouble })
    }

    /// Opens and closes it as is wanted, and hands every guest to `receive`; it ends with whoever waits for it.
    pub(crate) async fn run(self: Arc<Self>, identities: Arc<Identities>, receive: impl Fn(Guest) + Clone + Send + Sync + 'static) {
        let mut wanted = self.wanted.subscribe();
        let crowd = Arc::new(Crowd::new());
        loop {
            let now = wanted.borrow_and_update().clone();
            let Some(listen) = now else {
                self.standing.send_replace(Standing::default());
                if wanted.changed().await.is_err() {
                    return;
                }
                continue;
            };
            match open(&listen, &identities).await {
                Ok(door) => self.keep_open(door, &identities, &mut wanted, &crowd, &receive).await,
                Err(why) => {
                    let standing = Standing { of: Some(listen), address: None, trouble: Some(why.clone()) };
                    if self.standing.send_replace(standing).trouble.as_ref() != Some(&why) {
                        tracing::error!(why, "the TCP door is not open");
                    }
                    tokio::select! {
                        _ = wanted.changed() => {}
                        () = self.reload.notified() => {}
                        () = tokio::time::sleep(AGAIN) => {}
                    }
                }
            }
        }
    }

    /// Takes guests in until another door is wanted.
    async fn keep_open(
        &self,
        mut door: Open,
        identities: &Identities,
        wanted: &mut watch::Receiver<Option<Listen>>,
        crowd: &Arc<Crowd>,
        receive: &(impl Fn(Guest) + Clone + Send + Sync + 'static),
    ) {
        let standing = Standing { of: Some((*door.listen).clone()), address: Some(door.address), trouble: None };
        self.standing.send_replace(standing);
        tracing::info!(address = %door.address, tls = door.tls.is_some(), "listening");
        let (mut looks, mut look) = (tokio::time::interval(AGAIN), Look::default());
        loop {
            // Each arm is cancel-safe: what is not taken now is there the next time.
            tokio::select! {
                accepted = door.listener.accept() => match accepted {
                    Ok((stream, from)) => door.take_in(stream, from, crowd, receive),
                    Err(error) => {
                        // Out of descriptors: what runs goes on, and the next one is tried a little later.
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
                _ = wanted.changed() => return,
                _ = looks.tick() => {
                    // Opened anew it says why it is closed, or offers a token to set up with.
                    if !identities.is_anybody_let_in() {
                        return;
                    }
                    look.want(door.tls.as_ref(), false);
                }
                () = self.reload.notified() => look.want(door.tls.as_ref(), true),
                seen = look.ended() => {
                    self.renew(&mut door, seen);
                    look.go_on(door.tls.as_ref());
                }
            }
        }
    }

    fn renew(&self, door: &mut Open, seen: Option<Fresh>) {
        let (Some(tls), Some(seen)) = (&mut door.tls, seen) else { return };
        let outcome = tls.renew(seen);
        match &outcome {
            Ok(()) => tracing::info!("the certificate was read anew"),
            Err(why) => tracing::error!(why, "the certificate was not read anew; the one before stays"),
        }
        self.standing.send_modify(|standing| standing.trouble = outcome.err().map(|why| format!("the certificate before stays: {why}")));
    }
}

/// A door that is open.
struct Open {
    listener: TcpListener,
    address: SocketAddr,
    listen: Arc<Listen>,
    tls: Option<Tls>,
}

/// Opens it, if anybody could be let in and nobody can listen on the way.
async fn open(listen: &Listen, identities: &Identities) -> Result<Open, String> {
    let address = listen.address;
    // Read back from the store, where an older program may have put anything.
    if !address.ip().is_loopback() && listen.tls.is_none() {
        return Err(format!("{address} can be reached by others, and there is no `tls`"));
    }
    let tls = match &listen.tls {
        Some(files) => Some(Tls::load(files).await?),
        None => None,
    };
    let set_up = identities.offer_set_up().await?;
    if !identities.is_anybody_let_in() {
        return Err("there is no token that is good, and none to make one with".to_owned());
    }
    let listener = TcpListener::bind(address).await.map_err(|error| format!("cannot listen on {address}: {error}"))?;
    let address = listener.local_addr().map_err(|error| format!("cannot listen on {address}: {error}"))?;
    if let Some(file) = set_up {
        tracing::warn!(file = %file.display(), "there is no token yet: the one in this file makes the first, once");
    }
    Ok(Open { listener, address, listen: Arc::new(listen.clone()), tls })
}

impl Open {
    /// Finds a seat, shakes hands, and hands over; what has no seat is closed.
    fn take_in(&self, stream: TcpStream, from: SocketAddr, crowd: &Arc<Crowd>, receive: &(impl Fn(Guest) + Clone + Send + Sync + 'static)) {
        let Some(seat) = crowd.seat(from.ip()) else {
            tracing::debug!(%from, "too many connections");
            return;
        };
        let Ok(to) = stream.local_addr() else { return };
        stream.set_nodelay(true).ok();
        notice_absence(&stream);
        let (tls, listen, receive) = (self.tls.as_ref().map(Tls::acceptor), Arc::clone(&self.listen), receive.clone());
        tokio::spawn(async move {
            let (stream, certificate): (Box<dyn Stream>, Option<String>) = match tls {
                None => (Box::new(stream), None),
                Some(acceptor) => match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
                    Ok(Ok(stream)) => {
                        let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first().map(|first| subject::of(first)));
                        (Box::new(stream), shown)
                    }
                    Ok(Err(error)) => return tracing::debug!(%from, %error, "no handshake"),
                    Err(_) => return tracing::debug!(%from, "no handshake in time"),
                },
            };
            receive(Guest { stream, visitor: Arc::new(Visitor::new(from, to, certificate, listen)), seat });
        });
    }
}

/// A peer that vanished without a word is found out by the kernel within minutes, also where nothing is to be said for hours.
fn notice_absence(stream: &TcpStream) {
    let set = || {
        sockopt::set_socket_keepalive(stream, true)?;
        sockopt::set_tcp_keepidle(stream, Duration::from_secs(60))?;
        sockopt::set_tcp_keepintvl(stream, Duration::from_secs(15))?;
        sockopt::set_tcp_keepcnt(stream, 4)
    };
    if let Err(error) = set() {
        tracing::debug!(%error, "a connection goes without keepalive");
    }
}

/// Who has how many connections.
struct Crowd {
    seats: Arc<Semaphore>,
    of: Mutex<BTreeMap<IpAddr, usize>>,
}

/// One connection's seat.
pub(crate) struct Seat {
    crowd: Arc<Crowd>,
    place: IpAddr,
    _permit: OwnedSemaphorePermit,
}

impl Crowd {
    fn new() -> Crowd {
        Crowd::within(getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX))
    }

    /// As many as fit into so many files.
    fn within(files: u64) -> Crowd {
        let seats = usize::try_from((files / 16).clamp(FEW, CONNECTIONS)).unwrap_or(OF_ONE);
        Crowd { seats: Arc::new(Semaphore::new(seats)), of: Mutex::default() }
    }

    fn seat(self: &Arc<Self>, from: IpAddr) -> Option<Seat> {
        let place = place(from);
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        let count = of.get(&place).copied().unwrap_or(0);
        if count >= OF_ONE {
            return None;
        }
        let permit = Arc::clone(&self.seats).try_acquire_owned().ok()?;
        of.insert(place, count + 1);
        Some(Seat { crowd: Arc::clone(self), place, _permit: permit })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut of = self.crowd.of.lock().unwrap_or_else(PoisonError::into_inner);
        match of.get_mut(&self.place) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(of.remove(&self.place)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_has_so_many_seats_and_gives_them_back() {
        let crowd = Arc::new(Crowd::within(u64::MAX));
        let (one, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let seats: Vec<Seat> = (0..OF_ONE).map_while(|_| crowd.seat(one)).collect();
        assert!(seats.len() == OF_ONE && crowd.seat(one).is_none());
        assert!(crowd.seat(other).is_some());
        drop(seats);
        assert!(crowd.of.lock().expect("nobody panicked").is_empty() && crowd.seat(one).is_some());
    }

    #[test]
    fn few_files_are_not_all_taken_by_guests() {
        for (files, seats) in [(64, 16), (1_024, 64), (1 << 20, 4_096)] {
            assert_eq!(Crowd::within(files).seats.available_permits(), seats, "{files}");
        }
    }
}
