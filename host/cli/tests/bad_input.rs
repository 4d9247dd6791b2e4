//! Every file of `tests/bad-input` is refused with exactly the message beside it.
//!
//! `HOSTLER_BLESS=1 cargo test --release -p hostler --test bad_input` writes the messages anew; read the difference before you commit it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hostler::config::{ConfigError, Loaded, Look, load};
use hostler_core::Problem;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/bad-input").canonicalize().expect("the folder is part of the repository")
}

fn environment(name: &str) -> Option<String> {
    match name {
        "SET" => Some("a value".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

fn read(path: &Path) -> Result<Loaded, ConfigError> {
    load(path, &environment)
}

/// The file is called by its name alone, so that the message is the same wherever the repository is.
fn message(path: &Path) -> String {
    let name = path.file_name().expect("a file");
    let error = match read(Path::new(name)) {
        Ok(loaded) => panic!("{} is accepted: {:#}", path.display(), loaded.document),
        Err(error) => error,
    };
    assert_eq!(error.to_json().as_array().map(Vec::len), Some(error.problems().count()), "both forms say the same");
    error.render(Look::Plain)
}

#[test]
fn each_is_refused_with_the_message_beside_it() {
    // The other tests name their files from the root.
    std::env::set_current_dir(folder()).expect("the folder is there");
    let bless = std::env::var_os("HOSTLER_BLESS").is_some();
    let mut cases: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
    for entry in fs::read_dir(folder()).expect("readable") {
        let path = entry.expect("readable").path();
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        if !name.ends_with(".message") && !name.ends_with(".env") {
            cases.insert(path.with_file_name(format!("{name}.message")), path);
        }
    }
    assert!(cases.len() >= 45, "only {} cases", cases.len());
    let mut wrong = Vec::new();
    for (expected, path) in &cases {
        let found = message(path);
        if bless {
            fs::write(expected, &found).expect("writable");
        } else if fs::read_to_string(expected).unwrap_or_default() != found {
            wrong.push(format!("--- {}\n{found}", expected.display()));
        }
    }
    assert!(wrong.is_empty(), "HOSTLER_BLESS=1 accepts these messages, once they are read:\n{}", wrong.join("\n"));
    for entry in fs::read_dir(folder()).expect("readable") {
        let path = entry.expect("readable").path();
        assert!(path.extension().is_none_or(|kind| kind != "message") || cases.contains_key(&path), "{} has no case", path.display());
    }
}

#[test]
fn no_message_lets_a_terminal_act() {
    for entry in fs::read_dir(folder()).expect("readable") {
        let path = entry.expect("readable").path();
        if let Err(error) = read(&path) {
            let text = error.render(Look::Plain);
            let acting = text.chars().find(|c| c.is_control() && *c != '\n' && *c != '\t' || ('\u{202a}'..='\u{202e}').contains(c));
            assert_eq!(acting, None, "{}", path.display());
        }
    }
}

#[test]
fn a_file_that_cannot_be_read_says_so() {
    let dir = tempfile::tempdir().expect("a directory");
    for (path, why) in [
        (dir.path().join("nowhere.toml"), "there is no such file"),
        (dir.path().to_owned(), "this is a directory"),
        (dir.path().join("x\u{1b}[31m.toml"), "there is no such file"),
    ] {
        let error = read(&path).expect_err("nothing to read");
        let text = error.to_string();
        assert!(text.contains(why) && !text.contains('\u{1b}'), "{text}");
        assert!(error.to_json()[0]["line"].is_null());
    }
    let large = dir.path().join("large.yaml");
    fs::write(&large, "x".repeat((16 << 20) + 1)).expect("written");
    assert!(read(&large).expect_err("too large").to_string().contains("larger than 16 MiB"));
}

#[test]
fn permission_is_missing() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("hostler.toml");
    fs::write(&path, "version = '1.0'\n").expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).expect("owned");
    // Root reads everything: then the file is what it says.
    match read(&path) {
        Err(error) => assert!(error.to_string().contains("you may not read this file"), "{error}"),
        Ok(loaded) => assert!(fs::read(&path).is_ok() && loaded.config.services.is_empty()),
    }
}

fn chain(first: &str) -> String {
    let mut text = String::new();
    for n in 0..10_000 {
        let dependency = if n == 0 { first.to_owned() } else { format!("\"s{}\"", n - 1) };
        text.push_str(&format!("[services.s{n}]\nbackend = {{ type = \"process\" }}\ndependencies = [{dependency}]\n"));
    }
    text
}

#[test]
fn a_chain_of_ten_thousand_is_accepted_and_a_ring_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("hostler.toml");
    let before = Instant::now();
    fs::write(&path, chain("")).expect("written");
    assert_eq!(read(&path).expect("a chain has a beginning").config.services.len(), 10_000);
    fs::write(&path, chain("\"s9999\"")).expect("written");
    let text = read(&path).expect_err("a ring has none").to_string();
    assert!(text.contains("dependency cycle") && text.len() < 1_000, "{text}");
    assert!(before.elapsed() < Duration::from_secs(30), "{:?}", before.elapsed());
}

#[test]
fn what_the_server_found_is_drawn_at_its_place() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("hostler.yaml");
    fs::write(&path, "services:\n  web:\n    backend:\n      type: process\n      binary: 5\n").expect("written");
    let loaded = read(&path).expect("the host cannot know what `binary` is");
    let found = loaded.error(&[
        Problem::new("/services/web/backend/binary", "5 is not a string"),
        Problem::new("/services/web/backend/args", "`args` is missing").hint("write it"),
        Problem::new("/elsewhere", "unheard of"),
    ]);
    let places: Vec<(u64, u64)> = found
        .to_json()
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| (one["line"].as_u64().unwrap_or(0), one["column"].as_u64().unwrap_or(0)))
        .collect();
    assert_eq!(places, [(1, 1), (3, 5), (5, 15)], "{found}");
}

#[test]
fn more_than_fifty_are_counted() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("hostler.toml");
    let keys: String = (0..70).map(|n| format!("key{n} = 1\n")).collect();
    fs::write(&path, keys).expect("written");
    let error = read(&path).expect_err("70 unknown keys");
    let text = error.to_string();
    assert!(text.ends_with(&format!("and 20 more\n70 problems in {}", path.display())), "{text}");
    assert_eq!((text.matches("unknown key").count(), error.problems().count()), (50, 70));
}
