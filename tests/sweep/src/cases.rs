//! Which scenario leads to which point.

use std::fmt;

use Scenario::{
    Acknowledged, Adopted, Again, AgainByFile, Alarmed, Apply, Broken, Close, Cold, Compaction, Down, Empty, First, Found, FullDiary, FullHealth,
    HalfLine, Heard, KeeperKilled, Keyed, Leave, Litter, Logs, Lost, Pages, PutOff, Quiet, Restart, Silent, Start, Stop, Stubborn, Torn, Unwritten,
    Upgrade,
};

/// What is done to get to a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// A host starts for the very first time.
    First,
    /// A host starts for the first time, and has a plugin to compile.
    Cold,
    /// A host starts where another one was killed, with live tasks.
    Again,
    /// The same, with a file to apply before anything is started.
    AgainByFile,
    /// Nothing: services crash and are restarted by their policy, are checked and write.
    Quiet,
    /// Another configuration is applied: one service changed, one removed.
    Apply,
    /// A plugin is given another component, under live tasks.
    Upgrade,
    /// A service is stopped by request.
    Stop,
    /// One that was stopped is started by request.
    Start,
    /// One is restarted by request.
    Restart,
    /// One is restarted by an operation.
    PutOff,
    /// One is restarted by a request with an idempotency key.
    Keyed,
    /// A stop, a restart and another configuration were acknowledged a moment ago.
    Acknowledged,
    /// A service's log is read.
    Logs,
    /// SIGTERM to the host: it leaves its tasks to the next one.
    Leave,
    /// Everything stops, is forgotten, and the host ends.
    Down,
    /// A host is to end and to stop its services first, without forgetting them.
    Close,
    /// A host without services ends, and its keeper with it.
    Empty,
    /// The keeper is killed, and comes back.
    KeeperKilled,
    /// The keeper was killed, and what the next one adopted ends.
    Adopted,
    /// A task ended while neither host nor keeper was there.
    Lost,
    /// The keeper dies between a fork and its journal, and the next one on its way to write that down.
    Unwritten,
    /// The host dies between a start and its handle, and the next one on its way to write that down.
    Found,
    /// A task ends and leaves a child behind.
    Litter,
    /// One that ignores SIGTERM is stopped, with little grace.
    Stubborn,
    /// A program that passes every doubt and still cannot be executed.
    Broken,
    /// A service fails for good, and somebody is told.
    Alarmed,
    /// Heartbeats of a service stay away.
    Silent,
    /// Those that stayed away come again.
    Heard,
    /// A task writes more than a log keeps.
    Pages,
    /// A task writes half a line, and waits.
    HalfLine,
    /// A keeper finds a journal that has grown long.
    Compaction,
    /// A keeper finds a journal whose end is torn.
    Torn,
    /// A host finds its own log full.
    FullDiary,
    /// A service's health changes, and its health log is full.
    FullHealth,
    /// The services are containers of a real engine.
    Contained(Deed),
}

/// What is done with containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// They come up for the first time.
    First,
    /// One more, in two networks.
    Wired,
    /// Another configuration: one is replaced, one removed.
    Apply,
    /// A replica more.
    ScaleUp,
    /// A replica less.
    ScaleDown,
    /// One is stopped by request.
    Stop,
    /// One that was stopped is started by request.
    Start,
    /// One is restarted by request.
    Restart,
    /// One that ignores SIGTERM is stopped, with little grace.
    Stubborn,
    /// Everything stops, is forgotten, and the host ends.
    Down,
}

/// A point, and how to get there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Where somebody dies; where somebody has to die before, that point stands before it.
    pub points: Vec<&'static str>,
    /// What is done.
    pub scenario: Scenario,
}

impl Case {
    /// Does it take an engine of containers?
    pub fn is_contained(&self) -> bool {
        matches!(self.scenario, Scenario::Contained(_))
    }

    /// The point that it is about.
    pub fn point(&self) -> &'static str {
        self.points.last().expect("a case has a point")
    }
}

impl fmt::Display for Case {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{} ({:?})", self.points.join(" then "), self.scenario)
    }
}

