//! The keeper's words in the contract's shapes.

use hostler_keeper::protocol;

use crate::bindings::hostler::host::processes::{Exit, Line, Lines, Origin, Process, State, Usage};

pub(super) fn process(process: protocol::Process, plugin: &str) -> Process {
    let bare = process.key.strip_prefix(plugin).and_then(|rest| rest.strip_prefix('.'));
    Process {
        key: bare.map_or(process.key.clone(), str::to_owned),
        pid: process.pid,
        started_at: process.started_at,
        state: match process.state {
            protocol::State::Running => State::Running,
            protocol::State::Exited(ended) => State::Exited(exit(ended)),
            protocol::State::Unknown(text) => State::Unknown(text),
        },
        notes: process.notes,
        labels: process.labels,
    }
}

pub(super) fn exit(exit: protocol::Exit) -> Exit {
    Exit { code: exit.code, signal: exit.signal, out_of_memory: exit.out_of_memory, at: exit.at }
}

pub(super) fn lines(page: protocol::Lines) -> Lines {
    let line = |line: protocol::Line| Line {
        at: line.at,
        origin: match line.origin {
            protocol::Origin::Out => Origin::Out,
            protocol::Origin::Err => Origin::Err,
        },
        continued: line.continued,
        bytes: line.bytes,
    };
    Lines { lines: page.lines.into_iter().map(line).collect(), next: page.next, gap: page.gap }
}

pub(super) fn usage(usage: protocol::Usage) -> Usage {
    Usage {
        at: usage.at,
        cpu_nanos: usage.cpu_nanos,
        memory_bytes: usage.memory_bytes,
        memory_limit_bytes: usage.memory_limit_bytes,
        processes: usage.processes,
    }
}
