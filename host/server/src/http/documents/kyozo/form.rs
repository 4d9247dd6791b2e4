//! The form of JSON:API: what is accepted, what is offered, and failures in its words, whoever made them: the gate, the table or a handler.

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, HeaderValue, Response, header};
use hostler_api::documents::kyozo::{MEDIA, errors, faults};
use hostler_api::{Failure, routes};

/// The longest failure there is.
const FAILURE_BYTES: usize = 1 << 20;
/// What is done to all instances of a workspace.
const OF_WORKSPACES: [&str; 4] = ["analyze_topology", "deploy_services", "stop_services", "service_status"];

/// In which words a request for one of the document's paths is answered.
pub(in crate::http) struct Words {
    /// The name of JSON that whoever asks wants to see.
    media: Option<&'static str>,
}

impl Words {
    /// Of a request; nothing of one for another path.
    pub(in crate::http) fn of(path: &str, headers: &HeaderMap) -> Option<Words> {
        is_of_document(path).then(|| Words { media: wanted(headers) })
    }

    /// An answer in them, whoever made it.
    pub(in crate::http) async fn say(self, answer: Response<Body>) -> Response<Body> {
        let mut answer = if has_type(&answer, routes::PROBLEM_JSON) { retold(answer).await } else { answer };
        if let Some(media) = self.media.filter(|_| has_type(&answer, MEDIA) || has_type(&answer, routes::JSON)) {
            answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
        }
        answer
    }
}

fn is_of_document(path: &str) -> bool {
    let below = |whole: &str| path.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let mut of_workspace = path.strip_prefix("/api/v1/workspaces/").into_iter().flat_map(|rest| rest.split_once('/'));
    below("/api/v1/service_instances") || below("/api/v1/topology_detections") || of_workspace.any(|(_, action)| OF_WORKSPACES.contains(&action))
}

fn has_type(answer: &Response<Body>, media: &str) -> bool {
    answer.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == media)
}

/// A failure as it travels, in the document's words.
async fn retold(answer: Response<Body>) -> Response<Body> {
    let (mut parts, body) = answer.into_parts();
    let bytes = to_bytes(body, FAILURE_BYTES).await.unwrap_or_default();
    let Ok(failure) = serde_json::from_slice::<Failure>(&bytes) else { return Response::from_parts(parts, Body::from(bytes)) };
    let told = errors(&faults(&failure, parts.status.as_u16()));
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA));
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(told.to_string()))
}

/// Which of the two names of JSON somebody wants to see on his answer; nothing where he does not say.
fn wanted(headers: &HeaderMap) -> Option<&'static str> {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let named: Vec<String> = accepted.map(|range| media(range).to_ascii_lowercase()).collect();
    [MEDIA, routes::JSON].into_iter().find(|kind| named.iter().any(|name| name == kind))
}

fn media(value: &str) -> &str {
    value.split(';').next().unwrap_or_default().trim()
}

/// Is a body of this type read? JSON:API's has no parameters but two of its own.
pub(super) fn is_understood(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(header::CONTENT_TYPE) else { return true };
    let Ok(kind) = kind.to_str() else { return false };
    let parameters = kind.split(';').skip(1).map(|part| part.split('=').next().unwrap_or_default().trim().to_ascii_lowercase());
    let name = media(kind);
    if name.eq_ignore_ascii_case(MEDIA) {
        return parameters.into_iter().all(|name| name == "ext" || name == "profile");
    }
    name.eq_ignore_ascii_case(routes::JSON)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, value: &'static str) -> HeaderMap {
        [(name, HeaderValue::from_static(value))].into_iter().collect()
    }

    #[test]
    fn bodies_are_json_by_either_name() {
        for good in ["application/json", "application/json; charset=utf-8", "application/vnd.api+json", "Application/Vnd.Api+Json; profile=\"x\""] {
            assert!(is_understood(&headers(header::CONTENT_TYPE, good)), "{good}");
        }
        for bad in ["text/plain", "application/vnd.api+json; charset=utf-8", "application/x-www-form-urlencoded", ""] {
            assert!(!is_understood(&headers(header::CONTENT_TYPE, bad)), "{bad}");
        }
        assert!(is_understood(&HeaderMap::new()));
        let wants = |value| wanted(&headers(header::ACCEPT, value));
        assert_eq!(wants("application/json"), Some(routes::JSON));
        assert_eq!(wants("application/json, application/vnd.api+json;q=0.9"), Some(MEDIA));
        assert_eq!(wants("*/*"), None);
    }

    #[test]
    fn the_documents_paths_are_known_and_no_others() {
        for own in [
            "/api/v1/service_instances",
            "/api/v1/service_instances/x/deploy",
            "/api/v1/topology_detections/x",
            "/api/v1/workspaces/a/service_status",
        ] {
            assert!(is_of_document(own), "{own}");
        }
        for other in
            ["/api/v1/services", "/api/v1/service_instancesx", "/api/v1/workspaces/a", "/api/v1/workspaces", "/api/v1/workspaces/a/b/service_status"]
        {
            assert!(!is_of_document(other), "{other}");
        }
    }
}
