//! What came of it: for people, for JUnit, and as JSON.

use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value, json};

use crate::case::{CASES, Case, Outcome};
use crate::stand::{Against, World};

/// One case, tried.
#[derive(Debug, Clone)]
pub struct CaseReport {
    /// Which one.
    pub case: Case,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
}

/// All cases of one plugin.
#[derive(Debug, Clone)]
pub struct Report {
    /// The plugin's name in messages.
    pub plugin: String,
    /// Where its file is.
    pub origin: String,
    /// `fake` or `real`.
    pub against: &'static str,
    /// In the order they were tried.
    pub cases: Vec<CaseReport>,
}

impl Report {
    pub(crate) fn new(world: &World) -> Report {
        let against = match world.subject.against {
            Against::Fake => "fake",
            Against::Real(_) => "real",
        };
        Report { plugin: world.subject.name.clone(), origin: world.subject.origin.clone(), against, cases: Vec::new() }
    }

    /// Did every case that could be tried keep its promise?
    pub fn passed(&self) -> bool {
        self.failed().is_empty()
    }

    /// Those that did not.
    pub fn failed(&self) -> Vec<&CaseReport> {
        self.cases.iter().filter(|case| matches!(case.outcome, Outcome::Failed(_))).collect()
    }

    /// How many passed, failed, and do not apply.
    pub fn counts(&self) -> (usize, usize, usize) {
        let count = |which: fn(&Outcome) -> bool| self.cases.iter().filter(|case| which(&case.outcome)).count();
        (
            count(|outcome| *outcome == Outcome::Passed),
            count(|outcome| matches!(outcome, Outcome::Failed(_))),
            count(|outcome| matches!(outcome, Outcome::NotApplicable(_))),
        )
    }

    /// A table, with the promise under each case that failed.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for case in &self.cases {
            text.push_str(&line(case));
        }
        text.push_str(&self.summary());
        text
    }

    /// The last line.
    pub fn summary(&self) -> String {
        let (passed, failed, not_applicable) = self.counts();
        format!("{}: {passed} passed, {failed} failed, {not_applicable} not applicable (against {})", self.plugin, self.against)
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let (passed, failed, not_applicable) = self.counts();
        let cases: Vec<Value> = self.cases.iter().map(as_json).collect();
        json!({
            "version": 1, "plugin": self.plugin, "origin": self.origin, "against": self.against,
            "passed": passed, "failed": failed, "not_applicable": not_applicable, "cases": cases,
        })
    }

    /// As build servers read it.
    pub fn junit(&self) -> String {
        let (_, failed, skipped) = self.counts();
        let total: f64 = self.cases.iter().map(|case| case.took.as_secs_f64()).sum();
        let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        let name = escaped(&self.plugin);
        let _ = writeln!(
            text,
            "<testsuite name=\"{name}\" tests=\"{}\" failures=\"{failed}\" skipped=\"{skipped}\" time=\"{total:.3}\">",
            self.cases.len()
        );
        for case in &self.cases {
            let _ = write!(
                text,
                "  <testcase classname=\"{name}.{}\" name=\"{}\" time=\"{:.3}\"",
                case.case.group.name(),
                case.case.name,
                case.took.as_secs_f64()
            );
            let _ = match &case.outcome {
                Outcome::Passed => writeln!(text, "/>"),
                Outcome::Failed(why) => writeln!(text, "><failure message=\"{}\">{}</failure></testcase>", escaped(why), escaped(case.case.why)),
                Outcome::NotApplicable(why) => writeln!(text, "><skipped message=\"{}\"/></testcase>", escaped(why)),
            };
        }
        text.push_str("</testsuite>\n");
        text
    }
}

/// One case in words.
pub(crate) fn line(case: &CaseReport) -> String {
    let (mark, why) = match &case.outcome {
        Outcome::Passed => ("passed", None),
        Outcome::Failed(why) => ("FAILED", Some(why)),
        Outcome::NotApplicable(why) => ("n/a", Some(why)),
    };
    let mut text = format!("  {:<13} {mark:<7}", case.case.name);
    match (&case.outcome, why) {
        (Outcome::Failed(_), Some(why)) => {
            let _ = write!(text, "{}\n{:23}promised: {}", shown(why), "", case.case.why);
        }
        (_, Some(why)) => text.push_str(&shown(why)),
        (_, None) => text.push_str(case.case.why),
    }
    text.push('\n');
    text
}

impl CaseReport {
    /// As it stands in the table.
    pub fn text(&self) -> String {
        line(self)
    }
}

/// What a plugin says may hold anything; it is shown, never obeyed.
fn shown(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

fn as_json(case: &CaseReport) -> Value {
    let mut value = json!({ "case": case.case.name, "group": case.case.group.name(), "why": case.case.why, "ms": case.took.as_millis() as u64 });
    let (outcome, text) = match &case.outcome {
        Outcome::Passed => ("passed", None),
        Outcome::Failed(why) => ("failed", Some(why)),
        Outcome::NotApplicable(why) => ("not-applicable", Some(why)),
    };
    value["outcome"] = json!(outcome);
    if let Some(text) = text {
        value["text"] = json!(text);
    }
    value
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(' '),
            letter if letter.is_control() => out.push('\u{fffd}'),
            letter => out.push(letter),
        }
    }
    out
}

impl Case {
    /// The case of this name.
    pub fn named(name: &str) -> Option<&'static Case> {
        CASES.iter().find(|case| case.name.eq_ignore_ascii_case(name))
    }
}
