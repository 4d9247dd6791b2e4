//! The examples, each with a host of its own.

use std::path::PathBuf;
use std::process::Command;

use hostler_e2e::{Ran, Yard, free_port, program, until};

/// Cargo builds examples beside the tests.
fn example(name: &str) -> PathBuf {
    let here = std::env::current_exe().expect("this program is somewhere");
    let built = here.ancestors().nth(2).expect("it is in deps/ of the profile").join("examples").join(name);
    assert!(built.exists(), "{} is missing", built.display());
    built
}

#[track_caller]
fn plays(name: &str) {
    let yard = Yard::bare();
    let ran = Ran::of(Command::new(example(name)).arg(yard.state()).env("HOSTLER_BIN", program()));
    let said = ran.ok();
    assert_eq!(
        said.lines().collect::<Vec<_>>(),
        ["started db", "started web", "web is unknown", "deployed db: succeeded", "without db, web is pending"]
    );
    until("the host it started has ended, with everything of it", || yard.processes().is_empty());
}

#[test]
fn it_works_under_tokio() {
    plays("tokio");
}

#[test]
fn it_works_under_smol() {
    plays("smol");
}

#[test]
fn it_works_under_no_executor() {
    plays("block_on");
}

/// Its service is named by a relative path, has an environment, and is asked over HTTP.
#[test]
fn the_code_of_the_description_works_as_it_stands_there() {
    let yard = Yard::bare();
    std::fs::create_dir_all(yard.file("target/release")).expect("the yard is ours");
    yard.script("target/release/api-server", "echo \"$DATABASE_URL\" >seen\nexec /usr/bin/python3 -m http.server --bind 127.0.0.1 \"$2\"");
    yard.write("health", "well");
    let mut command = Command::new(example("api_server"));
    command.arg("state").arg(free_port().to_string()).env("HOSTLER_BIN", program()).current_dir(yard.path());
    let ran = Ran::of(&mut command);
    assert_eq!(ran.ok().lines().collect::<Vec<_>>(), ["api-server is healthy", "Service postgres started", "Service api-server started"]);
    assert_eq!(yard.read("seen"), "postgres://localhost/api\n", "it works in the directory of who asked for it");
    until("the host it started has ended, with everything of it", || yard.processes().is_empty());
}
