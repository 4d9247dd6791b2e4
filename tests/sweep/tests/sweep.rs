//! Every failpoint, and none of them in the product.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use hostler_e2e::{Ran, Yard, kill, request, until};
use hostler_failpoint::POINTS;

/// A hostler that was built with its failpoints: what `HOSTLER_FAILPOINTS_BIN` names, else what `make sweep` built.
fn with_failpoints() -> PathBuf {
    let named = std::env::var_os("HOSTLER_FAILPOINTS_BIN").map(PathBuf::from);
    let path = named.unwrap_or_else(|| hostler_e2e::root().join("target/release/hostler-failpoints"));
    path.canonicalize().unwrap_or_else(|error| panic!("{}: {error}: run `make sweep`", path.display()))
}

#[test]
fn nobody_dies_in_vain_wherever_it_is() {
    let mut sweep = Command::new(env!("CARGO_BIN_EXE_hostler-sweep"));
    // What it passes over, it says there.
    sweep.env("HOSTLER_BIN", with_failpoints()).stderr(Stdio::inherit());
    let output = sweep.output().expect("it was built beside this");
    let said = String::from_utf8_lossy(&output.stdout);
    // Of 350 lines those that matter: whoever sees only a part of the output sees why.
    let broken: Vec<&str> = said.lines().filter(|line| !line.starts_with("ok ") && !line.is_empty()).collect();
    println!("{}", broken.last().unwrap_or(&"it said nothing"));
    assert!(output.status.success(), "{}", broken.join("\n"));
}

#[test]
fn the_product_knows_no_failpoint() {
    let named = |path: &std::path::Path| {
        let program = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let words = ["host.", "store.", "keeper.", "HOSTLER_FAILPOINT"];
        let places = (0..program.len()).map(|at| &program[at..]).filter(|rest| words.iter().any(|word| rest.starts_with(word.as_bytes())));
        let places: Vec<&[u8]> = places.collect();
        let is_there = |text: &&&str| places.iter().any(|rest| rest.starts_with(text.as_bytes()));
        [POINTS, &["HOSTLER_FAILPOINT"]].concat().iter().filter(is_there).map(|text| text.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(named(hostler_e2e::program()), Vec::<String>::new());
    assert_eq!(named(&with_failpoints()).len(), POINTS.len() + 1, "the same search finds all of them where they are");
}

#[test]
fn what_happened_waits_for_nobodys_wish() {
    const WISHES: usize = 30;
    let yard = Yard::new();
    let sleeper = "backend = { type = \"process\", binary = \"sleep\", args = [\"1000\"] }\n";
    let restart = "restart = { policy = \"always\", backoff = { initial = \"300ms\", jitter = 0 } }\n";
    yard.config(&format!("[services.db]\n{sleeper}{restart}[services.idle]\n{sleeper}replicas = {{ min = 1, max = 100 }}\n"));
    let orders = yard.file("orders");
    let run = |line: &str| {
        let plain = yard.command(line);
        let mut command = Command::new(with_failpoints());
        command.args(plain.get_args()).current_dir(yard.path()).env("HOSTLER_FAILPOINT", &orders);
        for (name, value) in plain.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        Ran::of(&mut command).ok()
    };
    run("serve --detach");
    run("apply --no-start --no-wait");
    run("start db");
    let (before, socket) = (yard.pid("db"), yard.socket());
    // Each commit takes a while, and many are asked for.
    fs::write(&orders, "store.write.told-written wait 200").expect("it is ours");
    let granted = AtomicUsize::new(0);
    thread::scope(|scope| {
        for wish in 0..WISHES {
            let (socket, granted) = (&socket, &granted);
            scope.spawn(move || {
                let wish = format!("{{\"services\": {{\"idle\": {}}}}}", wish + 2);
                let answer = request(socket, "POST", "/api/v1/services/scale", wish.as_bytes()).expect("the host answers");
                assert_eq!(answer.status, 200, "{answer:?}");
                granted.fetch_add(1, Ordering::SeqCst);
            });
        }
        until("two are granted", || granted.load(Ordering::SeqCst) >= 2);
        kill(before);
        yard.until_again("db", before);
        let granted = granted.load(Ordering::SeqCst);
        println!("{granted} of {WISHES} wishes were granted before");
        assert!(granted < WISHES, "it was started again when the last wish was granted");
    });
    assert_eq!(granted.into_inner(), WISHES);
    fs::remove_file(&orders).expect("it is there");
}
