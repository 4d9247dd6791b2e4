//! From an instance to the service that it is, and back from a mistake in that to the attribute that it came from.

use std::path::Path;

use hostler_core::{MAX_REPLICAS, Problem};
use serde_json::{Map, Value, json};

use super::{Asked, ServiceType};

/// How long a check may take, and how often it is asked, unless the instance says otherwise.
const TIMEOUT: &str = "10s";
const INTERVAL: &str = "30s";

/// The service that an instance is, as it would stand in a file.
///
/// - An image is run by the backend `docker`, a command by `process`, in the instance's folder. What is in `deployment_config` beside
///   them goes to the backend as it is, so that its own schema judges it.
/// - `containerized` takes an image, the languages a command or an image, `proxy` either.
/// - `compose_stack` is many services, and none: it is refused.
///
/// # Errors
/// Every mistake, at the attribute.
pub fn definition(asked: &Asked) -> Result<Map<String, Value>, Vec<Problem>> {
    let mut problems = Vec::new();
    let backend = backend(asked).map_err(|problem| problems.push(problem)).unwrap_or_default();
    let check = check(asked).map_err(|problem| problems.push(problem)).unwrap_or_default();
    let replicas = replicas(asked).map_err(|problem| problems.push(problem)).unwrap_or_default();
    let is_container = backend.get("type").is_some_and(|kind| kind == "docker");
    let mut service = Map::new();
    service.insert("display_name".to_owned(), json!(asked.text("name")));
    service.insert("backend".to_owned(), Value::Object(backend));
    service.insert("env".to_owned(), Value::Object(asked.table("environment_variables")));
    service.insert("resources".to_owned(), Value::Object(resources(asked, is_container)));
    service.insert("replicas".to_owned(), replicas);
    if let Some(check) = check {
        service.insert("health_check".to_owned(), Value::Object(check));
    }
    if problems.is_empty() { Ok(service) } else { Err(problems) }
}

/// The attribute that a place in a service comes from: `/data/attributes/environment_variables/A` of `/services/web/env/A`.
pub fn pointer(at: &str) -> String {
    let own = at.strip_prefix("/services/").and_then(|rest| rest.find('/').map(|slash| &rest[slash..])).unwrap_or_default();
    let attribute = [
        ("/backend/ports", "/port_mappings"),
        ("/backend/working_dir", "/folder_path"),
        ("/backend/binary", "/deployment_config/command"),
        ("/backend/args", "/deployment_config/command"),
        ("/backend/type", "/service_type"),
        ("/backend", "/deployment_config"),
        ("/env", "/environment_variables"),
        ("/resources", "/resource_limits"),
        ("/health_check", "/health_check_config"),
        ("/replicas", "/scaling_config"),
        ("/display_name", "/name"),
    ];
    let found = attribute.iter().find_map(|(place, attribute)| {
        let rest = own.strip_prefix(place)?;
        // Numbers of arguments are ours, not those of whoever asked.
        let rest = if *place == "/backend/args" { "" } else { rest };
        (rest.is_empty() || rest.starts_with('/')).then(|| format!("{attribute}{rest}"))
    });
    format!("/data/attributes{}", found.unwrap_or_default())
}

fn problem(attribute: &str, words: impl Into<String>) -> Problem {
    Problem::new(format!("/data/attributes/{attribute}"), words)
}

fn backend(asked: &Asked) -> Result<Map<String, Value>, Problem> {
    let config = asked.table("deployment_config");
    let kind = asked.service_type();
    let has = |key: &str| config.get(key).is_some_and(|value| !value.is_null());
    match kind {
        ServiceType::ComposeStack => Err(problem("service_type", "a compose_stack is many services, and an instance is one")
            .hint("`hostler import` makes services of a Compose file; or make an instance of each")),
        ServiceType::Containerized if !has("image") => {
            Err(problem("deployment_config/image", "a containerized service needs the image that it is a container of"))
        }
        ServiceType::Containerized => Ok(container(asked, config)),
        _ if has("image") => Ok(container(asked, config)),
        _ if has("command") => process(asked, config),
        _ => Err(problem("deployment_config/command", format!("a service of the type {} needs a command, or an image", kind.as_str()))
            .hint("the host builds nothing by itself: name the program that is to run in the folder")),
    }
}

fn container(asked: &Asked, mut settings: Map<String, Value>) -> Map<String, Value> {
    settings.insert("type".to_owned(), json!("docker"));
    let ports = asked.table("port_mappings");
    if !ports.is_empty() {
        settings.insert("ports".to_owned(), Value::Object(ports));
    }
    settings
}

