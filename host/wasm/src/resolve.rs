//! Names into addresses, by the machine's resolver: it keeps a thread for as long as it takes, whoever still waits for it.

use std::io::{Error, Result};
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use tokio::sync::Semaphore;

/// Names that one plugin has looked up at a time; more wait. The threads are the host's, which reads and writes with them, too, and a
/// resolver that gets no answer keeps each for many seconds.
const AT_ONCE: usize = 128;

/// One plugin's way to the resolver.
#[derive(Debug)]
pub(crate) struct Resolver(Arc<Semaphore>);

impl Default for Resolver {
    fn default() -> Resolver {
        Resolver(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Resolver {
    /// The addresses of a name, each with this port.
    pub(crate) async fn addresses(&self, name: &str, port: u16) -> Result<Vec<SocketAddr>> {
        let name = name.to_owned();
        self.run(move || Ok((name.as_str(), port).to_socket_addrs()?.collect())).await
    }

    /// Its place is free when the resolver is done, not when nobody waits any more.
    async fn run<T: Send + 'static>(&self, look: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let place = Arc::clone(&self.0).acquire_owned().await.expect("the semaphore is never closed");
        let looking = tokio::task::spawn_blocking(move || {
            let _place = place;
            look()
        });
        looking.await.unwrap_or_else(|error| Err(Error::other(error)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    #[tokio::test]
    async fn a_resolver_that_does_not_answer_takes_only_so_many_threads() {
        let (answers, stuck) = std::sync::mpsc::channel::<()>();
        let (resolver, begun, stuck) = (Arc::new(Resolver::default()), Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(stuck)));
        let mut asked = tokio::task::JoinSet::new();
        for _ in 0..3 * AT_ONCE {
            let (resolver, begun, stuck) = (Arc::clone(&resolver), Arc::clone(&begun), Arc::clone(&stuck));
            let look = move || {
                begun.fetch_add(1, Ordering::SeqCst);
                // until the other end is dropped
                stuck.lock().expect("no code panics while it holds this lock").recv().ok();
                Ok(())
            };
            asked.spawn(async move { resolver.run(look).await });
        }
        let all_begun = async {
            while begun.load(Ordering::SeqCst) < AT_ONCE {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), all_begun).await.expect("each place has its thread");
        // whoever waits goes away; the threads do not
        asked.shutdown().await;
        let late = tokio::time::timeout(Duration::from_millis(50), resolver.run(|| Ok(())));
        assert!(late.await.is_err(), "all places are taken");
        assert_eq!(begun.load(Ordering::SeqCst), AT_ONCE);
        drop(answers);
        resolver.run(|| Ok(())).await.expect("there is room again");
    }

    #[tokio::test]
    async fn a_name_has_its_addresses() {
        let found = Resolver::default().addresses("localhost", 80).await.expect("every machine has one");
        assert!(found.iter().all(|address| address.ip().is_loopback() && address.port() == 80) && !found.is_empty(), "{found:?}");
    }
}
