//! `wasi:http` outgoing: requests to granted URLs, over connections of the host's own making.
//!
//! A request is judged by method and URL; then its host is resolved once, every address found is judged, and the connection
//! goes to one of exactly those. Redirects are never followed, answers are cut off at the granted size, and connections are
//! kept per plugin, target and subject, because a new one costs three times as much.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::{Request, Response, Uri};
use tokio::time::Instant;
use wasmtime::component::Linker;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use super::CallState;
use crate::grant::HttpGrant;
use crate::grant::host::Host;
use crate::grant::url::{Admission, Destination, Urls};
use crate::runtime::Shared;
use crate::scope::Scope;

mod answer;
mod transport;

pub(crate) use transport::Transport;
use transport::{Key, Target};

const CAPABILITY: &str = "http";

/// The grant, read.
pub(super) struct Settled {
    urls: Urls,
    transport: Arc<Transport>,
}

/// One call's way to the network; refuses everything where nothing is granted.
pub(super) struct Http {
    settled: Option<Arc<Settled>>,
    scope: Scope,
}

pub(super) fn link(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)
}

pub(super) fn settle(grant: &HttpGrant, shared: &Shared) -> Result<Settled, String> {
    Ok(Settled { urls: Urls::settle(grant)?, transport: Arc::clone(&shared.transport) })
}

pub(super) fn build(settled: Option<&Arc<Settled>>, scope: &Scope) -> Http {
    Http { settled: settled.cloned(), scope: scope.clone() }
}

/// A running exchange that the guest does not see: there is none, connections live in the transport.
type Io = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Sent = Result<(Response<WasiBody>, Io), Error>;

impl WasiHttpHooks for Http {
    fn send_request(&mut self, request: Request<WasiBody>, options: Option<RequestOptions>, _: Io) -> Box<dyn Future<Output = Sent> + Send> {
        let settled = self.settled.clone();
        let scope = self.scope.clone();
        Box::new(async move {
            let settled = settled.ok_or(Error::HttpRequestDenied)?;
            let response = settled.send(&scope, request, options.unwrap_or_default()).await?;
            Ok((response, Box::new(async { Ok(()) }) as Io))
        })
    }
}

impl Settled {
    async fn send(&self, scope: &Scope, request: Request<WasiBody>, options: RequestOptions) -> Result<Response<WasiBody>, Error> {
        scope.permit(CAPABILITY).map_err(|_| Error::HttpRequestDenied)?;
        let uri = request.uri().clone();
        let to = destination(&uri)?;
        let method = request.method().as_str().to_owned();
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let admission = self.urls.admit(&method, &to, &path).map_err(|what| {
            scope.denied(CAPABILITY, &what);
            Error::HttpRequestDenied
        })?;
        let key = Key {
            plugin: scope.plugin().to_owned(),
            revision: scope.revision().to_owned(),
            subject: scope.subject().to_owned(),
            target: to.to_string(),
        };
        let until = scope.until();
        let answer_by = earlier(until, options.first_byte_timeout);
        let request = strip(request, &path)?;
        let connecting = async {
            let addresses = self.resolve(scope, &to, &admission).await?;
            Ok(Target { destination: to.clone(), addresses })
        };
        let exchange = self.transport.exchange(key, connecting, earlier(until, options.connect_timeout), request);
        let (response, lease) = tokio::time::timeout_at(answer_by, exchange).await.map_err(|_| Error::HttpResponseTimeout)??;
        Ok(response.map(|body| answer::guard(body, lease, self.urls.max_response_bytes, until).boxed_unsync()))
    }

    /// Every address of the host, if each of them may be connected to.
    async fn resolve(&self, scope: &Scope, to: &Destination, admission: &Admission<'_>) -> Result<Vec<std::net::SocketAddr>, Error> {
        let found: Vec<std::net::SocketAddr> = match &to.host {
            Host::Address(address) => vec![(*address, to.port).into()],
            Host::Name(name) => match tokio::net::lookup_host((name.as_str(), to.port)).await {
                Ok(found) => found.collect(),
                Err(error) => return Err(Error::DnsError { rcode: Some(error.to_string()), info_code: None }),
            },
        };
        for address in &found {
            if !admission.admits(address.ip()) {
                scope.denied(CAPABILITY, &format!("{to} at the address {}", address.ip()));
                return Err(Error::DestinationIpProhibited);
            }
        }
        if found.is_empty() { Err(Error::DestinationNotFound) } else { Ok(found) }
    }
}

fn earlier(until: Instant, limit: Option<Duration>) -> Instant {
    limit.map_or(until, |limit| until.min(Instant::now() + limit))
}

fn destination(uri: &Uri) -> Result<Destination, Error> {
    let authority = uri.authority().ok_or(Error::HttpRequestUriInvalid)?.as_str();
    Destination::parse(uri.scheme_str() == Some("https"), authority).map_err(|_| Error::HttpRequestUriInvalid)
}

/// Only a proxy wants to see scheme and authority in the request line.
fn strip(request: Request<WasiBody>, path: &str) -> Result<Request<WasiBody>, Error> {
    let (mut parts, body) = request.into_parts();
    parts.uri = path.parse().map_err(|_| Error::HttpRequestUriInvalid)?;
    Ok(Request::from_parts(parts, body))
}
