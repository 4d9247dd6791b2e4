//! `[discovery.BACKEND]`: what already runs, and becomes a service where a pattern knows it.

use std::collections::BTreeMap;

use hostler_core::{Problem, ServiceName, Span, pattern, pointer_key};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::place::{Place, Report, Table};
use super::values;

const HINT: &str = "write [discovery.docker.patterns.NAME] match = { name = \"*postgres*\" }";
const MATCH_HINT: &str = "write match = { name = \"*postgres*\", image = \"postgres:*\" }";

/// What is looked for on one engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Discovery {
    /// From one look to the next.
    pub interval: Span,
    /// By the name of the service that each finds.
    pub patterns: BTreeMap<ServiceName, Pattern>,
}

/// One pattern.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pattern {
    /// What it knows its own by.
    pub matching: Matching,
    /// Does each thing that matches become a service? Else the oldest of them does.
    pub each: bool,
    /// Its port within the container: where it is published, a TCP or HTTP check asks it.
    pub port: Option<u16>,
    /// A path that an HTTP check asks for.
    pub health_endpoint: Option<String>,
    /// A command that judges it from within.
    pub health_cmd: Option<String>,
    /// The rest of the service, as `[services.NAME]` has it, without `backend`.
    pub service: Map<String, Value>,
}

/// Texts with `*` in them; all that are there must match.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matching {
    /// The engine's name for it.
    pub name: Option<String>,
    /// The image.
    pub image: Option<String>,
    /// The compose project.
    pub project: Option<String>,
    /// The service in that.
    pub service: Option<String>,
    /// Labels by name.
    pub labels: BTreeMap<String, String>,
}

impl Matching {
    /// Is something with this name and these facts meant?
    ///
    /// ```
    /// use hostler_api::config::Matching;
    /// let matching = Matching { name: Some("*db*".into()), labels: [("team".into(), "*".into())].into(), ..Matching::default() };
    /// let facts = [("label.team".to_owned(), "shop".to_owned())];
    /// assert!(matching.knows("shop-db-1", &facts) && !matching.knows("shop-db-1", &[]));
    /// ```
    pub fn knows(&self, name: &str, facts: &[(String, String)]) -> bool {
        let fact = |key: &str| facts.iter().find(|(own, _)| own == key).map(|(_, value)| value.as_str());
        let holds =
            |wanted: &Option<String>, is: Option<&str>| wanted.as_ref().is_none_or(|wanted| is.is_some_and(|is| pattern::matches(wanted, is)));
        holds(&self.name, Some(name))
            && holds(&self.image, fact("image"))
            && holds(&self.project, fact("compose.project"))
            && holds(&self.service, fact("compose.service"))
            && self.labels.iter().all(|(label, wanted)| fact(&format!("label.{label}")).is_some_and(|is| pattern::matches(wanted, is)))
    }

    fn is_empty(&self) -> bool {
        *self == Matching::default()
    }
}

impl Pattern {
    /// The service that something becomes: `[services.NAME]`, with the backend's settings for it, and where it is published.
    ///
    /// `published` is the host and port at which its `port` is reached.
    pub fn service(&self, backend: &str, settings: &Value, published: Option<(&str, u16)>) -> Value {
        let mut service = self.service.clone();
        let mut table = settings.as_object().cloned().unwrap_or_default();
        table.insert("type".to_owned(), json!(backend));
        service.insert("backend".to_owned(), Value::Object(table));
        if !service.contains_key("health_check")
            && !service.contains_key("health_checks")
            && let Some(check) = self.check(published)
        {
            service.insert("health_check".to_owned(), check);
        }
        Value::Object(service)
    }

