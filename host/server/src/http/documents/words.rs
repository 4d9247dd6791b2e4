//! Failures in the words of the document that a path is of, whoever made them: the gate, the table or a handler.

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, HeaderValue, Response, header};
use hostler_api::documents::fastapi;
use hostler_api::documents::fog;
use hostler_api::documents::kyozo::{MEDIA, errors, faults};
use hostler_api::{Failure, routes};
use serde_json::{Value, json};

use super::kyozo::wanted;
use super::sentence;

/// The longest failure there is.
const FAILURE_BYTES: usize = 1 << 20;
/// What is done to all instances of a workspace.
const OF_WORKSPACES: [&str; 4] = ["analyze_topology", "deploy_services", "stop_services", "service_status"];

/// In which words a request for one of the documents' paths is answered.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::http) enum Words {
    /// `{"errors": […]}`, under the name of JSON that whoever asks wants to see.
    Kyozo(Option<&'static str>),
    /// `{"detail": …}`.
    Images,
    /// That, with `success` and a `message`.
    Fog,
}

impl Words {
    /// Of a request; nothing of one for another path.
    pub(in crate::http) fn of(path: &str, headers: &HeaderMap) -> Option<Words> {
        let below = |whole: &str| path.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        match path {
            _ if is_of_instances(path) => Some(Words::Kyozo(wanted(headers))),
            "/health" | "/start/container" => Some(Words::Images),
            _ if below("/images") || below("/containers") => Some(Words::Images),
            _ if below("/api/orchestration") => Some(Words::Fog),
            _ => None,
        }
    }

    /// An answer in them, whoever made it.
    pub(in crate::http) async fn say(self, answer: Response<Body>) -> Response<Body> {
        let mut answer = if has_type(&answer, routes::PROBLEM_JSON) { self.retold(answer).await } else { answer };
        if let Words::Kyozo(Some(media)) = self
            && (has_type(&answer, MEDIA) || has_type(&answer, routes::JSON))
        {
            answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
        }
        answer
    }

    /// A failure as it travels, in the document's words.
    async fn retold(&self, answer: Response<Body>) -> Response<Body> {
        let (mut parts, body) = answer.into_parts();
        let bytes = to_bytes(body, FAILURE_BYTES).await.unwrap_or_default();
        let Ok(failure) = serde_json::from_slice::<Failure>(&bytes) else { return Response::from_parts(parts, Body::from(bytes)) };
        let (media, told) = self.words(&failure, parts.status.as_u16());
        parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
        parts.headers.remove(header::CONTENT_LENGTH);
        Response::from_parts(parts, Body::from(told.to_string()))
    }

    fn words(&self, failure: &Failure, status: u16) -> (&'static str, Value) {
        match self {
            Words::Kyozo(_) => (MEDIA, errors(&faults(failure, status))),
            Words::Images => (routes::JSON, json!(fastapi::Refused { detail: sentence(failure) })),
            Words::Fog => {
                let message = sentence(failure);
                (routes::JSON, json!(fog::Refused { success: false, detail: Value::from(message.clone()), message }))
            }
        }
    }
}

fn is_of_instances(path: &str) -> bool {
    let below = |whole: &str| path.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let mut of_workspace = path.strip_prefix("/api/v1/workspaces/").into_iter().flat_map(|rest| rest.split_once('/'));
    below("/api/v1/service_instances") || below("/api/v1/topology_detections") || of_workspace.any(|(_, action)| OF_WORKSPACES.contains(&action))
}

fn has_type(answer: &Response<Body>, media: &str) -> bool {
    answer.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == media)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documents_paths_are_known_and_no_others() {
        let of = |path: &str| Words::of(path, &HeaderMap::new());
        for own in [
            "/api/v1/service_instances",
            "/api/v1/service_instances/x/deploy",
            "/api/v1/topology_detections/x",
            "/api/v1/workspaces/a/service_status",
        ] {
            assert_eq!(of(own), Some(Words::Kyozo(None)), "{own}");
        }
        for own in ["/health", "/start/container", "/images", "/images/a/b:1/health", "/containers", "/containers/x"] {
            assert_eq!(of(own), Some(Words::Images), "{own}");
        }
        assert_eq!(of("/api/orchestration/health"), Some(Words::Fog));
        for other in [
            "/api/v1/services",
            "/api/v1/service_instancesx",
            "/api/v1/workspaces/a",
            "/api/v1/workspaces",
            "/api/v1/workspaces/a/b/service_status",
            "/api/v1/images",
            "/imagesx",
            "/healthx",
            "/start",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
