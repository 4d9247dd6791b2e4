//! Connections: opened to judged addresses only, kept while they are good.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, IpAddr, PrivateKeyDer, ServerName};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use wasmtime_wasi_http::{Error, WasiBody};

use crate::grant::host::Host;
use crate::grant::url::Destination;

const IDLE: Duration = Duration::from_secs(75);
/// How often those that are no longer good are looked for.
const SWEEP: Duration = Duration::from_secs(5);
/// Not more, however many files may be open.
const MOST: usize = 16_384;
const MAX_HEADER_BYTES: usize = 64 << 10;
const MAX_HEADERS: usize = 128;

/// Whom a kept connection may serve: never another plugin, never another task, and never one with other grants, which would
/// have judged its address otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) plugin: String,
    pub(super) revision: String,
    pub(super) subject: String,
    pub(super) target: String,
}

/// Where to connect: the addresses are judged already.
pub(super) enum Target {
    /// The first that answers.
    Addresses(Vec<SocketAddr>, Option<Tls>),
    /// A socket on this machine.
    Socket(PathBuf),
}

/// Who has to be on the other side, and who vouches for it.
pub(super) struct Tls {
    name: ServerName<'static>,
    /// The machine's own certificates vouch when absent.
    connector: Option<TlsConnector>,
}

impl Tls {
    /// What a destination asks for; nothing without `https`.
    pub(super) fn of(destination: &Destination, connector: Option<TlsConnector>) -> Result<Option<Tls>, Error> {
        if !destination.https {
            return Ok(None);
        }
        let name = match &destination.host {
            Host::Name(name) => ServerName::try_from(name.clone()).map_err(|_| Error::HttpRequestUriInvalid)?,
            Host::Address(address) => ServerName::IpAddress(IpAddr::from(*address)),
        };
        Ok(Some(Tls { name, connector }))
    }
}

/// All connections of the host's plugins.
pub(crate) struct Transport {
    kept: Mutex<Kept>,
    /// How many are kept at most.
    most: usize,
    tls: OnceLock<TlsConnector>,
}

#[derive(Default)]
struct Kept {
    by_key: HashMap<Key, (Instant, SendRequest<WasiBody>)>,
    /// When it was last looked which are still good.
    swept: Option<Instant>,
}

/// A connection on loan; given back when the answer was read to its end.
pub(super) struct Lease {
    transport: Arc<Transport>,
    key: Key,
    sender: SendRequest<WasiBody>,
}

impl Lease {
    pub(super) fn give_back(self) {
        if !self.sender.is_closed() {
            self.transport.keep(self.key, self.sender);
        }
    }
}

impl Transport {
    /// Keeps as many connections as an eighth of the files that this process may have open.
    pub(crate) fn new() -> Transport {
        Transport::keeping(share_of(getrlimit(Resource::Nofile).current))
    }

    fn keeping(most: usize) -> Transport {
        Transport { kept: Mutex::default(), most, tls: OnceLock::new() }
    }

    /// Sends one request over a kept connection, or over a new one when there is none or it turns out to be dead.
    pub(super) async fn exchange(
        self: &Arc<Self>,
        key: Key,
        target: impl Future<Output = Result<Target, Error>>,
        connect_by: Instant,
        request: Request<WasiBody>,
    ) -> Result<(Response<Incoming>, Lease), Error> {
        let mut request = request;
        if let Some(mut sender) = self.take(&key) {
            let again = repeatable(&request);
            match sender.try_send_request(request).await {
                Ok(response) => return Ok((response, Lease { transport: Arc::clone(self), key, sender })),
                Err(mut error) => match (error.take_message(), again) {
                    // it was not sent, or it changes nothing and may be sent twice
                    (Some(unsent), _) => request = unsent,
                    (None, Some(again)) => request = again,
                    (None, None) => return Err(Error::Hyper(error.into_error())),
                },
            }
        }
        let connecting = async { self.connect(target.await?).await };
        let mut sender = tokio::time::timeout_at(connect_by, connecting).await.map_err(|_| Error::ConnectionTimeout)??;
        let response = sender.send_request(request).await.map_err(Error::Hyper)?;
        Ok((response, Lease { transport: Arc::clone(self), key, sender }))
    }