/// Points, and the scenarios that pass them.
const PLAYED: &[(&[&str], &[Scenario])] = &[
    (&["host.start.configured"], &[AgainByFile]),
    (
        &[
            "host.start.dirs-made",
            "host.start.locked",
            "host.start.dir-taken",
            "host.start.store-open",
            "host.start.recalled",
            "host.start.keeper-reached",
            "host.start.plugins-loaded",
            "host.start.before-restore",
            "host.start.restored",
            "host.start.old-socket-removed",
            "host.start.socket-bound",
            "host.start.running",
            "host.start.before-telling",
            "store.open.locked",
            "store.open.checked",
            "store.open.configured",
        ],
        &[First, Again],
    ),
    (&["host.cache.filled", "host.cache.cached"], &[Cold]),
    (&["host.keeper.before-start", "host.keeper.started", "host.keeper.answers"], &[First, KeeperKilled]),
    (&["store.file.filled", "store.file.renamed"], &[First]),
    (&["store.compact.events-dropped", "host.loop.begun", "host.list.before", "host.list.listed"], &[Again]),
    (
        &[
            "host.loop.heard",
            "host.loop.before-commit",
            "host.loop.committed",
            "host.loop.before-effect",
            "host.loop.effects-begun",
            "host.loop.shown",
            "host.commit.submitted",
            "host.commit.durable",
            "host.commit.told",
            "store.write.begun",
            "store.write.performed",
            "store.write.committed",
            "store.write.told-written",
            "store.write.synced",
            "store.write.before-answer",
        ],
        &[Quiet, Apply, Acknowledged],
    ),
    (
        &[
            "host.wake.heard",
            "host.loop.begun-early",
            "host.news.handle-kept",
            "host.news.before-deciding",
            "host.news.decided",
            "host.start-task.before",
            "host.start-task.started",
            "host.start-task.inspected",
            "host.destroy.before",
            "host.destroy.destroyed",
            "host.inspect.before",
            "host.check.before",
            "host.check.checked",
            "host.view.before",
            "host.view.written",
            "store.view.filled",
            "store.view.renamed",
            "keeper.journal.before-append",
            "keeper.journal.appended",
            "keeper.journal.before-sync",
            "keeper.journal.synced",
            "keeper.spawn.pipes-made",
            "keeper.spawn.intended",
            "keeper.spawn.before-fork",
            "keeper.spawn.forked",
            "keeper.spawn.written",
            "keeper.end.noticed",
            "keeper.end.reaped",
            "keeper.end.before-journal",
            "keeper.end.written",
            "keeper.end.before-telling",
            "keeper.forget.before",
            "keeper.forget.written",
            "keeper.turn.before-telling",
            "keeper.turn.told",
            "keeper.output.logged",
            "keeper.output.turned",
            "keeper.log.opened",
            "keeper.log.before-append",
            "keeper.log.appended",
        ],
        &[Quiet],
    ),
    (&["host.inspect.inspected"], &[Again]),
    (&["host.logs.before"], &[Logs]),
    (
        &["host.request.before-commit", "host.request.committed", "host.request.decided", "host.request.before-answer", "host.request.answered"],
        &[Stop, Start, Restart, Keyed],
    ),
    (&["host.key.begun", "host.key.answered"], &[Keyed]),
    (
        &[
            "host.operation.queued",
            "host.operation.started",
            "host.operation.wanted",
            "host.operation.settled",
            "host.operation.before-end",
            "host.operation.ended",
        ],
        &[PutOff],
    ),
    (
        &[
            "host.apply.prepared",
            "host.apply.planned",
            "host.apply.committed",
            "host.apply.plugins-swapped",
            "host.apply.decided",
            "store.view.emptied",
        ],
        &[Apply],
    ),
    (&["host.plugin.filled", "host.plugin.kept", "host.upgrade.committed", "host.upgrade.swapped"], &[Upgrade]),
    (&["host.stop-task.before", "host.stop-task.stopped"], &[Stop, Restart]),
    (&["keeper.stop.written", "keeper.stop.signalled", "keeper.stop.looked", "keeper.stop.over", "keeper.stop.before-answer"], &[Stop, Restart]),
    (&["keeper.stop.before-kill"], &[Stubborn]),
    (&["host.down.committed", "host.down.decided"], &[Down]),
    (&["host.shutdown.asked"], &[Leave, Down]),
    (&["host.shutdown.closing"], &[Close]),
    (
        &[
            "host.end.decided",
            "host.end.view-written",
            "host.end.loop-over",
            "host.end.socket-removed",
            "host.end.served",
            "host.end.keeper-asked",
            "host.end.dir-let-go",
            "store.close.drained",
            "store.close.checkpointed",
        ],
        &[Leave, Down],
    ),
    (&["keeper.leave.asked", "keeper.leave.pipes-emptied", "keeper.leave.socket-removed", "keeper.leave.clean"], &[Down, Empty]),
    (&["store.view.health-put-aside"], &[FullHealth]),
    (&["store.view.before-health"], &[FullHealth]),
    (&["host.diary.put-aside"], &[FullDiary]),
    (
        &["keeper.start.locked", "keeper.start.opened", "keeper.start.recovered", "keeper.start.socket-bound", "keeper.start.listening"],
        &[First, KeeperKilled],
    ),
    (&["keeper.journal.made"], &[First]),
    (&["keeper.journal.torn-end-kept"], &[Torn]),
    (&["keeper.compact.filled", "keeper.compact.synced", "keeper.compact.renamed", "keeper.compact.opened"], &[Compaction]),
    (&["keeper.adopt.pipes-open", "keeper.adopt.groups-swept", "keeper.adopt.found"], &[KeeperKilled]),
    (&["keeper.adopt.lost-one", "keeper.adopt.lost-one-written"], &[Lost]),
    (&["keeper.adopt.unwritten-one"], &[Unwritten]),
    (&["host.news.found-kept"], &[Found]),
    (&["keeper.spawn.failed", "keeper.spawn.failure-written"], &[Broken]),
    (&["host.alert.committed", "host.alert.delivered", "host.alert.forgotten"], &[Alarmed]),
    (&["host.heartbeat.decided", "host.heartbeat.committed"], &[Silent, Heard]),
    (&["keeper.end.adopted-one"], &[Adopted]),
    (&["keeper.end.rest-found"], &[Litter]),
    (&["keeper.output.half-line-taken"], &[HalfLine]),
    (&["keeper.log.rotated", "keeper.log.oldest-removed"], &[Pages]),
];

