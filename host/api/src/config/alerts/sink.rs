//! One `[sinks.NAME]`.

use hostler_core::Span;

use super::{SINK_HINT, Sink, Way};
use crate::config::place::{Place, Report, Table};
use crate::config::values;

pub(super) const TIMEOUT: Span = Span::secs(10);
pub(super) const GROUP_WAIT: Span = Span::secs(1);
const ATTEMPTS: u32 = 10;
const MOST_ATTEMPTS: u32 = 100;
const LONGEST_WAIT: Span = Span::secs(600);
const COMMAND_HINT: &str = "write command = [\"/usr/local/bin/page\", \"--now\"]; no shell reads it";

#[derive(Clone, Copy)]
enum Kind {
    Webhook,
    Command,
}

pub(super) fn read(place: &Place<'_>, report: &mut Report) -> Option<Sink> {
    let mut table = place.table(&format!("sink `{}`", place.name), SINK_HINT, report)?;
    let Some(kind) = table.take("type") else {
        report.add(table.missing("type", SINK_HINT));
        return None;
    };
    let way = match kind.choice(&[("webhook", Kind::Webhook), ("command", Kind::Command)], report)? {
        Kind::Webhook => read_webhook(&mut table, report),
        Kind::Command => read_command(&mut table, report).map(|command| Way::Command { command }),
    };
    let timeout = at_most(table.take("timeout"), TIMEOUT, report);
    let group_wait = at_most(table.take("group_wait"), GROUP_WAIT, report);
    let attempts = table.take("attempts").and_then(|place| place.whole_number(1..=MOST_ATTEMPTS, report)).unwrap_or(ATTEMPTS);
    table.finish(&[("args", "write them into `command`"), ("secret", "write `secret_file`"), ("retries", "write `attempts`")], report);
    Some(Sink { way: way?, timeout, group_wait, attempts })
}

fn at_most(place: Option<Place<'_>>, default: Span, report: &mut Report) -> Span {
    let Some(place) = place else { return default };
    match values::span_above_zero(&place, report) {
        Some(span) if span > LONGEST_WAIT => {
            report.add(place.complain(format_args!("is longer than {LONGEST_WAIT}")));
            default
        }
        span => span.unwrap_or(default),
    }
}

fn read_webhook(table: &mut Table<'_>, report: &mut Report) -> Option<Way> {
    let url = table.take("url");
    if url.is_none() {
        report.add(table.missing("url", SINK_HINT));
    }
    let mut file = |key: &'static str| table.take(key).and_then(|place| place.text(report)).map(str::to_owned);
    let (secret_file, ca) = (file("secret_file"), file("ca"));
    let place = url?;
    let url = place.text(report)?;
    if !is_url(url) {
        report.add(place.complain("is no address of HTTP").hint("write https://HOST/PATH; a secret belongs into `secret_file`"));
        return None;
    }
    Some(Way::Webhook { url: url.to_owned(), secret_file, ca })
}

/// Scheme and host are there, and nothing that is odd in an address. Who is asked as whom stands in no address.
pub(crate) fn is_url(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let authority = rest.and_then(|rest| rest.split(['/', '?']).next());
    let good = |c: char| c.is_ascii_graphic() && !"\"<>\\^`{|}#".contains(c);
    authority.is_some_and(|authority| !authority.is_empty() && !authority.contains('@')) && url.chars().all(good)
}

fn read_command(table: &mut Table<'_>, report: &mut Report) -> Option<Vec<String>> {
    let Some(place) = table.take("command") else {
        report.add(table.missing("command", COMMAND_HINT));
        return None;
    };
    let command: Vec<String> = place.items(COMMAND_HINT, report).iter().filter_map(|item| values::scalar_text(item, report)).collect();
    if place.value.is_array() && command.first().is_none_or(String::is_empty) {
        report.add(place.complain("names no program").hint(COMMAND_HINT));
        return None;
    }
    Some(command).filter(|command| !command.is_empty())
}
