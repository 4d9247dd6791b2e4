//! The form of JSON:API: what is accepted, and what is offered.

use axum::http::{HeaderMap, header};
use hostler_api::documents::kyozo::MEDIA;
use hostler_api::routes;

/// Which of the two names of JSON somebody wants to see on his answer; nothing where he does not say.
pub(in crate::http::documents) fn wanted(headers: &HeaderMap) -> Option<&'static str> {
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
    use axum::http::HeaderValue;

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
}
