//! The gate before every route: what is asked, by which name, from which page, by whom and how often; and after it, what became of that.
//!
//! 1. The path is one that a route could have. 2. The host is called by a name of its own, and by a page that may. 3. Whoever asks is known.
//! 4. He does not ask too often. Then the routes have it, each with its own policy (`table`). Every answer gets the headers that tell browsers to
//!    keep out; every change and every refusal is written down before its answer goes out.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use axum::middleware::Next;
use axum::response::IntoResponse;
use hostler_api::{Code, Failure, routes};
use opentelemetry::trace::FutureExt as _;

use super::answer::Refusal;
use super::caller::{Caller, Peer};
use super::documents::Words;
use super::record::Record;
use super::{Door, apart, idempotency, origin};
use crate::telemetry;

/// What every answer says to browsers; an answer may say more of it.
const HEADERS: [(header::HeaderName, &str); 4] = [
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CACHE_CONTROL, "no-store"),
    (header::REFERRER_POLICY, "no-referrer"),
];

/// Lets in, or does not, and writes down what is to be written down.
pub(super) async fn pass(State(door): State<Door>, mut request: Request, next: Next) -> Response<Body> {
    // Without one it did not come through a door of ours.
    let peer = request.extensions().get::<Peer>().cloned().unwrap_or(Peer::Local { uid: None });
    let mut record = Record::begin(&door.audit, &peer, request.method(), request.uri());
    let words = Words::of(request.uri().path(), request.headers());
    let mut answer = match examine(&door, &peer, &request) {
        Ok(caller) => {
            record.is_by(&caller);
            request.extensions_mut().insert(caller);
            let has_key = request.headers().contains_key(idempotency::KEY);
            if has_key {
                request.extensions_mut().insert(door.clone());
            }
            // A command ends with whoever waits for it: there may never be an end of its own.
            let goes_on = changes(request.method()) && (has_key || !is_of(&request, routes::EXEC));
            let answered = async move {
                let answer = answering(&door, request, next).await;
                written_down(&door, record, answer).await
            };
            if goes_on { apart::answer(has_key, answered).await } else { answered.await }
        }
        Err(refused) => {
            if let Some(caller) = &refused.caller {
                record.is_by(caller);
            }
            written_down(&door, record, refused.into_response()).await
        }
    };
    let unauthenticated = answer.status() == StatusCode::UNAUTHORIZED;
    let headers = answer.headers_mut();
    if unauthenticated {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"hostler\""));
    }
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    match words {
        Some(words) => words.say(answer).await,
        None => answer,
    }
}

/// Counts an answer and writes down what is to be written down of it, also where nobody waits for it any more.
async fn written_down(door: &Door, record: Record, answer: Response<Body>) -> Response<Body> {
    door.traffic.count(&answer);
    if let Some(written) = record.end(&answer) {
        written.wait().await;
    }
    answer
}

fn is_of(request: &Request, route: &str) -> bool {
    request.extensions().get::<MatchedPath>().is_some_and(|path| path.as_str() == route)
}

/// What the routes say, as a part of what the caller follows where that is told to a collector.
async fn answering(door: &Door, request: Request, next: Next) -> Response<Body> {
    let route = request.extensions().get::<MatchedPath>().map_or("other", MatchedPath::as_str);
    let Some(span) = door.telemetry.request(request.method().as_str(), route, request.headers()) else { return next.run(request).await };
    let answer = next.run(request).with_context(span.clone()).await;
    telemetry::answered(&span, answer.status().as_u16());
    answer
}

/// Who was refused before any route, and how.
struct Refused {
    caller: Option<Caller>,
    failure: Failure,
    /// When he may come back.
    after: Option<Duration>,
}

impl Refused {
    fn of(failure: Failure) -> Box<Refused> {
        Refused::by(None, failure, None)
    }

    fn by(caller: Option<Caller>, failure: Failure, after: Option<Duration>) -> Box<Refused> {
        Box::new(Refused { caller, failure, after })
    }

    fn into_response(self) -> Response<Body> {
        let mut answer = Refusal(self.failure).into_response();
        let headers = answer.headers_mut();
        if let Some(after) = self.after {
            // Whole seconds, and not before.
            headers.insert(header::RETRY_AFTER, HeaderValue::from(after.as_secs() + 1));
        }
        answer
    }
}