    fn check(&self, published: Option<(&str, u16)>) -> Option<Value> {
        match (&self.health_cmd, &self.health_endpoint, published) {
            (Some(command), _, _) => Some(json!({ "type": "docker-exec", "command": command })),
            (None, Some(path), Some((host, port))) => {
                let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
                Some(json!({ "type": "http", "url": format!("http://{host}:{port}{path}") }))
            }
            (None, None, Some((host, port))) => Some(json!({ "type": "tcp", "host": host, "port": port })),
            (None, _, None) => None,
        }
    }
}

/// Reads `discovery`.
pub(crate) fn read_discovery(table: &mut Table<'_>, document: &Value, report: &mut Report) -> BTreeMap<String, Discovery> {
    let mut all = BTreeMap::new();
    let Some(place) = table.take("discovery") else { return all };
    for (backend, place) in place.members(HINT, report) {
        let backend = values::plugin_key(backend, &place.at, report);
        let Some(mut table) = place.table(&format!("`{}`", place.name), HINT, report) else { continue };
        let interval = table.take("interval").and_then(|place| values::span_above_zero(&place, report)).unwrap_or(Span::secs(30));
        let mut patterns = BTreeMap::new();
        for (name, place) in table.take("patterns").map(|place| place.members(HINT, report)).unwrap_or_default() {
            let name = values::service_name(name, &place.at, report);
            if let (Some(name), Some(backend)) = (name, &backend)
                && let Some(pattern) = read_pattern(&name, backend, &place, document, report)
            {
                patterns.insert(name, pattern);
            }
        }
        table.finish(&[("services", "write `patterns`"), ("pattern", "write `patterns`")], report);
        if let Some(backend) = backend {
            all.insert(backend, Discovery { interval, patterns });
        }
    }
    all
}

fn read_pattern(name: &ServiceName, backend: &str, place: &Place<'_>, document: &Value, report: &mut Report) -> Option<Pattern> {
    let mut table = place.table(&format!("pattern `{name}`"), HINT, report)?;
    let matching = match table.take("match") {
        Some(place) => read_matching(&place, report)?,
        None => {
            report.add(table.missing("match", MATCH_HINT));
            return None;
        }
    };
    let each = table.take("each").and_then(|place| place.flag(report)).unwrap_or(false);
    let port = table.take("port").and_then(|place| place.whole_number(1..=65_535, report)).and_then(|port| u16::try_from(port).ok());
    let health_cmd = table.take("health_cmd").and_then(|place| place.text(report)).map(str::to_owned);
    let health_endpoint = table.take("health_endpoint").and_then(|place| {
        let path = place.text(report)?;
        if !path.starts_with('/') {
            report.add(place.complain(format!("is `{path}`, and must be a path")).hint("write health_endpoint = \"/health\""));
            return None;
        }
        Some(path.to_owned())
    });
    if health_endpoint.is_some() && port.is_none() {
        report.add(table.missing("port", "say at which port of the container `health_endpoint` is asked for: port = 8080"));
    }
    if let Some(place) = table.take("backend") {
        report.add(place.complain("belongs to no pattern").hint(format!("the backend is `{backend}`, and its settings are what is found")));
    }
    let service = table.rest();
    doubt_service(name, backend, &place.at, &service, document, report);
    Some(Pattern { matching, each, port, health_endpoint, health_cmd, service })
}

fn read_matching(place: &Place<'_>, report: &mut Report) -> Option<Matching> {
    let mut table = place.table("`match`", MATCH_HINT, report)?;
    let mut text = |key, report: &mut Report| table.take(key).and_then(|place| place.text(report)).map(str::to_owned);
    let (name, image) = (text("name", report), text("image", report));
    let (project, service) = (text("project", report), text("service", report));
    let labels = table.take("labels").map(|place| place.members("write labels = { team = \"*\" }", report)).unwrap_or_default();
    let labels = labels.into_iter().filter_map(|(label, place)| Some((label.to_owned(), place.text(report)?.to_owned()))).collect();
    table.finish(&[("label", "write `labels`"), ("compose_project", "write `project`"), ("container", "write `name`")], report);
    let matching = Matching { name, image, project, service, labels };
    if matching.is_empty() {
        report.add(place.complain("would match everything").hint(MATCH_HINT));
        return None;
    }
    Some(matching)
}

