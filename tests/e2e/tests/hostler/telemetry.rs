//! Traces: what a request brings about is below it, as a collector sees it.

use std::collections::BTreeMap;

use hostler_e2e::{Hook, Takes, Yard, request_with, until, until_some};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use crate::sleeper;

/// The trace and the span of whoever asks.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const ASKING: &str = "00f067aa0ba902b7";

/// A span as a test reads it.
#[derive(Debug, Clone)]
struct Seen {
    name: String,
    trace: String,
    id: String,
    parent: String,
    failed: bool,
    attributes: BTreeMap<String, String>,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn seen(span: &Span) -> Seen {
    let attributes = span.attributes.iter().filter_map(|pair| {
        let value = match pair.value.as_ref()?.value.as_ref()? {
            Any::StringValue(text) => text.clone(),
            Any::IntValue(number) => number.to_string(),
            _ => return None,
        };
        Some((pair.key.clone(), value))
    });
    Seen {
        name: span.name.clone(),
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        failed: span.status.as_ref().is_some_and(|status| status.code == 2),
        attributes: attributes.collect(),
    }
}

/// Everything that a collector was sent, and took.
fn collected(hook: &Hook) -> Vec<Seen> {
    let bodies = hook.told().into_iter().filter(|told| told.taken).map(|told| {
        assert!(told.head.starts_with("post /v1/traces ") && told.head.contains("content-type: application/x-protobuf"), "{}", told.head);
        ExportTraceServiceRequest::decode(&*told.raw).expect("it is what OpenTelemetry says")
    });
    let spans = bodies.flat_map(|body| body.resource_spans).flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans);
    spans.map(|span| seen(&span)).collect()
}

fn collector(hook: &Hook) -> String {
    format!("[settings]\ntelemetry = {{ otlp = \"http://127.0.0.1:{}\", service_name = \"yard\" }}\n", hook.port)
}

#[test]
fn what_a_request_brings_about_is_below_it() {
    let (yard, hook) = (Yard::new(), Hook::new());
    yard.up(&(collector(&hook) + &sleeper("db", "")));
    let before = yard.pid("db");
    let parent = format!("00-{TRACE}-{ASKING}-01");
    let answer = request_with(&yard.socket(), "POST", "/api/v1/services/restart", &[("traceparent", &parent)], b"{\"services\": [\"db\"]}");
    assert_eq!(answer.map(|answer| answer.status), Some(200));
    yard.until_again("db", before);
    // process backend.start, in start, in decide, … in the request, in whoever asked. Whoever ends later may come later.
    let chain = until_some("the call of the start is there, and all that it is in", || {
        let spans: Vec<Seen> = collected(&hook).into_iter().filter(|span| span.trace == TRACE).collect();
        let mut chain = vec![spans.iter().find(|span| span.name == "process backend.start")?.clone()];
        while let Some(last) = chain.last().filter(|last| last.parent != ASKING) {
            assert!(chain.len() < 20 && !last.parent.is_empty(), "{chain:#?}");
            let parent = spans.iter().find(|span| span.id == last.parent)?.clone();
            chain.push(parent);
        }
        Some(chain)
    });
    let call = &chain[0];
    let names: Vec<&str> = chain.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names[..3], ["process backend.start", "start", "decide"]);
    assert!(names.contains(&"stop"), "a restart stops first: {names:?}");
    assert_eq!(names.last(), Some(&"POST /api/v1/services/restart"));
    let start = &chain[1].attributes;
    assert_eq!([&start["hostler.service"], &start["hostler.replica"], &start["hostler.plugin"]], ["db", "0", "process"]);
    assert_eq!(start["hostler.run"], yard.detail("db")["replicas"][0]["run"].to_string());
    assert_eq!([&call.attributes["hostler.plugin"], &call.attributes["hostler.plugin.function"]], ["process", "backend.start"]);
    let request = &chain.last().expect("it has one").attributes;
    assert_eq!([&request["http.route"], &request["http.response.status_code"]], ["/api/v1/services/restart", "200"]);
}

#[test]
fn what_fails_is_marked() {
    let (yard, hook) = (Yard::new(), Hook::new());
    let broken = "[services.broken]\nbackend = { type = \"process\", binary = \"./broken.sh\" }\nrestart = { policy = \"never\" }\n";
    let script = yard.script("broken.sh", "");
    std::fs::write(script, "#!/nowhere/to/be/found\n").expect("it was just written");
    yard.config(&(collector(&hook) + &sleeper("db", "") + broken));
    yard.run("serve hostler.toml --detach").ok();
    yard.until_status("broken", "failed");
    let start_of = |service: &str| {
        let is_it = |span: &Seen| span.name == "start" && span.attributes.get("hostler.service").is_some_and(|name| name == service);
        until_some(&format!("the start of {service} is there"), || collected(&hook).into_iter().find(is_it))
    };
    let (failed, well) = (start_of("broken"), start_of("db"));
    assert!(failed.failed && !well.failed, "{failed:#?} {well:#?}");
}

#[test]
fn a_collector_that_is_away_or_hangs_holds_up_nothing() {
    let (yard, hook) = (Yard::new(), Hook::new());
    hook.takes(Takes::Hanging);
    yard.up(&(collector(&hook) + &sleeper("db", "")));
    until("it is asked", || !hook.told().is_empty());
    for _ in 0..3 {
        yard.run("restart db").ok();
    }
    let gone = "[settings]\ntelemetry = { otlp = \"http://127.0.0.1:1\" }\n";
    yard.config(&(gone.to_owned() + &sleeper("db", "")));
    yard.run("apply").ok();
    yard.run("restart db").ok();
    until("it is said once", || yard.read("state/host.log").contains("the collector takes no traces"));
    yard.run("down").ok();
}

#[test]
fn without_a_configuration_nothing_is_sent_and_a_new_one_turns_it_on_and_off() {
    let (yard, hook) = (Yard::new(), Hook::new());
    yard.up(&sleeper("db", ""));
    yard.run("restart db").ok();
    assert!(hook.told().is_empty());
    yard.config(&(collector(&hook) + &sleeper("db", "")));
    yard.run("apply").ok();
    yard.run("restart db").ok();
    until("something is collected", || collected(&hook).iter().any(|span| span.name == "start"));
    yard.config(&sleeper("db", ""));
    yard.run("apply").ok();
    yard.run("restart db").ok();
    yard.config(&(collector(&hook) + &sleeper("db", "")));
    yard.run("apply").ok();
    let requests = || collected(&hook).into_iter().filter(|span| span.name.ends_with("/services/restart")).count();
    until("the first one was sent", || requests() == 1);
    yard.run("restart db").ok();
    until("the last one was sent", || requests() >= 2);
    assert_eq!(requests(), 2, "and nothing of what was in between");
}
