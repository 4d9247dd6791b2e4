//! The routes that are answered. Each has its policy in [`routes::ALL`] and is asked through it; one without does not start.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::handler::Handler;
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter};
use hostler_api::access::Access;
use hostler_api::routes::{self, Method, Route};
use hostler_api::{Code, Failure};
use http_body_util::Limited;

use super::answer::{Refusal, document};
use super::caller::Caller;
use super::record::{About, Routed, Turned};
use super::scope::Scope;
use super::{Door, gate, idempotency, scope};
use crate::workspaces::Workspaces;

/// The largest configuration that is sent; its own limits are checked after.
const BODY_BYTES: u64 = 17 << 20;
/// The largest of all other documents.
const SMALL_BODY_BYTES: u64 = 1 << 20;

/// Routes with those who answer them.
pub(super) struct Table {
    workspaces: Arc<Workspaces>,
    router: Router<Door>,
    answered: BTreeSet<(Method, &'static str)>,
}

impl Table {
    pub(super) fn new(workspaces: Arc<Workspaces>) -> Table {
        Table { workspaces, router: Router::new(), answered: BTreeSet::new() }
    }

    pub(super) fn get<H: Handler<T, Door>, T: 'static>(self, path: &'static str, answer: H) -> Table {
        self.on(Method::Get, path, answer)
    }

    pub(super) fn post<H: Handler<T, Door>, T: 'static>(self, path: &'static str, answer: H) -> Table {
        self.on(Method::Post, path, answer)
    }

    pub(super) fn put<H: Handler<T, Door>, T: 'static>(self, path: &'static str, answer: H) -> Table {
        self.on(Method::Put, path, answer)
    }

    pub(super) fn patch<H: Handler<T, Door>, T: 'static>(self, path: &'static str, answer: H) -> Table {
        self.on(Method::Patch, path, answer)
    }

    pub(super) fn delete<H: Handler<T, Door>, T: 'static>(self, path: &'static str, answer: H) -> Table {
        self.on(Method::Delete, path, answer)
    }

    fn on<H: Handler<T, Door>, T: 'static>(mut self, method: Method, path: &'static str, answer: H) -> Table {
        let Some(route) = routes::find(method, path) else { panic!("{method:?} {path} has no policy in hostler_api::routes::ALL") };
        let filter = match method {
            Method::Get => MethodFilter::GET,
            Method::Post => MethodFilter::POST,
            Method::Put => MethodFilter::PUT,
            Method::Patch => MethodFilter::PATCH,
            Method::Delete => MethodFilter::DELETE,
        };
        let workspaces = Arc::clone(&self.workspaces);
        let place = routes::every().position(|other| other == route).expect("it was just found among them");
        let routed = Routed { route, place };
        let admit = middleware::from_fn(move |request, next| admit(routed, Arc::clone(&workspaces), request, next));
        self.router = self.router.route(path, MethodRouter::new().on(filter, answer).route_layer(admit));
        self.answered.insert((method, path));
        self
    }

    /// All of them.
    ///
    /// # Panics
    /// A route is promised, and nobody answers it.
    pub(super) fn whole(self) -> Router<Door> {
        let missing: Vec<&Route> = routes::every().filter(|route| !self.answered.contains(&(route.method, route.path))).collect();
        assert!(missing.is_empty(), "nobody answers {missing:?}");
        self.router
    }
}

/// Lets in who may ask this, with no more than it takes.
async fn admit(routed: Routed, workspaces: Arc<Workspaces>, request: Request, next: Next) -> Response {
    let route = routed.route;
    let caller = request.extensions().get::<Caller>().expect("whoever gets here was identified");
    let may = match route.access {
        Access::Anybody => Ok(None),
        _ if caller.is_unknown() => Err(gate::unknown()),
        _ if caller.is_setting_up() && makes_tokens(route) => Ok(None),
        _ => Scope::admit(route, &request, caller, &workspaces).map(Some),
    };
    let about = scope::about(route, &request);
    let mut answer = match may {
        Err(failure) => {
            let mut answer = Refusal(failure).into_response();
            answer.extensions_mut().insert(Turned);
            answer
        }
        Ok(_) if announced(&request) > most(route) => too_long(route),
        Ok(scope) => {
            let (mut parts, body) = request.into_parts();
            if let Some(scope) = scope {
                parts.extensions.insert(scope);
            }
            let body = if body.is_end_stream() { body } else { Body::new(Limited::new(body, usize::try_from(most(route)).unwrap_or(usize::MAX))) };
            idempotency::pass(route, Request::from_parts(parts, body), next).await
        }
    };
    answer.extensions_mut().insert(routed);
    if let Some(workspace) = about.filter(|_| answer.extensions().get::<About>().is_none()) {
        answer.extensions_mut().insert(About(workspace));
    }
    answer
}

fn makes_tokens(route: &Route) -> bool {
    (route.method, route.path) == (Method::Post, routes::TOKENS)
}

/// Bytes of a body. Whole configurations are long, everything else is short.
fn most(route: &Route) -> u64 {
    match route.path {
        routes::APPLY | routes::PLAN => BODY_BYTES,
        _ => SMALL_BODY_BYTES,
    }
}

/// What the head says of the body's length.
fn announced(request: &Request) -> u64 {
    request.body().size_hint().lower()
}

/// Said before a byte of it is read.
fn too_long(route: &Route) -> Response {
    let failure = Failure::new(Code::Invalid, format!("the body is longer than the {} bytes that this route takes", most(route)));
    document(StatusCode::PAYLOAD_TOO_LARGE, routes::PROBLEM_JSON, &failure)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        Table::new(Arc::new(Workspaces::recall(&hostler_store::Memory::new()).expect("an empty store is good")))
    }

    async fn anything() -> &'static str {
        "everybody is told this"
    }

    #[test]
    #[should_panic(expected = "Get /api/v1/new has no policy")]
    fn a_route_that_nobody_has_judged_does_not_start() {
        drop(table().get("/api/v1/new", anything));
    }

    #[test]
    #[should_panic(expected = "Delete /api/v1/events has no policy")]
    fn nor_does_another_method_of_one_that_somebody_has() {
        drop(table().get(routes::EVENTS, anything).delete(routes::EVENTS, anything));
    }

    #[test]
    #[should_panic(expected = "nobody answers [Route")]
    fn nor_does_a_host_that_does_not_answer_what_is_promised() {
        drop(table().get(routes::EVENTS, anything).whole());
    }
}
