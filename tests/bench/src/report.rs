//! The table, and the JSON beside it.

use std::fmt::Write;
use std::time::Instant;

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

/// What a figure is to be.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Target {
    AtMost(f64),
    AtLeast(f64),
}

impl Target {
    fn is_met(self, value: f64) -> bool {
        match self {
            Target::AtMost(limit) => value <= limit,
            Target::AtLeast(limit) => value >= limit,
        }
    }

    fn shown(self, unit: Unit, value: f64) -> String {
        let (sign, limit) = match self {
            Target::AtMost(limit) => ('≤', limit),
            Target::AtLeast(limit) => ('≥', limit),
        };
        format!("{sign} {} {}", shown(limit, unit), if self.is_met(value) { "met" } else { "MISSED" })
    }

    fn json(self, value: f64) -> Value {
        match self {
            Target::AtMost(limit) => json!({ "at_most": limit, "met": self.is_met(value) }),
            Target::AtLeast(limit) => json!({ "at_least": limit, "met": self.is_met(value) }),
        }
    }
}

/// One figure, what it is to be, and what it is to be read beside.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    name: String,
    unit: Unit,
    ours: f64,
    target: Option<Target>,
    beside: Vec<(String, f64)>,
}

impl Figure {
    /// A figure that stands alone.
    pub(crate) fn new(name: impl Into<String>, unit: Unit, ours: f64) -> Figure {
        Figure { name: name.into(), unit, ours, target: None, beside: Vec::new() }
    }

    /// The same beside something that was measured in the same run; beside several things, when it is said again.
    pub(crate) fn beside(mut self, what: impl Into<String>, theirs: f64) -> Figure {
        self.beside.push((what.into(), theirs));
        self
    }

    /// The same with a target: not more than this.
    pub(crate) fn at_most(self, limit: f64) -> Figure {
        Figure { target: Some(Target::AtMost(limit)), ..self }
    }

    /// The same with a target: not less than this.
    pub(crate) fn at_least(self, limit: f64) -> Figure {
        Figure { target: Some(Target::AtLeast(limit)), ..self }
    }

    /// The same, its target only if it was measured as the target supposes.
    pub(crate) fn aimed_if(self, full: bool) -> Figure {
        Figure { target: self.target.filter(|_| full), ..self }
    }

    fn ratio(&self, theirs: f64) -> Option<f64> {
        Some(self.ours / theirs).filter(|ratio| ratio.is_finite())
    }

    /// Its lines in the table: one for each thing beside it.
    fn lines(&self) -> Vec<String> {
        let target = self.target.map_or(String::new(), |target| target.shown(self.unit, self.ours));
        let head = format!("  {:<WIDTH$}{:>11}  {target:<18}", self.name, shown(self.ours, self.unit));
        let beside = self.beside.iter().map(|(what, theirs)| {
            let ratio = self.ratio(*theirs).map_or(String::new(), |ratio| format!("{}×", digits(ratio)));
            format!("{:>11}{ratio:>9}  {what}", shown(*theirs, self.unit))
        });
        let beside: Vec<String> = beside.collect();
        let first = format!("{head}{}", beside.first().map_or("", String::as_str)).trim_end().to_owned();
        let indent = " ".repeat(head.chars().count());
        std::iter::once(first).chain(beside.iter().skip(1).map(|line| format!("{indent}{line}"))).collect()
    }

    fn json(&self) -> Value {
        let beside = self.beside.iter().map(|(what, theirs)| json!({ "what": what, "value": theirs, "ratio": self.ratio(*theirs) }));
        json!({
            "name": self.name,
            "unit": unit(self.unit),
            "ours": self.ours,
            "target": self.target.map(|target| target.json(self.ours)),
            "beside": beside.collect::<Vec<_>>(),
        })
    }
}

/// Of the names of figures in the table.
const WIDTH: usize = 62;

/// Figures that belong together, and what is to be said of them.
#[derive(Debug, Default)]
struct Group {
    name: String,
    figures: Vec<Figure>,
    notes: Vec<String>,
}

