//! Figures for a monitoring system: gathered when somebody asks, and written in Prometheus' text format from one table of definitions.

use std::collections::BTreeMap;
use std::fmt::Write;

use hostler_api::metrics::Metric;

mod gather;
mod latency;
mod process;

pub(crate) use gather::{add_usage, of_host, of_service, told, usages};
pub(crate) use latency::Latency;
pub(crate) use process::add_process;

/// An answer to a scrape under way.
#[derive(Debug, Default)]
pub(crate) struct Page(BTreeMap<Metric, String>);

impl Page {
    /// One figure, with a value for each label of its metric.
    pub(crate) fn add(&mut self, metric: Metric, labels: &[&str], value: f64) {
        self.line(metric, "", labels, None, value);
    }

    /// The same, when it is known.
    pub(crate) fn add_known(&mut self, metric: Metric, labels: &[&str], value: Option<f64>) {
        if let Some(value) = value {
            self.add(metric, labels, value);
        }
    }

    /// A line of it: `suffix` behind the name, and `end`, the upper end of a bucket, behind the labels.
    fn line(&mut self, metric: Metric, suffix: &str, labels: &[&str], end: Option<&str>, value: f64) {
        debug_assert_eq!(metric.labels().len(), labels.len(), "{}", metric.name());
        let text = self.0.entry(metric).or_default();
        text.push_str(metric.name());
        text.push_str(suffix);
        let pairs = metric.labels().iter().copied().zip(labels.iter().copied()).chain(end.map(|end| ("le", end)));
        for (at, (label, value)) in pairs.enumerate() {
            text.push(if at == 0 { '{' } else { ',' });
            // Writing into a string cannot fail.
            let _ = write!(text, "{label}=\"{}\"", escaped(value));
        }
        if !labels.is_empty() || end.is_some() {
            text.push('}');
        }
        let _ = writeln!(text, " {value}");
    }

    /// The whole text.
    pub(crate) fn text(&self) -> String {
        let mut text = String::with_capacity(self.0.values().map(|lines| lines.len() + 256).sum());
        for (metric, lines) in &self.0 {
            let (name, help) = (metric.name(), metric.help().replace('\\', "\\\\"));
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {}", metric.kind().as_str());
            text.push_str(lines);
        }
        text
    }
}

/// A label's value as the format wants it.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Counters are far below 2^52.
#[expect(clippy::cast_precision_loss, reason = "no figure here comes near 2^52 but for bytes, of which nobody misses one")]
pub(crate) fn number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_one_metric_stand_together_under_what_it_is() {
        let mut page = Page::default();
        page.add(Metric::PluginCalls, &["b"], 2.0);
        page.add(Metric::ServiceUp, &["web"], 1.0);
        page.add(Metric::PluginCalls, &["a \"quoted\" \\ one\n"], 0.5);
        page.add(Metric::LoopRounds, &[], 7.0);
        page.add_known(Metric::StoreBytes, &[], None);
        let lines: Vec<String> = page.text().lines().filter(|line| !line.starts_with("# HELP")).map(str::to_owned).collect();
        assert_eq!(
            lines,
            [
                "# TYPE hostler_service_up gauge",
                "hostler_service_up{service=\"web\"} 1",
                "# TYPE hostler_plugin_calls_total counter",
                "hostler_plugin_calls_total{plugin=\"b\"} 2",
                "hostler_plugin_calls_total{plugin=\"a \\\"quoted\\\" \\\\ one\\n\"} 0.5",
                "# TYPE hostler_loop_rounds_total counter",
                "hostler_loop_rounds_total 7",
            ]
        );
    }
}
