//! The table, and the JSON beside it.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::Fallible;
use crate::options::Options;

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// A time, in seconds.
    Seconds,
    /// So many each second.
    PerSecond,
    /// Memory, in bytes.
    Bytes,
    /// A part of one processor core, 1 being all of it.
    Cores,
}

/// One figure, and what it is to be read beside.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    name: String,
    unit: Unit,
    ours: f64,
    beside: Option<(String, f64)>,
}

impl Figure {
    /// A figure that stands alone.
    pub(crate) fn new(name: impl Into<String>, unit: Unit, ours: f64) -> Figure {
        Figure { name: name.into(), unit, ours, beside: None }
    }

    /// The same beside something that was measured in the same run.
    pub(crate) fn beside(self, what: impl Into<String>, theirs: f64) -> Figure {
        Figure { beside: Some((what.into(), theirs)), ..self }
    }

    fn ratio(&self) -> Option<f64> {
        self.beside.as_ref().map(|(_, theirs)| self.ours / theirs).filter(|ratio| ratio.is_finite())
    }
}

/// Everything that was measured.
#[derive(Debug)]
pub(crate) struct Report {
    about: Value,
    groups: Vec<(String, Vec<Figure>)>,
}

impl Report {
    /// An empty one, of this machine and this program.
    pub(crate) fn begin(options: &Options) -> Fallible<Report> {
        let version = std::process::Command::new(&options.hostler).arg("--version").output();
        let version = version.map_err(|error| format!("{}: {error}; `make build` makes it", options.hostler.display()))?;
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        let about = json!({
            "program": options.hostler.display().to_string(),
            "program_version": String::from_utf8_lossy(&version.stdout).trim(),
            "cores": std::thread::available_parallelism().map_or(1, usize::from),
            "kernel": read("/proc/sys/kernel/osrelease"),
            "load_before": read("/proc/loadavg").split(' ').next().and_then(|text| text.parse::<f64>().ok()),
            "services": options.services,
            "kills": options.kills,
        });
        Ok(Report { about, groups: Vec::new() })
    }

    /// What is measured where, in one line.
    pub(crate) fn heading(&self) -> String {
        let text = |key: &str| self.about[key].as_str().unwrap_or("?").to_owned();
        let (cores, load) = (&self.about["cores"], &self.about["load_before"]);
        let busy = if load.as_f64() > cores.as_f64().map(|cores| cores / 2.0) { "; it is busy, and the figures suffer from that" } else { "" };
        format!("{} on {cores} cores, Linux {}, load {load} before{busy}", text("program_version"), text("kernel"))
    }

    /// Begins a part of the table.
    pub(crate) fn group(&mut self, name: impl Into<String>) {
        let name = name.into();
        eprintln!("· {name}");
        self.groups.push((name, Vec::new()));
    }

    /// Adds a line to the part begun last.
    pub(crate) fn add(&mut self, figure: Figure) {
        let (_, figures) = self.groups.last_mut().expect("a group is begun before its first figure");
        figures.push(figure);
    }

    /// For people.
    pub(crate) fn table(&self) -> String {
        let mut text = String::new();
        for (name, figures) in self.groups.iter().filter(|(_, figures)| !figures.is_empty()) {
            let _ = writeln!(text, "\n{name}");
            for figure in figures {
                let theirs = figure.beside.as_ref().map_or(String::new(), |(_, theirs)| shown(*theirs, figure.unit));
                let ratio = figure.ratio().map_or(String::new(), |ratio| times(ratio, figure.unit));
                let what = figure.beside.as_ref().map_or("", |(what, _)| what);
                let line = format!("  {:<58}{:>11}{theirs:>11}{ratio:>8}  {what}", figure.name, shown(figure.ours, figure.unit));
                let _ = writeln!(text, "{}", line.trim_end());
            }
        }
        format!(
            "\n{}\n  {:<58}{:>11}{:>11}{:>8}  BESIDE WHAT\n{}\n",
            self.heading(),
            "FIGURE",
            "OURS",
            "BESIDE",
            "RATIO",
            text.trim_start_matches('\n')
        )
    }