/// The same with containers; where several points stand together, the host dies at each, one after the other.
const CONTAINED: &[(&[&[&str]], &[Deed])] = &[
    (&[&["host.container.before-make"], &["host.container.before-start"]], &[Deed::First, Deed::ScaleUp, Deed::Restart]),
    (&[&["host.container.made"], &["host.container.started"]], &[Deed::First, Deed::Apply, Deed::ScaleUp, Deed::Start, Deed::Restart]),
    (&[&["host.network.made"], &["host.container.connected"]], &[Deed::Wired]),
    (&[&["host.container.before-signal"]], &[Deed::Stop, Deed::Down]),
    (&[&["host.container.signalled"], &["host.container.ended"]], &[Deed::Apply, Deed::ScaleDown, Deed::Stop, Deed::Restart, Deed::Down]),
    (&[&["host.container.before-kill"], &["host.container.killed"]], &[Deed::Stubborn]),
    (&[&["host.container.before-remove"], &["host.container.removed"]], &[Deed::Apply, Deed::ScaleDown, Deed::Down]),
    (&[&["host.loop.committed"], &["host.start-task.started"], &["host.news.handle-kept"]], &[Deed::ScaleUp, Deed::Restart]),
    (&[&["host.stop-task.stopped"], &["host.destroy.destroyed"]], &[Deed::ScaleDown]),
    (
        &[
            &["host.container.made", "host.container.made"],
            &["host.container.made", "host.container.started"],
            &["host.container.started", "host.news.found-kept"],
        ],
        &[Deed::First, Deed::ScaleUp],
    ),
    (&[&["host.container.signalled", "host.list.listed"], &["host.container.removed", "host.list.listed"]], &[Deed::ScaleDown, Deed::Down]),
];

/// Every case there is.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (points, scenarios) in PLAYED {
        for point in *points {
            for scenario in *scenarios {
                let before = match scenario {
                    Unwritten => Some("keeper.spawn.forked"),
                    Found => Some("host.start-task.started"),
                    _ => None,
                };
                cases.push(Case { points: before.into_iter().chain([*point]).collect(), scenario: *scenario });
            }
        }
    }
    for (all, deeds) in CONTAINED {
        for points in *all {
            cases.extend(deeds.iter().map(|deed| Case { points: points.to_vec(), scenario: Scenario::Contained(*deed) }));
        }
    }
    cases
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::cases;

    #[test]
    fn each_point_has_a_scenario() {
        let played: BTreeSet<&str> = cases().iter().map(super::Case::point).collect();
        let all: BTreeSet<&str> = hostler_failpoint::POINTS.iter().copied().collect();
        assert_eq!(all.difference(&played).collect::<Vec<_>>(), Vec::<&&str>::new(), "points without a scenario");
        assert_eq!(played.difference(&all).collect::<Vec<_>>(), Vec::<&&str>::new(), "scenarios for points that do not exist");
    }
}
