//! Signals by name.

/// What a container's first process can be sent.
pub(crate) const NAMES: &[&str] = &[
    "SIGHUP", "SIGINT", "SIGQUIT", "SIGABRT", "SIGKILL", "SIGUSR1", "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGTERM", "SIGCONT", "SIGSTOP", "SIGTSTP",
    "SIGTTIN", "SIGTTOU", "SIGURG", "SIGWINCH",
];

/// Is this a signal's name?
pub(crate) fn is_one(name: &str) -> bool {
    NAMES.contains(&name) || name.strip_prefix("SIGRTMIN+").is_some_and(|number| number.parse().is_ok_and(|number: u8| number <= 30))
}

/// The name of a signal by its number.
pub(crate) fn by_number(number: i32) -> Option<&'static str> {
    const ALL: [&str; 31] = [
        "SIGHUP",
        "SIGINT",
        "SIGQUIT",
        "SIGILL",
        "SIGTRAP",
        "SIGABRT",
        "SIGBUS",
        "SIGFPE",
        "SIGKILL",
        "SIGUSR1",
        "SIGSEGV",
        "SIGUSR2",
        "SIGPIPE",
        "SIGALRM",
        "SIGTERM",
        "SIGSTKFLT",
        "SIGCHLD",
        "SIGCONT",
        "SIGSTOP",
        "SIGTSTP",
        "SIGTTIN",
        "SIGTTOU",
        "SIGURG",
        "SIGXCPU",
        "SIGXFSZ",
        "SIGVTALRM",
        "SIGPROF",
        "SIGWINCH",
        "SIGIO",
        "SIGPWR",
        "SIGSYS",
    ];
    ALL.get(usize::try_from(number - 1).ok()?).copied()
}
