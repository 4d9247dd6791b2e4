//! What an HTTP check must not reach, whatever it is told to ask for: no connection is made, and the refusal is on record.

use hostler_wasm::words::Verdict;
use serde_json::json;

use crate::checks::judge;
use crate::support::web::Web;
use crate::support::{Host, built_in, call};

/// A check that is granted everything but private addresses.
const PUBLIC: &str = r#"{"http": {"hosts": ["*"]}}"#;
/// A check that is granted private addresses too, as the built-in one is.
const EVERYTHING: &str = r#"{"http": {"hosts": ["*"], "private": "allow", "methods": ["*"]}}"#;

async fn refused(grants: &str, url: &str) -> Vec<String> {
    let host = Host::new();
    let http = host.load("http", built_in("http"), grants).await;
    let answer = judge(&http, call(), json!({"url": url})).await;
    let fine = answer.as_ref().map_or(true, |report| !matches!(report.verdict, Verdict::Pass | Verdict::Warn));
    assert!(fine, "{url}: {answer:?}");
    host.heard.denied()
}

#[tokio::test]
async fn private_addresses_are_not_reached_under_any_spelling() {
    let web = Web::start();
    let port = web.address.port();
    for host in ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "127.0.0.2", "10.0.0.1", "192.168.0.1"] {
        let denied = refused(PUBLIC, &format!("http://{host}:{port}/ok")).await;
        assert_eq!(denied.len(), 1, "{host}: {denied:?}");
        assert!(denied[0].contains("at the address"), "{host}: {denied:?}");
    }
    for host in ["2130706433", "0x7f000001", "0177.0.0.1", "127.1"] {
        refused(PUBLIC, &format!("http://{host}:{port}/ok")).await;
        refused(EVERYTHING, &format!("http://{host}:{port}/ok")).await;
    }
    assert_eq!(web.connections(), 0);
}

#[tokio::test]
async fn metadata_addresses_are_not_reached_even_where_private_ones_are() {
    for host in
        ["169.254.169.254", "[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]", "[64:ff9b::a9fe:a9fe]", "[fd00:ec2::254]", "[fe80::1]", "0.0.0.0"]
    {
        let denied = refused(EVERYTHING, &format!("http://{host}/latest/meta-data/")).await;
        assert_eq!(denied.len(), 1, "{host}: {denied:?}");
    }
}

#[tokio::test]
async fn redirects_are_answers() {
    let web = Web::start();
    let host = Host::new();
    let http = host.load("http", built_in("http"), EVERYTHING).await;
    let report = judge(&http, call(), json!({"url": web.url("/redirect")})).await.expect("judged");
    assert_eq!(report.verdict, Verdict::Fail);
    let report = judge(&http, call(), json!({"url": web.url("/redirect"), "expected_status": 302})).await.expect("judged");
    assert_eq!(report.verdict, Verdict::Pass);
    assert_eq!(web.requests(), 2, "nobody followed");
}

#[tokio::test]
async fn only_granted_prefixes_and_methods_are_asked_for() {
    let web = Web::start();
    let host = Host::new();
    let grants = json!({"http": {"hosts": [web.url("/ok")]}}).to_string();
    let http = host.load("http", built_in("http"), &grants).await;
    let ok = judge(&http, call(), json!({"url": web.url("/ok")})).await.expect("judged");
    assert_eq!(ok.verdict, Verdict::Pass);
    for settings in [
        json!({"url": web.url("/other")}),
        json!({"url": web.url("/ok/../other")}),
        json!({"url": web.url("/ok/%2e%2e/other")}),
        json!({"url": web.url("/ok"), "method": "POST"}),
        json!({"url": "http://127.0.0.1:1/ok"}),
    ] {
        let answer = judge(&http, call(), settings.clone()).await;
        assert!(answer.as_ref().map_or(true, |report| report.verdict != Verdict::Pass), "{settings}: {answer:?}");
    }
    assert_eq!(web.requests(), 1);
    assert_eq!(host.heard.denied().len(), 5, "{:?}", host.heard.denied());
}
