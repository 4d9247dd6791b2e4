//! The rest of what people write in more than one way: networks, health checks, limits of processes, names of machines, labels.

use hostler_sdk::Problem;
use hostler_sdk::host::containers::{Attachment, HealthCheck, Ulimit};
use hostler_sdk::settings::Argv;

use crate::mounts::is_name;
use crate::written::{At, Problems, millis, noted, text};

const HEALTH: &str = "\"image\" for the image's own, \"off\", or { test = [\"CMD\", \"pg_isready\"], interval = \"10s\", … }";
const ULIMIT: &str = "{ nofile = 4096 }, or { nofile = { soft = 1024, hard = 4096 } }; -1 is unlimited";
const HOST: &str = "[\"db:10.0.0.7\"], or { db = \"10.0.0.7\" }; `host-gateway` is the engine's machine";

/// A list of names or of `{ name, aliases }`, or a table from name to `{ aliases }`.
pub(crate) fn networks(at: &At<'_>, problems: &mut Problems) -> Vec<Attachment> {
    const HINT: &str = "[\"backend\"], or { backend = { aliases = [\"db\"] } }";
    let mut attachments = Vec::new();
    let mut add = |place: &At<'_>, name: Option<String>, aliases: Option<At<'_>>, problems: &mut Problems| {
        let name = name.unwrap_or_default();
        if !is_name(&name) {
            problems.push(place.wrong(format!("`{}` is no name of a network", name.escape_debug()), HINT));
        }
        let aliases = aliases.map(|at| names(&at, HINT, problems)).unwrap_or_default();
        attachments.push(Attachment { network: name, aliases });
    };
    if let Some(entries) = at.entries() {
        for (name, value) in entries {
            if !value.value.is_null() && !value.value.is_object() {
                problems.push(value.wrong("is no table", HINT));
            }
            value.has_only(&["aliases"], problems);
            add(&value, Some(name.to_owned()), value.get("aliases"), problems);
        }
    } else if let Some(items) = at.items() {
        for item in items {
            if item.value.is_object() {
                item.has_only(&["name", "aliases"], problems);
                add(&item, text(&item, "name", problems), item.get("aliases"), problems);
            } else {
                add(&item, item.text(), None, problems);
            }
        }
    } else {
        problems.push(at.wrong("is no list of networks", HINT));
    }
    attachments
}

fn names(at: &At<'_>, hint: &str, problems: &mut Problems) -> Vec<String> {
    let Some(items) = at.items() else {
        problems.push(at.wrong("is no list of names", hint));
        return Vec::new();
    };
    let name = |item: At<'_>| item.text().filter(|name| is_name(name)).ok_or_else(|| item.wrong("is no name", hint));
    items.filter_map(|item| noted(name(item), problems)).collect()
}

/// The engine's own check; nothing when it is the image's.
pub(crate) fn health(at: &At<'_>, problems: &mut Problems) -> Option<HealthCheck> {
    let off = || HealthCheck { test: vec!["NONE".into()], interval: None, timeout: None, retries: None, start_period: None };
    match (at.value.as_str(), at.value.as_bool()) {
        (Some("image" | "on"), _) | (_, Some(true)) => return None,
        (Some("off"), _) | (_, Some(false)) => return Some(off()),
        _ => {}
    }
    if !at.value.is_object() {
        problems.push(at.wrong("is no health check", HEALTH));
        return None;
    }
    at.has_only(&["test", "interval", "timeout", "retries", "start_period"], problems);
    let mut length = |key: &str| at.get(key).and_then(|at| noted(millis(&at), problems));
    let (interval, timeout, start_period) = (length("interval"), length("timeout"), length("start_period"));
    let retries = at.get("retries").and_then(|at| {
        let number = at.value.as_u64().and_then(|number| u32::try_from(number).ok());
        noted(number.ok_or_else(|| at.wrong("is no number of retries", HEALTH)), problems)
    });
    let test = match at.get("test") {
        Some(test) => noted(health_test(&test), problems)?,
        // The image's own command, at another pace.
        None => Vec::new(),
    };
    Some(HealthCheck { test, interval, timeout, retries, start_period })
}