/// A program in its folder. No shell reads its command.
fn process(asked: &Asked, mut settings: Map<String, Value>) -> Result<Map<String, Value>, Problem> {
    let wrong = |words: &str| problem("deployment_config/command", format!("command {words}"));
    let mut words = match settings.remove("command") {
        Some(Value::String(line)) => split(&line).ok_or_else(|| wrong("has a quote that nothing closes"))?.into_iter().map(Value::from).collect(),
        Some(Value::Array(words)) => words,
        _ => return Err(wrong("is to be a line, or a list of words")),
    };
    if words.is_empty() {
        return Err(wrong("is empty"));
    }
    let Value::String(program) = words.remove(0) else { return Err(wrong("begins with a program")) };
    if let Some(more) = settings.remove("args") {
        let Value::Array(more) = more else { return Err(problem("deployment_config/args", "args are to be a list of words")) };
        words.extend(more);
    }
    let folder = settings.remove("working_dir").unwrap_or_else(|| json!(asked.text("folder_path")));
    let Some(folder) = folder.as_str().filter(|folder| Path::new(folder).is_absolute()) else {
        return Err(problem("folder_path", "folder_path is to be absolute, where a program runs in it").hint("write /srv/shop/api"));
    };
    // A program of the folder itself; a bare name is looked up.
    let program = if program.contains('/') { Path::new(folder).join(&program).to_string_lossy().into_owned() } else { program };
    settings.insert("type".to_owned(), json!("process"));
    settings.insert("binary".to_owned(), json!(program));
    settings.insert("args".to_owned(), Value::Array(words));
    settings.insert("working_dir".to_owned(), json!(folder));
    Ok(settings)
}

/// A line as words, by blanks and quotes alone; nothing when a quote stays open.
fn split(line: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => word.get_or_insert_default().push(c),
            None if c == '"' || c == '\'' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c.is_whitespace() => words.extend(word.take()),
            None => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

/// Storage is held by few engines: it is asked of them where somebody asked for it, never by default.
fn resources(asked: &Asked, is_container: bool) -> Map<String, Value> {
    let said = asked.table("resource_limits");
    let mut limits = asked.limits();
    if !said.contains_key("storage") || !is_container {
        limits.remove("storage");
    }
    limits
}

fn replicas(asked: &Asked) -> Result<Value, Problem> {
    let scaling = asked.table("scaling_config");
    let number = |keys: [&str; 2]| -> Result<Option<u64>, Problem> {
        let Some((key, value)) = keys.iter().find_map(|key| Some((*key, scaling.get(*key)?))).filter(|(_, value)| !value.is_null()) else {
            return Ok(None);
        };
        let wrong = || problem(&format!("scaling_config/{key}"), format!("{key} is to be a whole number from 0 to {MAX_REPLICAS}"));
        value.as_u64().filter(|number| *number <= u64::from(MAX_REPLICAS)).map(Some).ok_or_else(wrong)
    };
    let min = number(["min_replicas", "min"])?.unwrap_or(0);
    let max = number(["max_replicas", "max"])?.unwrap_or(u64::from(MAX_REPLICAS));
    if min > max || max == 0 {
        return Err(problem("scaling_config", format!("max_replicas is {max}: it is to be at least 1, and no less than min_replicas, {min}")));
    }
    let count = number(["target_replicas", "replicas"])?.unwrap_or(1).clamp(min, max);
    Ok(json!({ "min": min, "max": max, "count": count }))
}

fn check(asked: &Asked) -> Result<Option<Map<String, Value>>, Problem> {
    let mut config = asked.table("health_check_config");
    if config.is_empty() {
        return Ok(None);
    }
    if !config.contains_key("type") {
        let kind = match () {
            () if config.contains_key("url") || config.contains_key("path") => "http",
            () if config.contains_key("command") => "command",
            () if config.contains_key("port") => "tcp",
            () => return Err(problem("health_check_config", "it says neither what to ask nor how: a path, a url, a port or a command")),
        };
        config.insert("type".to_owned(), json!(kind));
    }
    if let Some(path) = config.remove("path") {
        let port = config.remove("port").and_then(|port| port.as_u64()).or_else(|| published(asked));
        let Some(port) = port else {
            return Err(problem("health_check_config/port", "a path needs a port, or a port in port_mappings that is published as that"));
        };
        let path = path.as_str().unwrap_or_default();
        config.insert("url".to_owned(), json!(format!("http://127.0.0.1:{port}/{}", path.trim_start_matches('/'))));
    }
    for (key, default) in [("interval", INTERVAL), ("timeout", TIMEOUT)] {
        let value = match config.remove(key) {
            // The document counts in milliseconds.
            Some(Value::Number(ms)) => json!(format!("{ms}ms")),
            Some(other) => other,
            None => json!(default),
        };
        config.insert(key.to_owned(), value);
    }
    Ok(Some(config))
}

/// The first port that is published as a number of its own.
fn published(asked: &Asked) -> Option<u64> {
    asked.table("port_mappings").values().filter_map(|port| port.as_u64().or_else(|| port.as_str()?.parse().ok())).find(|port| *port > 0)
}
