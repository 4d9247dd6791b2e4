//! Every story beside this crate's sources is told as it stands in the file beside it.
//!
//! `HOSTLER_BLESS=1 cargo test --release -p hostler-stories` writes the tellings anew; read the difference before you commit it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn files(end: &str) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR"))).expect("the folder is part of the repository");
    entries.map(|entry| entry.expect("readable").path()).filter(|path| path.extension().is_some_and(|kind| kind == end)).collect()
}

#[test]
fn each_is_told_as_beside_it() {
    let bless = std::env::var_os("HOSTLER_BLESS").is_some();
    let stories = files("story");
    let mut wrong = Vec::new();
    for path in &stories {
        let story = fs::read_to_string(path).expect("readable");
        let expected = path.with_extension("out");
        let found = hostler_stories::play(&story).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
        if bless {
            fs::write(&expected, &found).expect("writable");
        } else if fs::read_to_string(&expected).unwrap_or_default() != found {
            wrong.push(format!("--- {}\n{found}", expected.display()));
        }
    }
    assert!(wrong.is_empty(), "HOSTLER_BLESS=1 accepts these, once they are read:\n{}", wrong.join("\n"));
    let tellings = files("out").into_iter().filter(|path| !stories.contains(&path.with_extension("story")));
    assert_eq!(tellings.collect::<Vec<_>>(), Vec::<PathBuf>::new(), "no story is told there");
    assert!(stories.len() >= 60, "only {} stories", stories.len());
}

#[test]
fn each_begins_with_a_promise_of_its_own() {
    let mut promises: BTreeMap<String, PathBuf> = BTreeMap::new();
    for path in files("story") {
        let story = fs::read_to_string(&path).expect("readable");
        let promise = story.lines().next().and_then(|line| line.strip_prefix("# ")).unwrap_or_default().to_owned();
        assert!(promise.ends_with('.') && promise.len() > 20, "{} begins with `# ` and a sentence", path.display());
        let other = promises.insert(promise, path.clone());
        assert_eq!(other, None, "{} promises the same", path.display());
    }
}

#[test]
fn a_step_that_cannot_be_read_names_its_line() {
    for (story, why) in [
        ("# A promise.\n\ndance db", "line 3: there is no such step: dance db"),
        ("apply db(colour red)", "line 1: `colour` is no setting: apply db(colour red)"),
        ("start db", "line 1: db is not among the services: start db"),
    ] {
        assert_eq!(hostler_stories::play(story), Err(why.to_owned()));
    }
}
