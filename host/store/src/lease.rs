//! The rules of leases, the same for every engine: from what is held to what is held next.

use serde::{Deserialize, Serialize};

use crate::contract::{Lease, LeaseAnswer};

/// What an engine keeps of one lease. It is never forgotten, so that epochs never fall.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Held {
    pub(crate) epoch: u64,
    /// None: released.
    pub(crate) holder: Option<String>,
    pub(crate) expires_ms: u64,
}

impl Held {
    /// What to keep, if anything changes, and the answer.
    pub(crate) fn acquired(held: Option<&Held>, name: &str, holder: &str, ttl_ms: u64, now_ms: u64) -> (Option<Held>, LeaseAnswer) {
        let taken = |held: &&Held| held.holder.as_deref().is_some_and(|current| current != holder) && held.expires_ms > now_ms;
        if let Some(other) = held.filter(taken) {
            return (None, other.refusal());
        }
        let epoch = held.map_or(0, |held| held.epoch) + 1;
        let held = Held { epoch, holder: Some(holder.to_owned()), expires_ms: expiry(ttl_ms, now_ms) };
        let answer = held.grant(name, holder);
        (Some(held), answer)
    }

    /// As [`Held::acquired`], for who has it already.
    pub(crate) fn renewed(held: Option<&Held>, lease: &Lease, ttl_ms: u64, now_ms: u64) -> (Option<Held>, LeaseAnswer) {
        match held {
            Some(held) if held.is(lease.epoch) => {
                let held = Held { expires_ms: expiry(ttl_ms, now_ms), ..held.clone() };
                let answer = held.grant(&lease.name, &lease.holder);
                (Some(held), answer)
            }
            Some(held) => (None, held.refusal()),
            None => (None, LeaseAnswer::Refused { holder: None, expires_ms: 0 }),
        }
    }

    /// What to keep once it is given back; none when it was not held with that epoch.
    pub(crate) fn released(held: Option<&Held>, lease: &Lease) -> Option<Held> {
        let held = held.filter(|held| held.is(lease.epoch))?;
        Some(Held { holder: None, ..held.clone() })
    }

    /// Is it held, with this epoch?
    pub(crate) fn is(&self, epoch: u64) -> bool {
        self.holder.is_some() && self.epoch == epoch
    }

    fn refusal(&self) -> LeaseAnswer {
        LeaseAnswer::Refused { holder: self.holder.clone(), expires_ms: self.expires_ms }
    }

    fn grant(&self, name: &str, holder: &str) -> LeaseAnswer {
        LeaseAnswer::Granted(Lease { name: name.to_owned(), holder: holder.to_owned(), epoch: self.epoch, expires_ms: self.expires_ms })
    }
}

/// When a lease ends; engines store times as signed numbers.
fn expiry(ttl_ms: u64, now_ms: u64) -> u64 {
    now_ms.saturating_add(ttl_ms).min(i64::MAX.unsigned_abs())
}
