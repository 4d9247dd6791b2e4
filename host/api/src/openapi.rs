//! The API as an OpenAPI 3.1 document, made from the routes and the words on the wire, ours and those of the other documents, each tagged
//! with its own; `openapi.json` beside this crate's manifest is it, and a test holds it to that.

use std::collections::BTreeMap;

use schemars::generate::{Contract, SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use crate::access::Access;
use crate::documents::{fastapi, fog};
use crate::failure::{Code, Failure};
use crate::routes::{self, Method, Route};
use crate::wire;

mod documents;
mod operation;
mod operations;
mod shapes;

use operation::{Gives, Later, Make, Operation, Words, make};
use operations::OPERATIONS;

/// The document as it is checked in.
pub const DOCUMENT: &str = include_str!("../openapi.json");

/// Makes the document.
///
/// ```
/// let document = hostler_api::openapi::document();
/// assert_eq!(document["openapi"], "3.1.0");
/// assert_eq!(document["paths"]["/api/v1/host"]["get"]["operationId"], "host");
/// ```
pub fn document() -> Value {
    let mut schemas = Schemas::default();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for operation in OPERATIONS.iter().chain(documents::OPERATIONS) {
        let route = routes::find(operation.method, operation.route);
        let described = schemas.describe(operation, route);
        paths.entry(operation.path).or_default().insert(method(operation.method).to_owned(), described);
    }
    let refusals: Map<String, Value> = Words::ALL.into_iter().map(|words| (refusal(words).to_owned(), schemas.refusal(words, None))).collect();
    let tags = Words::ALL.map(|words| json!({ "name": words.tag().0, "description": words.tag().1 }));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Hostler",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The API of a Hostler host: HTTP/1.1 over the unix socket `api.sock` of its state directory, and with a token over TCP.",
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "tags": tags,
        // On the socket it is the user that counts.
        "security": [{ "token": [] }, {}],
        "paths": paths,
        "components": {
            "schemas": schemas.said.take_definitions(true),
            "responses": refusals,
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer", "description": "A token of `hostler token create`, over TCP." } },
        },
    })
}

/// What stands under `components`, and what only requests have.
struct Schemas {
    said: SchemaGenerator,
    heard: SchemaGenerator,
}

impl Default for Schemas {
    fn default() -> Schemas {
        let settings = |contract: Contract| {
            let mut settings = SchemaSettings::draft2020_12();
            (settings.meta_schema, settings.definitions_path, settings.contract) = (None, "/components/schemas".into(), contract);
            settings
        };
        // What is heard may leave out what is always said: a schema of each, and only one has the name.
        let mut heard = settings(Contract::Deserialize);
        heard.inline_subschemas = true;
        Schemas { said: settings(Contract::Serialize).into_generator(), heard: heard.into_generator() }
    }
}

impl Schemas {
    fn describe(&mut self, operation: &Operation, route: Option<&Route>) -> Value {
        let parameters = self.every_parameter(operation, route);
        let mut described = json!({
            "operationId": operation.id, "summary": operation.summary, "tags": [operation.words.tag().0],
            "responses": self.answers(operation, route),
        });
        if !parameters.is_empty() {
            described["parameters"] = parameters.into();
        }
        if let Some(takes) = operation.takes {
            let schema = takes(&mut self.heard);
            let content: Map<String, Value> =
                operation.words.media().iter().map(|media| ((*media).to_owned(), json!({ "schema": schema }))).collect();
            described["requestBody"] = json!({ "content": content });
        }
        if let Some(route) = route {
            described["x-access"] = access(route.access).into();
            if route.access == Access::Anybody {
                described["security"] = json!([]);
            }
        }
        described
    }

    /// Every answer that there may be, by its status.
    fn answers(&mut self, operation: &Operation, route: Option<&Route>) -> Map<String, Value> {
        let mut answers = Map::new();
        if operation.later != Later::Always {
            answers.insert(operation.status.to_owned(), self.answer(operation));
        }
        if operation.later != Later::Never {
            answers.insert("202".to_owned(), self.put_off());
        }
        let no = match operation.refuses {
            Some(_) => self.refusal(operation.words, operation.refuses),
            None => json!({ "$ref": format!("#/components/responses/{}", refusal(operation.words)) }),
        };
        let mut failed: Vec<u16> = failures(operation, route).into_iter().map(Code::http_status).collect();
        if operation.takes.is_some() {
            // A body that is too long; its code is `invalid`.
            failed.push(413);
        }
        if operation.takes.is_some() && operation.words == Words::Instances {
            // One in another form.
            failed.push(415);
        }
        if operation.method != Method::Get {
            // The idempotency key came with another request before, or the first with it is under way.
            failed.extend([422, 409]);
        }
        for status in failed {
            answers.insert(status.to_string(), no.clone());
        }
        answers
    }

