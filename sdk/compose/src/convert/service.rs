//! One service.

use super::{Around, Members, Service, Value, command, depends, deploy, environment, health, lost, mounts, network, ports, put};
use crate::import::Import;
use crate::read::{Spot, Taking};
use crate::words;

/// Turns one service into a service of the service file.
pub(crate) fn convert(import: &mut Import<'_>, around: &Around<'_>, name: &str, spot: &Spot<'_>) -> Service {
    let mut table = Taking::new(spot, import);
    let mut service = Service {
        name: around.names.get(name).cloned().unwrap_or_else(|| name.to_owned()),
        original: name.to_owned(),
        head: Members::new(),
        backend: Members::new(),
        env: Members::new(),
        labels: Members::new(),
        health_check: Members::new(),
    };
    let settled = head(import, around, &mut table, &mut service);
    backend(import, around, &mut table, &mut service, settled);
    service.env = environment::variables(import, table.take("environment"));
    service.health_check = health::check(import, around, name, table.take("healthcheck"), &mut service.backend);
    lost::service(import, table);
    service
}

/// What belongs to the backend of what stands elsewhere.
struct Settled {
    processes: Option<i64>,
    /// A signal that the host has no name for.
    stop_signal: Option<String>,
}

fn head(import: &mut Import<'_>, around: &Around<'_>, table: &mut Taking<'_>, service: &mut Service) -> Settled {
    let name = service.original.clone();
    let head = &mut service.head;
    if service.name != name {
        put(head, "display_name", Some(Value::Text(super::plain(&name))));
    }
    table.take("profiles");
    if around.inactive.contains_key(&name) {
        put(head, "enabled", Some(Value::Flag(false)));
    }
    let oneshot = around.oneshots.contains(&name);
    if oneshot {
        put(head, "kind", Some(Value::Text("oneshot".to_owned())));
    }
    let deploy = table.take("deploy");
    let mut deployed = deploy::Deploy::new(import, deploy);
    put(head, "dependencies", depends::dependencies(import, around, &name, table));
    put(head, "replicas", deployed.replicas(import, table));
    put(head, "restart", deployed.restart(import, table, oneshot));
    let (stop, stop_signal) = stop(import, table);
    put(head, "stop", stop);
    put(head, "resources", deployed.resources(import, table));
    put(head, "env_file", environment::files(import, table.take("env_file")));
    put(head, "labels", deployed.labels(import));
    let processes = deployed.processes;
    deployed.rest(import);
    Settled { processes, stop_signal }
}

fn stop(import: &mut Import<'_>, table: &mut Taking<'_>) -> (Option<Value>, Option<String>) {
    let (mut stop, mut other) = (Members::new(), None);
    if let Some(signal) = table.take("stop_signal") {
        let name = signal.read(import, words::signal, "a signal", "write SIGTERM, SIGINT or SIGQUIT");
        match name {
            Some((name, true)) => put(&mut stop, "signal", Some(Value::Text(name))),
            Some((name, false)) => other = Some(name),
            None => {}
        }
    }
    if let Some(grace) = table.take("stop_grace_period") {
        put(&mut stop, "grace", grace.millis(import).map(|millis| Value::Text(words::span(millis))));
    }
    ((!stop.is_empty()).then_some(Value::Table(stop)), other)
}

