use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use super::*;
use crate::wire::schema;

fn every() -> impl Iterator<Item = &'static Operation> {
    OPERATIONS.iter().chain(documents::OPERATIONS)
}

#[test]
fn every_route_is_described_once_and_nothing_else() {
    let described: BTreeSet<(Method, &str)> = every().map(|operation| (operation.method, operation.route)).collect();
    assert_eq!(described, routes::every().map(|route| (route.method, route.path)).collect::<BTreeSet<_>>());
    let each = every().count();
    assert_eq!(every().map(|operation| (operation.method, operation.path)).collect::<BTreeSet<_>>().len(), each);
    assert_eq!(every().map(|operation| operation.id).collect::<BTreeSet<_>>().len(), each, "no operation has the id of another");
    let are_native = |operations: &[Operation]| operations.iter().filter(|operation| operation.words == Words::Native).count();
    assert_eq!((are_native(OPERATIONS), are_native(documents::OPERATIONS)), (OPERATIONS.len(), 0), "each is tagged with its document");
}

/// Names of parameters of an operation, and where they stand.
fn parameters(document: &Value, method: &str, path: &str) -> BTreeSet<(String, String)> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let listed = document["paths"][path][method]["parameters"].as_array().expect("it has some");
    listed.iter().map(|one| (text(&one["in"]), text(&one["name"]))).collect()
}

fn has(document: &Value, method: &str, path: &str, place: &str, name: &str) -> bool {
    parameters(document, method, path).contains(&(place.to_owned(), name.to_owned()))
}

#[test]
fn whatever_asks_for_a_workspace_may_be_refused_for_it() {
    let document = document();
    for path in [routes::CONTAINERS, routes::GRAPH, routes::HEALTH, routes::HOST, routes::IMAGES, routes::PLUGINS, routes::REGISTRY_STATISTICS] {
        assert!(document["paths"][path]["get"]["responses"]["400"].is_object(), "{path}");
        assert!(has(&document, "get", path, "query", "workspace"), "{path}");
    }
}

#[test]
fn conditions_and_tags_of_versions_are_described() {
    let document = document();
    for method in ["put", "delete"] {
        assert!(has(&document, method, routes::SERVICE, "header", "If-Match"), "{method}");
        assert!(has(&document, method, routes::SERVICE, "header", "If-None-Match"), "{method}");
    }
    for (method, path) in [("put", routes::SERVICE), ("get", routes::SPEC)] {
        assert!(document["paths"][path][method]["responses"]["200"]["headers"]["ETag"].is_object(), "{path}");
    }
}

#[test]
fn a_generated_client_knows_how_to_show_its_token() {
    let document = document();
    assert_eq!(document["components"]["securitySchemes"]["token"]["scheme"], "bearer");
    assert_eq!(document["security"], json!([{ "token": [] }, {}]));
    assert_eq!(document["paths"][routes::OPENAPI]["get"]["security"], json!([]), "anybody may ask for it");
}

#[test]
fn what_is_always_refused_or_passed_over_is_not_listed() {
    let document = document();
    assert!(!has(&document, "get", routes::SERVICE_EVENTS, "query", "services"));
    assert!(!has(&document, "get", routes::EVENTS_SOCKET, "query", "limit"));
    assert!(!has(&document, "get", routes::EVENTS_SOCKET, "query", "wait_ms"));
    assert!(has(&document, "get", routes::EVENTS_SOCKET, "header", "Last-Event-ID"));
    assert!(!has(&document, "post", routes::DEPLOY, "query", "async"));
    assert!(has(&document, "post", routes::START, "query", "async"));
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