/// The mistakes of a service that would be made of it.
fn doubt_service(name: &ServiceName, backend: &str, at: &str, service: &Map<String, Value>, document: &Value, report: &mut Report) {
    let mut made = service.clone();
    made.insert("backend".to_owned(), json!({ "type": backend }));
    let networks = document.get("networks").cloned().unwrap_or_else(|| json!({}));
    let Err(problems) = super::read(&json!({ "networks": networks, "services": { name.as_str(): made } })) else { return };
    let here = format!("/services/{}", pointer_key(name.as_str()));
    for problem in problems {
        if let Some(rest) = problem.at.strip_prefix(&here) {
            report.add(Problem { at: format!("{at}{rest}"), ..problem });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(patterns: &Value) -> Result<Discovery, Vec<String>> {
        let document = json!({ "discovery": { "docker": { "patterns": patterns } } });
        let config = super::super::read(&document).map_err(|problems| problems.iter().map(told).collect::<Vec<_>>())?;
        Ok(config.discovery["docker"].clone())
    }

    fn told(problem: &Problem) -> String {
        format!("{}: {} ({})", problem.at, problem.message, problem.hint.as_deref().unwrap_or_default())
    }

    #[test]
    fn a_pattern_becomes_a_service() {
        let discovery = read(&json!({ "postgres": {
            "match": { "name": "*postgres*", "image": "postgres:*" },
            "display_name": "PostgreSQL", "category": "infrastructure", "port": 5432, "health_cmd": "pg_isready -U security",
        } }))
        .expect("it is a good one");
        let pattern = &discovery.patterns["postgres"];
        let facts = [("image".to_owned(), "postgres:16-alpine".to_owned())];
        assert!(pattern.matching.knows("shop-postgres-1", &facts) && !pattern.matching.knows("redis", &facts));
        let service = pattern.service("docker", &json!({ "container": "shop-postgres-1" }), Some(("127.0.0.1", 5432)));
        assert_eq!(service["backend"], json!({ "type": "docker", "container": "shop-postgres-1" }));
        assert_eq!(service["health_check"], json!({ "type": "docker-exec", "command": "pg_isready -U security" }));
        assert_eq!((&service["display_name"], service.get("port")), (&json!("PostgreSQL"), None));
    }

    #[test]
    fn where_it_is_published_it_is_asked() {
        let discovery = read(&json!({ "web": { "match": { "project": "shop" }, "port": 80, "health_endpoint": "/up" } })).expect("it is a good one");
        let check = |published| discovery.patterns["web"].service("docker", &json!({}), published).get("health_check").cloned();
        assert_eq!(check(Some(("::1", 8080))), Some(json!({ "type": "http", "url": "http://[::1]:8080/up" })));
        assert_eq!(check(None), None);
    }

    #[test]
    fn mistakes_are_named_where_they_are() {
        let check = |pattern: Value, expected: &str| {
            let problems = read(&json!({ "web": pattern })).expect_err("it is a bad one");
            assert!(problems.iter().any(|problem| problem.contains(expected)), "{expected}: {problems:?}");
        };
        check(json!({}), "has no `match`");
        check(json!({ "match": {} }), "would match everything");
        check(json!({ "match": { "nam": "x" } }), "did you mean `name`?");
        check(json!({ "match": { "name": "x" }, "backend": { "type": "docker" } }), "belongs to no pattern");
        check(json!({ "match": { "name": "x" }, "categori": "ai" }), "/discovery/docker/patterns/web/categori");
        check(json!({ "match": { "name": "x" }, "health_endpoint": "up", "port": 80 }), "must be a path");
        check(json!({ "match": { "name": "x" }, "health_endpoint": "/up" }), "has no `port`");
    }
}