/// A line goes to the container's shell, as Docker has it; a list is `CMD` and arguments, unless it says another way.
fn health_test(at: &At<'_>) -> Result<Vec<String>, Problem> {
    let argv: Result<Argv, _> = serde_json::from_value(at.value.clone());
    match argv {
        Ok(Argv::Line(line)) if !line.trim().is_empty() => Ok(vec!["CMD-SHELL".into(), line]),
        Ok(Argv::Words(words)) if !words.is_empty() => {
            let says = ["CMD", "CMD-SHELL", "NONE"].contains(&words[0].as_str());
            Ok(if says { words } else { ["CMD".to_owned()].into_iter().chain(words).collect() })
        }
        _ => Err(at.wrong("is no command", HEALTH)),
    }
}

/// `{ nofile = 4096 }`, `{ nofile = { soft, hard } }`
pub(crate) fn ulimits(at: &At<'_>, problems: &mut Problems) -> Vec<Ulimit> {
    let Some(entries) = at.entries() else {
        problems.push(at.wrong("is no table of limits", ULIMIT));
        return Vec::new();
    };
    let one = |(name, value): (&str, At<'_>), problems: &mut Problems| {
        let number = |at: Option<At<'_>>| at.and_then(|at| at.value.as_i64()).filter(|number| *number >= -1);
        if !KNOWN_ULIMITS.contains(&name) {
            problems.push(value.wrong(format!("`{}` is no limit", name.escape_debug()), &format!("one of {}", KNOWN_ULIMITS.join(", "))));
            return None;
        }
        let (soft, hard) = if value.value.is_object() {
            value.has_only(&["soft", "hard"], problems);
            let (soft, hard) = (number(value.get("soft")), number(value.get("hard")));
            (soft.or(hard), hard.or(soft))
        } else {
            let both = number(Some(value.clone()));
            (both, both)
        };
        let (Some(soft), Some(hard)) = (soft, hard) else {
            problems.push(value.wrong("is no limit", ULIMIT));
            return None;
        };
        if hard != -1 && (soft == -1 || soft > hard) {
            problems.push(value.wrong("has a soft limit above the hard one", ULIMIT));
        }
        Some(Ulimit { name: name.to_owned(), soft, hard })
    };
    entries.filter_map(|entry| one(entry, problems)).collect()
}

const KNOWN_ULIMITS: [&str; 15] =
    ["core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio", "rttime", "sigpending", "stack"];

/// `["db:10.0.0.7"]`, `{ db = "10.0.0.7" }`; as `NAME:ADDRESS`.
pub(crate) fn extra_hosts(at: &At<'_>, problems: &mut Problems) -> Vec<String> {
    let one = |at: &At<'_>, name: &str, address: &str| {
        let inner = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
        let known = inner.parse::<std::net::IpAddr>().is_ok() || address == "host-gateway";
        let named = is_name(name);
        if known && named {
            Ok(format!("{name}:{inner}"))
        } else {
            Err(at.wrong(format!("`{}:{}` is no host", name.escape_debug(), address.escape_debug()), HOST))
        }
    };
    if let Some(entries) = at.entries() {
        return entries.filter_map(|(name, value)| noted(one(&value, name, &value.text().unwrap_or_default()), problems)).collect();
    }
    let Some(items) = at.items() else {
        problems.push(at.wrong("is no list of hosts", HOST));
        return Vec::new();
    };
    let split = |item: At<'_>| {
        let written = item.text().unwrap_or_default();
        let (name, address) = written.split_once([':', '=']).unwrap_or((&written, ""));
        one(&item, name, address)
    };
    items.filter_map(|item| noted(split(item), problems)).collect()
}