    fn take(&self, key: &Key) -> Option<SendRequest<WasiBody>> {
        let (since, sender) = self.kept.lock().expect("no code panics while it holds this lock").by_key.remove(key)?;
        (since.elapsed() < IDLE && sender.is_ready()).then_some(sender)
    }

    fn keep(&self, key: Key, sender: SendRequest<WasiBody>) {
        let now = Instant::now();
        let mut kept = self.kept.lock().expect("no code panics while it holds this lock");
        if kept.by_key.len() >= self.most || kept.swept.is_none_or(|swept| now - swept >= SWEEP) {
            // what nobody asked for again belongs to tasks and revisions that are gone
            kept.by_key.retain(|_, (since, sender)| now - *since < IDLE && !sender.is_closed());
            kept.swept = Some(now);
        }
        if kept.by_key.len() < self.most {
            kept.by_key.insert(key, (now, sender));
        }
    }

    async fn connect(&self, target: Target) -> Result<SendRequest<WasiBody>, Error> {
        let (addresses, tls) = match target {
            Target::Addresses(addresses, tls) => (addresses, tls),
            Target::Socket(path) => return shake_hands(TokioIo::new(UnixStream::connect(path).await.map_err(unconnected)?)).await,
        };
        let stream = reach(&addresses).await?;
        let _ = stream.set_nodelay(true);
        let Some(Tls { name, connector }) = tls else { return shake_hands(TokioIo::new(stream)).await };
        let connector = connector.as_ref().unwrap_or_else(|| self.tls());
        let stream = connector.connect(name, stream).await.map_err(tls_error)?;
        shake_hands(TokioIo::new(stream)).await
    }

    /// The machine's own certificates, read when the first TLS connection is made.
    fn tls(&self) -> &TlsConnector {
        self.tls.get_or_init(|| {
            let mut roots = RootCertStore::empty();
            let found = rustls_native_certs::load_native_certs();
            for error in &found.errors {
                tracing::warn!(%error, "some of the machine's certificates cannot be read");
            }
            roots.add_parsable_certificates(found.certs);
            connector(roots, None).expect("nothing of it comes from outside")
        })
    }
}

/// A certificate that the host shows, and the key to it.
pub(super) type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// What makes TLS connections to whom these authorities vouch for.
pub(super) fn connector(roots: RootCertStore, identity: Option<Identity>) -> Result<TlsConnector, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider supports the default versions")
        .with_root_certificates(roots);
    let mut config = match identity {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key)?,
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config).into())
}

/// An untrusted certificate is no failure of the protocol: people do something else about it.
fn tls_error(error: io::Error) -> Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(_)) => Error::TlsCertificateError,
        _ => Error::Tls(error),
    }
}

/// Why there is no connection. What this machine is short of says nothing of the other side, which would be blamed for it.
fn unconnected(error: io::Error) -> Error {
    match Errno::from_io_error(&error) {
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM | Errno::ADDRNOTAVAIL) => {
            Error::InternalError(Some(format!("this machine cannot make the connection: {error}")))
        }
        _ => Error::Connect(error),
    }
}

/// What is said where no address answers: one that refuses is a word of the target, also where another is not to be had here, say of IPv6.
fn blamed(before: Error, last: Error) -> Error {
    if matches!((&before, &last), (Error::Connect(_), Error::InternalError(_))) { before } else { last }
}

/// Connects to the first address that answers.
async fn reach(addresses: &[SocketAddr]) -> Result<TcpStream, Error> {
    let mut last = Error::DestinationNotFound;
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = blamed(last, unconnected(error)),
        }
    }
    Err(last)
}

