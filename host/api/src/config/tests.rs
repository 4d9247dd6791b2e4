use std::path::Path;

use hostler_core::{Condition, Kind, Problem, Replicas, RestartMode, Span, Spec};
use proptest::prelude::{Just, Strategy, any, prop, prop_oneof, proptest};
use serde_json::{Map, Value, json};

use super::{Config, MAX_SERVICES, Network, Source, StoreKind, about_key, absolute, canonical, read, resolve_paths, settle_types, task_digest};

/// Reads one service called `web`, with the members of `extra` beside a backend.
fn web(extra: Value) -> Result<Spec, Vec<Problem>> {
    let mut service = json!({ "backend": { "type": "process", "binary": "./web" } });
    let members = service.as_object_mut().expect("a table");
    members.extend(extra.as_object().expect("a table").clone());
    read(&json!({ "services": { "web": service } })).map(|config| config.services["web"].clone())
}

/// `place: message` of each problem.
fn problems(document: &Value) -> Vec<String> {
    read(document).expect_err("there are mistakes").iter().map(|problem| format!("{}: {}", problem.at, problem.message)).collect()
}

fn good(document: Value) -> Config {
    read(&document).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

#[test]
fn an_empty_document_has_the_defaults() {
    let config = good(json!({}));
    assert_eq!((config.settings.max_parallel, config.settings.default_timeout, config.settings.store), (4, Span::secs(300), StoreKind::Sqlite));
    assert!(config.services.is_empty() && config.plugins.is_empty() && config.settings.built_in_plugins.is_none());
}

#[test]
fn settings_plugins_and_networks_are_read() {
    let digest = format!("SHA256:{}", "aB".repeat(32));
    let config = good(json!({
        "version": 1.0,
        "settings": { "state_dir": "/var/lib/x", "max_parallel": 8, "default_timeout": 1.5, "listen": 7070, "log": "info", "store": { "type": "memory" }, "built_in_plugins": ["http"] },
        "plugins": { "docker": { "source": "./docker.wasm", "digest": digest, "grants": { "state": {} } }, "http": { "limits": { "memory": "64Mi" } } },
        "networks": { "a": { "type": "lan", "subnet": "fd00::/8" }, "b": { "type": "wireguard", "config": "wg0.conf" } },
    }));
    assert_eq!(config.settings.default_timeout, Span::millis(1_500));
    assert_eq!(config.settings.listen.map(|listen| listen.address.to_string()).as_deref(), Some("127.0.0.1:7070"));
    assert_eq!(config.plugins["docker"].source, Source::File("./docker.wasm".to_owned()));
    assert_eq!(config.plugins["docker"].digest, Some(format!("sha256:{}", "ab".repeat(32))));
    assert_eq!(config.plugins["http"].source, Source::BuiltIn);
    assert_eq!(config.networks["b"], Network::Wireguard { config: "wg0.conf".to_owned() });
}

#[test]
fn a_door_beyond_loopback_needs_tls() {
    let tls = json!({ "certificate": "/c.pem", "key": "/k.pem" });
    for address in ["127.0.0.1:7070", "[::1]:7070", "127.5.0.1:0"] {
        good(json!({ "settings": { "listen": address } }));
    }
    for address in ["0.0.0.0:7070", "[::]:7070", "192.168.1.2:7070", "[::ffff:127.0.0.1]:7070"] {
        let open = problems(&json!({ "settings": { "listen": address } }));
        assert!(open.len() == 1 && open[0].contains("which others can reach: tokens would travel in the clear"), "{address}: {open:?}");
        good(json!({ "settings": { "listen": address, "tls": tls } }));
    }
    assert_eq!(
        problems(&json!({ "settings": { "tls": tls, "allowed_hosts": ["x"] } })),
        [
            "/settings/tls: `tls` says how to listen, and there is no `listen`",
            "/settings/allowed_hosts: `allowed_hosts` says how to listen, and there is no `listen`"
        ],
    );
    assert_eq!(
        problems(
            &json!({ "settings": { "listen": 1, "tls": { "certificate": "c" }, "allowed_hosts": ["a:1", "*"], "allowed_origins": ["console.example", "https://a/b"] } })
        ),
        [
            "/settings/tls: `tls` has no `key`",
            "/settings/allowed_hosts/0: `allowed_hosts[0]` is no name of a host (a port and `*` do not belong here)",
            "/settings/allowed_hosts/1: `allowed_hosts[1]` is no name of a host (a port and `*` do not belong here)",
            "/settings/allowed_origins/0: `allowed_origins[0]` is no origin: it is `https://` or `http://` and a host, without a path",
            "/settings/allowed_origins/1: `allowed_origins[1]` is no origin: it is `https://` or `http://` and a host, without a path",
        ],
    );
}

#[test]
fn every_alias_means_the_same() {
    let long = web(
        json!({ "health_check": { "type": "tcp", "port": 1, "interval": "10s", "timeout": "2s", "failure_threshold": 5, "start_period": "1m" } }),
    );
    let short =
        web(json!({ "health_check": { "type": "tcp", "port": 1, "interval_secs": 10, "timeout_secs": 2, "retries": 5, "start_period_secs": 60 } }));
    let list = web(json!({ "health_checks": [{ "type": "tcp", "port": 1, "interval": 10, "timeout": 2.0, "retries": "5", "start_period": "60s" }] }));
    let table = web(
        json!({ "health_checks": { "tcp": { "type": "tcp", "port": 1, "interval": "10000ms", "timeout": 2, "retries": 5, "start_period": 60 } } }),
    );
    let expected = long.expect("good").checks;
    assert_eq!(expected[0].settings, r#"{"port":1}"#, "what the host reads is not the plugin's");
    for other in [short, list, table] {
        assert_eq!(other.expect("good").checks, expected);
    }
    let word = web(json!({ "restart": "on-failure" })).expect("good").restart;
    assert_eq!(word, web(json!({ "restart": { "policy": "on-failure" } })).expect("good").restart);
}

#[test]
fn a_one_shot_is_not_run_again_after_success() {
    assert_eq!(web(json!({ "kind": "oneshot" })).expect("good").restart.mode, RestartMode::OnFailure);
    assert_eq!(web(json!({ "kind": "oneshot", "restart": "always" })).expect("good").restart.mode, RestartMode::Always);
    assert_eq!(web(json!({})).expect("good").restart.mode, RestartMode::Always);
    assert_eq!(web(json!({ "kind": "oneshot" })).expect("good").kind, Kind::Oneshot);
}

#[test]
fn numbers_are_read_as_people_write_them() {
    for (written, millis) in [(json!("500m"), 500), (json!("0.5"), 500), (json!(0.5), 500), (json!(2), 2_000), (json!("1500m"), 1_500)] {
        assert_eq!(web(json!({ "resources": { "cpu": written } })).expect("good").resources.cpu_millis, Some(millis), "{written}");
    }
    let mega = 512 << 20;
    for (written, bytes) in
        [(json!("512Mi"), mega), (json!("512m"), mega), (json!("0.5g"), mega), (json!(1_000), 1_000), (json!("1GiB"), 1 << 30), (json!("7"), 7)]
    {
        assert_eq!(web(json!({ "resources": { "memory": written } })).expect("good").resources.memory_bytes, Some(bytes), "{written}");
    }
    for (written, (min, max, count)) in [
        (json!(3), (1, 3, 3)),
        (json!("2"), (1, 2, 2)),
        (json!(0), (0, 1, 0)),
        (json!({ "min": 2, "max": 5 }), (2, 5, 2)),
        (json!({ "max": 5, "count": 4 }), (1, 5, 4)),
        (json!({ "min": 0, "max": 2, "count": 0 }), (0, 2, 0)),
        (json!({ "count": 2 }), (1, 2, 2)),
        (json!({}), (1, 1, 1)),
    ] {
        assert_eq!(web(json!({ "replicas": written })).expect("good").replicas, Replicas { min, max, count, autoscale: None }, "{written}");
    }
    let policy = web(json!({ "restart": { "max_attempts": "unlimited", "backoff": { "initial": "90s", "factor": 1.5, "jitter": 0 } } }))
        .expect("good")
        .restart;
    assert_eq!((policy.max_attempts, policy.initial, policy.factor_permille, policy.jitter_permille), (None, Span::secs(90), 1_500, 0));
    assert_eq!(policy.max, Span::secs(90), "a first wait beyond the default cap lifts the cap");
}

#[test]
fn dependencies_are_names_or_tables() {
    let document = json!({ "services": {
        "db": { "backend": { "type": "process" }, "health_check": { "type": "tcp" } },
        "web": { "backend": { "type": "process" }, "dependencies": ["cache", { "service": "db", "optional": true, "condition": "healthy", "restart": true }] },
        "cache": { "backend": { "type": "process" } },
    } });
    let web = &good(document).services["web"];
    assert_eq!((web.dependencies[0].service.as_str(), web.dependencies[0].optional, web.dependencies[0].condition), ("cache", false, None));
    assert_eq!((web.dependencies[1].condition, web.dependencies[1].optional, web.dependencies[1].restart), (Some(Condition::Healthy), true, true));
}

#[test]
fn every_mistake_is_found_at_its_place() {
    let document = json!({
        "version": "2.0",
        "setings": {},
        "settings": { "max_parallel": 0, "listen": 70_000, "store": { "type": "redis", "x": 1 } },
        "plugins": { "Docker": { "source": 5 }, "p": { "digest": "md5:00", "grants": [], "permissions": {} } },
        "networks": { "n": { "type": "lan", "subnet": "10.0.0.0/33" }, "m": { "type": "vpn" } },
        "services": {
            "a/b": { "backend": { "type": "process" } },
            "web": {
                "backend": { "binary": "x" },
                "dependencies": ["a/b", 7, "db", { "condition": "helthy" }, "wbe"],
                "health_checks": [{ "type": "http", "interval": 0, "retries": 0 }, { "type": "http" }],
                "replicas": { "min": 3, "max": 2 },
                "env": { "A": [], "B=C": "x" },
                "secrets": { "S": 5 },
                "env_file": ".env",
                "network": "nn",
                "depends_on": [],
            },
            "db": { "backend": "process", "stop": { "signal": "SIGTREM" } },
        },
    });
    let expected = [
        r#"/version: `version` is the text "2.0", and must be "1.0", the one version there is"#,
        "/settings/max_parallel: `max_parallel` is the number 0, and must be a whole number between 1 and 1024",
        "/settings/listen: `listen` is the number 70000, and must be an address and a port between 0 and 65535",
        r#"/settings/store/type: `type` is "redis", and must be one of `sqlite`, `memory`"#,
        "/settings/store/x: unknown key `x` in `store`",
        r#"/plugins/Docker: bad name: plugin name "Docker" starts with 'D'"#,
        "/plugins/Docker/source: `source` is the number 5, and must be a text",
        r#"/plugins/p/digest: `digest` is the text "md5:00", and must be a digest"#,
        "/plugins/p/grants: `grants` is a list, and must be a table",
        "/plugins/p/permissions: unknown key `permissions` in plugin `p`",
        r#"/networks/m/type: `type` is "vpn", and must be one of `lan`, `wireguard`"#,
        r#"/networks/n/subnet: `subnet` is the text "10.0.0.0/33", and must be an address range"#,
        "/setings: unknown key `setings` in the document",
        r#"/services/a~1b: bad name: service name "a/b" contains '/'"#,
        "/services/db/backend: `backend` is the text \"process\", and must be a table",
        r#"/services/db/stop/signal: `signal` is "SIGTREM", which is no signal"#,
        "/services/web/backend: `backend` has no `type`",
        "/services/web/dependencies/1: `dependencies[1]` is the number 7, and must be a service's name or a table",
        "/services/web/dependencies/3: the dependency has no `service`",
        r#"/services/web/dependencies/3/condition: `condition` is "helthy", and must be one of `started`, `healthy`, `completed`"#,
        "/services/web/health_checks/0/interval: `interval` must be longer than zero",
        "/services/web/health_checks/0/retries: `retries` is the number 0, and must be a whole number between 1 and 1000",
        "/services/web/env_file: `env_file` names a file beside the document, which only the command line can read",
        "/services/web/env/A: `A` is a list, and must be a text, a number, true or false",
        r#"/services/web/env/B=C: bad name: an environment variable cannot be called "B=C""#,
        "/services/web/secrets/S: `S` is the number 5, and must be a text",
        "/services/web/network: there is no network `nn`",
        "/services/web/depends_on: unknown key `depends_on` in service `web`",
        "/services/web/dependencies/4: there is no service `wbe`",
        "/services/web/health_checks/1: two checks are named `http`",
        "/services/web/replicas: min 3, count 3 and max 2 do not fit together",
    ];
    let mut found = problems(&document);
    let mut expected = expected.map(str::to_owned).to_vec();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn a_doubt_points_at_the_check_as_it_was_written() {
    let config = good(json!({ "services": {
        "one": { "backend": { "type": "p" }, "health_check": { "type": "tcp" } },
        "list": { "backend": { "type": "p" }, "health_checks": [{ "type": "tcp" }] },
        "table": { "backend": { "type": "p" }, "health_checks": { "a/b": { "type": "tcp" } } },
    } }));
    assert_eq!(config.check_place("one", 0).as_deref(), Some("/services/one/health_check"));
    assert_eq!(config.check_place("list", 0).as_deref(), Some("/services/list/health_checks/0"));
    assert_eq!(config.check_place("table", 0).as_deref(), Some("/services/table/health_checks/a~1b"));
    assert_eq!(config.check_place("table", 1), None);
}

#[test]
fn a_mistake_in_a_key_is_told_from_one_in_a_value() {
    let found = read(&json!({ "x": 1, "version": 7, "services": { "A": {} } })).expect_err("three mistakes");
    let keys: Vec<(&str, bool)> = found.iter().map(|problem| (problem.at.as_str(), about_key(problem))).collect();
    assert_eq!(keys, [("/version", false), ("/x", true), ("/services/A", true)]);
}

#[test]
fn values_of_the_environment_are_never_repeated() {
    let document = json!({ "services": { "web": { "backend": { "type": "p" }, "env": { "A": ["canary"], "B": { "canary": 1 } }, "secrets": { "C": ["canary"] } } } });
    let found = read(&document).expect_err("three mistakes");
    assert_eq!(found.len(), 3);
    assert!(!format!("{found:?}").contains("canary"));
}

#[test]
fn limits_hold() {
    let deep = (0..65).fold(json!(1), |inner, _| json!([inner]));
    assert!(problems(&json!({ "services": deep }))[0].contains("nested more than 64 deep"));
    let very_deep = (0..100_000).fold(json!(1), |inner, _| Value::Array(vec![inner]));
    assert!(problems(&very_deep)[0].contains("nested more than 64 deep"));
    // Its own drop would recurse: that is the business of whoever makes one without a parser.
    std::mem::forget(very_deep);
    let many: Map<String, Value> = (0..=MAX_SERVICES).map(|n| (format!("s{n}"), json!({}))).collect();
    assert_eq!(problems(&json!({ "services": many })), ["/services: there are 50001 services; 50000 is the limit"]);
    assert!(problems(&json!({ "services": { "a": { "x": "y".repeat(17 << 20) } } }))[0].contains("larger than 16 MiB"));
    assert_eq!(problems(&json!({ "services": { "a": { "x": ["y", "\u{0}"] } } })), ["/services/a/x/1: a text contains a NUL character"]);
    let silly: Map<String, Value> = (0..5_000).map(|n| (format!("k{n}"), json!(1))).collect();
    assert_eq!(problems(&Value::Object(silly)).len(), 1_000);
}

#[test]
fn a_crowd_of_unknown_dependencies_costs_little() {
    let services: Map<String, Value> = (0..20_000)
        .map(|n| (format!("service-number-{n}"), json!({ "backend": { "type": "p" }, "dependencies": [format!("other-number-{n}")] })))
        .collect();
    let found = problems(&json!({ "services": services }));
    assert_eq!(found.len(), 1_000);
    assert!(found.iter().all(|problem| problem.contains("there is no service")));
}

#[test]
fn a_chain_of_ten_thousand_is_good_and_a_ring_is_not() {
    let service = |n: usize| (format!("s{n}"), json!({ "backend": { "type": "p" }, "dependencies": [format!("s{}", (n + 9_999) % 10_000)] }));
    let mut services: Map<String, Value> = (0..10_000).map(service).collect();
    let ring = problems(&json!({ "services": services }));
    assert_eq!(ring.len(), 1);
    assert!(ring[0].contains("dependency cycle") && ring[0].len() < 300, "{}", ring[0]);
    services["s0"]["dependencies"] = json!([]);
    assert_eq!(good(json!({ "services": services })).services.len(), 10_000);
}

#[test]
fn the_digest_follows_what_a_task_is_made_from_and_nothing_else() {
    let digest = |extra| web(extra).expect("good").task_digest;
    let plain = digest(json!({}));
    assert_eq!(
        plain,
        digest(json!({ "display_name": "x", "restart": "never", "health_check": { "type": "tcp" }, "replicas": 2, "timeout": 5, "critical": true }))
    );
    for change in [
        json!({ "env": { "A": "1" } }),
        json!({ "secrets": { "A": "/x" } }),
        json!({ "labels": { "a": "1" } }),
        json!({ "resources": { "cpu": 1 } }),
        json!({ "kind": "oneshot" }),
        json!({ "backend": { "type": "process", "binary": "./other" } }),
        json!({ "backend": { "type": "other", "binary": "./web" } }),
    ] {
        assert_ne!(plain, digest(change.clone()), "{change}");
    }
    let mut spec = web(json!({})).expect("good");
    spec.backend.settings = canonical(&json!({ "binary": "/srv/web" }));
    assert_ne!(plain, task_digest(&spec));
}

#[test]
fn secrets_are_files_and_grants_name_them() {
    let config = good(json!({ "secrets": { "registry-token": { "file": "secrets/token" } },
        "plugins": { "p": { "source": "p.wasm", "grants": { "secrets": ["registry-token"] } } } }));
    assert_eq!(config.secrets["registry-token"], "secrets/token");
    let found = problems(&json!({
        "secrets": { "a": {}, "b": { "file": "x", "value": "hunter2" }, "C": { "file": "x" }, "token": { "file": 5 } },
        "plugins": { "p": { "source": "p.wasm", "grants": {
            "secrets": ["tokn"], "secrets-reveal": ["token", "nowhere"],
            "http": { "endpoints": { "hub": { "url": "https://hub", "token": "lost", "headers": { "x": { "secret": "gone" }, "y": "plain" } } } },
        } } },
    }));
    let expected = [
        "/secrets/C: bad name",
        "/secrets/a: secret `a` has no `file`",
        "/secrets/b/value: unknown key `value`",
        "/secrets/token/file: `file` is the number 5",
        "/plugins/p/grants/secrets/0: there is no secret of this name",
        "/plugins/p/grants/secrets-reveal/1: there is no secret",
        "/plugins/p/grants/http/endpoints/hub/token: there is no secret",
        "/plugins/p/grants/http/endpoints/hub/headers/x/secret: there is no secret",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for words in expected {
        assert!(found.iter().any(|problem| problem.starts_with(words)), "{words}: {found:#?}");
    }
    assert!(found.iter().all(|problem| !problem.contains("hunter2")), "{found:#?}");
}

#[test]
fn paths_are_resolved_where_the_schema_says_so() {
    let schema = json!({ "properties": {
        "binary": { "type": "string", "x-path": true },
        "working_dir": { "type": "string", "x-base-dir": true },
        "args": { "type": "array", "items": { "type": "string" } },
        "files": { "type": "array", "items": { "x-path": true } },
        "tls": { "type": "object", "properties": { "cert": { "x-path": true } } },
    } });
    let base = Path::new("/srv/shop");
    let mut settings = json!({ "binary": "./bin/../bin/api", "args": ["./kept"], "files": ["a/b", "bare", "/c"], "tls": { "cert": "../cert" } });
    resolve_paths(&mut settings, &schema, base);
    let expected = json!({
        "binary": "/srv/shop/bin/api", "args": ["./kept"], "files": ["/srv/shop/a/b", "bare", "/c"], "tls": { "cert": "/srv/cert" }, "working_dir": "/srv/shop"
    });
    assert_eq!(settings, expected);
    let mut bare = json!({ "binary": "redis-server", "working_dir": "data" });
    resolve_paths(&mut bare, &schema, base);
    assert_eq!(bare, json!({ "binary": "redis-server", "working_dir": "/srv/shop/data" }));
    for (written, read) in [(json!(["./check.sh", "./kept"]), json!(["/srv/shop/check.sh", "./kept"])), (json!(["sh", "a/b"]), json!(["sh", "a/b"]))]
    {
        let mut with_arguments = json!({ "binary": written, "working_dir": "/" });
        resolve_paths(&mut with_arguments, &schema, base);
        assert_eq!(with_arguments["binary"], read, "of a program with its arguments the first item is the path");
    }
    if let Some(home) = std::env::home_dir() {
        assert_eq!(absolute("~/x", base), home.join("x"));
    }
}

#[test]
fn texts_become_the_numbers_a_schema_asks_for() {
    let schema = json!({ "properties": { "port": { "type": "integer" }, "tls": { "type": "boolean" }, "name": { "type": "string" }, "either": { "type": ["integer", "string"] } } });
    let mut settings = json!({ "port": "5432", "tls": "true", "name": "5432", "either": "1" });
    settle_types(&mut settings, &schema);
    assert_eq!(settings, json!({ "port": 5432, "tls": true, "name": "5432", "either": "1" }));
    let mut wrong = json!({ "port": "x5432", "tls": "yes" });
    settle_types(&mut wrong, &schema);
    assert_eq!(wrong, json!({ "port": "x5432", "tls": "yes" }), "the schema refuses these, in its own words");
}

/// Any JSON, with keys that mean something here more often than chance would have it.
fn any_json() -> impl Strategy<Value = Value> {
    let words = [
        "version",
        "settings",
        "plugins",
        "networks",
        "services",
        "backend",
        "type",
        "process",
        "dependencies",
        "health_check",
        "health_checks",
        "restart",
        "stop",
        "resources",
        "replicas",
        "env",
        "secrets",
        "backoff",
        "interval",
        "1h",
        "512Mi",
        "500m",
        "-1",
        "web",
        "store",
        "lan",
        "subnet",
        "condition",
    ];
    let word = prop_oneof![prop::sample::select(words.to_vec()).prop_map(str::to_owned), any::<String>()];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(word.clone(), inner, 0..8).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Every place of a document, as pointers.
fn places(value: &Value, at: String, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().enumerate().for_each(|(index, item)| places(item, format!("{at}/{index}"), found)),
        Value::Object(map) => map.iter().for_each(|(key, item)| places(item, format!("{at}/{}", hostler_core::pointer_key(key)), found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    found.push(at);
}

/// A document that uses every key there is.
fn full() -> Value {
    json!({
        "version": "1.0",
        "settings": { "state_dir": "x", "max_parallel": 2, "default_timeout": "5m", "listen": "127.0.0.1:1",
            "tls": { "certificate": "c", "key": "k", "client_ca": "a" }, "allowed_hosts": ["h"], "allowed_origins": ["https://o"],
            "log": "info", "store": { "type": "sqlite" }, "built_in_plugins": [] },
        "plugins": { "p": { "source": "./p.wasm", "config": {}, "grants": {}, "limits": {} } },
        "networks": { "n": { "type": "lan", "subnet": "10.0.0.0/8" } },
        "services": {
            "db": { "backend": { "type": "p" }, "health_check": { "type": "tcp" } },
            "web": {
                "display_name": "W", "category": "ai", "critical": true, "enabled": false, "labels": { "a": "b" }, "kind": "service",
                "backend": { "type": "p", "binary": "x", "args": ["y"] },
                "dependencies": ["db", { "service": "cache", "optional": true, "condition": "started", "restart": false }],
                "health_checks": { "a": { "type": "tcp", "interval": "1s", "timeout": 1, "retries": 2, "recovery_threshold": 1, "start_period": "3s", "auto_recovery": false } },
                "restart": { "policy": "never", "max_attempts": 3, "backoff": { "initial": "1s", "factor": 2, "max": "9s", "jitter": 0.1 }, "reset_after": "1h" },
                "stop": { "signal": "TERM", "grace": "3s" }, "timeout": 4, "resources": { "cpu": 1, "memory": "1g", "storage": 1 },
                "replicas": { "min": 1, "max": 3, "count": 2 }, "env": { "A": 1 }, "secrets": { "B": "/b" }, "network": "n",
            },
            "cache": { "backend": { "type": "p" } },
        },
    })
}

#[test]
fn every_key_is_read() {
    good(full());
}

proptest! {
    #[test]
    fn no_json_makes_it_panic(document in any_json()) {
        let _ = read(&document);
    }

    #[test]
    fn a_good_document_with_something_else_in_one_place_is_read_or_refused(place in any::<prop::sample::Index>(), value in any_json()) {
        let mut document = full();
        let mut all = Vec::new();
        places(&document, String::new(), &mut all);
        let at = place.get(&all);
        *document.pointer_mut(at).expect("a place of this document") = value;
        if let Err(problems) = read(&document) {
            assert!(!problems.is_empty(), "a refusal says why");
            for problem in problems {
                assert!(document.pointer(&problem.at).is_some(), "{} is no place of the document", problem.at);
            }
        }
    }
}
