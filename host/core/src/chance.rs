//! Chance from a handed-in seed, so that a decision can be replayed.

/// SplitMix64: small, fast, and good enough to spread waits.
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// `value` moved by up to `permille` thousandths of itself either way; `roll` decides how far.
pub(crate) fn spread(value: u64, permille: u32, roll: u64) -> u64 {
    let reach = u128::from(value) * u128::from(permille.min(1000)) / 1000;
    let offset = u128::from(roll) % (2 * reach + 1);
    u64::try_from(u128::from(value) + offset - reach).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_stays_within_its_reach() {
        let mut chance = Chance::new(7);
        let values: Vec<u64> = (0..10_000).map(|_| spread(2_000, 250, chance.next())).collect();
        assert!(values.iter().all(|value| (1_500..=2_500).contains(value)));
        assert!(values.iter().any(|value| *value < 1_600) && values.iter().any(|value| *value > 2_400));
        assert_eq!(spread(0, 250, 99), 0);
        assert_eq!(spread(u64::MAX, 0, 99), u64::MAX);
    }
}
