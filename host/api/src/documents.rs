//! The words of documents that other systems' clients were written from. They are other words for the wire, and never another truth: each
//! answer is made of one that the native API gives, too.
//!
//! - [`fog`][] says `/api/orchestration/*`.
//! - [`images`][] says `/start/container`, `/images*`, `/containers*`.
//! - [`kyozo`][] says `/api/v1/service_instances*`, `/api/v1/topology_detections*`, and what is done to all instances of a workspace.
//! - [`fastapi`][] says how the first two refuse a request that makes no sense.

pub mod fastapi;
pub mod fog;
pub mod images;
pub mod kyozo;

use hostler_core::Status;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

use crate::stamp::Timestamp;

/// What is believed of a service or a container, in the few words that the documents have. How well it is, they say elsewhere.
pub fn word(status: Status) -> &'static str {
    match status {
        Status::Pending | Status::Starting => "starting",
        Status::Running | Status::Unhealthy | Status::Scaling => "running",
        Status::Stopping => "stopping",
        Status::Stopped | Status::Completed | Status::Disabled | Status::NotFound => "stopped",
        Status::Failed => "failed",
        Status::Unknown => "unknown",
    }
}

/// A time as the documents write it, in whole seconds: `2025-10-22T04:00:00Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seconds(pub Timestamp);

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.0.to_string();
        let whole = text.split('.').next().unwrap_or(&text);
        serializer.collect_str(&format_args!("{whole}Z"))
    }
}

impl JsonSchema for Seconds {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Seconds".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_form_of_the_documents() {
        let text = serde_json::to_string(&Seconds(Timestamp(1_761_105_600_250))).expect("a text");
        assert_eq!(text, "\"2025-10-22T04:00:00Z\"");
    }
}
