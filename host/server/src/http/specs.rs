//! One service at a time, beside the configuration: written, read as it was written, removed.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, Uri, header};
use hostler_api::{ActionResult, AskedBy, Code, Failure, Removal, ServiceSpec, Shape, SpecRequest, routes};
use hostler_core::Starting;
use serde_json::Value;

use super::Door;
use super::answer::{Answer, Name, body, json, query};
use super::scope::Scope;
use super::table::Table;
use crate::beside::{self, OnlyIf};
use crate::ledger::Origin;
use crate::message::{Accepted, Change};
use crate::{operator, speak};

pub(super) fn routes(table: Table) -> Table {
    table.get(routes::SPEC, spec).put(routes::SERVICE, put).delete(routes::SERVICE, delete)
}

async fn spec(State(door): State<Door>, scope: Scope, Name(name): Name) -> Answer {
    let service = scope.name(&name)?;
    let found = door.look(move |desk| {
        desk.core.wanted(service.as_str()).ok_or_else(|| speak::not_found(desk, service.as_str()))?;
        let asked_by = match desk.origins.get(&service) {
            None => AskedBy::Configuration,
            Some(Origin::Request { .. }) => AskedBy::Request,
            Some(Origin::Image(_)) => AskedBy::Image,
            Some(Origin::Discovery { .. }) => AskedBy::Discovery,
            Some(Origin::Adoption { .. }) => AskedBy::Adoption,
            Some(Origin::Instance(_)) => AskedBy::Instance,
        };
        let created_by = match desk.origins.get(&service) {
            Some(Origin::Request { by }) => Some(by.clone()),
            Some(Origin::Instance(instance)) => instance.created_by.clone(),
            _ => None,
        };
        let tag = beside::tag(desk, &service).unwrap_or_default();
        let written = operator::written(desk, &service).value();
        Ok::<_, Failure>((ServiceSpec { version: Shape, name: service.local().to_owned(), asked_by, created_by, service: written }, tag))
    });
    let (spec, tag) = found.await??;
    tagged(json(&spec)?, &tag)
}

async fn put(State(door): State<Door>, scope: Scope, Name(name): Name, headers: HeaderMap, request: Body) -> Answer {
    let only_if = only_if(&headers)?;
    let asked: SpecRequest = body(request).await?;
    let name = scope.new_name(&name)?;
    let starting = if asked.start { Starting::New } else { Starting::Nothing };
    let service = vec![(name, Value::Object(asked.service), Origin::Request { by: scope.caller.name.clone() })];
    let mut added = beside::prepare(&door, &scope.workspace, service, starting).await?;
    added.only_if = only_if;
    let accepted = door.change(Change::Add(Box::new(added))).await?;
    // Of what was just written, whatever somebody else writes a moment later.
    let tag = accepted.tag.clone().unwrap_or_default();
    tagged(done(accepted)?, &tag)
}

async fn delete(State(door): State<Door>, scope: Scope, Name(name): Name, headers: HeaderMap, uri: Uri) -> Answer {
    let (only_if, asked) = (only_if(&headers)?, query::<Removal>(&uri)?);
    let name = scope.name(&name)?;
    done(door.change(Change::Remove { names: vec![name], only_if, force: asked.force }).await?)
}

fn done(accepted: Accepted) -> Answer {
    let services = accepted.services.iter().map(|name| name.local().to_owned()).collect();
    json(&ActionResult { version: Shape, generation: accepted.generation, last_event: accepted.last_event, services, settled: false })
}

fn tagged(mut response: Response<Body>, tag: &str) -> Answer {
    if let Ok(value) = HeaderValue::from_str(&format!("\"{tag}\"")) {
        response.headers_mut().insert(header::ETAG, value);
    }
    Ok(response)
}

/// What `If-Match` and `If-None-Match` demand (RFC 9110, section 13).
fn only_if(headers: &HeaderMap) -> Result<OnlyIf, Failure> {
    match (texts(headers, &header::IF_MATCH)?, texts(headers, &header::IF_NONE_MATCH)?) {
        (None, None) => Ok(OnlyIf::Anyhow),
        (Some(tags), None) if tags == "*" => Ok(OnlyIf::There),
        (Some(tags), None) => tags.split(',').map(|tag| read_tag(tag.trim())).collect::<Result<_, _>>().map(OnlyIf::Tagged),
        (None, Some(tags)) if tags == "*" => Ok(OnlyIf::Absent),
        (None, Some(_)) => Err(Failure::new(Code::Invalid, "`If-None-Match` is understood as `*` alone: it is not to be there yet")),
        (Some(_), Some(_)) => Err(Failure::new(Code::Invalid, "`If-Match` and `If-None-Match` contradict each other")),
    }
}

/// All values of a header as one.
fn texts(headers: &HeaderMap, name: &HeaderName) -> Result<Option<String>, Failure> {
    let values = headers.get_all(name).iter().map(HeaderValue::to_str).collect::<Result<Vec<_>, _>>();
    let values = values.map_err(|_| Failure::new(Code::Invalid, format!("`{name}` is no text")))?;
    Ok((!values.is_empty()).then(|| values.join(",").trim().to_owned()))
}

fn read_tag(text: &str) -> Result<String, Failure> {
    let inside = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inside.map(str::to_owned).ok_or_else(|| Failure::new(Code::Invalid, "`If-Match` holds tags in quotes, as `ETag` gives them"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demanded(pairs: &[(HeaderName, &str)]) -> Result<OnlyIf, String> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, value.parse().expect("a header's value"));
        }
        only_if(&headers).map_err(|failure| failure.message)
    }

    #[test]
    fn conditions_are_read_as_http_writes_them() {
        assert_eq!(demanded(&[]), Ok(OnlyIf::Anyhow));
        assert_eq!(demanded(&[(header::IF_MATCH, "*")]), Ok(OnlyIf::There));
        assert_eq!(demanded(&[(header::IF_NONE_MATCH, " * ")]), Ok(OnlyIf::Absent));
        let two = Ok(OnlyIf::Tagged(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(demanded(&[(header::IF_MATCH, "\"a\", \"b\"")]), two);
        assert_eq!(demanded(&[(header::IF_MATCH, "\"a\""), (header::IF_MATCH, "\"b\"")]), two);
        assert!(demanded(&[(header::IF_MATCH, "a")]).is_err());
        assert!(demanded(&[(header::IF_NONE_MATCH, "\"a\"")]).is_err());
        assert!(demanded(&[(header::IF_MATCH, "*"), (header::IF_NONE_MATCH, "*")]).is_err());
    }
}
