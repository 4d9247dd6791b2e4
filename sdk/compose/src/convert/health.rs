//! `healthcheck`: the command that Compose runs within the container is a check `docker-exec`; what the image brings is `docker-health`.

use super::{Around, Members, Value, lost, put};
use crate::import::Import;
use crate::read::{Spot, Taking};
use crate::tree::Data;
use crate::words;

/// What the engine gives a check to answer; the host's own default is shorter.
const ENGINES_TIMEOUT_MS: u64 = 30_000;
/// The most that the host takes.
const MOST_RETRIES: i64 = 1_000;

/// Does the file say how its health is looked at?
pub(super) fn is_checked(import: &mut Import<'_>, service: &Spot<'_>) -> bool {
    let Some(spot) = service.member("healthcheck").filter(|spot| !spot.is_null()) else { return false };
    if !spot.is_table() {
        spot.wrong(import, "a table", "write healthcheck: { test: [\"CMD\", \"pg_isready\"] }");
        return false;
    }
    !says_off(&spot)
}

fn says_off(spot: &Spot<'_>) -> bool {
    let disabled = spot.member("disable").is_some_and(|spot| spot.item.word().and_then(words::flag) == Some(true));
    let none = spot.member("test").is_some_and(|test| match &test.item.data {
        Data::List(items) => items.first().and_then(|item| item.word()) == Some("NONE"),
        _ => test.item.word() == Some("NONE"),
    });
    disabled || none
}

/// Is it said that there is no check?
pub(super) fn is_off(around: &Around<'_>, name: &str) -> bool {
    let service = super::top_level(around, "services", name);
    service.and_then(|service| service.member("healthcheck")).is_some_and(|spot| says_off(&spot))
}

/// The service's check, and what the backend must know of it.
pub(super) fn check(import: &mut Import<'_>, around: &Around<'_>, name: &str, spot: Option<Spot<'_>>, backend: &mut Members) -> Members {
    let Some(spot) = spot else {
        // Somebody waits for its health, so the image must have a check.
        let needed = around.checked.contains(name);
        return if needed { kind("docker-health", true) } else { Members::new() };
    };
    if says_off(&spot) {
        put(backend, "healthcheck", Some(Value::Text("off".to_owned())));
        return Members::new();
    }
    if !spot.is_table() {
        return Members::new();
    }
    let mut table = Taking::new(&spot, import);
    table.take("disable");
    let command = match table.take("test") {
        Some(test) => match command(import, &test) {
            Some(command) => Some(command),
            None => return Members::new(),
        },
        None => None,
    };
    let mut times = Members::new();
    let mut timed = |import: &mut Import<'_>, table: &mut Taking<'_>, key: &str| {
        let millis = table.take(key).and_then(|spot| spot.millis(import)).filter(|millis| *millis > 0);
        put(&mut times, key, millis.map(|millis| Value::Text(words::span(millis))));
        millis
    };
    timed(import, &mut table, "interval");
    let timeout = timed(import, &mut table, "timeout");
    timed(import, &mut table, "start_period");
    let retries = table.take("retries").and_then(|spot| spot.number(import)).filter(|number| *number > 0);
    put(&mut times, "retries", retries.map(|number| Value::Int(number.min(MOST_RETRIES))));
    if let Some(spot) = table.take("start_interval") {
        spot.note(import, "the host has a pace of its own after a start: often at first, then at `interval`", "leave it as it is");
    }
    lost::unknown(import, table);
    let Some(command) = command else {
        put(backend, "healthcheck", (!times.is_empty()).then_some(Value::Table(times)));
        return kind("docker-health", true);
    };
    let mut check = kind("docker-exec", false);
    put(&mut check, "command", Some(Value::List(command)));
    if timeout.is_none() {
        put(&mut times, "timeout", Some(Value::Text(words::span(ENGINES_TIMEOUT_MS))));
    }
    check.extend(times);
    put(&mut check, "auto_recovery", Some(Value::Flag(false)));
    check
}

fn kind(plugin: &str, whole: bool) -> Members {
    let mut check = Members::new();
    put(&mut check, "type", Some(Value::Text(plugin.to_owned())));
    // Compose tells of bad health, and restarts nobody for it.
    put(&mut check, "auto_recovery", whole.then_some(Value::Flag(false)));
    check
}

fn command(import: &mut Import<'_>, test: &Spot<'_>) -> Option<Vec<Value>> {
    const HINT: &str = "write [\"CMD\", \"pg_isready\"], [\"CMD-SHELL\", \"a || b\"] or one line for a shell";
    let shell = |line: String| ["/bin/sh".to_owned(), "-c".to_owned(), line].map(Value::Text).to_vec();
    let Data::List(_) = test.item.data else {
        return test.text(import).map(shell);
    };
    let mut words = test.texts(import).into_iter();
    let first = words.next().unwrap_or_default();
    let rest: Vec<String> = words.collect();
    match (first.as_str(), rest.len()) {
        ("CMD", 1..) => Some(rest.into_iter().map(Value::Text).collect()),
        ("CMD-SHELL", 1..) => Some(shell(rest.join(" "))),
        ("CMD" | "CMD-SHELL" | "", 0) => {
            test.mistake(import, "there is no command", HINT);
            None
        }
        _ => {
            test.mistake(import, "a list begins with CMD, CMD-SHELL or NONE", HINT);
            None
        }
    }
}
