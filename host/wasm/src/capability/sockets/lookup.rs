//! A name that is being looked up, as WASI's guests see it: a stream of addresses that is not ready until the resolver has answered.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use tokio::time::Instant;
use wasmtime::component::Resource;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::Pollable;
use wasmtime_wasi::p2::bindings::sockets::ip_name_lookup::ResolveAddressStream;
use wasmtime_wasi::p2::bindings::sockets::network::ErrorCode;
use wasmtime_wasi::runtime::{AbortOnDropJoinHandle, spawn};

use super::Settled;
use crate::resolve::Unresolved;

/// The addresses of one name, in the table of its call.
pub(super) enum Addresses {
    /// It ends when nobody wants to know any more; the resolver's thread does not.
    Looking(AbortOnDropJoinHandle<Found>),
    Found(Found),
}

/// What is left to be told of.
type Found = Result<std::vec::IntoIter<IpAddr>, ErrorCode>;

impl Addresses {
    /// What is an address already.
    pub(super) fn known(address: IpAddr) -> Addresses {
        Addresses::Found(Ok(vec![address].into_iter()))
    }

    /// Begins at once, and is over before the call is.
    pub(super) fn look_up(settled: Arc<Settled>, name: String, until: Instant) -> Addresses {
        Addresses::Looking(spawn(find(settled, name, until)))
    }

    /// One more of them; nothing when all have been told.
    pub(super) fn next(&mut self) -> Result<Option<IpAddr>, ErrorCode> {
        match self.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => Err(ErrorCode::WouldBlock),
            Poll::Ready(Ok(left)) => Ok(left.next()),
            Poll::Ready(Err(code)) => Err(*code),
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<&mut Found> {
        if let Addresses::Looking(looking) = self {
            let found = ready!(Pin::new(looking).poll(context));
            *self = Addresses::Found(found);
        }
        match self {
            Addresses::Found(found) => Poll::Ready(found),
            Addresses::Looking(_) => Poll::Pending,
        }
    }
}

#[async_trait]
impl Pollable for Addresses {
    async fn ready(&mut self) {
        std::future::poll_fn(|context| self.poll(context).map(|_| ())).await;
    }
}

async fn find(settled: Arc<Settled>, name: String, until: Instant) -> Found {
    let found = settled.resolver.addresses(&name, 0, until).await.map_err(|why| code(&name, &why))?;
    let addresses: Vec<IpAddr> = found.into_iter().map(|address| address.ip().to_canonical()).collect();
    Ok(addresses.into_iter())
}

fn code(name: &str, why: &Unresolved) -> ErrorCode {
    tracing::debug!(host = name, ?why, "a name was not resolved for a plugin");
    match why {
        Unresolved::Nowhere(_) => ErrorCode::NameUnresolvable,
        Unresolved::NotNow(_) => ErrorCode::TemporaryResolverFailure,
    }
}

/// Under the type that WASI's bindings have for it: a resource is a place in the table, and what stands there is ours.
pub(super) fn theirs(addresses: Resource<Addresses>) -> Resource<ResolveAddressStream> {
    Resource::new_own(addresses.rep())
}

/// The way back, on loan.
pub(super) fn mine(stream: &Resource<ResolveAddressStream>) -> Resource<Addresses> {
    Resource::new_borrow(stream.rep())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capability::sockets::settle;
    use crate::grant::TcpGrant;

    async fn looked_up(until: Instant) -> Addresses {
        let settled = settle(&TcpGrant { connect: vec!["localhost:80".to_owned()] }).expect("settles");
        let mut addresses = Addresses::look_up(Arc::new(settled), "localhost".to_owned(), until);
        addresses.ready().await;
        addresses
    }

    #[tokio::test]
    async fn addresses_are_told_one_by_one() {
        let mut addresses = looked_up(Instant::now() + std::time::Duration::from_secs(60)).await;
        let mut count = 0;
        while let Some(address) = addresses.next().expect("every machine has one") {
            assert!(address.is_loopback(), "{address}");
            count += 1;
        }
        assert!(count > 0 && addresses.next() == Ok(None));
    }

    #[tokio::test]
    async fn a_lookup_that_comes_too_late_says_nothing_of_the_name() {
        let mut addresses = looked_up(Instant::now()).await;
        assert_eq!(addresses.next(), Err(ErrorCode::TemporaryResolverFailure));
    }
}
