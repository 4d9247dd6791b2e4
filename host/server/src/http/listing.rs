//! Services as lists and one by one: what is drawn already is answered without the loop.

use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Response, Uri, header};
use hostler_api::{Code, Failure, ServiceQuery, ServicesQuery, routes};
use hostler_core::{Category, Health, Status};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Door;
use super::answer::{Answer, Name, json, listed, query};
use super::scope::{Scope, Wide};
use super::table::Table;
use crate::board::Drawn;
use crate::logs;
use crate::speak::{self, Past};

pub(super) fn routes(table: Table) -> Table {
    table.get(routes::SERVICES, services).get(routes::SERVICE, service)
}

async fn services(State(door): State<Door>, Wide(scope): Wide, uri: Uri) -> Answer {
    let asked: ServicesQuery = query(&uri)?;
    let chosen = Chosen::of(&asked)?;
    let mut names = listed(asked.names.as_deref()).map(|names| scope.names(&names)).transpose()?;
    if asked.limit.is_some() || asked.after.is_some() {
        // Pages go by name, also of those that were named in another order.
        names.iter_mut().for_each(|names| names.sort());
    }
    let whose = scope.whose();
    if asked.wait_settled {
        let wait = Duration::from_millis(asked.timeout_ms.unwrap_or(60_000));
        let settled = match &names {
            Some(names) => door.settle(names, wait).await,
            None => {
                let whose = whose.clone();
                door.settle_all(move |desk| speak::names(desk, whose.as_ref()).cloned().collect::<Vec<_>>(), wait).await
            }
        };
        if !settled {
            // One that has ended says so.
            door.look(|_| ()).await?;
        }
    }
    let picture = match door.board.picture(whose.as_ref(), names.as_deref()) {
        Some(picture) => picture,
        None => door.look(move |desk| desk.picture(whose.as_ref(), names.as_deref())).await??,
    };
    let services: Vec<&Drawn> = picture.services.iter().map(AsRef::as_ref).filter(|drawn| chosen.is_met(drawn, picture.name(drawn))).collect();
    Ok(document(picture.list(&services, asked.limit.unwrap_or(usize::MAX))))
}

async fn service(State(door): State<Door>, scope: Scope, Name(name): Name, uri: Uri) -> Answer {
    let asked: ServiceQuery = query(&uri)?;
    let name = scope.name(&name)?;
    if !asked.usage {
        return match door.board.detail(name.as_str()) {
            Some(text) => Ok(document(text)),
            None => Ok(document(door.look(move |desk| desk.detail(name.as_str())).await??)),
        };
    }
    let workspace = name.workspace().to_owned();
    let found = door.look(move |desk| {
        let name = name.as_str();
        let detail = speak::detail(desk, name, Past::Told).ok_or_else(|| speak::not_found(desk, name));
        (detail, logs::measurable(desk, name))
    });
    let (detail, measured) = found.await?;
    let mut detail = detail?;
    logs::add_usage(&door.plugins, &workspace, measured, &mut detail).await;
    json(&detail)
}

fn document(text: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(routes::JSON));
    response
}

/// What a list is to hold: everything that is asked must be so.
struct Chosen {
    status: Option<Vec<Status>>,
    health: Option<Vec<Health>>,
    category: Option<Category>,
    backend: Option<String>,
    label: Option<(String, Option<String>)>,
    after: Option<String>,
}

impl Chosen {
    fn of(asked: &ServicesQuery) -> Result<Chosen, Failure> {
        if asked.limit == Some(0) {
            return Err(Failure::new(Code::Invalid, "`limit` is 0: a page has at least one service").hint("leave it out for all of them"));
        }
        let label = asked.label.as_deref().map(|label| match label.split_once('=') {
            Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
            None => (label.to_owned(), None),
        });
        Ok(Chosen {
            status: words("status", asked.status.as_deref())?,
            health: words("health", asked.health.as_deref())?,
            category: asked.category.as_deref().map(|category| word("category", category)).transpose()?,
            backend: asked.backend.clone(),
            label,
            after: asked.after.clone(),
        })
    }

    fn is_met(&self, drawn: &Drawn, name: &str) -> bool {
        let spec = &drawn.spec;
        let labelled =
            |(key, value): &(String, Option<String>)| spec.labels.get(key).is_some_and(|has| value.as_ref().is_none_or(|value| value == has));
        self.status.as_ref().is_none_or(|any| any.contains(&drawn.status))
            && self.health.as_ref().is_none_or(|any| any.contains(&drawn.health))
            && self.category.is_none_or(|category| category == spec.category)
            && self.backend.as_ref().is_none_or(|backend| *backend == spec.backend.plugin)
            && self.label.as_ref().is_none_or(labelled)
            && self.after.as_deref().is_none_or(|after| name > after)
    }
}

fn words<T: DeserializeOwned>(what: &str, asked: Option<&str>) -> Result<Option<Vec<T>>, Failure> {
    asked.map(|asked| asked.split(',').map(|text| word(what, text)).collect()).transpose()
}

/// One of a closed list of words.
fn word<T: DeserializeOwned>(what: &str, text: &str) -> Result<T, Failure> {
    let read = serde_json::from_value(Value::from(text));
    read.map_err(|error| Failure::new(Code::Invalid, format!("`{what}` of the query is not one that there is: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_are_none_are_told_with_those_that_are() {
        let of = |query: ServicesQuery| Chosen::of(&query).err().map(|failure| failure.message);
        assert_eq!(of(ServicesQuery { status: Some("running,failed".into()), ..ServicesQuery::default() }), None);
        let told = of(ServicesQuery { health: Some("healthy,ill".into()), ..ServicesQuery::default() }).unwrap_or_default();
        assert!(told.starts_with("`health` of the query") && told.contains("`degraded`"), "{told}");
        assert!(of(ServicesQuery { limit: Some(0), ..ServicesQuery::default() }).is_some());
    }
}