fn backend(import: &mut Import<'_>, around: &Around<'_>, table: &mut Taking<'_>, service: &mut Service, settled: Settled) {
    let name = service.original.clone();
    let to = &mut service.backend;
    put(to, "type", Some(Value::Text("docker".to_owned())));
    let whole = table.above().clone();
    image(import, &whole, table, &name, to);
    put(to, "entrypoint", table.take("entrypoint").and_then(|spot| command::words(import, &spot)));
    put(to, "command", table.take("command").and_then(|spot| command::words(import, &spot)));
    put(to, "stop_signal", settled.stop_signal.map(Value::Text));
    for key in ["user", "working_dir", "hostname"] {
        put(to, key, table.take(key).and_then(|spot| spot.text(import)).map(Value::Text));
    }
    network::attach(import, around, &name, table, to);
    put(to, "ports", table.take("ports").and_then(|spot| ports::ports(import, &spot)));
    mounts::mounts(import, around, table, to);
    for key in ["read_only", "init", "privileged"] {
        let flag = table.take(key).and_then(|spot| spot.flag(import));
        import.asks.privileged |= key == "privileged" && flag == Some(true);
        put(to, key, flag.filter(|flag| *flag).map(Value::Flag));
    }
    for key in ["cap_add", "cap_drop", "security_opt", "dns"] {
        let texts = table.take(key).map(|spot| spot.texts(import)).filter(|texts| !texts.is_empty());
        match (key, &texts) {
            ("cap_add", Some(texts)) => import.asks.capabilities.extend(texts.iter().cloned()),
            ("security_opt", Some(texts)) => {
                import.asks.security_options.extend(texts.iter().filter(|text| !text.starts_with("no-new-privileges")).cloned())
            }
            _ => {}
        }
        put(to, key, texts.map(Value::texts));
    }
    put(to, "extra_hosts", table.take("extra_hosts").and_then(|spot| network::hosts(import, &spot)));
    let size = table.take("shm_size").and_then(|spot| spot.bytes(import));
    put(to, "shm_size", size.map(|bytes| Value::Text(words::size(bytes))));
    let swap = table.take("memswap_limit").filter(|spot| spot.item.word() != Some("-1")).and_then(|spot| spot.bytes(import));
    put(to, "memory_swap", swap.filter(|bytes| *bytes > 0).map(|bytes| Value::Text(words::size(bytes))));
    let own = table.take("pids_limit").and_then(|spot| spot.number(import)).filter(|number| *number > 0);
    put(to, "pids_limit", settled.processes.or(own).map(Value::Int));
    put(to, "ulimits", table.take("ulimits").and_then(|spot| deploy::ulimits(import, &spot)));
    put(to, "logging", table.take("logging").and_then(|spot| logging(import, &spot)));
    if let Some(labels) = table.take("labels") {
        service.labels = texts(import, &labels);
    }
}

/// What is run, and where it comes from.
fn image(import: &mut Import<'_>, spot: &Spot<'_>, table: &mut Taking<'_>, name: &str, to: &mut Members) {
    let build = table.take("build");
    let image = table.take("image").and_then(|spot| spot.text(import));
    let policy = table.take("pull_policy");
    let named = match (image, &build) {
        (Some(image), _) => image,
        // The name that Compose gives to what it builds.
        (None, Some(_)) => super::plain(&format!("{}-{name}", import.project)),
        (None, None) => {
            let hint = "write image: NAME; a service of a provider cannot be imported";
            spot.mistake(import, "this service names neither an image nor a build", hint);
            return;
        }
    };
    put(to, "image", Some(Value::Text(named.clone())));
    put(to, "platform", table.take("platform").and_then(|spot| spot.text(import)).map(Value::Text));
    if let Some(build) = &build {
        let hint = format!("build it before you start: `docker compose build {name}`, or `docker build -t {named} …`");
        build.note(import, "images are not built by Hostler; the service runs the image of this name", hint);
    }
    let pull = match policy.and_then(|spot| Some((spot.word(import)?, spot))) {
        None => build.is_some().then_some("never"),
        Some((word, spot)) => match word.as_str() {
            "always" => Some("always"),
            "never" | "build" => Some("never"),
            "missing" | "if_not_present" => None,
            "daily" | "weekly" => {
                spot.note(
                    import,
                    "an image is pulled when it is missing, or at every start",
                    "write pull = \"always\", or pull by a timer of your own",
                );
                None
            }
            other if other.starts_with("every_") => {
                spot.note(
                    import,
                    "an image is pulled when it is missing, or at every start",
                    "write pull = \"always\", or pull by a timer of your own",
                );
                None
            }
            _ => {
                spot.mistake(import, "this is no pull policy", "write always, never, missing or build");
                None
            }
        },
    };
    put(to, "pull", pull.map(|pull| Value::Text(pull.to_owned())));
}

/// A table of texts, from a table or from `NAME=VALUE` lines.
pub(super) fn texts(import: &mut Import<'_>, spot: &Spot<'_>) -> Members {
    let mut members = Members::new();
    for (name, value, place) in spot.pairs(import, &['=']) {
        let text = value.map(|value| import.write(place.item.place, &place.key, &value)).unwrap_or_default();
        members.retain(|(known, _)| *known != name);
        members.push((name, Value::Text(text)));
    }
    members
}

fn logging(import: &mut Import<'_>, spot: &Spot<'_>) -> Option<Value> {
    let mut table = Taking::new(spot, import);
    let mut logging = Members::new();
    put(&mut logging, "driver", table.take("driver").and_then(|spot| spot.text(import)).map(Value::Text));
    let options = table.take("options").map(|spot| texts(import, &spot)).filter(|options| !options.is_empty());
    put(&mut logging, "options", options.map(Value::Table));
    lost::unknown(import, table);
    (!logging.is_empty()).then_some(Value::Table(logging))
}
