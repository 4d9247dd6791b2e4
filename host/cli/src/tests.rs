//! The command line as people type it.

use clap::CommandFactory;

use super::*;

fn parsed(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split(' '))
}

#[test]
fn the_definition_holds_together() {
    Cli::command().debug_assert();
}

#[test]
fn every_documented_command_line_is_understood() {
    let lines = [
        "hostler up",
        "hostler up shop.toml",
        "hostler up shop.toml db web --detach --timeout 30s",
        "hostler up -d",
        "hostler up db --abort-on-failure",
        "hostler serve",
        "hostler serve shop.toml --detach",
        "hostler apply shop.toml --no-wait",
        "hostler apply -f shop.toml --no-start",
        "hostler plan shop.toml",
        "hostler validate",
        "hostler ps",
        "hostler ps db web --json",
        "hostler status",
        "hostler status db",
        "hostler explain db",
        "hostler start",
        "hostler deploy db",
        "hostler deploy db -f shop.toml --restart --no-wait --priority -5",
        "hostler operations",
        "hostler operations ls --status failed --service db",
        "hostler operations show 0001",
        "hostler operations wait 0001 --timeout 5s",
        "hostler operations cancel 0001",
        "hostler start db --no-deps",
        "hostler stop db --force",
        "hostler restart db --force --timeout 1m",
        "hostler logs -f",
        "hostler logs db --tail 10 --since 10m",
        "hostler logs worker --tail 100000 --json",
        "hostler logs worker -f",
        "hostler events -f",
        "hostler events --follow --after 7 --json",
        "hostler health",
        "hostler health --now db",
        "hostler registry --category ai --healthy --metadata region=eu",
        "hostler registry --statistics",
        "hostler heartbeat db --ttl 30s --metadata region=eu",
        "hostler graph",
        "hostler graph --format dot",
        "hostler graph shop.toml --format mermaid",
        "hostler graph --format json",
        "hostler down",
        "hostler down --keep --force",
        "hostler plugin list --verbose",
        "hostler plugin inspect process",
        "hostler completions bash",
        "hostler keeper --dir /x",
        "hostler version",
        "hostler --state-dir /x ps",
        "hostler ps --state-dir /x -v --no-color",
        "hostler -f shop.toml logs -f",
    ];
    for line in lines {
        if let Err(error) = parsed(line) {
            panic!("`{line}`: {error}");
        }
    }
}

#[test]
fn mistakes_are_usage_errors() {
    for line in [
        "hostler",
        "hostler nonsense",
        "hostler status a b",
        "hostler explain",
        "hostler graph --format png",
        "hostler apply --timeout soon",
        "hostler health db",
        "hostler registry --statistics --healthy",
        "hostler heartbeat db --ttl soon",
    ] {
        assert_eq!(parsed(line).map(|_| ()).expect_err(line).exit_code(), 2, "{line}");
    }
}

#[test]
fn a_file_before_the_command_is_the_file_and_f_after_logs_follows() {
    let cli = parsed("hostler -f shop.toml logs -f db").expect("both are understood");
    assert_eq!(cli.global.file.as_deref(), Some(std::path::Path::new("shop.toml")));
    let cli = parsed("hostler logs -f db").expect("follow");
    assert_eq!(cli.global.file, None);
    let cli = parsed("hostler events --file shop.toml").expect("the long form is the file everywhere");
    assert_eq!(cli.global.file.as_deref(), Some(std::path::Path::new("shop.toml")));
}

#[test]
fn the_kind_of_failure_is_the_exit_code() {
    use hostler_api::{Code, Failure};
    for code in Code::all() {
        assert_eq!(Error::from(Failure::new(code, "why")).exit_code(), code.exit_code());
    }
    assert_eq!(Error::Output(std::io::ErrorKind::BrokenPipe.into()).exit_code(), 0);
    assert_eq!(Error::Output(std::io::ErrorKind::StorageFull.into()).exit_code(), 1);
}
