use std::collections::BTreeSet;

use serde::Serialize;

use super::*;
use crate::wire::schema;

#[test]
fn every_route_is_described_once_and_nothing_else() {
    let described: Vec<(Method, &str)> = OPERATIONS.iter().map(|operation| (operation.method, operation.path)).collect();
    let routes: BTreeSet<(Method, &str)> = routes::ALL.iter().map(|route| (route.method, route.path)).collect();
    assert_eq!(described.iter().copied().collect::<BTreeSet<_>>(), routes);
    assert_eq!(described.len(), routes.len());
    let ids: BTreeSet<&str> = OPERATIONS.iter().map(|operation| operation.id).collect();
    assert_eq!(ids.len(), described.len(), "no operation has the id of another");
}

/// `HOSTLER_BLESS=1` writes it.
#[test]
fn the_document_that_is_checked_in_is_this_one() {
    let text = serde_json::to_string_pretty(&document()).expect("it is JSON") + "\n";
    if std::env::var_os("HOSTLER_BLESS").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json"), &text).expect("it can be written");
        return;
    }
    assert!(text == DOCUMENT, "host/api/openapi.json is not what the types say: HOSTLER_BLESS=1 cargo test -p hostler-api");
}

#[test]
fn nothing_is_referred_to_that_is_not_there() {
    let document = document();
    let text = document.to_string();
    let names = text.split("\"#/").skip(1).filter_map(|rest| rest.split('"').next());
    for name in names {
        assert!(document.pointer(&format!("/{name}")).is_some(), "#/{name}");
    }
}

#[test]
fn the_cores_words_are_as_the_core_writes_them() {
    use hostler_core::{Category, Condition, Health, Kind, Status, Verdict};
    fn held<T: JsonSchema>(core: &[impl Serialize]) {
        let schema = SchemaGenerator::default().into_root_schema_for::<T>().to_value();
        let words = core.iter().map(|word| serde_json::to_value(word).expect("a word"));
        let listed = schema["enum"]
            .as_array()
            .cloned()
            .unwrap_or_else(|| schema["oneOf"].as_array().into_iter().flatten().map(|one| one["const"].clone()).collect());
        assert_eq!(listed, words.collect::<Vec<_>>(), "{}", T::schema_name());
    }
    held::<schema::Health>(&[Health::Unknown, Health::Healthy, Health::Degraded, Health::Unhealthy]);
    held::<schema::Verdict>(&[Verdict::Pass, Verdict::Warn, Verdict::Fail, Verdict::Unknown]);
    held::<schema::Kind>(&[Kind::Service, Kind::Oneshot]);
    held::<schema::Category>(&[Category::Infrastructure, Category::Ai, Category::Monitoring, Category::Application]);
    held::<schema::Condition>(&[Condition::Started, Condition::Healthy, Condition::Completed]);
    held::<schema::Status>(&[
        Status::NotFound,
        Status::Disabled,
        Status::Pending,
        Status::Starting,
        Status::Running,
        Status::Unhealthy,
        Status::Stopping,
        Status::Stopped,
        Status::Completed,
        Status::Failed,
        Status::Scaling,
        Status::Unknown,
    ]);
}
