//! Beside what a real FastAPI answered to the same bodies: `recorded.jsonl` is from 0.165 with pydantic 2.14, and the models of the documents.

use serde_json::{Value, json};

use super::*;
use crate::documents::{fog, images};

fn refused(route: &str, body: &[u8]) -> Option<Vec<Mistake>> {
    match route {
        "start" => images::start(body).err(),
        "scale" => images::scale(body).err(),
        "patch" => images::patch(body).err(),
        "restart" => fog::restart(body).err(),
        other => panic!("no route {other}"),
    }
}

/// Where JSON is broken is said by each reader in its own words, and at its own byte.
fn without_words(mut detail: Value) -> Value {
    for mistake in detail.as_array_mut().into_iter().flatten().filter(|mistake| mistake["type"] == "json_invalid") {
        mistake["ctx"]["error"] = Value::Null;
        mistake["loc"][1] = Value::Null;
    }
    detail
}

#[test]
fn each_body_is_refused_as_a_real_fastapi_refuses_it() {
    let recorded = include_str!("recorded.jsonl");
    assert!(recorded.lines().count() > 40);
    for line in recorded.lines() {
        let case: Value = serde_json::from_str(line).expect("it was recorded as JSON");
        let body = case["body"].as_str().expect("a text");
        let found = refused(case["route"].as_str().expect("a text"), body.as_bytes());
        let found = found.map_or(Value::Null, |mistakes| serde_json::to_value(mistakes).expect("plain data"));
        assert_eq!(without_words(found), without_words(case["detail"].clone()), "{} {body}", case["route"]);
    }
}

#[test]
fn what_an_engine_cannot_do_is_refused_in_the_same_words() {
    let body = |more: &str| format!(r#"{{"image": "a", "resources": {{"cpu": "1", "memory": "1g"}}, {more}}}"#);
    let first = |body: String| images::start(body.as_bytes()).expect_err("a mistake").remove(0);
    let port = first(body(r#""ports": {"80/tcp": 70000}"#));
    assert_eq!(
        (port.kind, port.loc, port.ctx),
        ("less_than_equal", vec![json!("body"), json!("ports"), json!("80/tcp")], Some(Box::new(json!({ "le": 65535 }))))
    );
    let negative = first(body(r#""ports": {"80/tcp": -1}"#));
    assert_eq!((negative.kind, negative.msg.as_str()), ("greater_than_equal", "Input should be greater than or equal to 0"));
    let many = first(body(r#""max_replicas": 99999999999999999999"#));
    assert_eq!((many.kind, many.input), ("less_than_equal", json!(99_999_999_999_999_999_999_u128 as f64)));
    let crossed = first(body(r#""min_replicas": 3, "max_replicas": 2"#));
    assert_eq!(
        (crossed.kind, crossed.loc, crossed.msg.as_str()),
        ("value_error", vec![json!("body")], "Value error, max_replicas is 2, less than min_replicas, 3")
    );
}

#[test]
fn a_truth_of_a_query_is_the_last_of_its_name() {
    let read = |texts: &[&str]| {
        let pairs: Vec<(String, String)> = texts.iter().map(|text| ("force".to_owned(), (*text).to_owned())).collect();
        truth_of_query(&pairs, "force", false)
    };
    assert_eq!((read(&[]), read(&["TRUE"]), read(&["1", "no"])), (Ok(false), Ok(true), Ok(false)));
    let mistake = read(&["maybe"]).expect_err("no truth").remove(0);
    assert_eq!((mistake.kind, mistake.loc, mistake.input), ("bool_parsing", vec![json!("query"), json!("force")], json!("maybe")));
}

#[test]
fn a_problem_of_the_settings_stands_at_its_key() {
    let body = json!({ "resources": { "memory": "lots" }, "ports": { "80/tcp": 1 } });
    let problem = Problem::new("/services/a/resources/memory", "`lots` is no size").hint("write 512Mi");
    let mistake = of_problem(&problem, "/resources/memory", &body);
    assert_eq!((mistake.loc, mistake.input), (vec![json!("body"), json!("resources"), json!("memory")], json!("lots")));
    assert_eq!(mistake.msg, "Value error, `lots` is no size; write 512Mi");
    let escaped = of_problem(&problem, "/ports/80~1tcp", &body);
    assert_eq!((escaped.loc, escaped.input), (vec![json!("body"), json!("ports"), json!("80/tcp")], json!(1)));
}
