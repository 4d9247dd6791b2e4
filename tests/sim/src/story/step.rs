//! What people, tasks, engines, machines and clocks do.

use std::fmt;

use hostler_core::{CheckSpec, Dependency, Replicas, RestartPolicy, Spec, Verdict};

use super::services::{checks, count_of, edges, policy};
use crate::dice::Dice;
use crate::faults::Kind;

/// How the tasks of a service are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Temper {
    /// They run as long as they are to.
    Steady,
    /// They end so long after they began.
    Flaps { after_ms: u64, code: i32 },
    /// They do not hear a stop: only the end of their grace ends them.
    Deaf,
    /// They cannot be started.
    Refuses,
    /// They cannot be stopped.
    Clings,
}

/// One change of one service's spec.
#[derive(Debug, Clone)]
pub(crate) enum Edit {
    Digest(u64),
    /// What its backend changes while it runs.
    Limits(u64),
    Edges(Vec<Dependency>),
    Checks(Vec<CheckSpec>),
    Enabled,
    Replicas(Replicas),
    Engine(usize),
    Restart(RestartPolicy),
    Kind,
}

/// One thing that is done to the world. Services are meant by their number, so that a cut leaves the others as they are.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Exit { service: usize, replica: u32, code: i32 },
    Temper { service: usize, temper: Temper },
    Mood { service: usize, check: usize, verdict: Verdict },
    CheckNow,
    Start { services: Vec<usize> },
    Stop { services: Vec<usize>, force: bool },
    Restart { services: Vec<usize> },
    Scale { service: usize, count: u32 },
    Load { service: usize, permille: u64, measured: u32 },
    Force { service: usize },
    Edit { service: usize, edit: Edit },
    Remove { service: usize },
    Bring { service: usize },
    Again,
    Away { engine: usize, for_ms: u64 },
    Lose { engine: usize },
    Plugin { engine: usize, for_ms: u64 },
    Kill { after: u64, torn: bool, down_ms: u64 },
    Reboot { after: u64, torn: bool, down_ms: u64 },
    Close { force: bool, down_ms: u64 },
    Suspend { for_ms: u64 },
    Wall { by_ms: i64 },
    DiskFull { for_ms: u64 },
    DiskSlow { for_ms: u64 },
    Compact { keep: u64 },
}

/// Does this kind of fault come as steps? The others strike calls.
pub(super) fn is_step(kind: Kind) -> bool {
    match kind {
        Kind::Late | Kind::Lost | Kind::Refused | Kind::Twice | Kind::Hints | Kind::Opaque => false,
        Kind::Away
        | Kind::Losses
        | Kind::Plugins
        | Kind::Exits
        | Kind::Tempers
        | Kind::Moods
        | Kind::Requests
        | Kind::Force
        | Kind::Edits
        | Kind::Removals
        | Kind::Again
        | Kind::Kills
        | Kind::Reboots
        | Kind::Close
        | Kind::Suspends
        | Kind::Walls
        | Kind::Disk => true,
    }
}

pub(super) fn draw(kind: Kind, specs: &[Option<Spec>], dice: &mut Dice) -> Step {
    let service = dice.index(specs.len());
    let engine = dice.index(2);
    let span = |dice: &mut Dice| {
        let reach = *dice.pick(&[500, 5_000, 60_000, 300_000]);
        dice.below(reach)
    };
    match kind {
        Kind::Exits => Step::Exit { service, replica: dice.small(2), code: i32::from(dice.percent(60)) },
        Kind::Tempers => Step::Temper { service, temper: temper(dice) },
        Kind::Moods if dice.percent(10) => Step::CheckNow,
        Kind::Moods => {
            let verdict = *dice.pick(&[Verdict::Pass, Verdict::Pass, Verdict::Warn, Verdict::Fail, Verdict::Fail, Verdict::Unknown]);
            Step::Mood { service, check: dice.index(2), verdict }
        }
        Kind::Requests => match dice.below(8) {
            0..2 => Step::Start { services: some(specs.len(), dice) },
            2..5 => Step::Stop { services: some(specs.len(), dice), force: dice.percent(10) },
            5 => Step::Restart { services: some(specs.len(), dice) },
            6 => Step::Scale { service, count: dice.small(4) },
            _ => Step::Load { service, permille: *dice.pick(&[0, 200, 500, 700, 1_000, 3_000]), measured: dice.small(4) },
        },
        Kind::Force => Step::Force { service },
        Kind::Edits => Step::Edit { service, edit: edit(service, specs, dice) },
        Kind::Removals if dice.percent(50) => Step::Remove { service },
        Kind::Removals => Step::Bring { service },
        Kind::Again => Step::Again,
        Kind::Away => Step::Away { engine, for_ms: span(dice) },
        Kind::Losses => Step::Lose { engine },
        Kind::Plugins => Step::Plugin { engine, for_ms: span(dice) },
        Kind::Kills => Step::Kill { after: dice.below(2) * dice.below(12), torn: dice.percent(50), down_ms: span(dice) },
        Kind::Reboots => Step::Reboot { after: dice.below(2) * dice.below(12), torn: dice.percent(50), down_ms: 1_000 + span(dice) },
        Kind::Close => Step::Close { force: dice.percent(30), down_ms: span(dice) },
        Kind::Suspends => Step::Suspend { for_ms: span(dice) * dice.below(100) },
        Kind::Walls => {
            let year = 365 * 86_400_000;
            Step::Wall { by_ms: *dice.pick(&[-year, year, -3_600_000, 3_600_000, -1, 1]) }
        }
        Kind::Disk => match dice.below(4) {
            0 => Step::Compact { keep: dice.below(50) },
            1 => Step::DiskFull { for_ms: span(dice) },
            _ => Step::DiskSlow { for_ms: span(dice) },
        },
        Kind::Late | Kind::Lost | Kind::Refused | Kind::Twice | Kind::Hints | Kind::Opaque => unreachable!("these strike calls"),
    }
}

fn some(count: usize, dice: &mut Dice) -> Vec<usize> {
    match dice.below(4) {
        0 => (0..count).filter(|_| dice.percent(40)).collect(),
        _ => vec![dice.index(count)],
    }
}

fn temper(dice: &mut Dice) -> Temper {
    match dice.below(6) {
        0..2 => Temper::Steady,
        2 | 3 => Temper::Flaps { after_ms: *dice.pick(&[0, 200, 3_000, 30_000, 200_000]), code: i32::from(dice.percent(70)) },
        4 => Temper::Deaf,
        _ => *dice.pick(&[Temper::Refuses, Temper::Clings]),
    }
}

fn edit(service: usize, specs: &[Option<Spec>], dice: &mut Dice) -> Edit {
    match dice.below(10) {
        0 => Edit::Digest(dice.below(4)),
        1 => Edit::Limits(dice.below(4)),
        2 | 3 => {
            let known: Vec<Spec> = specs.iter().flatten().cloned().collect();
            Edit::Edges(edges(service, &known, dice))
        }
        4 => Edit::Checks(checks(dice)),
        5 => Edit::Enabled,
        6 => Edit::Replicas(count_of(dice)),
        7 => Edit::Engine(dice.index(2)),
        8 => Edit::Kind,
        _ => Edit::Restart(policy(dice)),
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}
