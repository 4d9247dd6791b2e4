//! From the words of a script to what the host hears.

use crate::task::lost;
use hostler_sdk::{Exit, Phase, Status};

/// The words after the id: `running PID SINCE NOTE…`, `exited KIND VALUE AT SINCE`, `gone`, …
pub(crate) fn read(words: &[String]) -> Status {
    let word = |at: usize| words.get(at).map_or("", String::as_str);
    let millis = |at: usize| word(at).parse::<u64>().ok().map(|seconds| seconds * 1000);
    let alive = |phase: Phase| {
        let status = Status { started_at: millis(2), ..Status::new(phase) };
        let status = if word(1).is_empty() { status } else { status.attribute("pid", word(1)) };
        let note = words.get(3..).unwrap_or_default().join(" ");
        if note.is_empty() { status } else { status.attribute("note", note) }
    };
    match word(0) {
        "pending" => Status::new(Phase::Pending),
        "running" => alive(Phase::Running),
        "stopping" => alive(Phase::Stopping),
        "gone" => Status::gone(),
        "exited" => {
            let mut exit = Exit { at: millis(3), ..exit(word(1), word(2)) };
            if word(5) == "failed" {
                exit.reason = Some(words[6..].join(" "));
            }
            Status { started_at: millis(4), ..Status::new(Phase::Exited(exit)) }
        }
        other => Status::unknown(format!("its host said `{other}`, which nobody understands")),
    }
}

/// How something ended.
pub(crate) fn exit(kind: &str, value: &str) -> Exit {
    match (kind, value.parse::<i32>()) {
        ("code", Ok(code)) => Exit { code: Some(code), ..Exit::unexplained() },
        ("signal", Ok(number)) => Exit { signal: Some(signal(number)), ..Exit::unexplained() },
        ("late", _) => Exit { signal: Some("SIGKILL".into()), ..lost("its time was over") },
        // a shell says neither which of the two it was
        ("status", Ok(status)) => lost(&format!("{}, or an exit with code {status}", signal(status - 128))),
        ("lost", _) => lost(match value {
            "never" => "its start was cut off before the program ran",
            "reboot" => "its host was started anew",
            "pipes" => "its host could not make the pipes of its log (disk full, or a file system without them)",
            _ => "its supervisor was killed, and nobody saw how it ended",
        }),
        _ => lost("its host keeps no readable record of its end"),
    }
}

fn signal(number: i32) -> String {
    const NAMES: [&str; 31] = [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT",
        "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
    ];
    let name = usize::try_from(number - 1).ok().and_then(|at| NAMES.get(at));
    name.map_or_else(|| format!("signal {number}"), |name| format!("SIG{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phase(line: &str) -> Status {
        read(&line.split(' ').map(String::from).collect::<Vec<_>>())
    }

    #[test]
    fn an_end_is_told_as_it_was() {
        let exit = |line: &str| match phase(line).phase {
            Phase::Exited(exit) => (exit.code, exit.signal, exit.at, exit.reason.is_some()),
            other => panic!("{other:?} is no end"),
        };
        assert_eq!(exit("exited code 3 7 5"), (Some(3), None, Some(7000), false));
        assert_eq!(exit("exited code 143 7 5"), (Some(143), None, Some(7000), false));
        assert_eq!(exit("exited signal 15 7 5"), (None, Some("SIGTERM".into()), Some(7000), false));
        assert_eq!(exit("exited status 130 7 5"), (None, None, Some(7000), true));
        assert_eq!(exit("exited lost reboot - 5"), (None, None, None, true));
        assert_eq!(exit("exited"), (None, None, None, true));
        assert_eq!(exit("exited 31 $(id) x y z w"), (None, None, None, true));
        assert_eq!(exit("exited code 1 7 5 failed release 2 did not come up"), (Some(1), None, Some(7000), true));
    }

    #[test]
    fn what_runs_has_a_pid_and_a_beginning() {
        let status = phase("running 41 5 no limits here");
        assert_eq!((status.phase, status.started_at), (Phase::Running, Some(5000)));
        assert_eq!(status.attributes, [("pid".to_owned(), "41".to_owned()), ("note".to_owned(), "no limits here".to_owned())]);
    }

    #[test]
    fn words_that_nobody_understands_restart_nothing() {
        assert!(matches!(phase("flying").phase, Phase::Unknown(_)));
        assert!(matches!(read(&[]).phase, Phase::Unknown(_)));
    }
}
