//! One request and its answer over `wasi:http`, within a deadline.

use crate::settings::Settings;
use hostler_sdk::deadline::{Deadline, nanos};
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, HeaderError, IncomingBody, IncomingResponse, Method, OutgoingRequest, RequestOptions, Scheme, http_error_code,
};
use wasip2::io::streams::{InputStream, StreamError};

/// What is looked at of a body, at most.
const BODY_LIMIT: usize = 1024 * 1024;

/// What the target said.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Whether the body has the text that was asked for; nothing when none was.
    pub(crate) has_text: Option<bool>,
}

/// Why there is no answer, by what it means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The target was too slow; what it had not done.
    Late(&'static str),
    /// The target refused, hung up or spoke nonsense.
    Target(String),
    /// The check itself could not be made.
    Checker(String),
    /// The grants do not cover it.
    Denied(String),
}

/// Sends the request, waits for the answer, and reads as much of it as the check needs.
pub(crate) fn exchange(settings: &Settings, deadline: &Deadline) -> Result<Answer, Trouble> {
    let future = outgoing_handler::handle(request(settings)?, Some(options(deadline))).map_err(trouble)?;
    if !deadline.wait(&future.subscribe()) {
        return Err(Trouble::Late("no answer"));
    }
    let response = match future.get() {
        Some(Ok(response)) => response.map_err(trouble)?,
        _ => return Err(Trouble::Checker("the host gave no answer away".into())),
    };
    let status = response.status();
    // a wrong status decides alone: its body, an error page perhaps, is not read
    let text = settings.body_contains.as_ref().filter(|_| settings.expected_status.contains(status));
    let has_text = text.map(|text| body_contains(&response, text, deadline)).transpose()?;
    Ok(Answer { status, has_text })
}

fn request(settings: &Settings) -> Result<OutgoingRequest, Trouble> {
    let mut headers: Vec<(String, Vec<u8>)> =
        settings.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.0.clone().into_bytes())).collect();
    if !headers.iter().any(|(name, _)| name == "user-agent") {
        headers.push(("user-agent".into(), concat!("hostler-http/", env!("CARGO_PKG_VERSION")).into()));
    }
    let headers = Fields::from_list(&headers).map_err(|error| Trouble::Checker(header_trouble(error).into()))?;
    let request = OutgoingRequest::new(headers);
    let url = &settings.url;
    let scheme = if url.https { Scheme::Https } else { Scheme::Http };
    let set = request
        .set_method(&method(&settings.method))
        .and_then(|()| request.set_scheme(Some(&scheme)))
        .and_then(|()| request.set_authority(Some(&url.authority)))
        .and_then(|()| request.set_path_with_query(Some(&url.path_with_query)));
    set.map_err(|()| Trouble::Checker("the url or the method is none that the host sends".into()))?;
    Ok(request)
}

fn header_trouble(error: HeaderError) -> &'static str {
    match error {
        HeaderError::Forbidden => "a header is not the request's to set",
        _ => "a header is malformed",
    }
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "OPTIONS" => Method::Options,
        "PATCH" => Method::Patch,
        other => Method::Other(other.to_owned()),
    }
}

/// The deadline again, for a host that would otherwise keep a connection open for its own default time. A host that does not
/// know these options ignores them.
fn options(deadline: &Deadline) -> RequestOptions {
    let options = RequestOptions::new();
    let limit = Some(nanos(deadline.limit()));
    let _ = options.set_connect_timeout(limit);
    let _ = options.set_first_byte_timeout(limit);
    let _ = options.set_between_bytes_timeout(limit);
    options
}

