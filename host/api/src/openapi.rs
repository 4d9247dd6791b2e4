//! The native API as an OpenAPI 3.1 document, made from the routes and the words on the wire; `openapi.json` beside this crate's manifest is
//! it, and a test holds it to that.

use std::collections::BTreeMap;

use schemars::generate::{Contract, SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use crate::access::Access;
use crate::failure::{Code, Failure};
use crate::routes::{self, Method, Route};
use crate::wire::{self, OperationOptions};

mod operations;

use operations::OPERATIONS;

/// The document as it is checked in.
pub const DOCUMENT: &str = include_str!("../openapi.json");

type Make = fn(&mut SchemaGenerator) -> Schema;

/// What is said of a route beside who may ask it.
struct Operation {
    method: Method,
    path: &'static str,
    /// `operationId`, for generated clients.
    id: &'static str,
    summary: &'static str,
    query: Option<Make>,
    takes: Option<Make>,
    gives: Gives,
    /// May it be put off?
    later: Later,
    /// How it may fail, beside what every route may.
    fails: &'static [Code],
}

/// Is the answer an operation, 202, that is looked at later?
#[derive(Clone, Copy, PartialEq, Eq)]
enum Later {
    /// Never.
    Never,
    /// When it is asked for.
    Asked,
    /// Always.
    Always,
}

/// What an answer that says yes is.
enum Gives {
    /// One document.
    Document(Make),
    /// One document per line, as they come.
    Lines(Make),
    /// The same, or server-sent events.
    Events(Make),
    /// Text of a media type.
    Text(&'static str),
    /// Bytes of a media type.
    Bytes(&'static str),
    /// Messages of a WebSocket.
    Socket(Make),
    /// A document of another making.
    Json,
}

fn make<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

impl Operation {
    const fn new(method: Method, path: &'static str, id: &'static str, summary: &'static str) -> Operation {
        Operation { method, path, id, summary, query: None, takes: None, gives: Gives::Json, later: Later::Never, fails: &[] }
    }

    const fn get(path: &'static str, id: &'static str, summary: &'static str) -> Operation {
        Operation::new(Method::Get, path, id, summary)
    }

    const fn post(path: &'static str, id: &'static str, summary: &'static str) -> Operation {
        Operation::new(Method::Post, path, id, summary)
    }

    const fn delete(path: &'static str, id: &'static str, summary: &'static str) -> Operation {
        Operation::new(Method::Delete, path, id, summary)
    }

    const fn put(path: &'static str, id: &'static str, summary: &'static str) -> Operation {
        Operation::new(Method::Put, path, id, summary)
    }

    const fn patch(path: &'static str, id: &'static str, summary: &'static str) -> Operation {
        Operation::new(Method::Patch, path, id, summary)
    }

    const fn asks<T: JsonSchema>(mut self) -> Operation {
        self.query = Some(make::<T>);
        self
    }

    const fn takes<T: JsonSchema>(mut self) -> Operation {
        self.takes = Some(make::<T>);
        self
    }

    const fn gives<T: JsonSchema>(mut self) -> Operation {
        self.gives = Gives::Document(make::<T>);
        self
    }

    const fn lines<T: JsonSchema>(mut self) -> Operation {
        self.gives = Gives::Lines(make::<T>);
        self
    }

    const fn events<T: JsonSchema>(mut self) -> Operation {
        self.gives = Gives::Events(make::<T>);
        self
    }

    const fn text(mut self, media: &'static str) -> Operation {
        self.gives = Gives::Text(media);
        self
    }

    const fn bytes(mut self, media: &'static str) -> Operation {
        self.gives = Gives::Bytes(media);
        self
    }

    const fn socket<T: JsonSchema>(mut self) -> Operation {
        self.gives = Gives::Socket(make::<T>);
        self
    }

    /// It may be put off.
    const fn or_later(mut self) -> Operation {
        self.later = Later::Asked;
        self.query = Some(make::<OperationOptions>);
        self
    }

    /// It always is an operation.
    const fn always_later(mut self) -> Operation {
        self.later = Later::Always;
        self.query = Some(make::<OperationOptions>);
        self
    }

    const fn fails(mut self, codes: &'static [Code]) -> Operation {
        self.fails = codes;
        self
    }
}

/// Makes the document.
///
/// ```
/// let document = hostler_api::openapi::document();
/// assert_eq!(document["openapi"], "3.1.0");
/// assert_eq!(document["paths"]["/api/v1/host"]["get"]["operationId"], "host");
/// ```
pub fn document() -> Value {
    let mut words = Words::default();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for operation in OPERATIONS {
        let route = routes::find(operation.method, operation.path);
        let described = words.describe(operation, route);
        paths.entry(operation.path).or_default().insert(method(operation.method).to_owned(), described);
    }
    let failure = make::<Failure>(&mut words.said);
    let problem = json!({ "description": "What went wrong, where and why, and what to do about it", "content": { routes::PROBLEM_JSON: { "schema": failure } } });
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Hostler",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The native API of a Hostler host: HTTP/1.1 over the unix socket `api.sock` of its state directory, and with a token over TCP.",
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": { "schemas": words.said.take_definitions(true), "responses": { "Problem": problem } },
    })
}

/// What stands under `components`, and what only requests have.
struct Words {
    said: SchemaGenerator,
    heard: SchemaGenerator,
}

impl Default for Words {
    fn default() -> Words {
        let settings = |contract: Contract| {
            let mut settings = SchemaSettings::draft2020_12();
            (settings.meta_schema, settings.definitions_path, settings.contract) = (None, "/components/schemas".into(), contract);
            settings
        };
        // What is heard may leave out what is always said: a schema of each, and only one has the name.
        let mut heard = settings(Contract::Deserialize);
        heard.inline_subschemas = true;
        Words { said: settings(Contract::Serialize).into_generator(), heard: heard.into_generator() }
    }
}

impl Words {
    fn describe(&mut self, operation: &Operation, route: Option<&Route>) -> Value {
        let mut answers = Map::new();
        if operation.later != Later::Always {
            let (status, answer) = self.answer(&operation.gives);
            answers.insert(status.to_owned(), answer);
        }
        if operation.later != Later::Never {
            answers.insert("202".to_owned(), self.put_off());
        }
        for code in failures(operation, route) {
            answers.insert(code.http_status().to_string(), json!({ "$ref": "#/components/responses/Problem" }));
        }
        if operation.takes.is_some() {
            // A body that is too long; its code is `invalid`.
            answers.insert("413".to_owned(), json!({ "$ref": "#/components/responses/Problem" }));
        }
        let mut parameters = Vec::new();
        if operation.path.contains("{name}") {
            parameters.push(json!({ "name": "name", "in": "path", "required": true, "schema": { "type": "string", "minLength": 1 } }));
        }
        if let Some(query) = operation.query {
            parameters.extend(self.parameters(query));
        }
        if route.is_some_and(takes_workspace) {
            parameters.push(json!({
                "name": "workspace", "in": "query", "required": false, "schema": { "type": "string", "maxLength": 32 },
                "description": "The workspace that is asked about; `default` when absent.",
            }));
        }
        if operation.later == Later::Asked {
            parameters.push(header("Prefer", "string", "`respond-async`: answer 202 with an operation at once (RFC 7240)."));
        }
        if operation.method != Method::Get {
            parameters.push(header(
                "Idempotency-Key",
                "string",
                "A name for this request: sent again with it within 24 hours, it is not done again.",
            ));
            // The key came with another request before.
            answers.insert("422".to_owned(), json!({ "$ref": "#/components/responses/Problem" }));
            // The first with this key is under way.
            answers.insert("409".to_owned(), json!({ "$ref": "#/components/responses/Problem" }));
        }
        if matches!(operation.gives, Gives::Events(_)) {
            parameters.push(json!({
                "name": "Last-Event-ID", "in": "header", "required": false, "schema": { "type": "integer", "format": "uint64", "minimum": 0 },
                "description": "Only what came after this sequence number; it counts more than `after`.",
            }));
        }
        let mut described = json!({ "operationId": operation.id, "summary": operation.summary, "responses": answers });
        if !parameters.is_empty() {
            described["parameters"] = parameters.into();
        }
        if let Some(takes) = operation.takes {
            described["requestBody"] = json!({ "content": { routes::JSON: { "schema": takes(&mut self.heard) } } });
        }
        if let Some(route) = route {
            described["x-access"] = access(route.access).into();
        }
        described
    }

    /// What an answer that says yes is, and its status.
    fn answer(&mut self, gives: &Gives) -> (&'static str, Value) {
        let mut said = |make: &Make| make(&mut self.said).to_value();
        let content = match gives {
            Gives::Document(make) => json!({ routes::JSON: { "schema": said(make) } }),
            Gives::Lines(make) => json!({ routes::NDJSON: { "schema": said(make) } }),
            Gives::Events(make) => json!({ routes::NDJSON: { "schema": said(make) }, routes::EVENT_STREAM: { "schema": { "type": "string" } } }),
            Gives::Socket(make) => {
                let schema = said(make);
                return ("101", json!({ "description": "Messages of a WebSocket, each a document", "x-message": schema }));
            }
            Gives::Text(media) => json!({ *media: { "schema": { "type": "string" } } }),
            Gives::Bytes(media) => json!({ *media: { "schema": { "type": "string", "format": "binary" } } }),
            Gives::Json => json!({ routes::JSON: { "schema": { "type": "object" } } }),
        };
        ("200", json!({ "description": "Done", "content": content }))
    }

    /// What an answer is that puts off.
    fn put_off(&mut self) -> Value {
        let schema = make::<wire::Operation>(&mut self.said).to_value();
        let location = json!({ "description": "Where the operation is to be looked at", "schema": { "type": "string" } });
        json!({ "description": "Put off: an operation", "headers": { "Location": location }, "content": { routes::JSON: { "schema": schema } } })
    }

    /// Each member of a query's type.
    fn parameters(&mut self, query: Make) -> Vec<Value> {
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
        members.into_iter().map(one).collect()
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
        codes.extend([Code::Unauthenticated, Code::Denied, Code::NotFound]);
    }
    codes.extend(operation.fails);
    codes.sort_by_key(|code| code.http_status());
    codes.dedup();
    codes
}

fn header(name: &str, kind: &str, description: &str) -> Value {
    json!({ "name": name, "in": "header", "required": false, "schema": { "type": kind }, "description": description })
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
