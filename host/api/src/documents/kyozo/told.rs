//! JSON:API's documents: one, many, and what went wrong.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{DeploymentEvent, EVENTS, INSTANCES, Instance, Record};
use crate::failure::{Code, Failure};
use crate::routes::{self, documents};

/// One thing that went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The answer's own, as text.
    pub status: String,
    /// The word of a [`Code`], or `not-implemented`.
    pub code: String,
    /// What kind of thing it is.
    pub title: String,
    /// What and why, for people.
    pub detail: String,
    /// Where in the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Value>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meta: Option<Value>,
}

impl Fault {
    /// Without a place.
    pub fn new(status: u16, code: &str, title: &str, detail: impl Into<String>) -> Fault {
        Fault { status: status.to_string(), code: code.to_owned(), title: title.to_owned(), detail: detail.into(), source: None, meta: None }
    }

    fn hint(mut self, hint: Option<&String>) -> Fault {
        self.meta = hint.map(|hint| json!({ "hint": hint }));
        self
    }
}

/// A failure, as JSON:API says it: each mistake of a request is an error of its own.
pub fn faults(failure: &Failure, status: u16) -> Vec<Fault> {
    let title = title(failure.code);
    let code = failure.code.as_str();
    if failure.problems.is_empty() {
        let mut fault = Fault::new(status, code, title, failure.message.clone()).hint(failure.hint.as_ref());
        // `?lines` is a part of the query.
        fault.source = failure.place.as_deref().and_then(|place| place.strip_prefix('?')).map(|name| json!({ "parameter": name }));
        return vec![fault];
    }
    let one = |problem: &hostler_core::Problem| {
        let mut fault = Fault::new(status, code, title, problem.message.clone()).hint(problem.hint.as_ref());
        fault.source = Some(json!({ "pointer": problem.at }));
        fault
    };
    failure.problems.iter().map(one).collect()
}

fn title(code: Code) -> &'static str {
    match code {
        Code::Invalid => "The request makes no sense",
        Code::Config => "Invalid attribute",
        Code::Unauthenticated => "Unauthenticated",
        Code::Denied => "Forbidden",
        Code::NotFound => "Not found",
        Code::Conflict | Code::Changed => "Conflict",
        Code::Quota => "Beyond what the workspace may have",
        Code::TooMany => "Too many requests",
        Code::Timeout => "Not done in time",
        Code::Unavailable | Code::Unreachable => "Unavailable",
        Code::Failed => "It did not work",
        Code::Unknown => "Nobody knows whether it was done",
        Code::Internal => "A fault of the host",
    }
}

/// `{"errors": […]}`.
pub fn errors(faults: &[Fault]) -> Value {
    json!({ "errors": faults, "jsonapi": version() })
}

fn version() -> Value {
    json!({ "version": "1.0" })
}

/// Where an instance is: asked for as it stands, it is found.
pub fn link(record: &Record) -> String {
    routes::place(&routes::of(documents::INSTANCE, &record.id), &record.workspace)
}

fn resource(instance: &Instance) -> Value {
    let id = &instance.record.id;
    json!({ "type": INSTANCES, "id": id, "attributes": instance.attributes(), "links": { "self": link(&instance.record) } })
}

/// One instance.
pub fn one(instance: &Instance) -> Value {
    json!({ "data": resource(instance), "links": { "self": link(&instance.record) }, "jsonapi": version() })
}

/// Which part of a long list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// How many come before it.
    pub offset: usize,
    /// How many it has at most.
    pub limit: usize,
    /// How many there are.
    pub total: usize,
}

/// Many instances. Links to their other parts ask for no more than was asked for: they keep its filters and its workspace.
pub fn collection(instances: &[Instance], page: Page, asked: &[(String, String)]) -> Value {
    let own = asked.iter().filter(|(key, _)| key == "workspace" || key.starts_with("filter["));
    let own: Vec<(&str, Option<String>)> = own.map(|(key, value)| (key.as_str(), Some(value.clone()))).collect();
    let at = |offset: usize| {
        let part = [("page[offset]", Some(offset.to_string())), ("page[limit]", Some(page.limit.to_string()))];
        routes::with(documents::INSTANCES, &part.into_iter().chain(own.iter().cloned()).collect::<Vec<_>>())
    };
    let mut links = Map::new();
    links.insert("self".to_owned(), json!(at(page.offset)));
    links.insert("first".to_owned(), json!(at(0)));
    let prev = (page.offset > 0).then(|| at(page.offset.saturating_sub(page.limit)));
    let next = (page.offset.saturating_add(page.limit) < page.total).then(|| at(page.offset + page.limit));
    links.insert("prev".to_owned(), json!(prev));
    links.insert("next".to_owned(), json!(next));
    let data: Vec<Value> = instances.iter().map(resource).collect();
    json!({ "data": data, "links": links, "meta": { "total": page.total }, "jsonapi": version() })
}

/// One event of an instance; its id is handed in.
pub fn deployment_event(event: &DeploymentEvent, id: &str, instance: &str) -> Value {
    json!({ "type": EVENTS, "id": id, "attributes": {
        "event_type": event.kind.as_str(),
        "event_data": event.data,
        "error_message": event.error,
        "duration_ms": event.duration_ms,
        "service_instance_id": instance,
        "triggered_by_id": event.triggered_by,
        "created_at": event.at,
    } })
}

/// `GET /workspaces/{id}/service_status`: how many there are of which status, and each in a line.
pub fn status_of_workspace(workspace: &str, instances: &[Instance]) -> Value {
    let mut counts: Map<String, Value> = Map::new();
    for word in ["detecting", "deployable", "deploying", "running", "stopped", "error", "scaling"] {
        counts.insert(word.to_owned(), json!(instances.iter().filter(|instance| instance.status() == word).count()));
    }
    let healthy = |word: &str| instances.iter().filter(|instance| instance.health() == word).count();
    let line = |instance: &Instance| {
        json!({
            "id": instance.record.id,
            "name": instance.asked.text("name"),
            "service_type": instance.asked.text("service_type"),
            "status": instance.status(),
            "health_status": instance.health(),
        })
    };
    json!({ "data": {
        "workspace_id": workspace,
        "total_services": instances.len(),
        "status_counts": counts,
        "health_counts": { "healthy": healthy("healthy"), "unhealthy": healthy("unhealthy"), "unknown": healthy("unknown") },
        "services": instances.iter().map(line).collect::<Vec<_>>(),
    } })
}
