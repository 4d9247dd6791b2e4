//! How often somebody may ask.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::bucket::{Bucket, Rate};

/// Of one token: more than people and dashboards ask, and less than a loop that runs away.
const TOKEN: Rate = Rate { per_second: 100.0, at_once: 300.0 };
/// Of one address, without a good token.
const GUESSES: Rate = Rate { per_second: 20.0, at_once: 100.0 };
/// Places that are counted at a time. When there are more, those that were quiet are forgotten, and then everybody is.
const PLACES: usize = 16_384;

/// All that is counted.
#[derive(Default)]
pub(crate) struct Limits {
    tokens: Mutex<BTreeMap<String, Bucket>>,
    places: Mutex<BTreeMap<IpAddr, Bucket>>,
}

impl Limits {
    /// One more request with this token, or how long to wait.
    pub(super) fn ask(&self, id: &str, now: Instant) -> Result<(), Duration> {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        take(&mut tokens, id.to_owned(), TOKEN, now)
    }

    /// One more request without a good token from this address, or how long to wait.
    pub(super) fn guess(&self, from: IpAddr, now: Instant) -> Result<(), Duration> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        take(&mut places, place(from), GUESSES, now)
    }
}

fn take<K: Ord>(buckets: &mut BTreeMap<K, Bucket>, key: K, rate: Rate, now: Instant) -> Result<(), Duration> {
    if buckets.len() >= PLACES {
        buckets.retain(|_, bucket| !bucket.is_full(rate, now));
        if buckets.len() >= PLACES {
            buckets.clear();
        }
    }
    buckets.entry(key).or_insert_with(|| Bucket::full(rate, now)).take(rate, now)
}

/// Whoever has an address of IPv6 has a whole network of them: its first 64 bits are he.
pub(crate) fn place(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_asks_too_often_costs_nobody_else() {
        let (limits, now) = (Limits::default(), Instant::now());
        let asked = (0..1_000).filter(|_| limits.ask("loop", now).is_ok()).count();
        assert_eq!(asked, 300);
        assert!(limits.ask("other", now).is_ok());
        assert!(limits.ask("loop", now + Duration::from_millis(20)).is_ok());
        let of = |last: u16| IpAddr::from([0x2001, 0xdb8, 1, 1, 0, 0, 0, last]);
        let guessed = (0..1_000).filter(|number| limits.guess(of(*number), now).is_ok()).count();
        assert_eq!(guessed, 100);
        assert!(limits.guess(IpAddr::from([127, 0, 0, 1]), now).is_ok());
    }

    #[test]
    fn what_is_counted_is_bounded() {
        let (limits, now) = (Limits::default(), Instant::now());
        for number in 0..40_000_u32 {
            limits.guess(IpAddr::from(number.to_be_bytes()), now).ok();
        }
        assert!(limits.places.lock().expect("nobody panicked").len() <= PLACES);
    }
}
