//! Every file of `tests/good-input` is read without a mistake, as the `.expected` beside it says.
//!
//! `HOSTLER_BLESS=1 cargo test --release -p hostler --test good_input` writes them anew; read the difference before you commit it.

use std::fs;
use std::path::{Path, PathBuf};

use hostler::config::{Loaded, load};
use serde_json::json;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/good-input").canonicalize().expect("the folder is part of the repository")
}

fn read(path: &Path) -> Loaded {
    load(path, &|_| None).unwrap_or_else(|error| panic!("{error}"))
}

/// Document and meaning, wherever the repository is.
fn shown(loaded: &Loaded) -> String {
    let whole = json!({ "document": loaded.document, "config": loaded.config });
    let text = serde_json::to_string_pretty(&whole).expect("JSON") + "\n";
    let text = text.replace(&folder().display().to_string(), "FOLDER");
    // The digest of a task covers its secrets' paths, and so the folder.
    text.lines().filter(|line| !line.contains("\"task_digest\"")).map(|line| format!("{line}\n")).collect()
}

#[test]
fn each_is_read_as_the_file_beside_it_says() {
    let bless = std::env::var_os("HOSTLER_BLESS").is_some();
    let mut cases = 0;
    for entry in fs::read_dir(folder()).expect("readable") {
        let path = entry.expect("readable").path();
        if !path.extension().is_some_and(|kind| kind == "toml" || kind == "yaml" || kind == "json") {
            continue;
        }
        cases += 1;
        let expected = PathBuf::from(format!("{}.expected", path.display()));
        let found = shown(&read(&path));
        if bless {
            fs::write(&expected, &found).expect("writable");
        }
        assert_eq!(fs::read_to_string(&expected).unwrap_or_default(), found, "{}", path.display());
    }
    assert!(cases >= 6, "only {cases} cases");
}

#[test]
fn toml_yaml_and_json_say_the_same() {
    let [toml, yaml, json] = ["toml", "yaml", "json"].map(|kind| read(&folder().join(format!("every-key.{kind}"))));
    assert_eq!(toml.document, yaml.document);
    assert_eq!(toml.document, json.document);
    assert_eq!(toml.config, yaml.config);
}

#[test]
fn the_complete_example_of_the_crate_is_understood() {
    let loaded = read(&folder().join("seed.yaml"));
    let plugins: Vec<(&str, &str)> = loaded.config.services.values().map(|spec| (spec.name.as_str(), spec.backend.plugin.as_str())).collect();
    assert_eq!(plugins, [("api", "process"), ("monitoring", "ssh"), ("postgres", "docker")]);
    assert_eq!(loaded.config.services["api"].dependencies[0].service.as_str(), "postgres");
    assert_eq!(loaded.config.services["monitoring"].network.as_deref(), Some("monitoring"));
}

#[test]
fn each_value_knows_where_it_was_written() {
    for kind in ["toml", "yaml", "json"] {
        let loaded = read(&folder().join(format!("every-key.{kind}")));
        for (pointer, key, value) in [
            ("/services/web/timeout", "timeout", "90s"),
            ("/services/web/dependencies/1/condition", "condition", "started"),
            ("/services/web/backend/binary", "binary", "./bin/web"),
            ("/services/web/health_checks/0/url", "url", "http://localhost:8080/health"),
            ("/services/web/env/VERSION", "VERSION", "3.10"),
            ("/plugins/docker/grants/containers/endpoint", "endpoint", "local"),
        ] {
            let span = loaded.spans.get(pointer).unwrap_or_else(|| panic!("{kind}: {pointer} has no place"));
            let written = |range: &std::ops::Range<usize>| loaded.text[range.clone()].trim_matches('"').to_owned();
            assert_eq!(span.key.as_ref().map(written).as_deref(), Some(key), "{kind}: {pointer}");
            assert_eq!(written(&span.value), value, "{kind}: {pointer}");
        }
        let from_file = loaded.spans.get("/services/web/env/FROM_FILE").expect("where env_file is named");
        assert_eq!(loaded.text[from_file.value.clone()].trim_matches('"'), "web.env", "{kind}");
    }
}

#[test]
fn a_byte_order_mark_is_no_mistake() {
    let dir = tempfile::tempdir().expect("a directory");
    for (name, text) in [("a.toml", "version = '1.0'"), ("b.yaml", "version: 1.0"), ("c.json", "{\"version\": 1}")] {
        let path = dir.path().join(name);
        fs::write(&path, format!("\u{feff}{text}\n")).expect("written");
        assert_eq!(read(&path).config.version, "1.0", "{name}");
    }
}

#[test]
fn variables_come_from_the_environment_that_is_handed_in() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("hostler.toml");
    let text = "services.web = { backend = { type = 'p', a = '${A}', b = '${A:-b}', c = '${E}', d = '${E:-d}', e = '$A $${A} ${A}${A}', f = '${A:?x}' }, replicas = '${N}' }\n";
    fs::write(&path, text).expect("written");
    let env = |name: &str| match name {
        "A" => Some("1$A".to_owned()),
        "E" => Some(String::new()),
        "N" => Some("3".to_owned()),
        _ => None,
    };
    let loaded = load(&path, &env).unwrap_or_else(|error| panic!("{error}"));
    let expected = json!({ "type": "p", "a": "1$A", "b": "1$A", "c": "", "d": "d", "e": "$A ${A} 1$A1$A", "f": "1$A" });
    assert_eq!(loaded.document["services"]["web"]["backend"], expected, "a value is never looked at again");
    assert_eq!(loaded.config.services["web"].replicas.count, 3, "a text of digits is a number where one is asked for");
}