/// A table, or a list of `NAME=VALUE`; `hostler.` is ours.
pub(crate) fn labels(at: &At<'_>, problems: &mut Problems) -> Vec<(String, String)> {
    const HINT: &str = "{ \"com.example.team\" = \"web\" }, or [\"com.example.team=web\"]";
    let mut found: Vec<(String, String)> = Vec::new();
    let mut add = |at: &At<'_>, name: &str, value: Option<String>, problems: &mut Problems| match value {
        _ if name.is_empty() || name.contains(['=', '\0']) => problems.push(at.wrong("has no name", HINT)),
        _ if name.starts_with("hostler.") => problems.push(at.wrong(format!("`{name}` belongs to the host"), "take another name")),
        Some(value) => found.push((name.to_owned(), value)),
        None => problems.push(at.wrong("is no text", HINT)),
    };
    if let Some(entries) = at.entries() {
        for (name, value) in entries {
            let text = value.text().or_else(|| value.value.as_bool().map(|flag| flag.to_string())).or(value.value.is_null().then(String::new));
            add(&value, name, text, problems);
        }
    } else if let Some(items) = at.items() {
        for item in items {
            let text = item.text().unwrap_or_default();
            let (name, value) = text.split_once('=').unwrap_or((&text, ""));
            add(&item, name, Some(value.to_owned()), problems);
        }
    } else {
        problems.push(at.wrong("is no table of labels", HINT));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_sdk::Value;

    fn read<T>(json: &str, reader: impl Fn(&At<'_>, &mut Problems) -> T) -> (T, Vec<String>) {
        let value: Value = json.parse().expect("the test writes JSON");
        let mut problems = Vec::new();
        let found = reader(&At::new("", &value), &mut problems);
        (found, problems.into_iter().map(|problem| problem.at).collect())
    }

    #[test]
    fn networks_have_names_and_aliases() {
        let shown = |json: &str| read(json, networks).0.iter().map(|one| format!("{} {:?}", one.network, one.aliases)).collect::<Vec<_>>();
        assert_eq!(shown(r#"["a", {"name": "b", "aliases": ["db"]}]"#), ["a []", "b [\"db\"]"]);
        assert_eq!(shown(r#"{"a": null, "b": {"aliases": ["x", "y"]}}"#), ["a []", "b [\"x\", \"y\"]"]);
        assert_eq!(read(r#"["-a", {"name": "b", "alias": 1}, {"aliases": ["/"]}]"#, networks).1, ["/0", "/1/alias", "/2", "/2/aliases/0"]);
        assert_eq!(read(r#"{"a": 5}"#, networks).1, ["/a"]);
    }

    #[test]
    fn a_health_check_is_the_images_off_or_ones_own() {
        for json in ["\"image\"", "\"on\"", "true"] {
            assert_eq!(read(json, health), (None, vec![]), "{json}");
        }
        for json in ["\"off\"", "false"] {
            assert_eq!(read(json, health).0.expect("it is off").test, ["NONE"], "{json}");
        }
        let own = read(r#"{"test": "curl -f localhost", "interval": "5s", "retries": 2}"#, health).0.expect("it is one");
        assert_eq!(
            (own.test.as_slice(), own.interval, own.retries),
            (["CMD-SHELL".to_owned(), "curl -f localhost".to_owned()].as_slice(), Some(5000), Some(2))
        );
        assert_eq!(read(r#"{"test": ["pg_isready", "-q"]}"#, health).0.expect("it is one").test, ["CMD", "pg_isready", "-q"]);
        assert_eq!(read(r#"{"test": ["CMD-SHELL", "x | y"]}"#, health).0.expect("it is one").test, ["CMD-SHELL", "x | y"]);
        assert_eq!(read(r#"{"test": [], "interval": 5, "tries": 3, "retries": -1}"#, health).1, ["/tries", "/interval", "/retries", "/test"]);
        assert_eq!(read("\"never\"", health).1, [""]);
    }

    #[test]
    fn limits_of_processes_are_numbers() {
        let (found, problems) = read(r#"{"nofile": 4096, "core": {"soft": 0, "hard": -1}}"#, ulimits);
        assert_eq!(problems, [""; 0]);
        assert_eq!(
            found.iter().map(|limit| (limit.name.as_str(), limit.soft, limit.hard)).collect::<Vec<_>>(),
            [("core", 0, -1), ("nofile", 4096, 4096)]
        );
        assert_eq!(
            read(r#"{"files": 1, "nofile": "many", "core": {"soft": 5, "hard": 3}, "cpu": -2}"#, ulimits).1,
            ["/core", "/cpu", "/files", "/nofile"]
        );
    }

    #[test]
    fn hosts_and_labels_are_tables_or_lists() {
        assert_eq!(read(r#"["db:10.0.0.7", "six:::1", "gw=host-gateway"]"#, extra_hosts).0, ["db:10.0.0.7", "six:::1", "gw:host-gateway"]);
        assert_eq!(read(r#"{"db": "10.0.0.7", "x": "y"}"#, extra_hosts), (vec!["db:10.0.0.7".to_owned()], vec!["/x".to_owned()]));
        assert_eq!(read(r#"["a=b=c", "d"]"#, labels).0, [("a".into(), "b=c".into()), ("d".into(), String::new())]);
        assert_eq!(read(r#"{"hostler.owner": "x", "a": [1], "b": true}"#, labels).1, ["/a", "/hostler.owner"]);
    }
}
