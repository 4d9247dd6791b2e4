//! TLS at the TCP door, with certificates that `openssl` makes.

use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use hostler_e2e::{Live, Ran, Signal, Yard, can, free_port, raw_tcp, signal, until};

use crate::{sleeper, token};

/// An authority of the test's own, and what it vouches for.
pub(crate) struct Authority<'a> {
    yard: &'a Yard,
    name: &'static str,
}

impl Authority<'_> {
    pub(crate) fn new<'a>(yard: &'a Yard, name: &'static str) -> Authority<'a> {
        openssl(
            yard.path(),
            &format!("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN={name} -keyout {name}.key -out {name}.pem"),
        );
        Authority { yard, name }
    }

    /// Where its own certificate is.
    fn file(&self) -> PathBuf {
        self.yard.file(&format!("{}.pem", self.name))
    }

    /// A certificate `FILE.pem` with its key `FILE.key`, which replace those that are there at once.
    pub(crate) fn vouches(&self, file: &str, subject: &str) {
        let (dir, name) = (self.yard.path(), self.name);
        openssl(dir, &format!("req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj {subject} -keyout new.key -out new.csr"));
        self.yard.write("new.ext", "subjectAltName=IP:127.0.0.1,DNS:localhost\n");
        openssl(dir, &format!("x509 -req -in new.csr -CA {name}.pem -CAkey {name}.key -CAcreateserial -days 2 -extfile new.ext -out new.pem"));
        for kind in ["key", "pem"] {
            std::fs::rename(self.yard.file(&format!("new.{kind}")), self.yard.file(&format!("{file}.{kind}"))).expect("it was just made");
        }
    }
}

fn openssl(dir: &Path, line: &str) {
    Ran::of(Command::new("openssl").args(line.split(' ')).current_dir(dir)).ok();
}

pub(crate) fn has_openssl() -> bool {
    can("openssl", Command::new("openssl").arg("version").output().is_ok_and(|output| output.status.success()))
}

/// A host with TLS, and how it is asked.
fn protected(yard: &Yard, more: &str) -> u16 {
    let port = free_port();
    let tls = format!("tls = {{ certificate = \"host.pem\", key = \"host.key\"{more} }}");
    yard.up(&format!("[settings]\nlisten = \"0.0.0.0:{port}\"\n{tls}\n{}", sleeper("db", "")));
    port
}

fn asked(yard: &Yard, port: u16, token: &str, ca: &Path, line: &str) -> Command {
    let mut command = yard.command(line);
    command.env("HOSTLER_HOST", format!("https://localhost:{port}")).env("HOSTLER_TOKEN", token).env("HOSTLER_CA", ca);
    command
}

#[test]
fn certificates_are_read_anew_without_dropping_anybody() {
    if !has_openssl() {
        return;
    }
    let yard = Yard::new();
    let (one, other) = (Authority::new(&yard, "one"), Authority::new(&yard, "other"));
    one.vouches("host", "/CN=hostler");
    let port = protected(&yard, "");
    let token = token(&yard, "viewer", "viewer");
    let ps = |authority: &Authority<'_>| Ran::of(&mut asked(&yard, port, &token, &authority.file(), "ps"));
    assert!(ps(&one).ok().contains("db"));
    assert!(ps(&other).fails(4).contains("certificate"));
    // In the clear nothing is said there.
    assert!(raw_tcp(port, format!("GET /api/v1/host HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n").as_bytes()).is_none());
    let following = Live::piped(&mut asked(&yard, port, &token, &one.file(), "events -f"));
    following.says("started");
    other.vouches("host", "/CN=hostler");
    until("the new certificate is shown", || ps(&other).code == 0);
    ps(&one).fails(4);
    // Who was there before hears on.
    yard.run("stop db").ok();
    following.says("stopped");
    // What cannot be used changes nothing, and is told.
    yard.write("host.pem", "nonsense");
    until("it is told", || yard.run("status").ok().contains("the certificate before stays"));
    ps(&other).ok();
    one.vouches("host", "/CN=hostler");
    signal(yard.host_pid(), Signal::HUP);
    until("a signal reads it anew, too", || ps(&one).code == 0);
    assert!(!yard.run("status").ok().contains("stays"));
}

#[test]
fn a_door_may_want_certificates_of_its_callers() {
    if !has_openssl() {
        return;
    }
    let yard = Yard::new();
    let (one, people, strangers) = (Authority::new(&yard, "one"), Authority::new(&yard, "people"), Authority::new(&yard, "strangers"));
    one.vouches("host", "/CN=hostler");
    people.vouches("ann", "/O=Shop/CN=ann");
    strangers.vouches("eve", "/CN=eve");
    let port = protected(&yard, ", client_ca = \"people.pem\"");
    let token = token(&yard, "ops", "operator");
    let line = |who: &str, what: &str| {
        let (certificate, key) = (yard.file(&format!("{who}.pem")), yard.file(&format!("{who}.key")));
        format!("{what} --client-certificate {} --client-key {}", certificate.display(), key.display())
    };
    let run = |line: &str, token: &str| Ran::of(&mut asked(&yard, port, token, &one.file(), line));
    assert!(run(&line("ann", "ps"), &token).ok().contains("db"));
    run("ps", &token).fails(4);
    run(&line("eve", "ps"), &token).fails(4);
    // A certificate is not enough.
    run(&line("ann", "ps"), "").fails(5);
    run(&line("ann", "stop db"), &token).ok();
    let audit = yard.run("audit").ok();
    let stop = audit.lines().find(|line| line.contains("/services/stop")).unwrap_or_else(|| panic!("{audit}"));
    assert!(stop.contains("ops (") && stop.contains(", ann)") && stop.contains("200 ok"), "{stop}");
}

#[test]
fn certificates_that_cannot_be_used_are_refused_at_their_place() {
    if !has_openssl() {
        return;
    }
    let yard = Yard::new();
    let one = Authority::new(&yard, "one");
    one.vouches("host", "/CN=hostler");
    one.vouches("another", "/CN=another");
    let refused = |tls: &str| {
        yard.config(&format!("[settings]\nlisten = {}\ntls = {tls}\n{}", free_port(), sleeper("db", "")));
        yard.run("up --detach").fails(3)
    };
    assert!(refused("{ certificate = \"gone.pem\", key = \"host.key\" }").contains("No such file"));
    assert!(refused("{ certificate = \"host.key\", key = \"host.key\" }").contains("there is no certificate in it"));
    assert!(refused("{ certificate = \"host.pem\", key = \"host.pem\" }").contains("there is no private key in it"));
    assert!(refused("{ certificate = \"host.pem\", key = \"another.key\" }").contains("host.pem"));
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, free_port())).is_err());
}
