//! Which workspace a request is about, and who asks: known, and allowed, by the time a route is reached.

use std::collections::BTreeSet;

use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use hostler_api::access::{ALL_WORKSPACES, Access, DEFAULT_WORKSPACE};
use hostler_api::routes::{self, Route};
use hostler_api::{Code, Failure};
use hostler_core::{ServiceName, WorkspaceName};

use super::Door;
use super::answer::{Refusal, decoded, subject};
use super::caller::Caller;
use crate::message::Change;
use crate::workspaces::Workspaces;

/// The key of a query that names it.
const KEY: &str = "workspace";

/// Whom a request is about. In a handler's arguments it is one workspace; [`Wide`] is also all of them.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    pub(super) workspace: WorkspaceName,
    pub(super) caller: Caller,
    /// Every workspace is meant: whoever asks has a role on the host.
    all: bool,
}

/// A [`Scope`] of a route that can tell of all workspaces at once.
#[derive(Debug, Clone)]
pub(super) struct Wide(pub(super) Scope);

impl Scope {
    /// What this route is asked about, if its caller may ask that of it.
    ///
    /// # Errors
    /// He may not. Of a workspace that is none of his he is told what he is told of one that is not there.
    pub(super) fn admit(route: &Route, request: &Request, caller: &Caller, workspaces: &Workspaces) -> Result<Scope, Failure> {
        let named = named(route, request)?;
        let scope = |workspace, all| Scope { workspace, caller: caller.clone(), all };
        match route.access {
            Access::Anybody | Access::Known | Access::Host(_) => {
                caller.may_in(DEFAULT_WORKSPACE, route.access)?;
                Ok(scope(WorkspaceName::default(), false))
            }
            // A role in each is one on the host.
            Access::Workspace(role) if named.as_deref() == Some(ALL_WORKSPACES) => {
                caller.may_in(DEFAULT_WORKSPACE, Access::Host(role))?;
                Ok(scope(WorkspaceName::default(), true))
            }
            Access::Workspace(_) | Access::Document => {
                let named = named.as_deref().unwrap_or(DEFAULT_WORKSPACE);
                let workspace = WorkspaceName::new(named).ok().filter(|name| workspaces.get(name.as_str()).is_some());
                let Some(workspace) = workspace else { return Err(caller.no_workspace(named)) };
                caller.may_in(named, route.access)?;
                Ok(scope(workspace, false))
            }
        }
    }

    /// A service that may be there, by the name that people of this workspace have for it.
    ///
    /// # Errors
    /// No service can have this name.
    pub(super) fn name(&self, text: &str) -> Result<ServiceName, Failure> {
        let missing =
            || Failure::new(Code::NotFound, format!("there is no service `{}`", text.escape_default())).hint("`hostler ps` shows every service");
        Ok(ServiceName::new(text).map_err(|_| missing())?.within(&self.workspace))
    }

    /// The same of several, each once: whoever repeats a name does not get more work done.
    ///
    /// # Errors
    /// As [`Scope::name`].
    pub(super) fn names(&self, texts: &[String]) -> Result<Vec<ServiceName>, Failure> {
        once(texts).map(|text| self.name(text)).collect()
    }

    /// The same of what a body asks for.
    ///
    /// # Errors
    /// As [`Scope::name`]; what is a name nowhere is no request.
    pub(super) fn asked(&self, texts: &[String]) -> Result<Vec<ServiceName>, Failure> {
        once(texts).map(|text| self.asked_one(text)).collect()
    }

    /// The same of one.
    ///
    /// # Errors
    /// As [`Scope::asked`].
    pub(super) fn asked_one(&self, text: &str) -> Result<ServiceName, Failure> {
        match (ServiceName::new(text), ServiceName::read(text)) {
            (Err(why), Err(_)) => Err(Failure::new(Code::Invalid, why)),
            _ => self.name(text),
        }
    }

    /// A service that is to be made.
    ///
    /// # Errors
    /// No service may have this name.
    pub(super) fn new_name(&self, text: &str) -> Result<ServiceName, Failure> {
        Ok(ServiceName::new(text).map_err(|why| Failure::new(Code::Invalid, why))?.within(&self.workspace))
    }

    /// The workspace that is meant; nothing where every one is.
    pub(super) fn whose(&self) -> Option<WorkspaceName> {
        (!self.all).then(|| self.workspace.clone())
    }

    /// Is this service among those that are meant?
    pub(super) fn has(&self, name: &ServiceName) -> bool {
        self.all || name.workspace() == self.workspace.as_str()
    }

    /// The same change, of this workspace where it names nobody.
    pub(super) fn change(&self, change: Change) -> Change {
        Change::Within(self.whose(), Box::new(change))
    }

    /// Is every workspace meant?
    pub(super) fn is_all(&self) -> bool {
        self.all
    }
}

impl FromRequestParts<Door> for Wide {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &Door) -> Result<Wide, Refusal> {
        Ok(Wide(parts.extensions.get::<Scope>().cloned().expect("whoever gets to a route was admitted to it")))
    }
}

impl FromRequestParts<Door> for Scope {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, door: &Door) -> Result<Scope, Refusal> {
        let Wide(scope) = Wide::from_request_parts(parts, door).await?;
        if scope.all {
            let failure = Failure::new(Code::Invalid, "this is asked of one workspace: `*` is not taken here");
            return Err(failure.hint("name one; `hostler workspace ls` shows them").into());
        }
        Ok(scope)
    }
}

/// Each of them, where it stands first.
fn once(texts: &[String]) -> impl Iterator<Item = &String> {
    let mut seen = BTreeSet::new();
    texts.iter().filter(move |text| seen.insert(text.as_str()))
}

/// The workspace in the path, else the one of the query.
fn named(route: &Route, request: &Request) -> Result<Option<String>, Failure> {
    if routes::names_workspace(route.path) {
        return Ok(subject(route.path, request.uri().path()));
    }
    let mut named = pairs(request.uri().query()).filter(|(key, _)| is_key(key)).map(|(_, value)| decoded(&value.replace('+', " ")));
    match (named.next(), named.next()) {
        (named, None) => Ok(named),
        (_, Some(_)) => Err(Failure::new(Code::Invalid, "`workspace` stands more than once in the query")),
    }
}

/// The workspace that a request is about, where that is not `default`, for whoever writes it down.
pub(super) fn about(route: &Route, request: &Request) -> Option<String> {
    let asks = matches!(route.access, Access::Workspace(_) | Access::Document);
    named(route, request).ok().flatten().filter(|named| asks && named != DEFAULT_WORKSPACE)
}

/// What of a query is the route's own.
pub(super) fn without(query: &str) -> String {
    let own = pairs(Some(query)).filter(|(key, _)| !is_key(key));
    own.map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join("&")
}

fn is_key(key: &str) -> bool {
    decoded(&key.replace('+', " ")) == KEY
}

fn pairs(query: Option<&str>) -> impl Iterator<Item = (&str, &str)> {
    query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_repeated_is_one() {
        let texts = ["web", "db", "web", "web"].map(str::to_owned);
        assert_eq!(once(&texts).collect::<Vec<_>>(), ["web", "db"]);
    }

    #[test]
    fn a_query_is_read_without_the_workspace_however_that_is_written() {
        assert_eq!(without("names=a%2Cb&workspace=acme&follow=true"), "names=a%2Cb&follow=true");
        assert_eq!(without("work%73pace=acme"), "");
        assert_eq!(without("force"), "force=");
    }
}
