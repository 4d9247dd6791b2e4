//! `wasi:sockets`: TCP connections to granted hosts and ports, and the lookup of granted names. Nothing listens.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::time::Instant;
use wasmtime::component::{HasData, Linker, Resource};
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::p2::bindings::sockets::ip_name_lookup::{self, HostResolveAddressStream, ResolveAddressStream};
use wasmtime_wasi::p2::bindings::sockets::network::{self, ErrorCode, HostNetwork, IpAddress, Network};
use wasmtime_wasi::p2::{DynPollable, SocketError, subscribe};
use wasmtime_wasi::sockets::{SocketAddrUse, WasiSocketsCtxView, WasiSocketsView};

use super::CallState;
use crate::grant::TcpGrant;
use crate::grant::address::{Place, place};
use crate::grant::host::{Host, HostPattern, PortPattern, split};
use crate::hooks::Level;
use crate::resolve::{Resolver, Unresolved};
use crate::scope::Scope;
use crate::text::escape;

mod lookup;

use lookup::{Addresses, mine, theirs};

const CAPABILITY: &str = "tcp";
/// What is said of a connection that was not made.
const MAX_LINE_BYTES: usize = 1 << 10;

/// The grant, read.
pub(super) struct Settled {
    rules: Vec<(HostPattern, PortPattern)>,
    resolver: Resolver,
}

/// Takes the place of WASI's own lookup, which knows no names: to ask for a name is to send it to whoever answers for its
/// domain, so that it needs a rule as much as a connection does.
pub(super) fn link(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    ip_name_lookup::add_to_linker::<_, Lookups>(linker, |call| Lookup {
        settled: call.sockets.clone(),
        scope: call.scope.clone(),
        inner: call.sockets(),
    })?;
    linker.allow_shadowing(false);
    Ok(())
}

pub(super) fn settle(grant: &TcpGrant) -> Result<Settled, String> {
    let rule = |text: &String| {
        let (host, port) = split(text);
        let port = port.ok_or_else(|| format!("`{text}` has no port; write `{text}:*` for any"))?;
        let host = HostPattern::parse(host)?;
        if matches!(host, HostPattern::Below(_)) {
            return Err(format!("`{text}`: which name an address was looked up by is not known here; name the hosts one by one"));
        }
        Ok::<_, String>((host, PortPattern::parse(port)?))
    };
    Ok(Settled { rules: grant.connect.iter().map(rule).collect::<Result<_, _>>()?, resolver: Resolver::default() })
}

pub(super) fn build(wasi: &mut WasiCtxBuilder, settled: Option<&Arc<Settled>>, scope: &Scope) {
    let Some(settled) = settled else { return };
    let settled = Arc::clone(settled);
    let scope = scope.clone();
    wasi.allow_tcp(true).allow_ip_name_lookup(true).socket_addr_check(move |address, usage| {
        let settled = Arc::clone(&settled);
        let scope = scope.clone();
        Box::pin(async move { settled.check(address, usage, &scope).await })
    });
}

impl Settled {
    async fn check(&self, address: SocketAddr, usage: SocketAddrUse, scope: &Scope) -> bool {
        if scope.permit(CAPABILITY).is_err() {
            return false;
        }
        match usage {
            // every connection first binds to the wildcard address
            SocketAddrUse::TcpBind => address.ip().is_unspecified() && address.port() == 0,
            SocketAddrUse::TcpConnect => {
                let theirs = scope.network().is_none_or(|rules| rules.admits(address.ip(), address.port()));
                let admitted = if theirs { self.admits(address, scope.until()).await } else { Ok(false) };
                match &admitted {
                    Ok(true) => {}
                    Ok(false) => drop(scope.denied(CAPABILITY, &format!("connect {address}"))),
                    // nobody was refused anything: it was not found out whether the address is granted
                    Err(why) => scope.line(Level::Warn, escape(&format!("{address} is not connected to: {why}"), MAX_LINE_BYTES), BTreeMap::new()),
                }
                admitted == Ok(true)
            }
            _ => {
                scope.denied(CAPABILITY, &format!("{usage:?} {address}"));
                false
            }
        }
    }

