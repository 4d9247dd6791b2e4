//! `${services.db.endpoint}`: where a dependency listens, written into whatever starts after it.
//!
//! A document keeps the text as it is, and so does a task's digest; the host fills it in when a task is started or checked.

use std::collections::{BTreeMap, BTreeSet};

use hostler_core::{Problem, ServiceName, Spec, closest, pointer_key};
use serde_json::Value;

use super::place::Report;

/// How every reference begins.
const OPEN: &str = "${services.";
const FORMS: &str =
    "write ${services.NAME.endpoint}, ${services.NAME.endpoints}, ${services.NAME.endpoints.PORT.host} or ${services.NAME.endpoints.PORT.port}";

/// One reference to where a service listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference<'a> {
    /// As it is written, from `${` to `}`.
    pub written: &'a str,
    /// Whose endpoints.
    pub service: &'a str,
    /// What of them.
    pub wanted: ReferenceTo<'a>,
}

/// What a reference asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReferenceTo<'a> {
    /// `endpoint`: `host:port` of the first endpoint of the first replica.
    First,
    /// `endpoints`: `host:port` of the first endpoint of each replica, with commas between them.
    Each,
    /// `endpoints.NAME.host` of the first replica that has an endpoint of that name.
    Host(&'a str),
    /// `endpoints.NAME.port`, the same.
    Port(&'a str),
}

/// Does a text refer to anybody? Cheap, and right whenever it says no.
pub fn refers(text: &str) -> bool {
    text.contains(OPEN)
}

/// Fills in every reference of a text; `None` when there is none.
///
/// # Errors
/// A reference that cannot be read, or what `find` says of one.
pub fn fill(text: &str, find: &dyn Fn(&Reference<'_>) -> Result<String, String>) -> Result<Option<String>, String> {
    if !refers(text) {
        return Ok(None);
    }
    let (mut filled, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find(OPEN) {
        filled.push_str(&rest[..at]);
        let Some(end) = rest[at..].find('}') else { return Err(format!("`{}` is never closed; {FORMS}", &rest[at..])) };
        let written = &rest[at..=at + end];
        filled.push_str(&find(&read(written)?)?);
        rest = &rest[at + end + 1..];
    }
    filled.push_str(rest);
    Ok(Some(filled))
}

/// The same in every text of a document; says whether there was any.
///
/// # Errors
/// As [`fill`].
pub fn fill_all(value: &mut Value, find: &dyn Fn(&Reference<'_>) -> Result<String, String>) -> Result<bool, String> {
    match value {
        Value::String(text) => {
            let filled = fill(text, find)?;
            let any = filled.is_some();
            *text = filled.unwrap_or_else(|| std::mem::take(text));
            Ok(any)
        }
        Value::Array(items) => items.iter_mut().try_fold(false, |any, item| Ok(fill_all(item, find)? | any)),
        Value::Object(map) => map.values_mut().try_fold(false, |any, member| Ok(fill_all(member, find)? | any)),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(false),
    }
}

/// Stands in for an endpoint where only the form of settings is looked at.
///
/// # Errors
/// Never; in the shape that [`fill`] asks for.
pub fn stand_in(reference: &Reference<'_>) -> Result<String, String> {
    Ok(match reference.wanted {
        ReferenceTo::First | ReferenceTo::Each => "127.0.0.1:1",
        ReferenceTo::Host(_) => "127.0.0.1",
        ReferenceTo::Port(_) => "1",
    }
    .to_owned())
}

fn read(written: &str) -> Result<Reference<'_>, String> {
    let inside = written.strip_prefix(OPEN).and_then(|rest| rest.strip_suffix('}')).unwrap_or_default();
    let parts: Vec<&str> = inside.split('.').collect();
    let wanted = match parts[..] {
        [_, "endpoint"] => ReferenceTo::First,
        [_, "endpoints"] => ReferenceTo::Each,
        [_, "endpoints", name, "host"] if !name.is_empty() => ReferenceTo::Host(name),
        [_, "endpoints", name, "port"] if !name.is_empty() => ReferenceTo::Port(name),
        _ => return Err(format!("`{written}` is not understood; {FORMS}")),
    };
    Ok(Reference { written, service: parts[0], wanted })
}

/// Raises a doubt for each reference that can never be filled in: nobody of that name, or no edge that has it started first.
/// A check may ask for the endpoints of the service it judges.
pub(super) fn doubt(
    services: &BTreeMap<ServiceName, Spec>,
    is_there: &dyn Fn(&str) -> bool,
    written: &BTreeSet<&str>,
    checks: &dyn Fn(&Spec, usize) -> String,
    report: &mut Report,
) {
    for spec in services.values() {
        let here = format!("/services/{}", pointer_key(spec.name.as_str()));
        let mut look = |at: String, value: &Value, own: bool| {
            if let Err(why) = fill_all(&mut value.clone(), &|reference| match is_there(reference.service) {
                // It is refused at its own place; once is enough.
                false if written.contains(reference.service) => stand_in(reference),
                is_there => known(reference, spec, services, is_there, own),
            }) {
                let (why, hint) = why.split_once("; ").unwrap_or((&why, ""));
                report.add(Problem::new(at, why).hint(hint));
            }
        };
        for (name, value) in spec.env.iter().filter(|(_, value)| refers(value)) {
            look(format!("{here}/env/{}", pointer_key(name)), &Value::String(value.clone()), false);
        }
        if refers(&spec.backend.settings) {
            look(format!("{here}/backend"), &serde_json::from_str(&spec.backend.settings).unwrap_or_default(), false);
        }
        for (index, check) in spec.checks.iter().enumerate().filter(|(_, check)| refers(&check.settings)) {
            look(checks(spec, index), &serde_json::from_str(&check.settings).unwrap_or_default(), true);
        }
    }
}

fn known(reference: &Reference<'_>, spec: &Spec, services: &BTreeMap<ServiceName, Spec>, is_there: bool, own: bool) -> Result<String, String> {
    let Reference { written, service, .. } = reference;
    if !is_there {
        let hint = match closest(service, services.keys().map(ServiceName::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "name a service of this document".to_owned(),
        };
        return Err(format!("`{written}` refers to a service that is not there; {hint}"));
    }
    let leads = spec.dependencies.iter().any(|edge| edge.service.as_str() == *service) || (own && spec.name.as_str() == *service);
    if !leads {
        return Err(format!("`{written}` refers to a service that is not among the dependencies; add `{service}` to `dependencies`"));
    }
    stand_in(reference)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn find(reference: &Reference<'_>) -> Result<String, String> {
        Ok(format!("<{} {:?}>", reference.service, reference.wanted))
    }

    #[test]
    fn every_form_is_read_and_the_rest_stays_as_it_is() {
        let text =
            "a=${services.db.endpoint},${services.my-db_2.endpoints} ${services.db.endpoints.main.host}:${services.db.endpoints.main.port} $HOME";
        let filled = "a=<db First>,<my-db_2 Each> <db Host(\"main\")>:<db Port(\"main\")> $HOME";
        assert_eq!(fill(text, &find), Ok(Some(filled.to_owned())));
        assert_eq!(fill("${HOME} and ${service.db}", &find), Ok(None));
        let mut value = json!({ "args": ["-c", "${services.db.endpoint}"], "port": 1, "url": { "to": "x" } });
        assert_eq!(fill_all(&mut value, &find), Ok(true));
        assert_eq!(value, json!({ "args": ["-c", "<db First>"], "port": 1, "url": { "to": "x" } }));
    }

    #[test]
    fn what_is_no_reference_is_named() {
        for text in ["${services.db}", "${services.db.port}", "${services.db.endpoints.main}", "${services.db.endpoints..port}", "${services.}"] {
            let why = fill(text, &find).expect_err("it is none");
            assert!(why.starts_with(&format!("`{text}` is not understood; write ")), "{why}");
        }
        assert!(fill("x ${services.db.endpoint", &find).expect_err("it is open").contains("is never closed"));
    }

    #[test]
    fn a_reference_needs_an_edge() {
        let service = |more: Value| {
            let mut service = json!({ "backend": { "type": "process", "binary": "x" } });
            service.as_object_mut().expect("a table").extend(more.as_object().expect("a table").clone());
            service
        };
        let read = |app: Value| {
            let document = json!({ "version": "1.0", "services": { "db": service(json!({})), "cache": service(json!({})), "app": service(app) } });
            super::super::read(&document).map(|_| ()).map_err(|problems| problems.into_iter().map(|one| (one.at, one.message)).collect::<Vec<_>>())
        };
        let env = |text: &str| json!({ "dependencies": ["db"], "env": { "DB": text } });
        assert_eq!(read(env("${services.db.endpoint}")), Ok(()));
        let problem = |at: &str, message: &str| Err(vec![(at.to_owned(), message.to_owned())]);
        let stranger = "`${services.cache.endpoint}` refers to a service that is not among the dependencies";
        assert_eq!(read(env("${services.cache.endpoint}")), problem("/services/app/env/DB", stranger));
        let nobody = "`${services.dv.endpoint}` refers to a service that is not there";
        assert_eq!(read(env("${services.dv.endpoint}")), problem("/services/app/env/DB", nobody));
        let own = json!({ "health_check": { "type": "tcp", "address": "${services.app.endpoint}" } });
        assert_eq!(read(own), Ok(()), "a check may ask where its own service listens");
        let itself = "`${services.app.endpoint}` refers to a service that is not among the dependencies";
        assert_eq!(read(json!({ "backend": { "type": "p", "args": ["${services.app.endpoint}"] } })), problem("/services/app/backend", itself));
    }
}
