//! Lengths of time, sizes, shares of a core and the other small words that people write.

use hostler_core::{Problem, ServiceName, Span, check_plugin_name, closest, parse_size};
use serde_json::Value;

use super::place::{BAD_NAME, Place, Report};

const LONGEST_SECS: f64 = 10_000.0 * 86_400.0;
const LENGTH_HINT: &str = "write 500ms, 30s, 10m, 1h30m, or a number of seconds";
const SIZE_HINT: &str = "write 512m, 512Mi, 1g, or a number of bytes";
const CPU_HINT: &str = "write 500m for half a core, 0.5, or 2 for two cores";

/// A length of time: a text for [`Span::parse`], or a number of seconds.
pub(crate) fn span(place: &Place<'_>, report: &mut Report) -> Option<Span> {
    match place.value {
        Value::String(text) => Span::parse(text)
            .map_err(|why| {
                let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
                let hint = if digits { format!("write {text}s, or the number without quotes") } else { LENGTH_HINT.to_owned() };
                let why = why.split_once(';').map_or(why.as_str(), |(first, _)| first);
                report.add(Problem::new(&place.at, format!("`{}`: {why}", place.name)).hint(hint));
            })
            .ok(),
        _ => seconds(place, report),
    }
}

/// A length of time that must not be zero.
pub(crate) fn span_above_zero(place: &Place<'_>, report: &mut Report) -> Option<Span> {
    let span = span(place, report)?;
    if span == Span::ZERO {
        report.add(place.complain("must be longer than zero").hint(LENGTH_HINT));
        return None;
    }
    Some(span)
}

/// A number of seconds.
pub(crate) fn seconds(place: &Place<'_>, report: &mut Report) -> Option<Span> {
    let seconds = place.value.as_f64();
    match seconds {
        Some(seconds) if (0.0..=LONGEST_SECS).contains(&seconds) => Some(Span::millis((seconds * 1_000.0).round() as u64)),
        Some(seconds) if seconds > LONGEST_SECS => {
            report.add(place.complain("is longer than 10,000 days").hint(LENGTH_HINT));
            None
        }
        _ => {
            report.add(place.wrong("a length of time").hint(LENGTH_HINT));
            None
        }
    }
}

/// A size in bytes; `k`, `m`, `g`, `t` and `Ki`, `Mi`, `Gi`, `Ti` count in 1,024s, with or without a `B` behind them.
pub(crate) fn size(place: &Place<'_>, report: &mut Report) -> Option<u64> {
    let size = match place.value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => parse_size(text),
        _ => None,
    };
    match size {
        Some(0) => report.add(place.complain("is zero; leave the key out for no limit").hint(SIZE_HINT)),
        Some(_) => return size,
        None => report.add(place.wrong("a size").hint(SIZE_HINT)),
    }
    None
}

/// A share of a core in thousandths: `500m`, `"0.5"`, `0.5`, `2`.
pub(crate) fn cpu(place: &Place<'_>, report: &mut Report) -> Option<u32> {
    let millis = match place.value {
        Value::Number(number) => number.as_f64().map(|cores| cores * 1_000.0),
        Value::String(text) => read_cpu(text.trim()),
        _ => None,
    };
    match millis.map(f64::round) {
        Some(millis) if (1.0..=4_096_000.0).contains(&millis) => Some(millis as u32),
        Some(_) => {
            report.add(place.wrong("between 1m and 4096 cores").hint(CPU_HINT));
            None
        }
        None => {
            report.add(place.wrong("a share of a core").hint(CPU_HINT));
            None
        }
    }
}

fn read_cpu(text: &str) -> Option<f64> {
    let plain = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    match text.strip_suffix('m') {
        Some(millis) if plain(millis) => millis.parse().ok(),
        None if plain(text) => text.parse::<f64>().ok().map(|cores| cores * 1_000.0),
        _ => None,
    }
}

/// `70%`, in thousandths.
pub(crate) fn percent(place: &Place<'_>, report: &mut Report) -> Option<u32> {
    let number = place.value.as_str().and_then(|text| text.strip_suffix('%')).and_then(|text| text.trim().parse::<u32>().ok());
    let permille = number.filter(|percent| (1..=1_000).contains(percent)).map(|percent| percent * 10);
    if permille.is_none() {
        report.add(place.wrong("a share between `1%` and `1000%`"));
    }
    permille
}

