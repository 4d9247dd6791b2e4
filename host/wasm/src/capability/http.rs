//! `wasi:http` outgoing: requests to granted URLs, over connections of the host's own making.
//!
//! A request is judged by method and URL; then its host is resolved once, every address found is judged, and the connection
//! goes to one of exactly those. Redirects are never followed, answers are cut off at the granted size, and connections are
//! kept per plugin, target and subject, because a new one costs three times as much.
//!
//! The name of an endpoint stands where other requests have a host; the host knows where it is, and adds what it asks for.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::{Request, Response, Uri};
use tokio::time::Instant;
use wasmtime::component::Linker;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use super::CallState;
use crate::grant::host::Host;
use crate::grant::url::{Destination, Urls};
use crate::grant::{EndpointGrant, HttpGrant};
use crate::resolve::{Resolver, Unresolved};
use crate::runtime::Shared;
use crate::scope::Scope;

mod answer;
mod endpoint;
mod transport;

use endpoint::Endpoint;
pub(super) use endpoint::trust;
pub(crate) use transport::Transport;
use transport::{Key, Target, Tls};

const CAPABILITY: &str = "http";

/// The grant, read.
pub(super) struct Settled {
    urls: Urls,
    endpoints: BTreeMap<String, Endpoint>,
    resolver: Resolver,
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
    if grant.endpoints.values().any(EndpointGrant::needs_secrets) {
        shared.secret_store()?;
    }
    let endpoint = |(name, grant): (&String, &EndpointGrant)| {
        let endpoint = Endpoint::settle(name, grant).map_err(|why| format!("endpoint `{name}`: {why}"))?;
        Ok::<_, String>((name.clone(), endpoint))
    };
    let endpoints = grant.endpoints.iter().map(endpoint).collect::<Result<_, _>>()?;
    Ok(Settled { urls: Urls::settle(grant)?, endpoints, resolver: Resolver::default(), transport: Arc::clone(&shared.transport) })
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
            let send = |request| settled.send(&scope, request, options.unwrap_or_default());
            let response = match scope.tap() {
                Some(tap) => crate::tap::http::through(Arc::clone(tap), request, send).await?,
                None => send(request).await?,
            };
            Ok((response, Box::new(async { Ok(()) }) as Io))
        })
    }
}

impl Settled {
    async fn send(&self, scope: &Scope, request: Request<WasiBody>, options: RequestOptions) -> Result<Response<WasiBody>, Error> {
        scope.permit(CAPABILITY).map_err(|_| Error::HttpRequestDenied)?;
        let uri = request.uri().clone();
        let authority = uri.authority().ok_or(Error::HttpRequestUriInvalid)?.as_str();
        match self.endpoints.get(authority) {
            Some(endpoint) => self.send_to(endpoint, scope, request, options).await,
            None => self.send_anywhere(scope, request, options).await,
        }
    }

    /// To an endpoint that the operator named.
    async fn send_to(
        &self,
        endpoint: &Endpoint,
        scope: &Scope,
        request: Request<WasiBody>,
        options: RequestOptions,
    ) -> Result<Response<WasiBody>, Error> {
        let request = endpoint.admit(scope, request).await?;
        let until = soonest(scope, &options);
        let connecting = async {
            match endpoint.destination() {
                Err(socket) => Ok(Target::Socket(socket.to_owned())),
                Ok(to) => Ok(Target::Addresses(self.resolve(scope, to, until, |address| endpoint.admits(address)).await?, endpoint.tls()?)),
            }
        };
        self.exchange(scope, format!("endpoint {}", endpoint.name), connecting, request, options, endpoint.max_response_bytes).await
    }

    /// To a URL of the plugin's own choice.
    async fn send_anywhere(&self, scope: &Scope, request: Request<WasiBody>, options: RequestOptions) -> Result<Response<WasiBody>, Error> {
        let uri = request.uri().clone();
        let to = destination(&uri)?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let admission = self.urls.admit(request.method().as_str(), &to, path).map_err(|what| {
            scope.denied(CAPABILITY, &what);
            Error::HttpRequestDenied
        })?;
        let request = strip(request, path)?;
        let network = scope.network();
        let until = soonest(scope, &options);
        let connecting = async {
            let theirs = |address| network.as_ref().is_none_or(|rules| rules.admits(address, to.port));
            let addresses = self.resolve(scope, &to, until, |address| admission.admits(address) && theirs(address)).await?;
            Ok(Target::Addresses(addresses, Tls::of(&to, None)?))
        };
        // A connection that is kept is one of the rules that it was made under.
        let target = network.as_ref().map_or_else(|| to.to_string(), |rules| format!("{to} by {rules}"));
        self.exchange(scope, target, connecting, request, options, self.urls.max_response_bytes).await
    }

    async fn exchange(
        &self,
        scope: &Scope,
        target: String,
        connecting: impl Future<Output = Result<Target, Error>>,
        request: Request<WasiBody>,
        options: RequestOptions,
        most: u64,
    ) -> Result<Response<WasiBody>, Error> {
        let (plugin, revision) = (scope.plugin().to_owned(), scope.revision().to_owned());
        let key = Key { plugin, revision, subject: scope.subject().to_owned(), target };
        let until = scope.until();
        let answer_by = earlier(until, options.first_byte_timeout);
        let exchange = self.transport.exchange(key, connecting, earlier(until, options.connect_timeout), request);
        let (response, lease) = tokio::time::timeout_at(answer_by, exchange).await.map_err(|_| Error::HttpResponseTimeout)??;
        Ok(response.map(|body| answer::guard(body, lease, most, until).boxed_unsync()))
    }

    /// Every address of a host, if each of them may be connected to. It is looked up once: the connection goes to one of these.
    async fn resolve(&self, scope: &Scope, to: &Destination, until: Instant, admits: impl Fn(IpAddr) -> bool) -> Result<Vec<SocketAddr>, Error> {
        let found: Vec<SocketAddr> = match &to.host {
            Host::Address(address) => vec![(*address, to.port).into()],
            Host::Name(name) => self.resolver.addresses(name, to.port, until).await.map_err(|why| unresolved(name, why))?,
        };
        for address in &found {
            if !admits(address.ip()) {
                scope.denied(CAPABILITY, &format!("{to} at the address {}", address.ip()));
                return Err(Error::DestinationIpProhibited);
            }
        }
        if found.is_empty() { Err(Error::DestinationNotFound) } else { Ok(found) }
    }
}

/// When the guest gives up, or the call ends.
fn soonest(scope: &Scope, options: &RequestOptions) -> Instant {
    earlier(earlier(scope.until(), options.connect_timeout), options.first_byte_timeout)
}

/// What is not known of a name is no word against whoever has it.
fn unresolved(name: &str, why: Unresolved) -> Error {
    match why {
        Unresolved::Nowhere(rcode) => Error::DnsError { rcode: Some(rcode), info_code: None },
        Unresolved::NotNow(why) => Error::InternalError(Some(format!("the name {name} could not be looked up: {why}"))),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_name_that_leads_nowhere_speaks_against_its_target() {
        let nowhere = unresolved("db.internal", Unresolved::Nowhere("no such name".to_owned()));
        assert!(matches!(&nowhere, Error::DnsError { rcode: Some(why), .. } if why == "no such name"), "{nowhere}");
        let unknown = unresolved("db.internal", Unresolved::NotNow("there was no answer in time".to_owned()));
        assert!(matches!(&unknown, Error::InternalError(Some(why)) if why.contains("db.internal")), "{unknown}");
    }
}
