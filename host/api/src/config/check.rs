//! Health checks: one, a list of them, or a table by name.

use hostler_core::{CheckSpec, Problem, pointer_key};
use serde_json::Value;

use super::digest::canonical;
use super::place::{BAD_NAME, Place, Report, Table};
use super::values;

/// The keys of a health check that the host reads itself; all others are the plugin's.
pub const CHECK_KEYS: [&str; 12] = [
    "type",
    "name",
    "interval",
    "interval_secs",
    "timeout",
    "timeout_secs",
    "failure_threshold",
    "retries",
    "recovery_threshold",
    "start_period",
    "start_period_secs",
    "auto_recovery",
];

const CHECK_HINT: &str = "write health_check = { type = \"http\", url = \"http://localhost:8080/health\" }";
const MOST_IN_A_ROW: u32 = 1_000;

/// A check and the part of the pointer behind the service that leads to it.
pub(crate) type PlacedCheck = (CheckSpec, String);

/// Reads `health_check` or `health_checks` of a service.
pub(crate) fn read_checks(service: &mut Table<'_>, report: &mut Report) -> Vec<PlacedCheck> {
    let one = service.take("health_check");
    let many = service.take("health_checks");
    if let (Some(_), Some(many)) = (&one, &many) {
        report.add(many.complain("stands beside `health_check`").hint("move the single check into `health_checks`"));
    }
    let mut checks = Vec::new();
    if let Some(place) = one {
        checks.extend(read_check(&place, None, report).map(|check| (check, "health_check".to_owned())));
    }
    let Some(many) = many else { return checks };
    match many.value {
        Value::Object(_) => {
            for (name, place) in many.members(CHECK_HINT, report) {
                if name.is_empty() {
                    let problem = Problem::new(&place.at, format!("{BAD_NAME}: the name of a check is empty"));
                    report.add(problem.hint("name what it looks at, such as `port`"));
                }
                checks.extend(read_check(&place, Some(name), report).map(|check| (check, format!("health_checks/{}", pointer_key(name)))));
            }
        }
        Value::Array(_) => {
            for (index, place) in many.items(CHECK_HINT, report).into_iter().enumerate() {
                checks.extend(read_check(&place, None, report).map(|check| (check, format!("health_checks/{index}"))));
            }
        }
        _ => report.add(many.wrong("a list of checks, or a table of them by name").hint("write health_checks = [{ type = \"tcp\", port = 6379 }]")),
    }
    checks
}

/// One check; its name is `given`, or its `name`, or its plugin's.
fn read_check(place: &Place<'_>, given: Option<&str>, report: &mut Report) -> Option<CheckSpec> {
    let mut table = place.table("the health check", CHECK_HINT, report)?;
    let plugin = match table.take("type") {
        Some(place) => values::plugin_name(&place, report),
        None => {
            report.add(table.missing("type", "name the plugin that checks: type = \"http\", \"tcp\", \"command\" or \"script\""));
            None
        }
    };
    let own_name = table.take("name").and_then(|place| match given {
        Some(given) => {
            report.add(Problem::new(&place.at, format!("this check is already named `{given}` by its key")).hint("remove `name`"));
            None
        }
        None => place.text(report).map(str::to_owned),
    });
    let plugin = plugin.unwrap_or_default();
    let name = given.map(str::to_owned).or(own_name).unwrap_or_else(|| plugin.clone());
    let mut check = CheckSpec::new(&name, &plugin, "{}");
    read_times(&mut table, &mut check, report);
    read_thresholds(&mut table, &mut check, report);
    check.settings = canonical(&Value::Object(table.rest()));
    Some(check)
}

fn read_times(table: &mut Table<'_>, check: &mut CheckSpec, report: &mut Report) {
    if let Some(span) = table.take_one_of(&["interval", "interval_secs"], report).and_then(|place| values::span_above_zero(&place, report)) {
        check.interval = span;
    }
    if let Some(span) = table.take_one_of(&["timeout", "timeout_secs"], report).and_then(|place| values::span_above_zero(&place, report)) {
        check.timeout = span;
    }
    if let Some(span) = table.take_one_of(&["start_period", "start_period_secs"], report).and_then(|place| values::span(&place, report)) {
        check.start_period = span;
    }
}

fn read_thresholds(table: &mut Table<'_>, check: &mut CheckSpec, report: &mut Report) {
    let failures = table.take_one_of(&["failure_threshold", "retries"], report);
    if let Some(number) = failures.and_then(|place| place.whole_number(1..=MOST_IN_A_ROW, report)) {
        check.failure_threshold = number;
    }
    if let Some(number) = table.take("recovery_threshold").and_then(|place| place.whole_number(1..=MOST_IN_A_ROW, report)) {
        check.recovery_threshold = number;
    }
    if let Some(flag) = table.take("auto_recovery").and_then(|place| place.flag(report)) {
        check.auto_recovery = flag;
    }
}
