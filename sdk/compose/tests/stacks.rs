//! Every folder of `tests/stacks` is a Compose project; the `hostler.toml` in it is what becomes of it, and `report.txt` what is said.
//!
//! `HOSTLER_BLESS=1 cargo test -p hostler-compose` writes them anew; read the difference before you commit it.

mod yard;

use std::fs;
use std::path::PathBuf;

use hostler_compose::import;
use yard::{Yard, folder};

/// The files of a project as Compose would find them.
fn files(dir: &std::path::Path) -> Vec<PathBuf> {
    let names = ["compose.yaml", "docker-compose.yml", "compose.override.yaml"];
    names.iter().filter(|name| dir.join(name).is_file()).map(PathBuf::from).collect()
}

#[test]
fn each_becomes_the_service_file_beside_it() {
    let bless = std::env::var_os("HOSTLER_BLESS").is_some();
    let mut wrong = Vec::new();
    let mut cases = 0;
    for entry in fs::read_dir(folder("stacks")).expect("readable") {
        let dir = entry.expect("readable").path();
        cases += 1;
        let yard = Yard::of(&dir);
        let imported = import(&yard.request(files(&dir)), &yard).unwrap_or_else(|notes| panic!("{}: {notes:#?}", dir.display()));
        let report: String = imported.notes.iter().map(|note| format!("{note}\n")).collect();
        for (name, found) in [("hostler.toml", &imported.toml), ("report.txt", &report)] {
            let expected = dir.join(name);
            if bless {
                fs::write(&expected, found).expect("writable");
            } else if fs::read_to_string(&expected).unwrap_or_default() != *found {
                wrong.push(format!("--- {}\n{found}", expected.display()));
            }
        }
        for secret in ["canary", "$canary"] {
            assert!(!imported.toml.contains(secret) && !report.contains(secret), "{}: a value of a file or of the shell", dir.display());
        }
    }
    assert!(cases >= 7, "only {cases} cases");
    assert!(wrong.is_empty(), "HOSTLER_BLESS=1 accepts these, once they are read:\n{}", wrong.join("\n"));
}

#[test]
fn each_bad_file_is_refused_with_the_message_beside_it() {
    let bless = std::env::var_os("HOSTLER_BLESS").is_some();
    let dir = folder("bad-input");
    let yard = Yard::of(&dir);
    let mut wrong = Vec::new();
    let mut cases = 0;
    for entry in fs::read_dir(&dir).expect("readable") {
        let path = entry.expect("readable").path();
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        if !name.ends_with(".yaml") || name.starts_with("part-") {
            continue;
        }
        cases += 1;
        let notes = import(&yard.request(vec![PathBuf::from(&name)]), &yard).expect_err(&name);
        let found: String = notes.iter().map(|note| format!("{note}\n")).collect();
        assert!(!notes.is_empty() && !found.contains("canary"), "{name}: {found}");
        let expected = dir.join(format!("{name}.message"));
        if bless {
            fs::write(&expected, &found).expect("writable");
        } else if fs::read_to_string(&expected).unwrap_or_default() != found {
            wrong.push(format!("--- {}\n{found}", expected.display()));
        }
    }
    assert!(cases >= 20, "only {cases} cases");
    assert!(wrong.is_empty(), "HOSTLER_BLESS=1 accepts these messages, once they are read:\n{}", wrong.join("\n"));
}
