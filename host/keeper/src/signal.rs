//! Signals by name.

use rustix::process::{Signal, WaitStatus};

/// Every standard signal; of two names for one number, the first is the one shown.
const NAMES: [(&str, Signal); 32] = [
    ("SIGHUP", Signal::HUP),
    ("SIGINT", Signal::INT),
    ("SIGQUIT", Signal::QUIT),
    ("SIGILL", Signal::ILL),
    ("SIGTRAP", Signal::TRAP),
    ("SIGABRT", Signal::ABORT),
    ("SIGIOT", Signal::ABORT),
    ("SIGBUS", Signal::BUS),
    ("SIGFPE", Signal::FPE),
    ("SIGKILL", Signal::KILL),
    ("SIGUSR1", Signal::USR1),
    ("SIGSEGV", Signal::SEGV),
    ("SIGUSR2", Signal::USR2),
    ("SIGPIPE", Signal::PIPE),
    ("SIGALRM", Signal::ALARM),
    ("SIGTERM", Signal::TERM),
    ("SIGSTKFLT", Signal::STKFLT),
    ("SIGCHLD", Signal::CHILD),
    ("SIGCONT", Signal::CONT),
    ("SIGSTOP", Signal::STOP),
    ("SIGTSTP", Signal::TSTP),
    ("SIGTTIN", Signal::TTIN),
    ("SIGTTOU", Signal::TTOU),
    ("SIGURG", Signal::URG),
    ("SIGXCPU", Signal::XCPU),
    ("SIGXFSZ", Signal::XFSZ),
    ("SIGVTALRM", Signal::VTALARM),
    ("SIGPROF", Signal::PROF),
    ("SIGWINCH", Signal::WINCH),
    ("SIGIO", Signal::IO),
    ("SIGPWR", Signal::POWER),
    ("SIGSYS", Signal::SYS),
];

/// The signal of that name, with or without its `SIG`, in any case.
pub(crate) fn by_name(name: &str) -> Option<Signal> {
    let wanted = name.to_ascii_uppercase();
    let wanted = wanted.strip_prefix("SIG").unwrap_or(&wanted);
    NAMES.iter().find(|(known, _)| &known[3..] == wanted).map(|(_, signal)| *signal)
}

/// The name of a signal's number; `SIG34` and so on for what has no name of its own.
pub fn name(number: i32) -> String {
    let known = NAMES.iter().find(|(_, signal)| signal.as_raw() == number);
    known.map_or_else(|| format!("SIG{number}"), |(name, _)| (*name).to_owned())
}

/// Exit code and signal name of a process that has ended; one of them.
pub(crate) fn ending(status: WaitStatus) -> (Option<i32>, Option<String>) {
    (status.exit_status(), status.terminating_signal().map(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_work_with_and_without_prefix_and_back() {
        for (known, signal) in NAMES {
            assert_eq!(by_name(known), Some(signal));
            assert_eq!(by_name(&known[3..].to_lowercase()), Some(signal));
        }
        assert_eq!(name(Signal::TERM.as_raw()), "SIGTERM");
        assert_eq!(name(Signal::ABORT.as_raw()), "SIGABRT");
        assert_eq!(name(34), "SIG34");
        assert_eq!(by_name("SIGNOPE"), None);
        assert_eq!(by_name(""), None);
    }
}