/// A number within bounds, in thousandths.
pub(crate) fn permille(place: &Place<'_>, range: std::ops::RangeInclusive<f64>, report: &mut Report) -> Option<u32> {
    match place.value.as_f64().filter(|number| range.contains(number)) {
        Some(number) => Some((number * 1_000.0).round() as u32),
        None => {
            report.add(place.wrong(&format!("a number between {} and {}", range.start(), range.end())));
            None
        }
    }
}

/// A text, or a number or a flag as text; anything else is a mistake. What is written is never repeated: it may be a secret.
pub(crate) fn scalar_text(place: &Place<'_>, report: &mut Report) -> Option<String> {
    match place.value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => {
            report.add(place.wrong("a text, a number, true or false"));
            None
        }
    }
}

/// May an environment variable be called this?
pub fn is_env_name(name: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.' || c == '-';
    !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(good)
}

/// The name of an environment variable, as a key.
pub(crate) fn env_name(name: &str, at: &str, report: &mut Report) -> Option<String> {
    if !is_env_name(name) {
        report.add(
            Problem::new(at, format!("{BAD_NAME}: an environment variable cannot be called {name:?}"))
                .hint("use letters, digits and _, not starting with a digit"),
        );
        return None;
    }
    Some(name.to_owned())
}

/// The name of a service, as a key.
pub(crate) fn service_name(name: &str, at: &str, report: &mut Report) -> Option<ServiceName> {
    ServiceName::new(name).map_err(|why| report.add(bad_key(at, &why))).ok()
}

/// The name of a network, by the same rule, as a key.
pub(crate) fn network_name(name: &str, at: &str, report: &mut Report) -> Option<String> {
    let checked = ServiceName::new(name).map(drop).map_err(|why| why.replacen("service name", "network name", 1));
    checked.map_err(|why| report.add(bad_key(at, &why))).ok().map(|()| name.to_owned())
}

/// The name of a plugin, as a key.
pub(crate) fn plugin_key(name: &str, at: &str, report: &mut Report) -> Option<String> {
    check_plugin_name(name).map_err(|why| report.add(bad_key(at, &why))).ok().map(|()| name.to_owned())
}

/// The name of a plugin, as a value.
pub(crate) fn plugin_name(place: &Place<'_>, report: &mut Report) -> Option<String> {
    let name = place.text(report)?;
    let checked = check_plugin_name(name).map_err(|why| {
        let (why, hint) = told(&why);
        report.add(Problem::new(&place.at, why).hint(hint));
    });
    checked.ok().map(|()| name.to_owned())
}

fn bad_key(at: &str, why: &str) -> Problem {
    let (why, hint) = told(why);
    Problem::new(at, format!("{BAD_NAME}: {why}")).hint(hint)
}

/// The rules say what is wrong, and after a semicolon what is allowed.
fn told(why: &str) -> (&str, &str) {
    why.split_once("; ").unwrap_or((why, "use a-z, 0-9 and -"))
}

const SIGNALS: [&str; 16] = [
    "SIGHUP", "SIGINT", "SIGQUIT", "SIGABRT", "SIGKILL", "SIGUSR1", "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGTERM", "SIGCHLD", "SIGCONT", "SIGSTOP",
    "SIGTSTP", "SIGWINCH", "SIGPWR",
];

/// A signal by name, `SIGTERM` or `TERM`.
pub(crate) fn signal(place: &Place<'_>, report: &mut Report) -> Option<String> {
    let text = place.text(report)?;
    let upper = text.to_ascii_uppercase();
    let full = if upper.starts_with("SIG") { upper } else { format!("SIG{upper}") };
    if SIGNALS.contains(&full.as_str()) {
        return Some(full);
    }
    let hint = match closest(&full, SIGNALS) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("known signals: {}", SIGNALS.join(", ")),
    };
    report.add(place.complain(format_args!("is {text:?}, which is no signal")).hint(hint));
    None
}
