//! Requests of `wasi:http` behind a tap: a whole exchange is one call, whose answer is status, headers and body.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, Response};
use serde::{Deserialize, Serialize};
use wasmtime_wasi_http::{Error, WasiBody};

use super::CallTap;

/// A tapped answer is read to its end before the guest sees it; a longer one is cut off with an error.
const MAX_BODY_BYTES: usize = 4 << 20;

/// What a tap sees of a request: its body is the guest's to send, and stays untouched.
#[derive(Serialize)]
struct Asked<'a> {
    method: &'a str,
    url: String,
    headers: Vec<(&'a str, String)>,
}

#[derive(Serialize, Deserialize)]
struct Answered {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// Sends a request, unless the tap answers it.
pub(crate) async fn through<S>(
    tap: Arc<CallTap>,
    request: Request<WasiBody>,
    send: impl FnOnce(Request<WasiBody>) -> S,
) -> Result<Response<WasiBody>, Error>
where
    S: Future<Output = Result<Response<WasiBody>, Error>>,
{
    let headers = request.headers().iter().map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    let asked = Asked { method: request.method().as_str(), url: request.uri().to_string(), headers: headers.collect() };
    let import = tap.import("wasi:http/outgoing-handler", "handle", &(asked,));
    if let Some(answer) = tap.before::<Result<Answered, String>>(&import).await {
        return answer.map_or_else(|why| Err(failed(&why)), response);
    }
    let answer = match send(request).await {
        Ok(response) => read(response).await,
        Err(error) => Err(error),
    };
    // the guest hears what can be written down, so that a recording played back says the same
    let answer = tap.after(&import, answer.map_err(|error| words(&error))).await;
    answer.map_or_else(|why| Err(failed(&why)), response)
}

/// An error without what only this machine knows of it.
fn words(error: &Error) -> String {
    match error {
        Error::Connect(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => Error::ConnectionRefused.to_string(),
        Error::Connect(_) => Error::DestinationUnavailable.to_string(),
        Error::Tls(_) => Error::TlsProtocolError.to_string(),
        Error::Hyper(error) if error.is_incomplete_message() || error.is_canceled() || error.is_closed() => Error::ConnectionTerminated.to_string(),
        Error::Hyper(_) => Error::HttpProtocolError.to_string(),
        other => other.to_string(),
    }
}

async fn read(response: Response<WasiBody>) -> Result<Answered, Error> {
    let status = response.status().as_u16();
    let headers = response.headers().iter().map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())).collect();
    let body = Limited::new(response.into_body(), MAX_BODY_BYTES).collect().await;
    let body = body.map_err(|error| Error::InternalError(Some(error.to_string())))?;
    Ok(Answered { status, headers, body: body.to_bytes().to_vec() })
}

fn response(answered: Answered) -> Result<Response<WasiBody>, Error> {
    let body = Full::new(Bytes::from(answered.body)).map_err(|never| match never {}).boxed_unsync();
    let mut builder = Response::builder().status(answered.status);
    for (name, value) in answered.headers {
        builder = builder.header(name, value);
    }
    builder.body(body).map_err(|error| Error::InternalError(Some(error.to_string())))
}

/// The kinds that guests tell apart, by the words that the host itself says of them.
fn failed(why: &str) -> Error {
    if let Some(rcode) = why.strip_prefix("DNS error: rcode ") {
        return Error::DnsError { rcode: Some(rcode.to_owned()), info_code: None };
    }
    let known = [
        Error::ConnectionRefused,
        Error::ConnectionTerminated,
        Error::ConnectionTimeout,
        Error::ConnectionReadTimeout,
        Error::DestinationUnavailable,
        Error::DestinationIpProhibited,
        Error::DestinationNotFound,
        Error::DnsTimeout,
        Error::HttpProtocolError,
        Error::HttpRequestDenied,
        Error::HttpRequestUriInvalid,
        Error::HttpResponseIncomplete,
        Error::HttpResponseTimeout,
        Error::TlsProtocolError,
        Error::TlsCertificateError,
    ];
    known.into_iter().find(|error| error.to_string() == why).unwrap_or_else(|| Error::InternalError(Some(why.to_owned())))
}