    /// May it be connected to? The error is why nobody knows: no rule says so, and a name in one could not be looked up now.
    async fn admits(&self, address: SocketAddr, until: Instant) -> Result<bool, String> {
        let mut unsure = None;
        for (host, port) in &self.rules {
            if port.matches(address.port()) {
                match self.admits_host(host, address, until).await {
                    Ok(true) => return Ok(true),
                    Ok(false) => {}
                    Err(why) => unsure = Some(why),
                }
            }
        }
        unsure.map_or(Ok(false), Err)
    }

    /// A rule with a name is about what the name resolves to now.
    async fn admits_host(&self, host: &HostPattern, address: SocketAddr, until: Instant) -> Result<bool, String> {
        let ip = address.ip().to_canonical();
        match host {
            HostPattern::Address(_) => Ok(host.vouches_for(ip)),
            HostPattern::Any => Ok(place(ip) != Place::Forbidden),
            HostPattern::Name(name) => match self.resolver.addresses(name, 0, until).await {
                Ok(found) => Ok(place(ip) != Place::Forbidden && found.iter().any(|found| found.ip().to_canonical() == ip)),
                Err(Unresolved::Nowhere(_)) => Ok(false),
                Err(Unresolved::NotNow(why)) => Err(format!("{name} could not be looked up: {why}")),
            },
            HostPattern::Below(_) => Ok(false),
        }
    }
}

impl Settled {
    /// May this text be handed to the resolver? An address is nobody's name.
    fn admits_name(&self, name: &str) -> bool {
        match Host::parse(name) {
            Ok(Host::Address(_)) => true,
            Ok(host) => self.rules.iter().any(|(rule, _)| rule.matches(&host)),
            Err(_) => self.rules.iter().any(|(rule, _)| *rule == HostPattern::Any),
        }
    }
}

/// WASI's lookup behind the grant, and by the host's own resolver: WASI's takes a thread for each name, however many others it has.
struct Lookup<'a> {
    settled: Option<Arc<Settled>>,
    scope: Scope,
    inner: WasiSocketsCtxView<'a>,
}

struct Lookups;

impl HasData for Lookups {
    type Data<'a> = Lookup<'a>;
}

impl ip_name_lookup::Host for Lookup<'_> {
    fn resolve_addresses(&mut self, network: Resource<Network>, name: String) -> Result<Resource<ResolveAddressStream>, SocketError> {
        if self.scope.permit(CAPABILITY).is_err() {
            return Err(ErrorCode::AccessDenied.into());
        }
        let Some(settled) = self.settled.as_ref().filter(|settled| settled.admits_name(&name)) else {
            self.scope.denied(CAPABILITY, &format!("look up {name}"));
            return Err(ErrorCode::AccessDenied.into());
        };
        // the network is the right to ask, and nothing else
        self.inner.table.get(&network)?;
        let addresses = match Host::parse(&name) {
            Ok(Host::Address(address)) => Addresses::known(address),
            // as it was written: a last dot says that the name is whole
            Ok(Host::Name(_)) => Addresses::look_up(Arc::clone(settled), name, self.scope.until()),
            // of other letters a name is one only as DNS writes it, `xn--…`
            Err(_) => return Err(ErrorCode::NameUnresolvable.into()),
        };
        Ok(theirs(self.inner.table.push(addresses)?))
    }
}

