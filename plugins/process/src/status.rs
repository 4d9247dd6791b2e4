//! From what the keeper says to what the host hears.

use hostler_sdk::backend::{Chunk, Line, Origin, Usage};
use hostler_sdk::host::processes;
use hostler_sdk::{Exit, Phase, Status};

/// The status of a process that the keeper knows.
pub(crate) fn of(process: processes::Process) -> Status {
    let phase = match process.state {
        processes::State::Running => Phase::Running,
        processes::State::Exited(exit) => exited(exit),
        // lost and not running: nothing is known of its end, and nothing is invented
        processes::State::Unknown(reason) => Phase::Exited(Exit { reason: Some(reason), ..Exit::unexplained() }),
    };
    let mut status = Status { started_at: Some(process.started_at), ..Status::new(phase) };
    if let Some(pid) = process.pid {
        status = status.attribute("pid", pid);
    }
    process.notes.iter().fold(status, |status, note| status.attribute("note", note))
}

/// How it ended.
pub(crate) fn exited(exit: processes::Exit) -> Phase {
    let unseen = exit.code.is_none() && exit.signal.is_none();
    let reason = match (exit.out_of_memory, unseen) {
        (true, _) => Some("out of memory"),
        (false, true) => Some("it ended while the keeper was away, and nobody saw how"),
        (false, false) => None,
    };
    Phase::Exited(Exit {
        code: exit.code,
        signal: exit.signal,
        out_of_memory: exit.out_of_memory,
        at: Some(exit.at),
        reason: reason.map(str::to_owned),
    })
}

/// A page of its log.
pub(crate) fn chunk(lines: processes::Lines) -> Chunk {
    Chunk { lines: lines.lines.into_iter().map(line).collect(), next: lines.next, gap: lines.gap }
}

fn line(line: processes::Line) -> Line {
    let origin = match line.origin {
        processes::Origin::Out => Origin::Out,
        processes::Origin::Err => Origin::Err,
    };
    Line { at: Some(line.at), origin, continued: line.continued, bytes: line.bytes }
}

/// What it uses; a process has no disk or network of its own to measure.
pub(crate) fn usage(usage: processes::Usage) -> Usage {
    Usage {
        at: usage.at,
        cpu_nanos: usage.cpu_nanos,
        memory_bytes: usage.memory_bytes,
        memory_limit_bytes: usage.memory_limit_bytes,
        disk_free_bytes: None,
        network_received_bytes: None,
        network_sent_bytes: None,
        processes: usage.processes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(code: Option<i32>, signal: Option<&str>, out_of_memory: bool) -> processes::Exit {
        processes::Exit { code, signal: signal.map(Into::into), out_of_memory, at: 5 }
    }

    fn process(state: processes::State) -> processes::Process {
        let notes = vec!["memory limit not applied".to_owned()];
        processes::Process { key: "k".into(), pid: Some(7), started_at: 3, state, notes, labels: vec![] }
    }

    #[test]
    fn an_end_is_told_as_it_was() {
        let reason = |exit| match exited(exit) {
            Phase::Exited(exit) => (exit.code, exit.signal, exit.reason),
            other => panic!("{other:?} is no end"),
        };
        assert_eq!(reason(exit(Some(3), None, false)), (Some(3), None, None));
        assert_eq!(reason(exit(None, Some("SIGTERM"), false)), (None, Some("SIGTERM".into()), None));
        assert_eq!(reason(exit(None, Some("SIGKILL"), true)).2.as_deref(), Some("out of memory"));
        assert!(reason(exit(None, None, false)).2.is_some_and(|reason| reason.contains("nobody saw how")));
    }

    #[test]
    fn a_lost_process_has_ended_without_a_code() {
        let status = of(process(processes::State::Unknown("the machine was restarted".into())));
        let expected = Exit { reason: Some("the machine was restarted".into()), ..Exit::unexplained() };
        assert_eq!(status.phase, Phase::Exited(expected));
    }

    #[test]
    fn pid_and_notes_are_shown() {
        let status = of(process(processes::State::Running));
        let shown = |name: &str| status.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        assert_eq!((shown("pid"), shown("note"), status.started_at), (Some("7"), Some("memory limit not applied"), Some(3)));
    }
}