fn body_contains(response: &IncomingResponse, text: &str, deadline: &Deadline) -> Result<bool, Trouble> {
    let unread = |()| Trouble::Checker("the host gave the body away".into());
    let body: IncomingBody = response.consume().map_err(unread)?;
    let stream = body.stream().map_err(unread)?;
    let mut seen = Vec::new();
    while seen.len() < BODY_LIMIT {
        let Some(bytes) = next(&stream, deadline)? else { break };
        // the text may begin in what was read before
        let from = seen.len().saturating_sub(text.len());
        seen.extend(bytes);
        if contains(&seen[from..], text.as_bytes()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// More of the body; nothing at its end.
fn next(stream: &InputStream, deadline: &Deadline) -> Result<Option<Vec<u8>>, Trouble> {
    if !deadline.wait(&stream.subscribe()) {
        return Err(Trouble::Late("not the whole answer"));
    }
    match stream.read(64 * 1024) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(StreamError::Closed) => Ok(None),
        Err(StreamError::LastOperationFailed(error)) => {
            Err(http_error_code(&error).map_or_else(|| Trouble::Target("the connection broke off inside the answer".into()), trouble))
        }
    }
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

/// What an error code says of the target, or of the check.
fn trouble(code: ErrorCode) -> Trouble {
    use ErrorCode as E;
    match code {
        E::DnsTimeout | E::ConnectionTimeout | E::ConnectionReadTimeout | E::ConnectionWriteTimeout | E::HttpResponseTimeout => {
            Trouble::Late("no answer")
        }
        E::DnsError(_) => Trouble::Target("the name does not resolve".into()),
        E::DestinationNotFound => Trouble::Target("there is no such host".into()),
        E::DestinationUnavailable | E::DestinationIpUnroutable => Trouble::Target("the host cannot be reached".into()),
        E::ConnectionRefused => Trouble::Target("connection refused".into()),
        E::ConnectionTerminated => Trouble::Target("the connection was closed without an answer".into()),
        E::TlsProtocolError => Trouble::Target("TLS failed".into()),
        E::TlsCertificateError => Trouble::Target("its certificate is not trusted".into()),
        E::TlsAlertReceived(_) => Trouble::Target("it ended TLS with an alert".into()),
        E::HttpResponseIncomplete => Trouble::Target("its answer broke off".into()),
        E::HttpProtocolError => Trouble::Target("it does not speak HTTP".into()),
        E::HttpResponseHeaderSectionSize(_) | E::HttpResponseHeaderSize(_) => Trouble::Target("the headers of its answer are too big".into()),
        E::HttpResponseBodySize(_) => Trouble::Target("its answer is too big".into()),
        E::HttpResponseTransferCoding(_) | E::HttpResponseContentCoding(_) => Trouble::Target("its answer is coded in a way nobody knows".into()),
        E::HttpResponseTrailerSectionSize(_) | E::HttpResponseTrailerSize(_) => Trouble::Target("the trailers of its answer are too big".into()),
        E::HttpUpgradeFailed => Trouble::Target("it wanted another protocol".into()),
        E::LoopDetected => Trouble::Target("it found a loop".into()),
        E::HttpRequestDenied => Trouble::Denied("the grants do not cover it".into()),
        E::DestinationIpProhibited => Trouble::Denied("the grants do not cover its address".into()),
        E::InternalError(why) => Trouble::Checker(why.unwrap_or_else(|| "the host failed without a reason".into())),
        other => Trouble::Checker(format!("the host does not send it: {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_target_a_bad_one_and_a_broken_check_are_told_apart() {
        assert_eq!(trouble(ErrorCode::ConnectionRefused), Trouble::Target("connection refused".into()));
        assert_eq!(trouble(ErrorCode::ConnectionTimeout), Trouble::Late("no answer"));
        assert!(matches!(trouble(ErrorCode::HttpRequestDenied), Trouble::Denied(_)));
        assert!(matches!(trouble(ErrorCode::InternalError(None)), Trouble::Checker(_)));
        assert!(matches!(trouble(ErrorCode::HttpRequestUriInvalid), Trouble::Checker(_)));
    }

    #[test]
    fn a_text_is_found_anywhere() {
        assert!(contains(b"all is ok", b"ok") && contains(b"ok", b"ok"));
        assert!(!contains(b"o k", b"ok") && !contains(b"", b"ok"));
    }
}
