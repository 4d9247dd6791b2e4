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
    Phase::Exited(Exit {
        code: exit.code,
        signal: exit.signal,
        out_of_memory: exit.out_of_memory,
        at: Some(exit.at),
        reason: exit.out_of_memory.then(|| "out of memory".to_owned()),
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
