//! How long the answers of one check took, and what they were, since the host began.

use hostler_api::Durations;
use hostler_api::metrics::{BUCKETS, Metric};
use hostler_core::{Span, Verdict};

use super::{Page, number};

/// Counts of one check, over all replicas of its service.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Latency {
    /// By bucket; what is longer than all of them stands last.
    counts: [u64; BUCKETS.len() + 1],
    sum_ms: u64,
    /// By verdict: pass, warn, fail, unknown.
    verdicts: [u64; 4],
}

impl Latency {
    /// One result. What says nothing about the service says nothing about its time either.
    pub(crate) fn hear(&mut self, verdict: Verdict, took: Span) {
        let place = match verdict {
            Verdict::Pass => 0,
            Verdict::Warn => 1,
            Verdict::Fail => 2,
            Verdict::Unknown => 3,
        };
        self.verdicts[place] += 1;
        if verdict == Verdict::Unknown {
            return;
        }
        let seconds = number(took.0) / 1_000.0;
        self.counts[BUCKETS.iter().position(|end| seconds <= *end).unwrap_or(BUCKETS.len())] += 1;
        self.sum_ms = self.sum_ms.saturating_add(took.0);
    }

    /// How many of each verdict there were.
    pub(crate) fn results(&self) -> [(&'static str, u64); 4] {
        let [pass, warn, fail, unknown] = self.verdicts;
        [("pass", pass), ("warn", warn), ("fail", fail), ("unknown", unknown)]
    }

    fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// For programs that have no buckets.
    pub(crate) fn told(&self) -> Durations {
        Durations {
            count: self.count(),
            sum_seconds: number(self.sum_ms) / 1_000.0,
            p50_seconds: self.share(0.5),
            p95_seconds: self.share(0.95),
            p99_seconds: self.share(0.99),
        }
    }

    /// The time within which such a share was answered, even within its bucket.
    fn share(&self, share: f64) -> Option<f64> {
        let rank = number(self.count()) * share;
        let mut before = 0.0;
        for (bucket, count) in self.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let within = number(*count);
            if before + within >= rank {
                let from = bucket.checked_sub(1).map_or(0.0, |below| BUCKETS[below]);
                // Of what is longer than all buckets nothing more is known.
                let to = BUCKETS.get(bucket).copied().unwrap_or(from);
                return Some(from + (to - from) * ((rank - before) / within).clamp(0.0, 1.0));
            }
            before += within;
        }
        None
    }

    /// Its lines of a page.
    pub(crate) fn add_to(&self, page: &mut Page, service: &str, check: &str) {
        for (verdict, count) in self.results() {
            page.add(Metric::CheckResults, &[service, check, verdict], number(count));
        }
        let (labels, mut below) = ([service, check], 0);
        let ends = BUCKETS.iter().map(ToString::to_string).chain(std::iter::once("+Inf".to_owned()));
        for (end, count) in ends.zip(self.counts) {
            below += count;
            page.line(Metric::CheckDurationSeconds, "_bucket", &labels, Some(&end), number(below));
        }
        page.line(Metric::CheckDurationSeconds, "_sum", &labels, None, number(self.sum_ms) / 1_000.0);
        page.line(Metric::CheckDurationSeconds, "_count", &labels, None, number(below));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_count_up_and_what_says_nothing_is_not_timed() {
        let mut latency = Latency::default();
        for took in [0, 1, 3, 40, 60_000] {
            latency.hear(Verdict::Pass, Span(took));
        }
        latency.hear(Verdict::Fail, Span(50));
        latency.hear(Verdict::Unknown, Span(5_000));
        let mut page = Page::default();
        latency.add_to(&mut page, "db", "tcp");
        let text = page.text();
        let value =
            |line: &str| text.lines().find_map(|one| one.strip_prefix(line)).unwrap_or_else(|| panic!("no {line} in {text}")).trim().to_owned();
        let bucket = |end: &str| value(&format!("hostler_check_duration_seconds_bucket{{service=\"db\",check=\"tcp\",le=\"{end}\"}}"));
        assert_eq!([bucket("0.001"), bucket("0.005"), bucket("0.05"), bucket("10"), bucket("+Inf")], ["2", "3", "5", "5", "6"]);
        assert_eq!(value("hostler_check_duration_seconds_sum{service=\"db\",check=\"tcp\"}"), "60.094");
        assert_eq!(value("hostler_check_duration_seconds_count{service=\"db\",check=\"tcp\"}"), "6");
        assert_eq!(value("hostler_check_results_total{service=\"db\",check=\"tcp\",verdict=\"unknown\"}"), "1");
    }

    #[test]
    fn shares_lie_within_the_bucket_that_has_them() {
        let mut latency = Latency::default();
        assert_eq!(latency.told(), Durations::default());
        (0..100).for_each(|_| latency.hear(Verdict::Pass, Span(30)));
        let told = latency.told();
        let median = told.p50_seconds.expect("there are results");
        assert!((median - 0.0375).abs() < 1e-9 && told.count == 100, "{told:?}");
        latency.hear(Verdict::Pass, Span(99_000));
        latency.hear(Verdict::Pass, Span(99_000));
        assert_eq!(latency.told().p99_seconds, Some(10.0));
    }
}
