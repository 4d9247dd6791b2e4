//! Names into addresses, by the machine's resolver: it keeps a thread for as long as it takes, whoever still waits for it.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, LazyLock};

use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Names that are looked up at a time, for all plugins; more wait. The threads are the host's, which reads and writes with them, too, and a
/// resolver that gets no answer keeps each for many seconds.
const AT_ONCE: usize = 128;
/// Of them, for one plugin.
const OF_ONE: usize = 32;

/// What resolvers of both kinds of C library say of themselves, and not of the name. Which number they gave is not to be had.
const NOT_NOW: &[&str] = &["Temporary failure in name resolution", "Memory allocation failure", "Try again", "Out of memory"];

/// The places of the whole host.
static HOST: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(AT_ONCE)));

/// One plugin's way to the resolver.
#[derive(Debug)]
pub(crate) struct Resolver {
    host: Arc<Semaphore>,
    plugin: Arc<Semaphore>,
}

/// Why there are no addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unresolved {
    /// The name has none.
    Nowhere(String),
    /// It was not found out, which says nothing of the name.
    NotNow(String),
}

impl Default for Resolver {
    fn default() -> Resolver {
        Resolver::of(&HOST)
    }
}

impl Resolver {
    fn of(host: &Arc<Semaphore>) -> Resolver {
        Resolver { host: Arc::clone(host), plugin: Arc::new(Semaphore::new(OF_ONE)) }
    }

    /// The addresses of a name, each with this port, in good time for whoever waits for them until then.
    pub(crate) async fn addresses(&self, name: &str, port: u16, until: Instant) -> Result<Vec<SocketAddr>, Unresolved> {
        let name = name.to_owned();
        self.run(until, move || Ok((name.as_str(), port).to_socket_addrs()?.collect())).await
    }

    /// Its places are free when the resolver is done, not when nobody waits any more.
    async fn run<T: Send + 'static>(&self, until: Instant, look: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T, Unresolved> {
        let (by, late) = (in_good_time(until), || Unresolved::NotNow("there was no answer in time".to_owned()));
        if by <= Instant::now() {
            return Err(late());
        }
        let looking = async {
            let acquire = |places: &Arc<Semaphore>| Arc::clone(places).acquire_owned();
            // its own first: who waits for one of those keeps none from others
            let own = acquire(&self.plugin).await.expect("the semaphore is never closed");
            let place = acquire(&self.host).await.expect("the semaphore is never closed");
            let looking = tokio::task::spawn_blocking(move || {
                let _places = (own, place);
                look()
            });
            looking.await.unwrap_or_else(|error| Err(io::Error::other(error)))
        };
        let found = tokio::time::timeout_at(by, looking).await.map_err(|_| late())?;
        found.map_err(|error| unresolved(&error))
    }
}

/// A little before whoever waits gives up, a twentieth of its time before the end perhaps: it would take its target for the one that was late.
fn in_good_time(until: Instant) -> Instant {
    let now = Instant::now();
    now + until.saturating_duration_since(now) / 10 * 9
}