    /// What stands in the path, the query and the headers.
    fn every_parameter(&mut self, operation: &Operation, route: Option<&Route>) -> Vec<Value> {
        let mut parameters = Vec::new();
        if operation.path.contains("{name}") {
            parameters.push(json!({ "name": "name", "in": "path", "required": true, "schema": { "type": "string", "minLength": 1 } }));
        }
        if let Some(query) = operation.query {
            parameters.extend(self.parameters(query, operation.without));
        }
        if route.is_some_and(takes_workspace) {
            parameters.push(json!({
                "name": "workspace", "in": "query", "required": false, "schema": { "type": "string", "maxLength": 32 },
                "description": "The workspace that is asked about; `default` when absent.",
            }));
        }
        if operation.later == Later::Asked {
            parameters.push(header("Prefer", "`respond-async`: answer 202 with an operation at once (RFC 7240)."));
        }
        if operation.conditional {
            parameters.push(header(
                "If-Match",
                "Only if it is still what it was when its `ETag` was this, in quotes; several with commas; `*`: only if it is there.",
            ));
            parameters.push(header("If-None-Match", "`*`: only if it is not there yet."));
        }
        if operation.method != Method::Get {
            let mut key = header("Idempotency-Key", "A name for this request: sent again with it within 24 hours, it is not done again.");
            key["schema"] = json!({ "type": "string", "minLength": 1, "maxLength": 255 });
            parameters.push(key);
        }
        if matches!(operation.gives, Gives::Events(_) | Gives::Socket(_)) {
            parameters.push(json!({
                "name": "Last-Event-ID", "in": "header", "required": false, "schema": { "type": "integer", "format": "uint64", "minimum": 0 },
                "description": "Only what came after this sequence number; it counts more than `after`.",
            }));
        }
        parameters
    }

    /// What an answer that says yes is.
    fn answer(&mut self, operation: &Operation) -> Value {
        let mut said = |make: &Make| make(&mut self.said).to_value();
        let content = match &operation.gives {
            Gives::Document(make) => in_each(operation.words.media(), &said(make)),
            Gives::Followed(make) => {
                let schema = said(make);
                let mut content = in_each(operation.words.media(), &schema);
                content[routes::NDJSON] = json!({ "schema": schema });
                content
            }
            Gives::Lines(make) => json!({ routes::NDJSON: { "schema": said(make) } }),
            Gives::Events(make) => json!({ routes::NDJSON: { "schema": said(make) }, routes::EVENT_STREAM: { "schema": { "type": "string" } } }),
            Gives::Socket(make) => {
                let schema = said(make);
                return json!({ "description": "Messages of a WebSocket, each a document", "x-message": schema });
            }
            Gives::Text(media) => json!({ *media: { "schema": { "type": "string" } } }),
            Gives::Bytes(media) => json!({ *media: { "schema": { "type": "string", "format": "binary" } } }),
            Gives::Json => json!({ routes::JSON: { "schema": { "type": "object" } } }),
            Gives::Nothing => return json!({ "description": "Done" }),
            Gives::NotBuilt => return json!({ "$ref": format!("#/components/responses/{}", refusal(operation.words)) }),
        };
        let mut answer = json!({ "description": "Done", "content": content });
        if operation.tagged {
            answer["headers"] = json!({ "ETag": told("What it is now, in quotes: for `If-Match`") });
        }
        if operation.status == "201" {
            answer["headers"] = json!({ "Location": told("Where it is") });
        }
        answer
    }

    /// What an answer that says no is. What is wrong with a request before anybody looks at its path is said in our words where a document has
    /// none of its own.
    fn refusal(&mut self, words: Words, other: Option<Make>) -> Value {
        let problem = make::<Failure>(&mut self.said).to_value();
        let content = match words {
            Words::Native => json!({ routes::PROBLEM_JSON: { "schema": problem } }),
            Words::Instances => in_each(words.media(), &make::<shapes::Faults>(&mut self.said).to_value()),
            Words::Orchestration | Words::Images => {
                let own = if words == Words::Images { make::<fastapi::Refused<fastapi::Detail>> } else { make::<fog::Refused> };
                let each: Vec<Value> = [Some(own as Make), other].into_iter().flatten().map(|make| make(&mut self.said).to_value()).collect();
                let schema = if let [one] = &each[..] { one.clone() } else { json!({ "anyOf": each }) };
                json!({ routes::JSON: { "schema": schema }, routes::PROBLEM_JSON: { "schema": problem } })
            }
        };
        json!({ "description": "What went wrong, where and why, and what to do about it", "content": content })
    }

