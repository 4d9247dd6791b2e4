//! What the audit log is told of one request.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, Response, StatusCode, Uri};
use axum::response::IntoResponse;
use hostler_api::access::DEFAULT_WORKSPACE;
use hostler_api::routes::{self, Route};
use hostler_api::{AuditEntry, Code, Timestamp, token};

use super::caller::{Caller, NOBODY, Peer};
use super::{answer, gate};
use crate::audit::{Audit, Written};
use crate::clock;

/// The longest subject that is kept.
const SUBJECT_BYTES: usize = 256;
/// What nginx calls a request whose caller went away; no answer has it.
const CUT_OFF: u16 = 499;

/// In an answer: the route that it is of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Routed {
    pub(super) route: &'static Route,
    /// Its place in the list of all.
    pub(super) place: usize,
}

/// In an answer: somebody asked for what is none of his.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turned;

/// In an answer: the workspace that was asked about, as it was named, or that of what was asked for, where a handler found that.
#[derive(Debug, Clone)]
pub(super) struct About(pub(super) String);

/// An answer to somebody who asked for what is there, of a workspace that is none of his.
pub(super) fn turned(refusal: impl IntoResponse, workspace: &str) -> Response<Body> {
    let mut answer = refusal.into_response();
    answer.extensions_mut().insert(Turned);
    answer.extensions_mut().insert(About(workspace.to_owned()));
    answer
}

/// One request under way. Dropped before its end, it was cut off, and that is written down. Most are only looked at, and nothing is written of them:
/// until that is known it holds what there is, and makes nothing of it.
pub(super) struct Record {
    audit: Arc<Audit>,
    peer: Peer,
    method: Method,
    uri: Uri,
    by: Option<(String, Option<String>)>,
    changes: bool,
    ended: bool,
}

impl Record {
    pub(super) fn begin(audit: &Arc<Audit>, peer: &Peer, method: &Method, uri: &Uri) -> Record {
        let (audit, peer, method, uri) = (Arc::clone(audit), peer.clone(), method.clone(), uri.clone());
        Record { audit, peer, changes: gate::changes(&method), method, uri, by: None, ended: false }
    }

    /// Whoever asks.
    pub(super) fn is_by(&mut self, caller: &Caller) {
        if self.by.is_none() {
            self.by = Some((caller.name.clone(), caller.token.clone()));
        }
    }

    /// What became of it; what to wait for until that is written down, where it is worth it.
    pub(super) fn end(mut self, answer: &Response<Body>) -> Option<Written> {
        self.ended = true;
        let status = answer.status();
        let route = answer.extensions().get::<Routed>().map(|routed| routed.route);
        let refused = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS)
            || answer.extensions().get::<Turned>().is_some()
            || route.is_none() && status.is_client_error();
        // They come all the time, and change nothing that anybody wants; those that are refused stand here.
        let is_heartbeat = status.is_success() && route.is_some_and(|route| route.path == routes::HEARTBEAT);
        if !refused && (!self.changes || is_heartbeat) {
            return None;
        }
        let mut entry = self.entry(status.as_u16());
        entry.code = match answer.extensions().get::<Code>() {
            Some(code) => code.as_str().to_owned(),
            None if status.is_success() => "ok".to_owned(),
            None => Code::from_http_status(status.as_u16()).as_str().to_owned(),
        };
        let about = answer.extensions().get::<About>().filter(|About(workspace)| workspace != DEFAULT_WORKSPACE);
        entry.workspace = about.map(|About(workspace)| told(workspace));
        if let Some(route) = route {
            entry.route = Some(route.path.to_owned());
            entry.subject = answer::subject(route.path, self.uri.path()).map(|name| told(&name));
        }
        if refused { self.audit.refused(entry) } else { Some(self.audit.write(entry)) }
    }

    fn entry(&mut self, status: u16) -> AuditEntry {
        let (caller, token) = self.by.take().unwrap_or_else(|| (NOBODY.to_owned(), None));
        let certificate = if let Peer::Remote(visitor) = &self.peer { visitor.certificate.clone() } else { None };
        AuditEntry {
            seq: 0,
            at: Timestamp(clock::wall_ms()),
            caller,
            token,
            certificate,
            from: self.peer.place(),
            method: shortened(&token::redacted(self.method.as_str())),
            route: None,
            subject: Some(told(self.uri.path())),
            workspace: None,
            status,
            code: "cut-off".to_owned(),
            more: 0,
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if self.changes && !self.ended {
            let is_known = self.by.is_some();
            let entry = self.entry(CUT_OFF);
            // What somebody known asked for may have been done: it is never one of many.
            drop(if is_known { Some(self.audit.write(entry)) } else { self.audit.refused(entry) });
        }
    }
}

/// As it may stand anywhere: short, without control characters, and without the secret of a token that somebody put there.
fn told(text: &str) -> String {
    shortened(&token::redacted(&answer::decoded(text)).escape_default().to_string())
}

fn shortened(text: &str) -> String {
    text.chars().take(SUBJECT_BYTES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_short_and_tells_no_token() {
        let token = token::compose("abc", "0123456789ABCDEFGHIJKLMNOPQRSTUV");
        let path = format!("/api/v1/tokens/{}", token.reveal());
        assert_eq!(told(&path), "/api/v1/tokens/hst_\\u{2026}");
        assert_eq!(told(&path.replace('_', "%5F")), "/api/v1/tokens/hst_\\u{2026}");
        assert_eq!(told("/%1b%5b2J"), "/\\u{1b}[2J");
        assert_eq!(told(&"x".repeat(9_000)).len(), SUBJECT_BYTES);
    }
}
