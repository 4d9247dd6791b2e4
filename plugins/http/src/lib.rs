//! Health check `http`: one request, judged by the status and the body of its answer.
//!
//! It asks through `wasi:http`, so the host decides which addresses may be asked, and resolves and connects itself. What the
//! answer contains stays here: a verdict and a status leave, the body never does.

mod exchange;
mod settings;
mod url;

use exchange::{Answer, Trouble};
use hostler_sdk::deadline::Deadline;
use hostler_sdk::{Description, Fault, HealthCheck, Problem, Report, Target};
use settings::Settings;
use std::time::Duration;

/// The plugin.
struct Http;

impl HealthCheck for Http {
    type Settings = Settings;

    fn describe() -> Description {
        Description::new("http", env!("CARGO_PKG_VERSION"), "Sends one HTTP request, and judges by status and body.")
            .settings(include_str!("../check.json"))
            .needs("http", "asks the urls that checks name")
    }

    fn validate(settings: Settings) -> Result<(), Vec<Problem>> {
        settings.check()
    }

    fn check(_target: Target, settings: Settings, limit: Duration) -> Result<Report, Fault> {
        settings.check()?;
        let deadline = Deadline::within(limit);
        let what = format!("{} {}", settings.method, settings.url);
        match exchange::exchange(&settings, &deadline) {
            Ok(answer) => Ok(judge(&what, &settings, &answer).detail("ms", deadline.elapsed().as_millis())),
            Err(Trouble::Late(stage)) => Ok(Report::fail(format!("{what}: {stage} within {:?}", deadline.limit()))),
            Err(Trouble::Target(why)) => Ok(Report::fail(format!("{what}: {why}"))),
            Err(Trouble::Checker(why)) => Ok(Report::unknown(format!("{what}: {why}"))),
            Err(Trouble::Denied(why)) => Err(Fault::Denied(format!("{what}: {why}"))),
        }
    }
}

fn judge(what: &str, settings: &Settings, answer: &Answer) -> Report {
    let expected = &settings.expected_status;
    let report = if !expected.contains(answer.status) {
        Report::fail(format!("{what}: answered {}, expected {expected}", answer.status))
    } else if let Some(false) = answer.has_text {
        Report::fail(format!("{what}: answered {}, without the text that `body_contains` asks for", answer.status))
    } else {
        Report::pass(format!("{what}: {}", answer.status))
    };
    report.detail("status", answer.status)
}

hostler_sdk::plugin!(health_check: Http);

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_sdk::Verdict;

    fn check(settings: &str, status: u16, has_text: Option<bool>, verdict: Verdict, message: &str) {
        let settings: Settings = hostler_sdk::settings::parse(settings).expect("the settings are readable");
        let report = judge("GET http://x/", &settings, &Answer { status, has_text });
        assert_eq!((report.verdict, report.message.as_str()), (verdict, message));
    }

    #[test]
    fn a_status_is_judged() {
        let any = r#"{"url": "http://x/"}"#;
        check(any, 204, None, Verdict::Pass, "GET http://x/: 204");
        check(any, 404, None, Verdict::Fail, "GET http://x/: answered 404, expected 200-299");
        check(any, 302, None, Verdict::Fail, "GET http://x/: answered 302, expected 200-299");
        let some = r#"{"url": "http://x/", "expected_status": [200, "401-403"]}"#;
        check(some, 402, None, Verdict::Pass, "GET http://x/: 402");
        check(some, 204, None, Verdict::Fail, "GET http://x/: answered 204, expected 200, 401-403");
    }

    #[test]
    fn a_missing_text_fails_and_shows_no_body() {
        let settings = r#"{"url": "http://x/", "body_contains": "ok"}"#;
        check(settings, 200, Some(true), Verdict::Pass, "GET http://x/: 200");
        let message = "GET http://x/: answered 200, without the text that `body_contains` asks for";
        check(settings, 200, Some(false), Verdict::Fail, message);
    }
}
