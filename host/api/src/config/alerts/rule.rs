//! One `[alerts.NAME]`.

use std::collections::BTreeSet;

use hostler_core::{AlertRule, Bound, Category, Figure, Severity, Span, Trigger, Window};

use super::{RULE_HINT, everybody, read_sinks};
use crate::config::place::{Place, Report, Table};
use crate::config::values;

/// Restarts that are too many, where a rule does not say.
pub(super) const RESTARTS: u32 = 3;
/// Within this time.
pub(super) const WITHIN: Span = Span::secs(600);
/// A rule looks no further back.
const FURTHEST: Span = Span::secs(86_400);
const MOST_RESTARTS: u32 = 1_000;
const METRIC_HINT: &str = "write metric = \"memory\", above = \"512Mi\"";
const PERCENT_HINT: &str = "write below = \"99.5%\"";

#[derive(Clone, Copy)]
enum On {
    Unhealthy,
    Degraded,
    Failed,
    Restarts,
    HeartbeatMissed,
    Uptime,
    Metric,
    PluginQuarantined,
}

const WORDS: [(&str, On); 8] = [
    ("unhealthy", On::Unhealthy),
    ("degraded", On::Degraded),
    ("failed", On::Failed),
    ("restarts", On::Restarts),
    ("heartbeat-missed", On::HeartbeatMissed),
    ("uptime", On::Uptime),
    ("metric", On::Metric),
    ("plugin-quarantined", On::PluginQuarantined),
];

pub(super) fn read(name: String, place: &Place<'_>, named: &BTreeSet<&str>, report: &mut Report) -> Option<AlertRule> {
    let mut table = place.table(&format!("alert `{name}`"), RULE_HINT, report)?;
    let Some(on) = table.take("on") else {
        report.add(table.missing("on", RULE_HINT));
        return None;
    };
    let on = on.choice(&WORDS, report)?;
    let trigger = read_trigger(on, &mut table, report);
    let hold = table.take("for").and_then(|place| values::span(&place, report)).unwrap_or(Span::ZERO);
    let severity = table.take("severity").and_then(|place| place.choice(&Severity::ALL.map(|one| (one.as_str(), one)), report)).unwrap_or_default();
    let services =
        texts(table.take(if matches!(on, On::PluginQuarantined) { "plugins" } else { "services" }), "write services = [\"web-*\"]", report);
    let categories = if matches!(on, On::PluginQuarantined) { Vec::new() } else { read_categories(&mut table, report) };
    let sinks = table.take("sinks").map_or_else(|| everybody(named), |place| read_sinks(&place, named, report));
    table.finish(
        &[("duration", "write `for`"), ("threshold", "write `count`, `above` or `below`"), ("type", "write `on`"), ("sink", "write `sinks`")],
        report,
    );
    Some(AlertRule { name, trigger: trigger?, hold, severity, services, categories, sinks })
}

fn read_trigger(on: On, table: &mut Table<'_>, report: &mut Report) -> Option<Trigger> {
    Some(match on {
        On::Unhealthy => Trigger::Unhealthy,
        On::Degraded => Trigger::Degraded,
        On::Failed => Trigger::Failed,
        On::HeartbeatMissed => Trigger::HeartbeatMissed,
        On::PluginQuarantined => Trigger::PluginQuarantined,
        On::Restarts => {
            let count = table.take("count").and_then(|place| place.whole_number(1..=MOST_RESTARTS, report)).unwrap_or(RESTARTS);
            Trigger::Restarts { count, within: read_within(table, report) }
        }
        On::Uptime => {
            let below = table.take("below");
            if below.is_none() {
                report.add(table.missing("below", PERCENT_HINT));
            }
            let windows = [("1h", Window::Hour), ("24h", Window::Day), ("7d", Window::Week)];
            let window = table.take("window").and_then(|place| place.choice(&windows, report)).unwrap_or(Window::Day);
            Trigger::Uptime { below_permille: share(&below?, report)?, window }
        }
        On::Metric => {
            let figures =
                [Figure::Memory, Figure::Cpu, Figure::Processes, Figure::ReplicasRunning, Figure::ReplicasHealthy].map(|one| (one.as_str(), one));
            let figure = table.take("metric");
            if figure.is_none() {
                report.add(table.missing("metric", METRIC_HINT));
            }
            let (above, below) = (table.take("above"), table.take("below"));
            let figure = figure?.choice(&figures, report)?;
            match (above, below) {
                (Some(_), Some(below)) => {
                    report.add(below.complain("stands beside `above`").hint("write two alerts"));
                    return None;
                }
                (None, None) => {
                    report.add(table.missing("above", METRIC_HINT));
                    return None;
                }
                (Some(above), None) => Trigger::Metric { figure, bound: Bound::Above(amount(figure, &above, report)?) },
                (None, Some(below)) => Trigger::Metric { figure, bound: Bound::Below(amount(figure, &below, report)?) },
            }
        }
    })
}

fn read_within(table: &mut Table<'_>, report: &mut Report) -> Span {
    let Some(place) = table.take("within") else { return WITHIN };
    match values::span_above_zero(&place, report) {
        Some(span) if span > FURTHEST => {
            report.add(place.complain(format_args!("is longer than {FURTHEST}, and nobody looks further back")));
            WITHIN
        }
        span => span.unwrap_or(WITHIN),
    }
}

/// A figure in its own unit.
fn amount(figure: Figure, place: &Place<'_>, report: &mut Report) -> Option<u64> {
    match figure {
        Figure::Memory => values::size(place, report),
        Figure::Cpu => values::cpu(place, report).map(u64::from),
        Figure::Processes | Figure::ReplicasRunning | Figure::ReplicasHealthy => place.whole_number(0..=1_000_000, report).map(u64::from),
    }
}

/// `99.5%`, in thousandths.
fn share(place: &Place<'_>, report: &mut Report) -> Option<u32> {
    let number = place.value.as_str().and_then(|text| text.strip_suffix('%')).and_then(|text| text.trim().parse::<f64>().ok());
    let permille = number.filter(|percent| (0.1..=100.0).contains(percent)).map(|percent| (percent * 10.0).round() as u32);
    if permille.is_none() {
        report.add(place.wrong("a share between `0.1%` and `100%`").hint(PERCENT_HINT));
    }
    permille
}

fn texts(place: Option<Place<'_>>, hint: &str, report: &mut Report) -> Vec<String> {
    let Some(place) = place else { return Vec::new() };
    let items = place.items(hint, report);
    if items.is_empty() && place.value.is_array() {
        report.add(place.complain("is empty: the rule would be about everybody").hint("leave the key out for that"));
    }
    items.iter().filter_map(|item| item.text(report).map(str::to_owned)).collect()
}

fn read_categories(table: &mut Table<'_>, report: &mut Report) -> Vec<Category> {
    let words = [
        ("infrastructure", Category::Infrastructure),
        ("ai", Category::Ai),
        ("monitoring", Category::Monitoring),
        ("application", Category::Application),
    ];
    let Some(place) = table.take("categories") else { return Vec::new() };
    place.items("write categories = [\"infrastructure\"]", report).iter().filter_map(|item| item.choice(&words, report)).collect()
}
