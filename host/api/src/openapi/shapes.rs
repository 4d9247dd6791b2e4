//! Schemas of what has no type of ours: bodies that are read field by field, as leniently as their documents' own servers read them, and
//! the documents of JSON:API.

use std::borrow::Cow;

use hostler_core::MAX_REPLICAS;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use crate::documents::kyozo::{EVENTS, INSTANCES, ServiceType};

/// A name and its schema; there is never a value of it.
macro_rules! shape {
    ($(#[$meta:meta])* $shape:ident, $name:literal, |$schemas:ident| $schema:expr) => {
        $(#[$meta])*
        pub(super) enum $shape {}

        impl JsonSchema for $shape {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema($schemas: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

/// A text that may be missing, or a number.
fn maybe(kind: &str) -> Value {
    json!({ "type": [kind, "null"] })
}

/// A table with all of these.
fn table(properties: &Value) -> Schema {
    let required: Vec<&String> = properties.as_object().into_iter().flat_map(|properties| properties.keys()).collect();
    json_schema!({ "type": "object", "properties": properties, "required": required })
}

fn data(data: &Value) -> Schema {
    table(&json!({ "data": data }))
}

fn version() -> Value {
    json!({ "type": "object", "properties": { "version": { "const": "1.0" } }, "required": ["version"] })
}

fn types() -> Vec<&'static str> {
    ServiceType::ALL.iter().map(|kind| kind.as_str()).collect()
}

const STATUSES: [&str; 7] = ["detecting", "deployable", "deploying", "running", "stopped", "error", "scaling"];
const HEALTHS: [&str; 3] = ["healthy", "unhealthy", "unknown"];

fn replicas(least: u32) -> Value {
    json!({ "type": "integer", "minimum": least, "maximum": MAX_REPLICAS })
}

shape!(/// `GET /health`.
    Alive, "ImagesOk", |_schemas| table(&json!({ "ok": { "const": true } })));

shape!(/// `POST /api/orchestration/restart/{name}`.
Force, "OrchestrationForce", |_schemas| json_schema!({
    "type": "object", "properties": { "force": { "type": "boolean", "default": false, "description": "Also beyond its last attempt" } },
}));

shape!(/// `POST /start/container`.
Run, "ImagesRun", |_schemas| json_schema!({
    "type": "object", "required": ["image", "resources"],
    "properties": {
        "image": { "type": "string" },
        "min_replicas": replicas(0),
        "max_replicas": replicas(1),
        "env": { "type": "object", "additionalProperties": { "type": "string" } },
        "ports": { "type": "object", "additionalProperties": { "type": "integer", "minimum": 0, "maximum": 65535 } },
        "resources": {
            "type": "object", "required": ["cpu", "memory"],
            "properties": { "cpu": { "type": "string" }, "memory": { "type": "string" }, "status": { "enum": ["running", "stopped"] } },
        },
    },
}));

shape!(/// `POST /images/{image}/scale`.
    Scale, "ImagesScale", |_schemas| table(&json!({ "min_replicas": replicas(0), "max_replicas": replicas(1) })));

shape!(/// `PATCH /containers/{name_or_id}`.
    Container, "ImagesContainer", |_schemas| table(&json!({ "status": { "enum": ["running", "stopped"] } })));

shape!(/// `?` of `DELETE /containers/{name_or_id}`.
ContainerRemoval, "ImagesRemoval", |_schemas| json_schema!({
    "type": "object", "properties": { "force": { "type": "boolean", "default": false, "description": "Also one that runs" } },
}));

shape!(/// What went wrong, as JSON:API says it.
Faults, "Faults", |_schemas| {
    let fault = json!({
        "type": "object", "required": ["status", "code", "title", "detail"],
        "properties": {
            "status": { "type": "string" }, "code": { "type": "string" }, "title": { "type": "string" }, "detail": { "type": "string" },
            "source": { "type": "object", "properties": { "pointer": { "type": "string" }, "parameter": { "type": "string" } } },
            "meta": { "type": "object" },
        },
    });
    json_schema!({
        "type": "object", "required": ["errors"],
        "properties": { "errors": { "type": "array", "minItems": 1, "items": fault }, "jsonapi": version() },
    })
});

shape!(/// One instance as a resource.
Resource, "ServiceInstanceResource", |_schemas| {
    let attributes = table(&json!({
        "name": { "type": "string" },
        "folder_path": { "type": "string" },
        "service_type": { "enum": types() },
        "status": { "enum": STATUSES },
        "container_id": maybe("string"),
        "deployment_config": { "type": "object" },
        "port_mappings": { "type": "object" },
        "environment_variables": { "type": "object" },
        "resource_limits": { "type": "object" },
        "health_check_config": maybe("object"),
        "scaling_config": { "type": "object" },
        "last_health_check_at": maybe("string"),
        "health_status": { "enum": HEALTHS },
        "deployment_logs": maybe("string"),
        "startup_time_ms": maybe("integer"),
        "memory_usage_mb": maybe("integer"),
        "cpu_usage_percent": maybe("number"),
        "workspace_id": { "type": "string" },
        "team_id": maybe("string"),
        "created_by_id": maybe("string"),
        "topology_detection_id": maybe("string"),
        "parent_service_id": maybe("string"),
        "created_at": { "type": "string", "format": "date-time" },
        "updated_at": { "type": "string", "format": "date-time" },
        "deployed_at": maybe("string"),
        "last_accessed_at": maybe("string"),
    }));
    table(&json!({ "type": { "const": INSTANCES }, "id": { "type": "string" }, "attributes": attributes, "links": { "type": "object" } }))
});

shape!(/// One instance.
Instance, "ServiceInstance", |schemas| {
    let resource = schemas.subschema_for::<Resource>();
    table(&json!({ "data": resource, "links": { "type": "object" }, "jsonapi": version() }))
});

shape!(/// Many.
InstanceList, "ServiceInstances", |schemas| {
    let resource = schemas.subschema_for::<Resource>();
    table(&json!({
        "data": { "type": "array", "items": resource },
        "links": table(&json!({ "self": { "type": "string" }, "first": { "type": "string" }, "prev": maybe("string"), "next": maybe("string") })),
        "meta": table(&json!({ "total": { "type": "integer" } })),
        "jsonapi": version(),
    }))
});

shape!(/// What an instance is to be: as a resource, or its attributes alone. What only the host says of it is passed over.
Assigned, "ServiceInstanceRequest", |_schemas| {
    let attributes = json!({
        "type": "object",
        "properties": {
            "name": { "type": "string", "minLength": 1 },
            "folder_path": { "type": "string", "minLength": 1 },
            "service_type": { "enum": types() },
            "deployment_config": maybe("object"),
            "port_mappings": maybe("object"),
            "environment_variables": maybe("object"),
            "resource_limits": maybe("object"),
            "health_check_config": maybe("object"),
            "scaling_config": maybe("object"),
            "workspace_id": maybe("string"),
            "team_id": maybe("string"),
            "topology_detection_id": maybe("string"),
            "parent_service_id": maybe("string"),
        },
    });
    resource_or(&attributes)
});

shape!(/// `PATCH /service_instances/{id}/scale`.
Replicas, "ServiceInstanceScale", |_schemas| {
    let attributes = json!({ "type": "object", "properties": { "replica_count": replicas(0) }, "required": ["replica_count"] });
    resource_or(&attributes)
});

/// A resource with these attributes, or they alone.
fn resource_or(attributes: &Value) -> Schema {
    let data = json!({
        "type": "object", "required": ["type", "attributes"],
        "properties": { "type": { "const": INSTANCES }, "id": { "type": "string" }, "attributes": attributes },
    });
    json_schema!({ "anyOf": [{ "type": "object", "required": ["data"], "properties": { "data": data } }, attributes] })
}

shape!(/// `?` of `GET /service_instances`.
InstancePage, "ServiceInstancePage", |_schemas| {
    let filter = |what: &str| json!({ "type": "string", "description": format!("Only those whose {what} this is") });
    json_schema!({ "type": "object", "properties": {
        "page[offset]": { "type": "integer", "minimum": 0, "maximum": u32::MAX, "description": "How many come before; 0 when absent" },
        "page[limit]": { "type": "integer", "minimum": 0, "maximum": u32::MAX, "description": "At most so many; 50 when absent, 500 at most" },
        "filter[status]": filter("status"),
        "filter[health_status]": filter("health"),
        "filter[service_type]": filter("type"),
        "filter[workspace_id]": filter("workspace"),
        "filter[team_id]": filter("team"),
        "filter[folder_path]": filter("folder"),
        "filter[name]": filter("name"),
    } })
});

shape!(/// `?` of `GET /service_instances/{id}/logs`.
    LastLines, "ServiceInstanceLines", |_schemas| json_schema!({ "type": "object", "properties": {
        "lines": { "type": "integer", "minimum": 0, "maximum": u32::MAX, "description": "The last so many; 100 when absent, 10,000 at most" },
        "follow": { "type": "boolean", "description": "Keep the answer open: a document for each line, as they come" },
    } }));

shape!(/// `?` of `GET /service_instances/{id}/events`.
    LastEvents, "ServiceInstanceLastEvents", |_schemas| json_schema!({ "type": "object", "properties": {
        "limit": { "type": "integer", "minimum": 0, "maximum": u32::MAX, "description": "The last so many; 50 when absent, 1,000 at most" },
    } }));

shape!(/// `GET /service_instances/{id}/logs`.
    Logs, "ServiceInstanceLogs", |_schemas| data(&json!(table(&json!({ "logs": { "type": "string" } })))));

shape!(/// `GET /service_instances/{id}/health`.
InstanceHealth, "ServiceInstanceHealth", |schemas| {
    let endpoint = schemas.subschema_for::<crate::wire::Endpoint>();
    data(&json!(table(&json!({
        "status": { "enum": STATUSES },
        "health_status": { "enum": HEALTHS },
        "last_health_check_at": maybe("string"),
        "memory_usage_mb": maybe("integer"),
        "cpu_usage_percent": maybe("number"),
        "uptime_seconds": maybe("integer"),
        "container_id": maybe("string"),
        "replicas": { "type": "integer" },
        "endpoints": { "type": "array", "items": endpoint },
        "message": maybe("string"),
    }))))
});

shape!(/// `GET /service_instances/{id}/metrics`.
InstanceMetrics, "ServiceInstanceMetrics", |_schemas| data(&json!(table(&json!({
    "uptime_seconds": maybe("integer"),
    "memory_usage_mb": maybe("integer"),
    "cpu_usage_percent": maybe("number"),
    "health_status": { "enum": HEALTHS },
    "last_health_check_at": maybe("string"),
    "resource_utilization": table(&json!({ "cpu_percent": maybe("number"), "memory_percent": maybe("number") })),
})))));

shape!(/// `GET /service_instances/{id}/events`.
Happened, "ServiceInstanceEvents", |_schemas| {
    let attributes = table(&json!({
        "event_type": { "type": "string" },
        "event_data": { "type": "object" },
        "error_message": maybe("string"),
        "duration_ms": maybe("integer"),
        "service_instance_id": { "type": "string" },
        "triggered_by_id": maybe("string"),
        "created_at": { "type": "string", "format": "date-time" },
    }));
    let event = table(&json!({ "type": { "const": EVENTS }, "id": { "type": "string" }, "attributes": attributes }));
    table(&json!({ "data": { "type": "array", "items": event }, "jsonapi": version() }))
});

shape!(/// `GET /workspaces/{id}/service_status`.
WorkspaceStatus, "ServiceInstancesStatus", |_schemas| {
    let counts = |words: &[&str]| {
        let members = words.iter().map(|word| ((*word).to_owned(), json!({ "type": "integer" })));
        table(&Value::Object(members.collect()))
    };
    let line = table(&json!({
        "id": { "type": "string" },
        "name": { "type": "string" },
        "service_type": { "enum": types() },
        "status": { "enum": STATUSES },
        "health_status": { "enum": HEALTHS },
    }));
    data(&json!(table(&json!({
        "workspace_id": { "type": "string" },
        "total_services": { "type": "integer" },
        "status_counts": counts(&STATUSES),
        "health_counts": counts(&HEALTHS),
        "services": { "type": "array", "items": line },
    }))))
});
