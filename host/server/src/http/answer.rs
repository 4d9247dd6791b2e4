//! What every answer is made of: documents, streams of them, refusals; and what requests are read with.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use axum::http::{Response, StatusCode, Uri, header};
use axum::response::IntoResponse;
use hostler_api::{Code, Failure, routes};
use hostler_core::ServiceName;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use super::{Door, scope};

/// How long a client may take to send the body of a request.
const BODY: Duration = Duration::from_secs(30);

pub(super) type Answer = Result<Response<Body>, Refusal>;

/// A failure on its way out.
pub(super) struct Refusal(pub(super) Failure);

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Refusal(failure)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response<Body> {
        let status = StatusCode::from_u16(self.0.code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = document(status, routes::PROBLEM_JSON, &self.0);
        response.extensions_mut().insert(self.0.code);
        response
    }
}

/// A part of a path as it is meant; `%` that begins nothing stays, and what is no UTF-8 is replaced.
pub(super) fn decoded(part: &str) -> String {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte =
            digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit())).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let (byte, behind) = match (first, byte) {
            (b'%', Some(byte)) => (byte, &after[2..]),
            _ => (*first, after),
        };
        bytes.push(byte);
        rest = behind;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The part of a path that stands where its pattern varies.
pub(super) fn subject(pattern: &str, path: &str) -> Option<String> {
    let mut parts = pattern.split('/').zip(path.split('/'));
    parts.find(|(pattern, _)| pattern.starts_with('{')).map(|(_, part)| decoded(part))
}

pub(super) fn document<T: Serialize>(status: StatusCode, media: &'static str, value: &T) -> Response<Body> {
    let body = serde_json::to_vec(value).expect("wire documents have no maps with odd keys");
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(media));
    response
}

pub(super) fn json<T: Serialize>(value: &T) -> Answer {
    Ok(document(StatusCode::OK, routes::JSON, value))
}

/// Reads a body, whose length the route limits (`table`), as a document; an empty one is the default of everything.
pub(super) async fn body<T: DeserializeOwned>(body: Body) -> Result<T, Failure> {
    let bytes = bytes(body).await?;
    let bytes = if bytes.is_empty() { &b"{}"[..] } else { &bytes[..] };
    // A list would be read as a table whose keys all have their defaults: everything.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(Failure::new(Code::Invalid, "the body is not what this route takes: it must be a JSON object"));
    }
    serde_json::from_slice(bytes).map_err(|error| Failure::new(Code::Invalid, format!("the body is not what this route takes: {error}")))
}

/// A body as it is.
pub(super) async fn bytes(body: Body) -> Result<Bytes, Failure> {
    let bytes = tokio::time::timeout(BODY, axum::body::to_bytes(body, usize::MAX)).await;
    let bytes = bytes.map_err(|_| Failure::new(Code::Timeout, format!("the body did not arrive within {} s", BODY.as_secs())))?;
    bytes.map_err(|_| Failure::new(Code::Invalid, "the body is longer than this route takes, or broke off"))
}

/// The query of a route; the workspace in it was read before (`scope`).
pub(super) fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Failure> {
    let own = scope::without(uri.query().unwrap_or_default());
    let own = Uri::try_from(format!("/?{own}")).map_err(|_| Failure::new(Code::Invalid, "the query is not what this route takes"))?;
    Query::<T>::try_from_uri(&own)
        .map(|Query(query)| query)
        .map_err(|error| Failure::new(Code::Invalid, format!("the query is not what this route takes: {error}")))
}

pub(super) fn names(texts: &[String]) -> Result<Vec<ServiceName>, Failure> {
    texts.iter().map(|text| ServiceName::new(text).map_err(|why| Failure::new(Code::Invalid, why))).collect()
}

pub(super) fn listed(names: Option<&str>) -> Option<Vec<String>> {
    names.map(|names| names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

/// The one part of a path that varies.
pub(super) struct Name(pub(super) String);

impl FromRequestParts<Door> for Name {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, door: &Door) -> Result<Name, Refusal> {
        let path = Path::<String>::from_request_parts(parts, door).await;
        path.map(|Path(name)| Name(name)).map_err(|_| Refusal(Failure::new(Code::Invalid, "the name in the path is no UTF-8 text")))
    }
}

/// Lines of documents, as they come.
pub(super) fn stream(items: mpsc::Receiver<Vec<u8>>) -> Response<Body> {
    let lines = futures_util::stream::unfold(items, |mut items| async move { items.recv().await.map(|line| (Ok::<_, Infallible>(line), items)) });
    let mut response = Response::new(Body::from_stream(lines));
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(routes::NDJSON));
    response
}

/// The connection ends with this answer: it has the place of a stream.
pub(super) fn ending(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
    response
}

pub(crate) fn line<T: Serialize>(item: &T) -> Vec<u8> {
    let mut line = serde_json::to_vec(item).expect("wire documents have no maps with odd keys");
    line.push(b'\n');
    line
}