async fn shake_hands<T>(io: TokioIo<T>) -> Result<SendRequest<WasiBody>, Error>
where
    TokioIo<T>: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let (sender, connection) =
        http1::Builder::new().max_buf_size(MAX_HEADER_BYTES).max_headers(MAX_HEADERS).handshake(io).await.map_err(Error::Hyper)?;
    // ends when its sender is dropped, or when the other side hangs up
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection of a plugin ended");
        }
    });
    Ok(sender)
}

/// Streams have half of the files, and whoever asks three sixteenths: as many are left for the store, the keeper and what plugins open.
fn share_of(files: Option<u64>) -> usize {
    files.and_then(|files| usize::try_from(files / 8).ok()).unwrap_or(MOST).min(MOST)
}

/// A copy of a request that may be sent twice: a looking method and no body.
fn repeatable(request: &Request<WasiBody>) -> Option<Request<WasiBody>> {
    let looks = request.method() == Method::GET || request.method() == Method::HEAD;
    if !looks || !request.body().is_end_stream() {
        return None;
    }
    let empty = http_body_util::BodyExt::boxed_unsync(http_body_util::BodyExt::map_err(http_body_util::Empty::new(), |never| match never {}));
    let mut again = Request::new(empty);
    *again.method_mut() = request.method().clone();
    *again.uri_mut() = request.uri().clone();
    *again.headers_mut() = request.headers().clone();
    Some(again)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEW: usize = 20;

    fn kept(transport: &Transport) -> usize {
        transport.kept.lock().expect("no code panics while it holds this lock").by_key.len()
    }

    #[test]
    fn what_this_machine_is_short_of_is_no_word_against_the_target() {
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::ADDRNOTAVAIL] {
            assert!(matches!(unconnected(errno.into()), Error::InternalError(Some(_))), "{errno}");
        }
        for errno in [Errno::CONNREFUSED, Errno::HOSTUNREACH, Errno::TIMEDOUT] {
            assert!(matches!(unconnected(errno.into()), Error::Connect(_)), "{errno}");
        }
        let of = |errno: Errno| unconnected(errno.into());
        for (before, last) in [(Errno::CONNREFUSED, Errno::ADDRNOTAVAIL), (Errno::ADDRNOTAVAIL, Errno::CONNREFUSED)] {
            assert!(matches!(blamed(of(before), of(last)), Error::Connect(_)), "{before}, then {last}");
        }
        assert!(matches!(blamed(Error::DestinationNotFound, of(Errno::ADDRNOTAVAIL)), Error::InternalError(_)));
    }

    #[test]
    fn kept_connections_leave_files_to_others() {
        for (files, kept) in [(Some(1_024), 128), (Some(1 << 20), MOST), (None, MOST)] {
            assert_eq!(share_of(files), kept, "{files:?}");
        }
    }

    #[tokio::test]
    async fn few_connections_are_kept_and_closed_ones_are_not() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let transport = Transport::keeping(FEW);
        let keep_one = async |life: usize| {
            let (stream, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
            let key = Key { plugin: "http".to_owned(), revision: "r1".to_owned(), subject: format!("web-{life}"), target: address.to_string() };
            transport.keep(key, shake_hands(TokioIo::new(stream.expect("connected"))).await.expect("ready"));
            accepted.expect("accepted").0
        };
        let mut open = Vec::new();
        for life in 0..=FEW {
            open.push(keep_one(life).await);
        }
        assert_eq!(kept(&transport), FEW);
        drop(open);
        // A full store looks for the closed ones each time.
        let pruned = async {
            let mut last = keep_one(FEW + 1).await;
            while kept(&transport) > 1 {
                last = keep_one(FEW + 1).await;
                transport.kept.lock().expect("no code panics while it holds this lock").swept = None;
            }
            drop(last);
        };
        tokio::time::timeout(Duration::from_secs(20), pruned).await.expect("the closed ones are forgotten");
    }
}
