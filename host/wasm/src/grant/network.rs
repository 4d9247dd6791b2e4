//! What the calls about one workspace may reach, beside what their plugin is granted.

use std::fmt;
use std::net::IpAddr;

use super::address::{Place, Range, place_from_here, plain};

/// A workspace's rules, read once. They are asked for the address that is connected to, after names are resolved.
///
/// ```
/// use hostler_wasm::NetworkRules;
/// let rules = NetworkRules::read(&["10.1.0.0/16".to_owned()], &[], &["443".to_owned()], false).unwrap();
/// assert!(rules.admits("10.1.2.3".parse().unwrap(), 443) && !rules.admits("10.2.0.1".parse().unwrap(), 443));
/// assert!(!rules.admits("10.1.2.3".parse().unwrap(), 80));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkRules {
    allow: Vec<Range>,
    deny: Vec<Range>,
    ports: Vec<(u16, u16)>,
    /// May private addresses be reached that nothing names?
    open: bool,
}

impl NetworkRules {
    /// Reads the texts of addresses and ports; `open` lets through what is not denied.
    ///
    /// # Errors
    /// The text that is none, in one sentence.
    pub fn read(allow: &[String], deny: &[String], ports: &[String], open: bool) -> Result<NetworkRules, String> {
        let ranges = |texts: &[String]| texts.iter().map(|text| Range::parse(text)).collect::<Result<_, _>>();
        Ok(NetworkRules { allow: ranges(allow)?, deny: ranges(deny)?, ports: ports.iter().map(|text| span(text)).collect::<Result<_, _>>()?, open })
    }

    /// Those of whom nothing is known: public addresses, and nothing else.
    pub fn strict() -> NetworkRules {
        NetworkRules { allow: Vec::new(), deny: Vec::new(), ports: Vec::new(), open: false }
    }

    /// May this address be connected to at this port? However an address is written, it is the one that it leads to; one that this
    /// machine has itself is as private as its loopback.
    pub fn admits(&self, address: IpAddr, port: u16) -> bool {
        let address = plain(address);
        let at_port = self.ports.is_empty() || self.ports.iter().any(|(first, last)| (*first..=*last).contains(&port));
        let denied = self.deny.iter().any(|range| range.covers(address));
        let allowed = || self.allow.iter().any(|range| range.contains(address)) || place_from_here(address) == Place::Public;
        at_port && !denied && (self.open || allowed())
    }
}

impl fmt::Display for NetworkRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// `443`, or `8000-8999`.
fn span(text: &str) -> Result<(u16, u16), String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0 && text.bytes().all(|byte| byte.is_ascii_digit()));
    match (port(first), port(last)) {
        (Some(first), Some(last)) if first <= last => Ok((first, last)),
        _ => Err(format!("`{text}` is no port; write `443`, or `8000-8999`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(allow: &[&str], deny: &[&str], ports: &[&str], open: bool) -> NetworkRules {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        NetworkRules::read(&texts(allow), &texts(deny), &texts(ports), open).expect("good rules")
    }

    #[test]
    fn nobody_reaches_what_is_private_unless_it_is_listed() {
        let strict = NetworkRules::strict();
        for hidden in [
            "127.0.0.1",
            "10.0.0.1",
            "192.168.1.1",
            "172.16.0.1",
            "100.64.0.1",
            "169.254.169.254",
            "0.0.0.0",
            "::1",
            "::",
            "fe80::1",
            "fd12::1",
            "fd00:ec2::254",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
            "224.0.0.1",
        ] {
            assert!(!strict.admits(hidden.parse().expect("an address"), 80), "{hidden}");
        }
        assert!(strict.admits("93.184.216.34".parse().expect("an address"), 80));
        let listed = rules(&["10.1.0.0/16", "0.0.0.0/0", "169.254.1.1"], &[], &[], false);
        for (address, expected) in
            [("10.1.2.3", true), ("::ffff:10.1.2.3", true), ("127.0.0.1", true), ("169.254.169.254", false), ("169.254.1.1", true)]
        {
            assert_eq!(listed.admits(address.parse().expect("an address"), 80), expected, "{address}");
        }
    }

    #[test]
    fn what_is_denied_is_denied_however_it_is_written_and_whatever_else_is_said() {
        let rules = rules(&["10.0.0.0/8"], &["10.9.0.0/16", "93.184.216.34"], &["80", "8000-8999"], true);
        for (address, port, expected) in [
            ("10.1.2.3", 80, true),
            ("10.9.2.3", 80, false),
            ("::ffff:10.9.2.3", 80, false),
            ("64:ff9b::a09:203", 80, false),
            ("93.184.216.34", 80, false),
            ("93.184.216.35", 8500, true),
            ("93.184.216.35", 9000, false),
            ("127.0.0.1", 80, true),
        ] {
            assert_eq!(rules.admits(address.parse().expect("an address"), port), expected, "{address} {port}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for port in ["", "0", "65536", "80-", "90-80", "http", "+80", "80-90-100"] {
            assert!(NetworkRules::read(&[], &[], &[port.to_owned()], false).is_err(), "{port}");
        }
        assert!(NetworkRules::read(&["example.com".to_owned()], &[], &[], false).is_err());
        assert!(NetworkRules::read(&[], &["10.0.0.0/33".to_owned()], &[], false).is_err());
    }
}