fn examine(door: &Door, peer: &Peer, request: &Request) -> Result<Caller, Box<Refused>> {
    if let Some(why) = odd(request.uri().path()) {
        // Who it was is said all the same, where the kernel vouches for it.
        let caller = if let Peer::Local { uid } = peer { Caller::local(*uid).ok() } else { None };
        let failure = Failure::new(Code::NotFound, format!("there is no such route: {why}"));
        return Err(Refused::by(caller, failure, None));
    }
    let page = origin::doubt(peer, request);
    match peer {
        Peer::Local { uid } => {
            let caller = Caller::local(*uid).map_err(Refused::of)?;
            page.map_err(|failure| Refused::by(Some(caller.clone()), failure, None))?;
            Ok(caller)
        }
        Peer::Remote(visitor) => {
            page.map_err(Refused::of)?;
            let now = Instant::now();
            let shown = request.headers().contains_key(header::AUTHORIZATION);
            let proven = bearer(request.headers()).and_then(|token| door.identities.prove(token));
            let Some(proven) = proven else {
                if let Err(after) = door.limits.guess(visitor.from.ip(), now) {
                    let failure = Failure::new(Code::TooMany, "too many requests without a good token came from there");
                    return Err(Refused::by(None, failure, Some(after)));
                }
                // Without one he may ask what anybody may.
                return if shown { Err(Refused::of(unknown())) } else { Ok(Caller::unknown()) };
            };
            // Counted first: what is lost from now on is a loss to this connection.
            let losses = door.workspaces.losses();
            let caller = Caller::of(proven);
            let rights = caller.token.as_deref().map(|id| door.workspaces.rights(id));
            let caller = caller.with(rights.unwrap_or_default());
            let id = caller.token.as_deref().unwrap_or("set-up");
            if let Err(after) = door.limits.ask(id, now) {
                let failure = Failure::new(Code::TooMany, format!("{} asks too often", caller.name));
                return Err(Refused::by(Some(caller), failure, Some(after)));
            }
            if let Some(id) = &caller.token {
                visitor.has_shown(id, losses);
            }
            Ok(caller)
        }
    }
}

/// The same for one that is unknown, mistyped, expired or taken back, and for none.
pub(super) fn unknown() -> Failure {
    Failure::new(Code::Unauthenticated, "this takes a token that is good")
        .hint("send `Authorization: Bearer TOKEN`; `hostler token create` makes one")
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (value, other) = (values.next()?.to_str().ok()?, values.next());
    let (scheme, token) = value.split_once(' ')?;
    (other.is_none() && scheme.eq_ignore_ascii_case("bearer")).then(|| token.trim())
}

/// A path that no client writes by itself: it goes up, has an empty part, or says what is no text for people.
fn odd(path: &str) -> Option<&'static str> {
    let parts: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
    let (last, inner) = parts.split_last()?;
    if inner.iter().any(|part| part.is_empty()) || (last.is_empty() && !inner.is_empty()) {
        return Some("a part of its path is empty");
    }
    for part in parts {
        let text = if part.contains('%') { Cow::Owned(super::answer::decoded(part)) } else { Cow::Borrowed(part) };
        if text.bytes().any(|byte| byte < 0x20 || byte == 0x7f) {
            return Some("its path has a control character");
        }
        // A reference to an image may have slashes in its one part.
        if text.split(['/', '\\']).any(|piece| piece == ".." || piece == ".") {
            return Some("its path goes up");
        }
    }
    None
}

/// Does it ask for something to be done?
pub(super) fn changes(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_paths_are_known_however_they_are_written() {
        for path in [
            "//api/v1/host",
            "/api//v1/host",
            "/api/v1/host/",
            "/api/v1/../v1/host",
            "/api/v1/%2e%2e/host",
            "/api/v1/.%2E/host",
            "/api/v1/services/..%2F..%2Fetc",
            "/api/v1/services/..%5c",
            "/api/v1/services/%00",
            "/api/v1/services/a%0ab",
            "/api/v1/./host",
        ] {
            assert!(odd(path).is_some(), "{path}");
        }
        for path in ["/", "/api/v1/host", "/api/v1/images/registry.example%2Fa%2Fb:1.2", "/api/v1/services/%ff", "*", "/api/v1/services/a..b", "/x%2"]
        {
            assert_eq!(odd(path), None, "{path}");
        }
    }

    #[test]
    fn a_token_is_sent_once_and_as_bearer() {
        let of = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::AUTHORIZATION, HeaderValue::from_static(value));
            }
            bearer(&headers).map(str::to_owned)
        };
        assert_eq!(of(&["Bearer abc"]).as_deref(), Some("abc"));
        assert_eq!(of(&["bearer  abc"]).as_deref(), Some("abc"));
        for none in [&[][..], &["abc"], &["Basic abc"], &["Bearer a", "Bearer b"]] {
            assert_eq!(of(none), None, "{none:?}");
        }
    }
}