impl HostResolveAddressStream for Lookup<'_> {
    fn resolve_next_address(&mut self, stream: Resource<ResolveAddressStream>) -> Result<Option<IpAddress>, SocketError> {
        Ok(self.inner.table.get_mut(&mine(&stream))?.next()?.map(IpAddress::from))
    }

    fn subscribe(&mut self, stream: Resource<ResolveAddressStream>) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(self.inner.table, mine(&stream))
    }

    fn drop(&mut self, stream: Resource<ResolveAddressStream>) -> wasmtime::Result<()> {
        self.inner.table.delete(Resource::<Addresses>::new_own(stream.rep()))?;
        Ok(())
    }
}

// The rest is WASI's own, passed through.

impl network::Host for Lookup<'_> {
    fn convert_error_code(&mut self, error: SocketError) -> wasmtime::Result<ErrorCode> {
        self.inner.convert_error_code(error)
    }

    fn network_error_code(&mut self, error: Resource<wasmtime::Error>) -> wasmtime::Result<Option<ErrorCode>> {
        self.inner.network_error_code(error)
    }
}

impl HostNetwork for Lookup<'_> {
    fn drop(&mut self, network: Resource<Network>) -> wasmtime::Result<()> {
        HostNetwork::drop(&mut self.inner, network)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(rules: &[&str]) -> Settled {
        let grant = TcpGrant { connect: rules.iter().map(|rule| (*rule).to_owned()).collect() };
        settle(&grant).expect("settles")
    }

    #[tokio::test]
    async fn only_granted_addresses_are_connected_to() {
        let check = async |rules: &[&str], address: &str, expected: bool| {
            let until = Instant::now() + std::time::Duration::from_secs(60);
            let admitted = settled(rules).admits(address.parse().expect("an address"), until).await;
            assert_eq!(admitted, Ok(expected), "{rules:?} {address}");
        };
        check(&["127.0.0.1:*"], "127.0.0.1:6379", true).await;
        check(&["127.0.0.1:*"], "[::ffff:127.0.0.1]:6379", true).await;
        check(&["127.0.0.1:*"], "127.0.0.2:6379", false).await;
        check(&["*:5432"], "10.0.0.1:5432", true).await;
        check(&["*:5432"], "10.0.0.1:5433", false).await;
        check(&["*:80"], "169.254.169.254:80", false).await;
        check(&["*:80"], "[::ffff:169.254.169.254]:80", false).await;
        check(&["169.254.169.254:80"], "169.254.169.254:80", true).await;
        check(&["localhost:80"], "127.0.0.1:80", true).await;
        check(&["localhost:80"], "10.0.0.1:80", false).await;
        check(&[], "127.0.0.1:1", false).await;
    }

    #[tokio::test]
    async fn an_address_is_not_refused_for_a_name_that_could_not_be_looked_up() {
        let address: SocketAddr = "127.0.0.1:80".parse().expect("an address");
        let unsure = settled(&["localhost:80"]).admits(address, Instant::now()).await;
        assert!(unsure.as_ref().is_err_and(|why| why.contains("localhost")), "no time is left to look: {unsure:?}");
        let sure = settled(&["localhost:80", "127.0.0.1:80"]).admits(address, Instant::now()).await;
        assert_eq!(sure, Ok(true), "another rule says so");
    }

    #[test]
    fn only_granted_names_are_looked_up() {
        let check = |rules: &[&str], name: &str, expected: bool| {
            assert_eq!(settled(rules).admits_name(name), expected, "{rules:?} {name}");
        };
        check(&["127.0.0.1:*"], "c2VjcmV0.evil.example", false);
        check(&["127.0.0.1:*"], "127.0.0.1", true);
        check(&["db.internal:5432"], "DB.internal.", true);
        check(&["db.internal:5432"], "c2VjcmV0.db.internal", false);
        check(&["*:5432"], "anything.example", true);
        check(&[], "anything.example", false);
    }

    #[test]
    fn a_rule_without_a_port_is_refused() {
        let grant = TcpGrant { connect: vec!["127.0.0.1".to_owned()] };
        let error = settle(&grant).err().expect("no port");
        assert!(error.contains("127.0.0.1:*"), "{error}");
    }
}