    /// What an answer is that puts off.
    fn put_off(&mut self) -> Value {
        let schema = make::<wire::Operation>(&mut self.said).to_value();
        let location = told("Where the operation is to be looked at");
        json!({ "description": "Put off: an operation", "headers": { "Location": location }, "content": { routes::JSON: { "schema": schema } } })
    }

    /// Each member of a query's type.
    fn parameters(&mut self, query: Make, without: &[&str]) -> Vec<Value> {
        let schema = query(&mut self.heard).to_value();
        let required: Vec<&Value> = schema["required"].as_array().map(|names| names.iter().collect()).unwrap_or_default();
        let members = schema["properties"].as_object().cloned().unwrap_or_default();
        let one = |(name, mut schema): (String, Value)| {
            let required = required.contains(&&Value::from(name.as_str()));
            let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
            // In a query something is there or not, and never null.
            if let Some(kinds) = schema.get_mut("type").and_then(Value::as_array_mut) {
                kinds.retain(|kind| kind != "null");
                if let [kind] = &kinds[..] {
                    schema["type"] = kind.clone();
                }
            }
            json!({ "name": name, "in": "query", "required": required, "description": description, "schema": schema })
        };
        members.into_iter().filter(|(name, _)| !without.contains(&name.as_str())).map(one).collect()
    }
}

/// How a route may fail: as every one, and as this one.
fn failures(operation: &Operation, route: Option<&Route>) -> Vec<Code> {
    let mut codes = vec![Code::Internal, Code::Unavailable, Code::TooMany];
    if operation.method != Method::Get {
        codes.push(Code::Unknown);
    }
    if operation.query.is_some() || operation.takes.is_some() || operation.path.contains('{') {
        codes.push(Code::Invalid);
    }
    if operation.path.contains('{') {
        codes.push(Code::NotFound);
    }
    if operation.takes.is_some() {
        // A body that does not arrive.
        codes.push(Code::Timeout);
    }
    if route.is_some_and(|route| route.access != Access::Anybody) {
        // A workspace that is named twice, or `*` where one is to be named.
        codes.extend([Code::Invalid, Code::Unauthenticated, Code::Denied, Code::NotFound]);
    }
    codes.extend(operation.fails);
    codes.sort_by_key(|code| code.http_status());
    codes.dedup();
    codes
}

/// The name of what says no in these words.
fn refusal(words: Words) -> &'static str {
    match words {
        Words::Native => "Problem",
        Words::Orchestration => "OrchestrationRefused",
        Words::Images => "ImagesRefused",
        Words::Instances => "Faults",
    }
}

fn in_each(media: &[&str], schema: &Value) -> Value {
    media.iter().map(|media| ((*media).to_owned(), json!({ "schema": schema }))).collect::<Map<_, _>>().into()
}

/// A header of a request.
fn header(name: &str, description: &str) -> Value {
    json!({ "name": name, "in": "header", "required": false, "schema": { "type": "string" }, "description": description })
}

/// A header of an answer.
fn told(description: &str) -> Value {
    json!({ "description": description, "schema": { "type": "string" } })
}

fn method(method: Method) -> &'static str {
    match method {
        Method::Get => "get",
        Method::Post => "post",
        Method::Put => "put",
        Method::Patch => "patch",
        Method::Delete => "delete",
    }
}

/// Is it asked of a workspace that its path does not name?
fn takes_workspace(route: &Route) -> bool {
    matches!(route.access, Access::Workspace(_) | Access::Document) && !routes::names_workspace(route.path)
}

fn access(access: Access) -> String {
    match access {
        Access::Anybody => "anybody".to_owned(),
        Access::Known => "anybody with a token".to_owned(),
        Access::Document => "admin of the workspace, and of the host for `default`".to_owned(),
        Access::Workspace(role) => format!("{} of the workspace", role.as_str()),
        Access::Host(role) => format!("{} of the host", role.as_str()),
    }
}

#[cfg(test)]
mod tests;
