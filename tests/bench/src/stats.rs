//! Many measurements as few numbers.

/// Measurements of one thing, in one unit.
#[derive(Debug, Clone, Default)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    /// Adds one.
    pub(crate) fn add(&mut self, value: f64) {
        self.0.push(value);
    }

    /// Adds a number of nanoseconds, as seconds.
    pub(crate) fn add_nanos(&mut self, nanos: u64) {
        self.add(nanos as f64 / 1e9);
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The smallest that at least so many of a hundred are not above (nearest rank); NaN of nothing.
    pub(crate) fn percentile(&self, percent: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or(f64::NAN)
    }

    /// Half are not above it.
    pub(crate) fn median(&self) -> f64 {
        self.percentile(50.0)
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Samples {
        Samples(values.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(values: impl IntoIterator<Item = u32>) -> Samples {
        values.into_iter().map(f64::from).collect()
    }

    #[test]
    fn percentiles_are_measurements_that_were_made() {
        let hundred = samples((1..=100).rev());
        assert_eq!([50.0, 99.0, 100.0, 0.0].map(|percent| hundred.percentile(percent)), [50.0, 99.0, 100.0, 1.0]);
        let few = samples([30, 10, 20]);
        assert_eq!([50.0, 99.0].map(|percent| few.percentile(percent)), [20.0, 30.0]);
        assert_eq!(samples([7]).percentile(99.0), 7.0);
    }

    #[test]
    fn one_bad_measurement_does_not_move_the_median() {
        assert_eq!(samples([2, 2, 2, 2, 1_000_000]).median(), 2.0);
    }

    #[test]
    fn of_nothing_nothing_is_known() {
        assert!(Samples::default().median().is_nan());
    }

    #[test]
    fn nanoseconds_become_seconds() {
        let mut samples = Samples::default();
        samples.add_nanos(1_500_000);
        assert_eq!((samples.median(), samples.len()), (0.0015, 1));
    }
}
