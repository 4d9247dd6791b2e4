//! `settings.telemetry`: where traces go.

use serde::{Deserialize, Serialize};

use super::place::{Place, Report, Table};

const HINT: &str = "write telemetry = { otlp = \"http://127.0.0.1:4318\" }";
const SAMPLE_HINT: &str = "write sample = \"10%\"";

/// Where traces go, and how many of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Telemetry {
    /// The collector, which takes OTLP over HTTP: `/v1/traces` is put behind it.
    pub otlp: String,
    /// What this host is called there.
    pub service_name: String,
    /// Thousandths of the traces that begin here.
    pub sample_permille: u32,
    /// File of the authorities that vouch for the collector; the machine's own when absent.
    pub ca: Option<String>,
}

/// Reads `telemetry`.
pub(crate) fn read(settings: &mut Table<'_>, report: &mut Report) -> Option<Telemetry> {
    let place = settings.take("telemetry")?;
    let mut table = place.table("`telemetry`", HINT, report)?;
    let otlp = table.take("otlp");
    if otlp.is_none() {
        report.add(table.missing("otlp", HINT));
    }
    let service_name = table.take("service_name").and_then(|place| place.text(report)).unwrap_or("hostler").to_owned();
    let sample = table.take("sample").map_or(Some(1_000), |place| share(&place, report));
    let ca = table.take("ca").and_then(|place| place.text(report)).map(str::to_owned);
    table.finish(&[("endpoint", "write `otlp`"), ("url", "write `otlp`"), ("ratio", "write `sample`")], report);
    Some(Telemetry { otlp: collector(&otlp?, report)?, service_name, sample_permille: sample?, ca })
}

fn collector(place: &Place<'_>, report: &mut Report) -> Option<String> {
    let url = place.text(report)?;
    if !super::alerts::is_url(url) || url.contains('?') {
        report.add(place.complain("is no address of a collector").hint(HINT));
        return None;
    }
    Some(url.to_owned())
}

/// `10%`, in thousandths.
fn share(place: &Place<'_>, report: &mut Report) -> Option<u32> {
    let number = place.value.as_str().and_then(|text| text.strip_suffix('%')).and_then(|text| text.trim().parse::<f64>().ok());
    let permille = number.filter(|percent| (0.0..=100.0).contains(percent)).map(|percent| (percent * 10.0).round() as u32);
    if permille.is_none() {
        report.add(place.wrong("a share between `0%` and `100%`").hint(SAMPLE_HINT));
    }
    permille
}

#[cfg(test)]
mod tests {
    use hostler_core::Problem;
    use serde_json::{Value, json};

    use super::*;

    fn read(telemetry: Value) -> Result<Option<Telemetry>, Vec<String>> {
        let told = |problem: &Problem| format!("{}: {} ({})", problem.at, problem.message, problem.hint.as_deref().unwrap_or_default());
        let read = super::super::read(&json!({ "settings": { "telemetry": telemetry } }));
        read.map(|config| config.settings.telemetry).map_err(|problems| problems.iter().map(told).collect())
    }

    #[test]
    fn a_collector_is_enough() {
        let telemetry = read(json!({ "otlp": "http://127.0.0.1:4318" })).expect("it is a good one").expect("it is there");
        assert_eq!((telemetry.service_name.as_str(), telemetry.sample_permille, telemetry.ca), ("hostler", 1_000, None));
        let telemetry = read(json!({ "otlp": "https://otel.example/in", "sample": "2.5%", "service_name": "shop" })).expect("it is a good one");
        assert_eq!(telemetry.map(|telemetry| telemetry.sample_permille), Some(25));
        assert_eq!(super::super::read(&json!({})).map(|config| config.settings.telemetry), Ok(None), "it is off");
    }

    #[test]
    fn mistakes_are_named_where_they_are() {
        let check = |telemetry: Value, expected: &str| {
            let problems = read(telemetry).expect_err("it is a bad one");
            assert!(problems.iter().any(|problem| problem.contains(expected)), "{expected}: {problems:?}");
        };
        check(json!({}), "/settings/telemetry: `telemetry` has no `otlp`");
        check(json!({ "otlp": "127.0.0.1:4318" }), "is no address of a collector");
        check(json!({ "otlp": "http://127.0.0.1:4318", "sample": 0.1 }), "a share between");
        check(json!({ "endpoint": "http://127.0.0.1:4318" }), "write `otlp`");
    }
}