/// Everything that was measured.
#[derive(Debug)]
pub(crate) struct Report {
    begun: Instant,
    about: Value,
    groups: Vec<Group>,
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
        Ok(Report { begun: Instant::now(), about, groups: Vec::new() })
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
        eprintln!("· {:>3} s  {name}", self.begun.elapsed().as_secs());
        self.groups.push(Group { name, ..Group::default() });
    }

    /// Adds a line to the part begun last.
    pub(crate) fn add(&mut self, figure: Figure) {
        self.current().figures.push(figure);
    }

    /// Says something of the part begun last that is no figure: why one is missing.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        eprintln!("  {note}");
        self.current().notes.push(note);
    }

    fn current(&mut self) -> &mut Group {
        self.groups.last_mut().expect("a group is begun before its first figure")
    }

    /// For people.
    pub(crate) fn table(&self) -> String {
        let mut text =
            format!("\n{}\n  {:<WIDTH$}{:>11}  {:<18}{:>11}{:>9}  BESIDE WHAT\n", self.heading(), "FIGURE", "OURS", "TARGET", "BESIDE", "RATIO");
        for group in self.groups.iter().filter(|group| !group.figures.is_empty() || !group.notes.is_empty()) {
            let figures = group.figures.iter().flat_map(Figure::lines);
            let notes = group.notes.iter().map(|note| format!("  {note}"));
            let _ = writeln!(text, "\n{}", group.name);
            figures.chain(notes).for_each(|line| text.extend([&line, "\n"]));
        }
        text + "\n"
    }

    /// For programs.
    pub(crate) fn json(&self) -> String {
        let group = |group: &Group| {
            let figures: Vec<Value> = group.figures.iter().map(Figure::json).collect();
            json!({ "name": group.name, "figures": figures, "notes": group.notes })
        };
        let document = json!({ "version": 2, "about": self.about, "groups": self.groups.iter().map(group).collect::<Vec<_>>() });
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
        Unit::Bytes => format!("{} MB", digits(value / 1e6)),
        Unit::Cores => format!("{} %", digits(value * 100.0)),
    }
}

fn digits(value: f64) -> String {
    match value.abs() {
        size if size >= 99.95 => format!("{value:.0}"),
        size if size >= 9.995 => format!("{value:.1}"),
        size if size > 0.0 && size < 0.095 => format!("{value:.3}"),
        _ => format!("{value:.2}"),
    }
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
            (80_000_000.0, Unit::Bytes, "80.0 MB"),
            (0.001_2, Unit::Cores, "0.12 %"),
            (0.000_05, Unit::Cores, "0.005 %"),
            (f64::NAN, Unit::Seconds, "–"),
        ];
        for (value, unit, text) in cases {
            assert_eq!(shown(value, unit), text);
        }
    }

    #[test]
    fn a_ratio_needs_two_numbers() {
        let figure = Figure::new("x", Unit::Seconds, 3.0);
        assert_eq!([0.0, 2.0, f64::NAN].map(|theirs| figure.ratio(theirs)), [None, Some(1.5), None]);
    }

    #[test]
    fn a_target_is_met_or_missed_and_what_is_not_known_misses_it() {
        let said = |figure: Figure| figure.lines().concat().split_whitespace().skip(3).collect::<Vec<_>>().join(" ");
        let figure = |ours| Figure::new("x", Unit::Seconds, ours);
        assert_eq!(said(figure(0.2).at_most(0.2)), "≤ 200 ms met");
        assert_eq!(said(figure(0.2).at_least(0.5)), "≥ 500 ms MISSED");
        assert!(figure(f64::NAN).at_most(0.2).lines().concat().contains("MISSED"));
        assert_eq!(said(figure(0.2).at_most(0.1).aimed_if(false)), "");
    }

    #[test]
    fn table_and_json_say_the_same() {
        let mut report = Report { begun: Instant::now(), about: json!({ "cores": 2, "load_before": 0.1 }), groups: Vec::new() };
        report.group("Stopping");
        report.add(Figure::new("stop all", Unit::Seconds, 0.3).beside("kill and wait", 0.1).beside("runit", 0.6));
        report.note("s6 is not installed");
        let table = report.table();
        let words = |what: &str| {
            let line = table.lines().find(|line| line.contains(what)).expect("its line");
            line.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(words("stop all"), "stop all 300 ms 100 ms 3.00× kill and wait");
        assert_eq!(words("runit"), "600 ms 0.50× runit");
        assert_eq!(words("s6"), "s6 is not installed");
        let document: Value = serde_json::from_str(&report.json()).expect("JSON");
        assert_eq!(document["groups"][0]["figures"][0]["beside"][1]["what"], "runit");
        assert_eq!(document["groups"][0]["notes"][0], "s6 is not installed");
    }
}
