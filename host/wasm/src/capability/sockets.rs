//! `wasi:sockets`: TCP connections to granted hosts and ports, and the name lookup that goes with them. Nothing listens.

use std::net::SocketAddr;
use std::sync::Arc;

use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::sockets::SocketAddrUse;

use crate::grant::TcpGrant;
use crate::grant::address::{Place, is_own, place};
use crate::grant::host::{HostPattern, PortPattern, split};
use crate::runtime::{OwnAddresses, Shared};
use crate::scope::Scope;

/// The grant, read.
pub(super) struct Settled {
    rules: Vec<(HostPattern, PortPattern)>,
    own: Arc<OwnAddresses>,
}

pub(super) fn settle(grant: &TcpGrant, shared: &Shared) -> Result<Settled, String> {
    let rule = |text: &String| {
        let (host, port) = split(text);
        let port = port.ok_or_else(|| format!("`{text}` has no port; write `{text}:*` for any"))?;
        let host = HostPattern::parse(host)?;
        if matches!(host, HostPattern::Below(_)) {
            return Err(format!("`{text}`: which name an address was looked up by is not known here; name the hosts one by one"));
        }
        Ok::<_, String>((host, PortPattern::parse(port)?))
    };
    Ok(Settled { rules: grant.connect.iter().map(rule).collect::<Result<_, _>>()?, own: Arc::clone(&shared.own) })
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
        match usage {
            // every connection first binds to the wildcard address
            SocketAddrUse::TcpBind => address.ip().is_unspecified() && address.port() == 0,
            SocketAddrUse::TcpConnect => {
                let admitted = self.admits(address).await;
                if !admitted {
                    scope.denied("tcp", &format!("connect {address}"));
                }
                admitted
            }
            _ => {
                scope.denied("tcp", &format!("{usage:?} {address}"));
                false
            }
        }
    }

    async fn admits(&self, address: SocketAddr) -> bool {
        if is_own(address, &self.own.read()) {
            return false;
        }
        for (host, port) in &self.rules {
            if port.matches(address.port()) && admits_host(host, address).await {
                return true;
            }
        }
        false
    }
}

/// A rule with a name is about what the name resolves to now.
async fn admits_host(host: &HostPattern, address: SocketAddr) -> bool {
    let ip = address.ip().to_canonical();
    match host {
        HostPattern::Address(_) => host.vouches_for(ip),
        HostPattern::Any => place(ip) != Place::Forbidden,
        HostPattern::Name(name) => {
            let Ok(mut found) = tokio::net::lookup_host((name.as_str(), 0)).await else { return false };
            place(ip) != Place::Forbidden && found.any(|found| found.ip().to_canonical() == ip)
        }
        HostPattern::Below(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(rules: &[&str], own: &[&str]) -> Settled {
        let grant = TcpGrant { connect: rules.iter().map(|rule| (*rule).to_owned()).collect() };
        let addresses = OwnAddresses::default();
        for address in own {
            addresses.add(address.parse().expect("an address"));
        }
        let shared = Shared::for_tests(Arc::new(addresses));
        settle(&grant, &shared).expect("settles")
    }

    #[tokio::test]
    async fn only_granted_addresses_are_connected_to() {
        let check = async |rules: &[&str], own: &[&str], address: &str, expected: bool| {
            let admitted = settled(rules, own).admits(address.parse().expect("an address")).await;
            assert_eq!(admitted, expected, "{rules:?} {address}");
        };
        check(&["127.0.0.1:*"], &[], "127.0.0.1:6379", true).await;
        check(&["127.0.0.1:*"], &[], "[::ffff:127.0.0.1]:6379", true).await;
        check(&["127.0.0.1:*"], &[], "127.0.0.2:6379", false).await;
        check(&["*:5432"], &[], "10.0.0.1:5432", true).await;
        check(&["*:5432"], &[], "10.0.0.1:5433", false).await;
        check(&["*:80"], &[], "169.254.169.254:80", false).await;
        check(&["*:80"], &[], "[::ffff:169.254.169.254]:80", false).await;
        check(&["169.254.169.254:80"], &[], "169.254.169.254:80", true).await;
        check(&["localhost:80"], &[], "127.0.0.1:80", true).await;
        check(&["localhost:80"], &[], "10.0.0.1:80", false).await;
        check(&["127.0.0.1:*"], &["127.0.0.1:7070"], "127.0.0.1:7070", false).await;
        check(&[], &[], "127.0.0.1:1", false).await;
    }

    #[test]
    fn a_rule_without_a_port_is_refused() {
        let grant = TcpGrant { connect: vec!["127.0.0.1".to_owned()] };
        let error = settle(&grant, &Shared::for_tests(Arc::default())).err().expect("no port");
        assert!(error.contains("127.0.0.1:*"), "{error}");
    }
}
