//! From what systemd says to what the host hears.

use hostler_sdk::backend::Usage;
use hostler_sdk::{Exit, Phase, Status};

use crate::engine::Scope;
use crate::facts::Held;
use crate::installed;
use crate::unit::{End, Unit};

/// The status of a task, from its unit; of one that is installed, from its claim and the unit.
pub(crate) fn of(held: &Held, own: &Unit, runs: &Unit) -> Status {
    if !own.is_there() {
        return Status::gone();
    }
    if held.installed.is_some() && !installed::is_ours(own, runs) {
        let reason = format!("{} was started anew by somebody else, as another life of it", held.runs_as());
        return Status::new(Phase::Exited(Exit { reason: Some(reason), ..Exit::unexplained() }));
    }
    let mut status = Status { started_at: runs.started_at(), ..Status::new(phase(runs)) }.attribute("unit", held.runs_as());
    if let Some(pid) = runs.pid() {
        status = status.attribute("pid", pid);
    }
    if let Some(invocation) = runs.invocation() {
        status = status.attribute("invocation", invocation);
    }
    if let Scope::User(uid) = held.scope {
        status = status.attribute("scope", "user").attribute("uid", uid);
    }
    status
}

fn phase(unit: &Unit) -> Phase {
    match unit.active_state() {
        "active" | "reloading" | "refreshing" => Phase::Running,
        "activating" => Phase::Pending,
        "deactivating" => Phase::Stopping,
        // What outlives its unit is being killed, or escaped: it is not over.
        "failed" | "inactive" if unit.is_up() => Phase::Stopping,
        "failed" | "inactive" => Phase::Exited(exit(unit)),
        other => Phase::Unknown(format!("systemd says that {} is `{other}`", unit.id())),
    }
}

fn exit(unit: &Unit) -> Exit {
    let out_of_memory = unit.result() == "oom-kill";
    let (code, signal) = match unit.end() {
        Some(End::Code(code)) => (Some(code), None),
        Some(End::Signal(number)) => (None, Some(signal_name(number))),
        None => (None, None),
    };
    let known = unit.end().is_some();
    let reason = match unit.result() {
        "oom-kill" => Some("out of memory".to_owned()),
        "timeout" => Some("systemd had to kill it: it did not end in time".to_owned()),
        "watchdog" => Some("systemd killed it: it did not feed its watchdog".to_owned()),
        _ if unit.never_ran() => Some("systemd could not start it".to_owned()),
        "success" | "" if !known => Some("systemd has forgotten how it ended".to_owned()),
        other if !known => Some(format!("systemd says `{other}`")),
        _ => None,
    };
    Exit { code, signal, out_of_memory, at: unit.ended_at(), reason }
}

/// What it uses at this moment. What systemd does not count is absent.
pub(crate) fn usage(unit: &Unit, at: u64) -> Option<Usage> {
    unit.is_up().then(|| Usage {
        at,
        cpu_nanos: unit.cpu_nanos(),
        memory_bytes: unit.memory(),
        memory_limit_bytes: unit.memory_limit(),
        disk_free_bytes: None,
        network_received_bytes: None,
        network_sent_bytes: None,
        processes: unit.tasks().and_then(|tasks| u32::try_from(tasks).ok()),
    })
}

fn signal_name(number: i32) -> String {
    const NAMES: [&str; 31] = [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT",
        "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
    ];
    let name = usize::try_from(number - 1).ok().and_then(|index| NAMES.get(index));
    name.map_or_else(|| format!("signal {number}"), |name| format!("SIG{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit::planted;

    fn ended(properties: &[(&str, &str)]) -> Exit {
        match phase(&planted(properties)) {
            Phase::Exited(exit) => exit,
            other => panic!("{other:?} is no end"),
        }
    }

    #[test]
    fn an_end_is_told_as_it_was() {
        let clean = ended(&[("ActiveState", "failed"), ("Result", "exit-code"), ("ExecMainCode", "1"), ("ExecMainStatus", "0")]);
        assert_eq!((clean.code, clean.signal, clean.reason), (Some(0), None, None));
        let killed = ended(&[("ActiveState", "failed"), ("Result", "signal"), ("ExecMainCode", "2"), ("ExecMainStatus", "15")]);
        assert_eq!((killed.code, killed.signal.as_deref()), (None, Some("SIGTERM")));
        let oom = ended(&[("ActiveState", "failed"), ("Result", "oom-kill"), ("ExecMainCode", "2"), ("ExecMainStatus", "9")]);
        assert_eq!((oom.out_of_memory, oom.reason.as_deref()), (true, Some("out of memory")));
        let forgotten = ended(&[("ActiveState", "inactive"), ("Result", "success"), ("ExecMainCode", "0"), ("ExecMainStatus", "0")]);
        assert_eq!((forgotten.code, forgotten.reason.as_deref()), (None, Some("systemd has forgotten how it ended")));
    }

    #[test]
    fn a_unit_with_processes_is_not_over() {
        assert_eq!(phase(&planted(&[("ActiveState", "failed"), ("TasksCurrent", "2")])), Phase::Stopping);
    }

    #[test]
    fn signals_have_their_names() {
        assert_eq!((signal_name(9), signal_name(31), signal_name(34)), ("SIGKILL".into(), "SIGSYS".into(), "signal 34".to_owned()));
    }

    #[test]
    fn what_is_not_counted_is_absent() {
        let usage = usage(&planted(&[("ActiveState", "active"), ("CPUUsageNSec", "[not set]"), ("MemoryCurrent", "4096")]), 5);
        assert_eq!(usage.map(|usage| (usage.at, usage.cpu_nanos, usage.memory_bytes)), Some((5, None, Some(4096))));
    }
}
