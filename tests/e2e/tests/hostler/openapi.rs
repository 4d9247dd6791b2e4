//! The API is what its document says: schemathesis asks a real host everything that the document allows, and much that it does not.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use hostler_e2e::{Ran, Yard, request, root};

use crate::sleeper;

/// What must hold of each answer. That every body which fits its schema is accepted is not among it: names of services that are not there fit.
const CHECKS: &str = "status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance";
/// And of each of the native API. The other documents say 500 and 501 of what could not be carried out, or is not built.
const NO_FAULT: &str = "not_a_server_error";

/// Far longer than it takes: it ends its second part by itself.
const PATIENCE: Duration = Duration::from_secs(900);
/// Some thousand changes, one after the other, each with an entry of the audit log: no disk is waited for.
const QUICK: &str = "[settings]\nstore = { type = \"memory\" }\n";

/// Where `scripts/setup.sh wire` put it.
fn schemathesis() -> PathBuf {
    let dir = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let tools = dir("HOSTLER_TOOLS").unwrap_or_else(|| {
        let cache = dir("XDG_CACHE_HOME").or_else(|| Some(dir("HOME")?.join(".cache"))).expect("somebody has a home");
        cache.join("hostler/tools")
    });
    let program = tools.join("schemathesis/bin/schemathesis");
    assert!(program.exists(), "{} is missing: run `scripts/setup.sh wire`", program.display());
    program
}

/// The host's socket at a port of the loopback address, byte for byte, for as long as this process lives.
fn at_a_port(socket: &Path) -> io::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let (port, socket) = (listener.local_addr()?.port(), socket.to_owned());
    thread::spawn(move || {
        for near in listener.incoming().flatten() {
            if let Ok(far) = UnixStream::connect(&socket) {
                let (Ok(near_too), Ok(far_too)) = (near.try_clone(), far.try_clone()) else { continue };
                thread::spawn(move || copied(near, far));
                thread::spawn(move || copied_back(far_too, near_too));
            }
        }
    });
    Ok(port)
}

fn copied(mut from: TcpStream, mut to: UnixStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(std::net::Shutdown::Write);
}

fn copied_back(mut from: UnixStream, mut to: TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(std::net::Shutdown::Both);
}

/// Asks all operations that this option chooses.
fn asks_everything(yard: &Yard, port: u16, chosen: [&str; 2], checks: &str) {
    let mut command = Command::new(schemathesis());
    command.args(["run", &format!("http://127.0.0.1:{port}/api/v1/openapi.json"), "--checks", checks]).args(chosen);
    // These two end what is asked; they are asked below.
    command.args(["--exclude-path", "/api/v1/shutdown", "--exclude-path", "/api/v1/down"]);
    command.args(["--phases", "coverage,fuzzing", "--max-examples", "4", "--max-time", "60", "--seed", "1", "--generation-deterministic"]);
    command.args(["--workers", "1", "--request-timeout", "30", "--no-color"]);
    let hooks = root().join("tests/e2e/clients");
    command.env("PYTHONPATH", hooks).env("SCHEMATHESIS_HOOKS", "schemathesis_hooks").current_dir(yard.path());
    let ran = Ran::within(PATIENCE, &mut command);
    assert_eq!(ran.code, 0, "{}\n{}", ran.out, ran.err);
    assert!(ran.out.contains("generated"), "it has asked something: {}", ran.out);
    assert!(yard.get("/host").is_some(), "the host has outlived it");
}

#[test]
fn a_machine_that_asks_everything_finds_no_fault_and_nothing_undocumented() {
    let yard = Yard::new();
    let web = "dependencies = [\"db\"]\nhealth_check = { type = \"command\", command = [\"/bin/true\"], interval = \"5s\" }";
    yard.up(&format!("{QUICK}{}{}", sleeper("db", ""), sleeper("web", web)));
    let port = at_a_port(&yard.socket()).expect("a port is free");
    asks_everything(&yard, port, ["--include-tag", "native"], &format!("{NO_FAULT},{CHECKS}"));
    for path in ["/api/v1/down", "/api/v1/shutdown"] {
        let answer = request(&yard.socket(), "POST", path, b"{}").expect("it answers");
        assert_eq!(answer.status, 200, "{path}: {}", answer.json());
    }
}

#[test]
fn the_other_documents_are_answered_as_they_are_described() {
    let yard = Yard::new();
    yard.up(&format!("{QUICK}{}", sleeper("db", "")));
    let port = at_a_port(&yard.socket()).expect("a port is free");
    asks_everything(&yard, port, ["--exclude-tag", "native"], CHECKS);
}

#[test]
fn the_document_is_served_as_it_is_checked_in() {
    let yard = Yard::new();
    yard.up(&sleeper("db", ""));
    let answer = request(&yard.socket(), "GET", "/api/v1/openapi.json", b"").expect("it answers");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    let checked_in = std::fs::read(root().join("host/api/openapi.json")).expect("it is there");
    assert!(answer.body == checked_in);
}