    /// For programs.
    pub(crate) fn json(&self) -> String {
        let figure = |figure: &Figure| {
            json!({
                "name": figure.name,
                "unit": unit(figure.unit),
                "ours": figure.ours,
                "beside": figure.beside.as_ref().map(|(what, theirs)| json!({ "what": what, "value": theirs })),
                "ratio": figure.ratio(),
            })
        };
        let groups: Vec<Value> =
            self.groups.iter().map(|(name, figures)| json!({ "name": name, "figures": figures.iter().map(figure).collect::<Vec<_>>() })).collect();
        let document = json!({ "version": 1, "about": self.about, "groups": groups });
        format!("{document:#}\n")
    }
}

fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Seconds => "s",
        Unit::PerSecond => "1/s",
        Unit::Bytes => "bytes",
        Unit::Cores => "cores",
    }
}

/// A number with three digits that count, and its unit.
fn shown(value: f64, unit: Unit) -> String {
    match unit {
        _ if !value.is_finite() => "–".to_owned(),
        Unit::Seconds if value.abs() < 0.001 => format!("{} µs", digits(value * 1e6)),
        Unit::Seconds if value.abs() < 1.0 => format!("{} ms", digits(value * 1e3)),
        Unit::Seconds => format!("{} s", digits(value)),
        Unit::PerSecond => format!("{}/s", digits(value)),
        Unit::Bytes => format!("{} MiB", digits(value / f64::from(1 << 20))),
        Unit::Cores => format!("{} %", digits(value * 100.0)),
    }
}

fn digits(value: f64) -> String {
    match value.abs() {
        size if size >= 99.95 => format!("{value:.0}"),
        size if size >= 9.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn times(ratio: f64, unit: Unit) -> String {
    // The comparison is a whole core, and the figure says the same already.
    if unit == Unit::Cores { String::new() } else { format!("{}×", digits(ratio)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_in_the_unit_that_fits() {
        let cases = [
            (0.000_012_34, Unit::Seconds, "12.3 µs"),
            (0.001_5, Unit::Seconds, "1.50 ms"),
            (0.123_4, Unit::Seconds, "123 ms"),
            (2.0, Unit::Seconds, "2.00 s"),
            (1_482.6, Unit::PerSecond, "1483/s"),
            (80.0 * 1_048_576.0, Unit::Bytes, "80.0 MiB"),
            (0.001_2, Unit::Cores, "0.12 %"),
            (f64::NAN, Unit::Seconds, "–"),
        ];
        for (value, unit, text) in cases {
            assert_eq!(shown(value, unit), text);
        }
    }

    #[test]
    fn a_ratio_needs_two_numbers() {
        let figure = Figure::new("x", Unit::Seconds, 3.0);
        assert_eq!(figure.ratio(), None);
        assert_eq!(figure.clone().beside("nothing", 0.0).ratio(), None);
        assert_eq!(figure.beside("two", 2.0).ratio(), Some(1.5));
    }

    #[test]
    fn table_and_json_say_the_same() {
        let mut report = Report { about: json!({ "cores": 2, "load_before": 0.1 }), groups: Vec::new() };
        report.group("Stopping");
        report.add(Figure::new("stop all", Unit::Seconds, 0.3).beside("kill and wait", 0.1));
        let table = report.table();
        let line = table.lines().find(|line| line.contains("stop all")).expect("its line");
        assert_eq!(line.split_whitespace().collect::<Vec<_>>(), "stop all 300 ms 100 ms 3.00× kill and wait".split(' ').collect::<Vec<_>>());
        let document: Value = serde_json::from_str(&report.json()).expect("JSON");
        assert_eq!(document["groups"][0]["figures"][0]["beside"]["what"], "kill and wait");
    }
}
