//! The operator's view: small files that are always whole.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use hostler_store::view::{HEALTH_LINE_BYTES, HEALTH_LOG_BYTES, ServiceView, View, ViewError};
use tempfile::TempDir;

fn running() -> ServiceView {
    ServiceView { config_yaml: "backend: { type: process }\n".into(), state_json: r#"{"status":"running"}"#.into(), pid: Some(42) }
}

fn view() -> (TempDir, View) {
    let state = tempfile::tempdir().unwrap();
    let view = View::new(state.path()).unwrap();
    (state, view)
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn shows_a_service_as_files() {
    let (state, view) = view();
    view.write("db-1_a", &running()).unwrap();
    view.append_health("db-1_a", "healthy").unwrap();
    let directory = state.path().join("services/db-1_a");
    assert_eq!(names(&directory), ["config.yaml", "health.log", "pid", "state.json"]);
    let read = |name: &str| fs::read_to_string(directory.join(name)).unwrap();
    assert_eq!(read("config.yaml"), running().config_yaml);
    assert_eq!(read("state.json"), running().state_json);
    assert_eq!((read("pid"), read("health.log")), ("42\n".into(), "healthy\n".into()));
    for name in names(&directory) {
        assert_eq!(fs::metadata(directory.join(name)).unwrap().mode() & 0o777, 0o600);
    }
    assert_eq!(fs::metadata(&directory).unwrap().mode() & 0o777, 0o700);

    view.write("db-1_a", &ServiceView { pid: None, ..running() }).unwrap();
    assert_eq!(names(&directory), ["config.yaml", "health.log", "state.json"]);
    view.remove("db-1_a").unwrap();
    assert_eq!(names(&state.path().join("services")), [""; 0]);
    view.remove("db-1_a").unwrap();
    view.remove("never-was").unwrap();
}

#[test]
fn touches_only_what_changed() {
    let (state, view) = view();
    let directory = state.path().join("services/db");
    let inodes = || ["config.yaml", "state.json", "pid"].map(|name| fs::metadata(directory.join(name)).unwrap().ino());
    view.write("db", &running()).unwrap();
    let first = inodes();
    view.write("db", &running()).unwrap();
    assert_eq!(inodes(), first);
    view.write("db", &ServiceView { state_json: "{}".into(), ..running() }).unwrap();
    let second = inodes();
    assert_eq!((second[0], second[2]), (first[0], first[2]));
    assert_ne!(second[1], first[1], "a change is a new file under the old name");
    // What somebody took away or changed comes back with the next write, from what the host knows.
    fs::remove_file(directory.join("pid")).unwrap();
    fs::write(directory.join("state.json"), "scribble").unwrap();
    view.write("db", &ServiceView { state_json: "{}".into(), ..running() }).unwrap();
    assert_eq!(fs::read_to_string(directory.join("pid")).unwrap(), "42\n");
    assert_eq!(fs::read_to_string(directory.join("state.json")).unwrap(), "{}");
    // The whole directory too.
    fs::remove_dir_all(state.path().join("services")).unwrap();
    view.write("db", &running()).unwrap();
    assert_eq!(names(&directory), ["config.yaml", "pid", "state.json"]);
}

#[test]
fn keeps_the_health_log_small_and_printable() {
    let (state, view) = view();
    let log = state.path().join("services/db/health.log");
    view.append_health("db", "first\nsecond\x1b[2J\r").unwrap();
    assert_eq!(fs::read_to_string(&log).unwrap(), "first second [2J \n");
    view.append_health("db", &"ä".repeat(HEALTH_LINE_BYTES)).unwrap();
    assert_eq!(fs::metadata(&log).unwrap().len(), 18 + HEALTH_LINE_BYTES as u64 + 1);
    let line = "x".repeat(HEALTH_LINE_BYTES);
    for _ in 0..600 {
        view.append_health("db", &line).unwrap();
    }
    let old = log.with_file_name("health.log.1");
    assert_eq!(names(log.parent().unwrap()), ["health.log", "health.log.1"]);
    for file in [&log, &old] {
        let size = fs::metadata(file).unwrap().len();
        assert!((1..=HEALTH_LOG_BYTES).contains(&size), "{size}");
    }
    view.remove("db").unwrap();
    assert_eq!(names(&state.path().join("services")), [""; 0]);
}

#[test]
fn refuses_names_that_lead_elsewhere() {
    let (state, view) = view();
    let long = "n".repeat(129);
    for name in ["", ".", "..", "../db", "a/b", "/etc", "DB", "d b", "dä", "a\0b", ".b", "..b", &long] {
        assert!(matches!(view.write(name, &running()), Err(ViewError::Name(_))), "{name:?}");
        assert!(matches!(view.append_health(name, "x"), Err(ViewError::Name(_))), "{name:?}");
        assert!(matches!(view.remove(name), Err(ViewError::Name(_))), "{name:?}");
    }
    assert_eq!(names(state.path()), [""; 0]);
}

#[test]
fn follows_no_link() {
    let (state, view) = view();
    let elsewhere = tempfile::tempdir().unwrap();
    let precious = elsewhere.path().join("precious");
    fs::write(&precious, "precious").unwrap();
    let untouched = || assert_eq!((fs::read_to_string(&precious).unwrap().as_str(), names(elsewhere.path()).len()), ("precious", 1));

    let services = state.path().join("services");
    symlink(elsewhere.path(), &services).unwrap();
    let refusal = view.write("db", &running()).unwrap_err().to_string();
    assert!(refusal.starts_with(&format!("opening {}", services.display())), "{refusal}");
    assert!(view.remove("db").is_err());
    untouched();

    fs::remove_file(&services).unwrap();
    fs::create_dir(&services).unwrap();
    symlink(elsewhere.path(), services.join("db")).unwrap();
    assert!(view.write("db", &running()).is_err() && view.append_health("db", "x").is_err() && view.remove("db").is_err());
    untouched();

    fs::remove_file(services.join("db")).unwrap();
    fs::create_dir(services.join("db")).unwrap();
    for name in ["config.yaml", ".new", "health.log"] {
        symlink(&precious, services.join("db").join(name)).unwrap();
    }
    view.write("db", &running()).unwrap();
    assert!(!fs::symlink_metadata(services.join("db/config.yaml")).unwrap().is_symlink(), "the link itself is replaced");
    assert!(view.append_health("db", "x").is_err());
    untouched();
    view.remove("db").unwrap();
    untouched();
}

#[test]
fn tells_what_went_wrong() {
    let (state, view) = view();
    let directory = state.path().join("services/db");
    fs::create_dir_all(directory.join("config.yaml")).unwrap();
    let refusal = view.write("db", &running()).unwrap_err().to_string();
    assert!(refusal.starts_with(&format!("writing {}", directory.join("config.yaml").display())), "{refusal}");
    // A pipe that nobody reads does not hold the host.
    assert!(Command::new("mkfifo").arg(directory.join("health.log")).status().unwrap().success());
    assert!(view.append_health("db", "x").is_err());
    // What is not ours is left alone, and so is its directory.
    fs::remove_dir(directory.join("config.yaml")).unwrap();
    fs::write(directory.join("notes"), "the operator's").unwrap();
    fs::set_permissions(directory.join("notes"), fs::Permissions::from_mode(0o444)).unwrap();
    view.remove("db").unwrap();
    assert_eq!(names(&directory), ["notes"]);
    assert!(View::new(state.path().join("missing")).is_err());
}

#[test]
fn knows_who_is_shown() {
    let (state, view) = view();
    assert_eq!(view.services().unwrap(), Vec::<String>::new());
    view.write("web", &running()).unwrap();
    view.write("db", &running()).unwrap();
    fs::create_dir(state.path().join("services/Not one")).unwrap();
    assert_eq!(View::new(state.path()).unwrap().services().unwrap(), ["db", "web"]);
    view.remove("web").unwrap();
    assert_eq!(view.services().unwrap(), ["db"]);
}
