//! What the host has said until now, and what does not fit into it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hostler_e2e::Value;

use crate::clock::now_ms;

/// How many lines of what was done are kept for whoever reads a failure.
const TRACE: usize = 200;

/// How long a killed keeper may be away, on a loaded machine.
const AWAY_MS: u64 = 10_000;

/// Heard by the readers, asked by the killer.
#[derive(Debug, Default)]
pub(crate) struct Witness(Mutex<Heard>);

/// What was heard of one host and its successors.
#[derive(Debug, Default)]
pub struct Heard {
    /// What does not fit.
    pub broken: Vec<String>,
    pub(crate) trace: VecDeque<String>,
    /// When keepers were killed.
    pub keeper_kills: Vec<u64>,
    /// The last event that was heard.
    pub(crate) last_event: u64,
    /// How each life was told to have ended.
    pub ends: BTreeMap<(String, u64), String>,
    told: BTreeSet<(String, u64, String)>,
    pub(crate) logs: BTreeMap<String, Log>,
    pub(crate) figures: BTreeMap<&'static str, u64>,
}

/// How far a log was read.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) cursor: Option<String>,
    last: (u64, u64),
    pub(crate) lines: u64,
    pub(crate) repeats: usize,
}

impl Witness {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something was done.
    pub(crate) fn note(&self, what: impl Into<String>) {
        self.lock().note(what.into());
    }

    /// Something is not as promised.
    pub(crate) fn broken(&self, what: impl Into<String>) {
        self.lock().broken(what.into());
    }

    pub(crate) fn is_broken(&self) -> bool {
        !self.lock().broken.is_empty()
    }
}

impl Heard {
    pub(crate) fn note(&mut self, what: String) {
        self.trace.push_back(format!("{} {what}", now_ms()));
        if self.trace.len() > TRACE {
            self.trace.pop_front();
        }
    }

    pub(crate) fn broken(&mut self, what: String) {
        self.note(format!("BROKEN: {what}"));
        self.broken.push(what);
    }

    pub(crate) fn count(&mut self, what: &'static str, more: u64) {
        *self.figures.entry(what).or_default() += more;
    }

    /// One line of the stream of events, by the reader whose last one is `last`.
    pub fn event(&mut self, item: &Value, last: &mut u64, remember: bool) {
        let text = |key: &str| item[key].as_str().unwrap_or_default().to_owned();
        if item["type"] != "event" {
            return self.broken(format!("events after {last}: not an event: {item}"));
        }
        let seq = item["seq"].as_u64().unwrap_or_default();
        if seq != *last + 1 {
            self.broken(format!("event {seq} follows {last}: {item}"));
        }
        *last = seq;
        self.count(if remember { "events read by cursor, each number once" } else { "events followed live, each number once" }, 1);
        if !remember {
            return;
        }
        let (kind, service, Some(run)) = (text("kind"), text("service"), item["run"].as_u64()) else { return };
        if ["starting", "started", "exited", "completed", "stopped"].contains(&kind.as_str())
            && !self.told.insert((service.clone(), run, kind.clone()))
        {
            self.broken(format!("told twice: {kind} of {service}, run {run}: {item}"));
        }
        if kind == "exited" || kind == "completed" {
            self.ends.insert((service, run), text("message"));
        }
    }

    /// A page of a counting service's log: all of it, or it is not taken.
    pub fn page(&mut self, service: &str, items: &[Value]) {
        let Some(cursor) = items.last().filter(|item| item["type"] == "cursor").and_then(|item| item["cursor"].as_str()) else { return };
        let kills = self.keeper_kills.len();
        let mut log = self.logs.remove(service).unwrap_or_default();
        for item in &items[..items.len() - 1] {
            // The cursor goes on where the keeper could not be asked any more.
            if item["type"] == "error" && self.keeper_kills.last().is_some_and(|kill| now_ms() < kill + AWAY_MS) {
                self.count("logs that could not be read just then, for their keeper was killed", 1);
                continue;
            }
            let Some((run, number)) = numbered(item) else {
                self.broken(format!("{service}: not a line of its log: {item}"));
                continue;
            };
            let (last_run, last) = log.last;
            let follows = if run == last_run { number == last + 1 } else { run > last_run && number == 1 };
            // A keeper that is killed between writing a batch and taking it out of the pipe leaves it to the next one, too.
            let again = run == last_run && number <= last && log.repeats < kills;
            if again {
                log.repeats += 1;
                self.count("batches of lines logged twice after a keeper's death", 1);
            } else if !follows {
                self.broken(format!("{service}: line {number} of run {run} follows line {last} of run {last_run} (keeper killed {kills} times)"));
            }
            log.last = (run, number);
            log.lines += 1;
        }
        self.count("log lines read, none missing", items.len() as u64 - 1);
        log.cursor = Some(cursor.to_owned());
        self.logs.insert(service.to_owned(), log);
    }
}

fn numbered(item: &Value) -> Option<(u64, u64)> {
    let (run, number) = item["text"].as_str()?.split_once(' ')?;
    Some((run.parse().ok()?, number.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use hostler_e2e::json;

    use super::*;

    fn page(lines: &[&str]) -> Vec<Value> {
        let lines = lines.iter().map(|text| json!({"type": "line", "text": text}));
        lines.chain([json!({"type": "cursor", "cursor": "c"})]).collect()
    }

    #[test]
    fn a_missing_line_and_a_repeated_one_are_found() {
        let check = |keeper_kills: usize, pages: &[&[&str]], good: bool| {
            let mut heard = Heard { keeper_kills: vec![0; keeper_kills], ..Heard::default() };
            pages.iter().for_each(|lines| heard.page("x", &page(lines)));
            assert_eq!(heard.broken.is_empty(), good, "{pages:?}: {:?}", heard.broken);
        };
        check(0, &[&["1 1", "1 2"], &["1 3"], &["4 1"]], true);
        check(0, &[&["1 1", "1 3"]], false);
        check(0, &[&["1 1"], &["1 1"]], false);
        check(1, &[&["1 1", "1 2"], &["1 1", "1 2", "1 3"]], true);
        check(1, &[&["1 1", "1 1", "1 1"]], false);
        check(1, &[&["1 1", "1 3"]], false);
        check(0, &[&["2 1"], &["1 1"]], false);
        check(0, &[&["1 1"], &["2 2"]], false);
    }

    #[test]
    fn a_page_that_was_cut_is_not_taken() {
        let mut heard = Heard::default();
        heard.page("x", &page(&["1 1", "1 2"])[..1]);
        heard.page("x", &page(&["1 1", "1 2"]));
        assert_eq!((heard.broken.len(), heard.logs["x"].lines), (0, 2));
    }

    #[test]
    fn a_gap_in_the_events_and_an_exit_told_twice_are_found() {
        let exit =
            |seq: u64, run: u64| json!({"type": "event", "seq": seq, "kind": "exited", "service": "x", "run": run, "message": "exited with code 7"});
        let check = |events: &[Value], good: bool| {
            let (mut heard, mut last) = (Heard::default(), 0);
            events.iter().for_each(|event| heard.event(event, &mut last, true));
            assert_eq!(heard.broken.is_empty(), good, "{events:?}: {:?}", heard.broken);
        };
        check(&[exit(1, 1), exit(2, 2)], true);
        check(&[exit(1, 1), exit(3, 2)], false);
        check(&[exit(1, 1), exit(1, 2)], false);
        check(&[exit(1, 1), exit(2, 1)], false);
        check(&[json!({"type": "gap", "next": 5})], false);
    }
}