fn unresolved(error: &io::Error) -> Unresolved {
    let words = error.to_string();
    // of a name the resolver speaks in words; a system's error, no descriptors perhaps, is this machine's, and so is a thread that ended
    let ours = error.raw_os_error().is_some() || error.get_ref().is_some_and(|inner| inner.is::<tokio::task::JoinError>());
    if ours || NOT_NOW.iter().any(|trouble| words.ends_with(trouble)) { Unresolved::NotNow(words) } else { Unresolved::Nowhere(words) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use rustix::io::Errno;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    /// Names that nobody answers for, until the other end is dropped.
    struct Stuck {
        begun: Arc<AtomicUsize>,
        answers: Arc<Mutex<std::sync::mpsc::Receiver<()>>>,
        asked: tokio::task::JoinSet<Result<(), Unresolved>>,
    }

    impl Stuck {
        fn new(answers: std::sync::mpsc::Receiver<()>) -> Stuck {
            Stuck { begun: Arc::default(), answers: Arc::new(Mutex::new(answers)), asked: tokio::task::JoinSet::new() }
        }

        fn ask(&mut self, resolver: &Arc<Resolver>, times: usize) {
            for _ in 0..times {
                let (resolver, begun, answers) = (Arc::clone(resolver), Arc::clone(&self.begun), Arc::clone(&self.answers));
                let look = move || {
                    begun.fetch_add(1, Ordering::SeqCst);
                    answers.lock().expect("no code panics while it holds this lock").recv().ok();
                    Ok(())
                };
                self.asked.spawn(async move { resolver.run(soon(), look).await });
            }
        }

        async fn have_begun(&self, count: usize) {
            let all_begun = async {
                while self.begun.load(Ordering::SeqCst) < count {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(Duration::from_secs(20), all_begun).await.expect("each place has its thread");
        }
    }

    #[tokio::test]
    async fn a_resolver_that_does_not_answer_takes_only_so_many_threads_of_all_plugins_together() {
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        let (host, mut stuck) = (Arc::new(Semaphore::new(AT_ONCE)), Stuck::new(receiver));
        for _ in 0..2 * AT_ONCE / OF_ONE {
            stuck.ask(&Arc::new(Resolver::of(&host)), OF_ONE);
        }
        stuck.have_begun(AT_ONCE).await;
        // whoever waits goes away; the threads do not
        stuck.asked.shutdown().await;
        assert_eq!((stuck.begun.load(Ordering::SeqCst), host.available_permits()), (AT_ONCE, 0));
        drop(sender);
        Resolver::of(&host).run(soon(), || Ok(())).await.expect("there is room again");
    }

    #[tokio::test]
    async fn one_plugin_leaves_places_to_the_others() {
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        let (host, mut stuck) = (Arc::new(Semaphore::new(AT_ONCE)), Stuck::new(receiver));
        let (one, other) = (Arc::new(Resolver::of(&host)), Resolver::of(&host));
        stuck.ask(&one, 2 * OF_ONE);
        stuck.have_begun(OF_ONE).await;
        other.run(soon(), || Ok(())).await.expect("its own places are free");
        stuck.asked.shutdown().await;
        assert_eq!((stuck.begun.load(Ordering::SeqCst), host.available_permits()), (OF_ONE, AT_ONCE - OF_ONE));
        drop(sender);
    }

    #[tokio::test]
    async fn whoever_finds_no_place_in_time_hears_that_nothing_is_known() {
        let full = Resolver::of(&Arc::new(Semaphore::new(0)));
        for patience in [Duration::ZERO, Duration::from_millis(20)] {
            let late = full.run(Instant::now() + patience, || Ok(())).await;
            assert!(matches!(late, Err(Unresolved::NotNow(_))), "{patience:?}: {late:?}");
        }
    }

    #[test]
    fn a_name_that_is_none_and_a_resolver_in_trouble_are_told_apart() {
        let said = |words: &str| unresolved(&io::Error::other(format!("failed to lookup address information: {words}")));
        for words in ["Name or service not known", "No address associated with hostname", "Name does not resolve"] {
            assert!(matches!(said(words), Unresolved::Nowhere(_)), "{words}");
        }
        for words in NOT_NOW {
            assert!(matches!(said(words), Unresolved::NotNow(_)), "{words}");
        }
        assert!(matches!(unresolved(&Errno::MFILE.into()), Unresolved::NotNow(_)));
    }

    #[tokio::test]
    async fn a_name_has_its_addresses() {
        let found = Resolver::default().addresses("localhost", 80, soon()).await.expect("every machine has one");
        assert!(found.iter().all(|address| address.ip().is_loopback() && address.port() == 80) && !found.is_empty(), "{found:?}");
    }
}
