//! From a crash to the next life, and where the time goes.

use std::time::Duration;

use rustix::process::Signal;

use super::CRASHER;
use crate::Fallible;
use crate::births::Births;
use crate::clock::{self, between};
use crate::http::Connection;
use crate::laps::{self, Lap};
use crate::machine::{self, Floor, Syncs};
use crate::place::{Place, until};
use crate::processes;
use crate::report::{Figure, Report, Unit};
use crate::stats::Samples;

/// One crash.
#[derive(Debug, Clone, Copy)]
struct Crash {
    /// When it was killed: by the clock that measures, and as a time of the day.
    killed: u64,
    killed_of_day: u64,
    /// When its next life began.
    born: u64,
}

/// What is killed, and where it tells of its next life.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured<'a> {
    pub(crate) births: &'a Births,
    /// Of the crasher, which runs.
    pub(crate) slot: usize,
    /// Of the same service under a loop that does nothing else.
    pub(crate) bare: usize,
    pub(crate) kills: usize,
}

/// Kills the running crasher again and again, and a service of this program's own, and adds what came out; the whole figures, which are
/// percentiles, beside more.
pub(crate) fn measure(place: &Place, measured: &Measured<'_>, more: impl Fn(Figure, f64) -> Figure, report: &mut Report) -> Fallible<()> {
    let crashes = crash(place, measured)?;
    let floor = machine::restarts(place, measured.births, measured.bare, measured.kills)?;
    let syncs = machine::syncs(place, measured.kills)?;
    let laps = laps::read(&place.state("host.log"), CRASHER)?;
    show_whole(&crashes, &floor, more, report);
    let parts = Parts::of(&crashes, &laps);
    if parts.notice.len() < crashes.len() {
        report.note(format!("the host's log has the parts of {} of {} restarts", parts.notice.len(), crashes.len()));
    }
    show_parts(&parts, &floor, &syncs, report);
    Ok(())
}

fn crash(place: &Place, measured: &Measured<'_>) -> Fallible<Vec<Crash>> {
    let mut host = place.connect()?;
    let first = measured.births.last(measured.slot)?.ok_or("the service was never started")?;
    let mut living = first.pid;
    let mut crashes = Vec::with_capacity(measured.kills);
    for _ in 0..measured.kills {
        // A service that crashes before the host knows that it runs is another story.
        until("the host knows of the new life", Duration::from_millis(5), || Ok(knows(&mut host, living)?.then_some(())))?;
        machine::breathe();
        let (killed, killed_of_day) = (clock::now(), clock::time_of_day());
        processes::signal(living, Signal::KILL);
        let birth = measured.births.after(measured.slot, killed)?;
        crashes.push(Crash { killed, killed_of_day, born: birth.at });
        living = birth.pid;
    }
    until("the host knows of the last life", Duration::from_millis(5), || Ok(knows(&mut host, living)?.then_some(())))?;
    Ok(crashes)
}

fn knows(host: &mut Connection, pid: u32) -> Fallible<bool> {
    let list = host.get(&format!("/api/v1/services?names={CRASHER}"))?;
    let service = &list["services"][0];
    Ok(service["pid"].as_u64() == Some(u64::from(pid)) && service["status"] == "running")
}

fn show_whole(crashes: &[Crash], floor: &Floor, more: impl Fn(Figure, f64) -> Figure, report: &mut Report) {
    let total: Samples = crashes.iter().map(|crash| (crash.born - crash.killed) as f64 / 1e9).collect();
    let what = "kill, wait, posix_spawn of the same program by a loop";
    let figure = |name, percent| {
        let figure = Figure::new(name, Unit::Seconds, total.percentile(percent)).beside(what, floor.total.percentile(percent));
        more(figure, percent)
    };
    report.add(figure(format!("killed → main of the next process, p50 of {}", crashes.len()), 50.0).at_most(1.5e-3));
    report.add(figure("the same, p99".to_owned(), 99.0).at_most(5e-3));
}

/// The parts of crashes whose lap was found, in seconds.
#[derive(Debug, Default)]
struct Parts {
    whole: Samples,
    notice: Samples,
    look: Samples,
    decide: Samples,
    commit: Samples,
    call: Samples,
    answer: Samples,
}

