//! Health check `tcp`: passes when a connection can be made, and closes it again at once.

mod connect;

use connect::Trouble;
use hostler_sdk::deadline::Deadline;
use hostler_sdk::{Description, Fault, HealthCheck, Problem, Report, Target};
use serde::Deserialize;
use std::net::IpAddr;
use std::time::Duration;

/// The plugin.
struct Tcp;

/// What a service file says about one check; `check.json` says the same as a schema.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default = "loopback")]
    host: String,
    port: u16,
}

fn loopback() -> String {
    "127.0.0.1".into()
}

impl Settings {
    fn check(&self) -> Result<(), Vec<Problem>> {
        let mut problems = Vec::new();
        if self.port == 0 {
            problems.push(Problem::new("/port", "is 0, which nobody can connect to"));
        }
        if !is_host(&self.host) {
            let problem = Problem::new("/host", format!("`{}` is neither a name nor an address", self.host.escape_default()));
            problems.push(problem.hint("give the port in `port`, and no scheme: `db.example.com`, `10.0.0.7`, `::1`"));
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    /// `db:5432`, `[::1]:5432`.
    fn place(&self) -> String {
        let colons = self.host.contains(':') && !self.host.starts_with('[');
        if colons { format!("[{}]:{}", self.host, self.port) } else { format!("{}:{}", self.host, self.port) }
    }
}

/// An address, with or without brackets, or a name of letters, digits, `-`, `_` and dots.
fn is_host(host: &str) -> bool {
    let name = !host.is_empty() && host.len() <= 253 && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    name || address(host).is_some()
}

fn address(host: &str) -> Option<IpAddr> {
    let inner = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    inner.parse().ok()
}

impl HealthCheck for Tcp {
    type Settings = Settings;

    fn describe() -> Description {
        Description::new("tcp", env!("CARGO_PKG_VERSION"), "Passes when a TCP connection can be made.")
            .settings(include_str!("../check.json"))
            .needs("tcp", "connects to the hosts and ports that checks name")
    }

    fn validate(settings: Settings) -> Result<(), Vec<Problem>> {
        settings.check()
    }

    fn check(_target: Target, settings: Settings, limit: Duration) -> Result<Report, Fault> {
        settings.check()?;
        let deadline = Deadline::within(limit);
        let place = settings.place();
        let connected = match address(&settings.host) {
            Some(address) => connect::connect(address, settings.port, &deadline),
            None => connect::connect_by_name(&settings.host, settings.port, &deadline),
        };
        match connected {
            Ok(()) => Ok(Report::pass(format!("{place} takes connections")).detail("ms", deadline.elapsed().as_millis())),
            Err(Trouble::Late) => Ok(Report::fail(format!("{place}: no connection within {limit:?}"))),
            Err(Trouble::Target(why)) => Ok(Report::fail(format!("{place}: {why}"))),
            Err(Trouble::Checker(why)) => Ok(Report::unknown(format!("{place}: {why}"))),
            Err(Trouble::Denied) => Err(Fault::Denied(format!("{place}: the grants do not cover it"))),
        }
    }
}

hostler_sdk::plugin!(health_check: Tcp);

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_sdk::settings::parse;

    #[test]
    fn the_host_is_this_machine_unless_said_otherwise() {
        let settings: Settings = parse(r#"{"port": 5432}"#).expect("a port is enough");
        assert_eq!(settings.place(), "127.0.0.1:5432");
    }

    #[test]
    fn a_place_reads_as_people_write_it() {
        let place = |host: &str| Settings { host: host.into(), port: 80 }.place();
        assert_eq!((place("db"), place("::1"), place("[::1]")), ("db:80".into(), "[::1]:80".into(), "[::1]:80".into()));
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for host in ["", "http://x", "x:80", "a b", "x/y", "-o\u{0}", &"a".repeat(254)] {
            assert!(!is_host(host), "{host}");
        }
        for host in ["db", "my_db.local", "10.0.0.7", "::1", "[::1]", "xn--bcher-kva.example"] {
            assert!(is_host(host), "{host}");
        }
    }

    #[test]
    fn a_port_is_a_port() {
        for json in [r#"{"port": 70000}"#, r#"{"port": "x"}"#, r#"{}"#, r#"{"port": -1}"#] {
            assert!(parse::<Settings>(json).is_err(), "{json}");
        }
        let settings: Settings = parse(r#"{"port": 0}"#).expect("the shape is right");
        assert_eq!(settings.check().expect_err("0 is no port")[0].at, "/port");
    }
}