impl Parts {
    fn of(crashes: &[Crash], laps: &[Lap]) -> Parts {
        let mut parts = Parts::default();
        for crash in crashes {
            if let Some(lap) = laps.iter().find(|lap| is_of(lap, crash)) {
                parts.add(crash, lap);
            }
        }
        parts
    }

    fn add(&mut self, crash: &Crash, lap: &Lap) {
        let whole = (crash.born - crash.killed) as f64 / 1e9;
        let seconds = |nanos: u64| nanos as f64 / 1e9;
        let over = between(crash.killed_of_day, lap.at) as f64 / 1e9;
        // Rounding in the log may make a little less than nothing of it.
        let notice = (over - seconds(lap.inside())).max(0.0);
        self.whole.add(whole);
        self.notice.add(notice);
        self.look.add(seconds(lap.look));
        self.decide.add(seconds(lap.decide));
        self.commit.add(seconds(lap.commit));
        self.call.add(whole - notice - seconds(lap.look + lap.decide + lap.commit));
        self.answer.add(over - whole);
    }
}

/// Is this the lap of this crash? Then it began between the kill and the next life.
fn is_of(lap: &Lap, crash: &Crash) -> bool {
    let began = between(crash.killed_of_day, lap.at) - i64::try_from(lap.inside()).unwrap_or(i64::MAX);
    let life = i64::try_from(crash.born - crash.killed).unwrap_or(i64::MAX);
    (-LOG_ROUNDS..=life).contains(&began)
}

/// The log's numbers are whole microseconds: their sum may be this many nanoseconds too large.
const LOG_ROUNDS: i64 = 10_000;

fn show_parts(parts: &Parts, floor: &Floor, syncs: &Syncs, report: &mut Report) {
    let figure = |name, samples: &Samples| Figure::new(name, Unit::Seconds, samples.median());
    let whole = ("killed → main, p50", parts.whole.median());
    let what = "kill → wait returns, and 4 KiB appended and synced";
    let notice = figure("  notice: the keeper reaps, syncs its record, tells the host", &parts.notice);
    report.add(notice.beside(what, floor.notice.median() + syncs.append.median()));
    report.add(figure("  look: one plugin call asks the keeper what it is now", &parts.look).beside(whole.0, whole.1));
    report.add(figure("  decide: to the next life, in the core", &parts.decide).beside(whole.0, whole.1));
    report.add(figure("  intent on disk: committed by the store", &parts.commit).beside("4 KiB overwritten and synced", syncs.overwrite.median()));
    report.add(figure("  call: plugin → keeper → fork → exec → main", &parts.call).beside("posix_spawn → main", floor.spawn.median()));
    report.add(figure("  from there until the loop knows it; negative: before main", &parts.answer).beside(whole.0, whole.1));
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn lap(at: u64) -> Lap {
        Lap { at, look: 300_000, decide: 100_000, commit: 600_000, call: 4_000_000 }
    }

    #[test]
    fn the_parts_of_a_crash_are_the_whole() {
        let crash = Crash { killed: 5 * SECOND, killed_of_day: 70 * SECOND, born: 5 * SECOND + 4_500_000 };
        // Heard after half a millisecond, known 5 ms later: a millisecond after the birth.
        let parts = Parts::of(&[crash], &[lap(70 * SECOND + 5_500_000)]);
        let parts = [parts.notice, parts.look, parts.decide, parts.commit, parts.call, parts.answer].map(|part| (part.median() * 1e6).round());
        assert_eq!(parts, [500.0, 300.0, 100.0, 600.0, 3_000.0, 1_000.0]);
    }

    #[test]
    fn each_crash_finds_its_own_lap() {
        let crash = Crash { killed: 0, killed_of_day: 70 * SECOND, born: 4_500_000 };
        assert!(is_of(&lap(70 * SECOND + 5_500_000), &crash));
        assert!(!is_of(&lap(70 * SECOND - 1), &crash), "one before it");
        assert!(!is_of(&lap(70 * SECOND + 30_000_000), &crash), "one after it");
    }
}
