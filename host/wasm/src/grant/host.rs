//! Host names and ports in grants, and the doubts about host names in requests.

use std::net::{IpAddr, Ipv6Addr};

/// What a grant says of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HostPattern {
    /// `*`
    Any,
    /// `*.example.com`: what is below, not the name itself.
    Below(String),
    /// One name.
    Name(String),
    /// One address.
    Address(IpAddr),
}

/// What a grant says of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PortPattern {
    /// `*`
    Any,
    /// One port.
    One(u16),
}

/// A host as a request names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Host {
    /// To be resolved; lower case, without a last dot.
    Name(String),
    /// As it is.
    Address(IpAddr),
}

impl Host {
    /// Reads a host of a request. Addresses in decimal, octal, hexadecimal or with parts missing are refused: the
    /// resolver would take them for addresses that no rule has seen.
    pub(crate) fn parse(text: &str) -> Result<Host, String> {
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or_else(|| format!("`{text}` is no address"))?;
            return inner.parse::<Ipv6Addr>().map(|v6| Host::Address(v6.into())).map_err(|_| format!("`{text}` is no IPv6 address"));
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Host::Address(address));
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        if name.is_empty() || name.len() > 253 || !name.split('.').all(is_label) {
            return Err(format!("`{text}` is no host name"));
        }
        let last = name.rsplit('.').next().expect("split yields at least one part");
        if looks_numeric(last) {
            return Err(format!("`{text}` is a disguised address; write it as four decimal numbers"));
        }
        Ok(Host::Name(name))
    }
}

fn is_label(label: &str) -> bool {
    !label.is_empty() && label.len() <= 63 && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// Would a resolver that knows `inet_aton` read this last label as a number?
fn looks_numeric(label: &str) -> bool {
    let hex = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    match hex {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => label.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

impl HostPattern {
    pub(crate) fn parse(text: &str) -> Result<HostPattern, String> {
        if text == "*" {
            return Ok(HostPattern::Any);
        }
        if let Some(below) = text.strip_prefix("*.") {
            return match Host::parse(below)? {
                Host::Name(name) => Ok(HostPattern::Below(name)),
                Host::Address(_) => Err(format!("`{text}` mixes a wildcard with an address")),
            };
        }
        if text.contains('*') {
            return Err(format!("`{text}`: a wildcard stands for a whole host, or for everything below a name"));
        }
        Ok(match Host::parse(text)? {
            Host::Name(name) => HostPattern::Name(name),
            Host::Address(address) => HostPattern::Address(address.to_canonical()),
        })
    }

    pub(crate) fn matches(&self, host: &Host) -> bool {
        match (self, host) {
            (HostPattern::Any, _) => true,
            (HostPattern::Below(parent), Host::Name(name)) => {
                name.strip_suffix(parent.as_str()).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
            }
            (HostPattern::Name(pattern), Host::Name(name)) => pattern == name,
            (HostPattern::Address(pattern), Host::Address(address)) => *pattern == address.to_canonical(),
            (HostPattern::Below(_) | HostPattern::Name(_), Host::Address(_)) | (HostPattern::Address(_), Host::Name(_)) => false,
        }
    }

    /// Does the pattern itself say that this address is meant? Names other than `localhost` never do: they are resolved by
    /// somebody else.
    pub(crate) fn vouches_for(&self, address: IpAddr) -> bool {
        match self {
            HostPattern::Address(named) => *named == address.to_canonical(),
            HostPattern::Name(name) => name == "localhost" && address.to_canonical().is_loopback(),
            HostPattern::Any | HostPattern::Below(_) => false,
        }
    }
}

impl PortPattern {
    pub(crate) fn parse(text: &str) -> Result<PortPattern, String> {
        match text {
            "*" => Ok(PortPattern::Any),
            _ => text.parse().map(PortPattern::One).map_err(|_| format!("`{text}` is no port")),
        }
    }

    pub(crate) fn matches(self, port: u16) -> bool {
        match self {
            PortPattern::Any => true,
            PortPattern::One(one) => one == port,
        }
    }
}

/// Splits `host:port`, IPv6 addresses in brackets. The port is absent when there is none.
pub(crate) fn split(text: &str) -> (&str, Option<&str>) {
    match text.rfind(':') {
        Some(colon) if !text[colon..].contains(']') => (&text[..colon], Some(&text[colon + 1..])),
        _ => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disguised_addresses_are_no_hosts() {
        for text in ["2130706433", "0x7f000001", "0x7f.1", "127.1", "0177.0.0.1", "127.0.0.01", "1.2.3.4.5", "017700000001", "0x", "127.0.0.1x.1"] {
            assert!(Host::parse(text).is_err(), "{text}");
        }
        for text in ["", "a b", "user@host", "a..b", "[::1", "[127.0.0.1]", "ex%61mple.com", "a/b"] {
            assert!(Host::parse(text).is_err(), "{text}");
        }
        assert_eq!(Host::parse("127.0.0.1"), Ok(Host::Address(std::net::Ipv4Addr::LOCALHOST.into())));
        assert_eq!(Host::parse("Example.COM."), Ok(Host::Name("example.com".into())));
        assert_eq!(Host::parse("[::1]"), Ok(Host::Address(Ipv6Addr::LOCALHOST.into())));
        assert_eq!(Host::parse("my_db-1"), Ok(Host::Name("my_db-1".into())));
    }

    #[test]
    fn patterns_match_whole_names() {
        let check = |pattern: &str, host: &str, expected: bool| {
            let pattern = HostPattern::parse(pattern).expect("pattern");
            assert_eq!(pattern.matches(&Host::parse(host).expect("host")), expected, "{pattern:?} ~ {host}");
        };
        check("*", "anything.example", true);
        check("*.example.com", "a.example.com", true);
        check("*.example.com", "a.b.example.com", true);
        check("*.example.com", "example.com", false);
        check("*.example.com", "evilexample.com", false);
        check("example.com", "EXAMPLE.com", true);
        check("127.0.0.1", "[::ffff:127.0.0.1]", true);
        check("127.0.0.1", "localhost", false);
        assert!(HostPattern::parse("ex*mple.com").is_err());
        assert!(HostPattern::parse("*.127.0.0.1").is_err());
    }

    #[test]
    fn ports_are_split_off_outside_brackets() {
        assert_eq!(split("[::1]:80"), ("[::1]", Some("80")));
        assert_eq!(split("[::1]"), ("[::1]", None));
        assert_eq!(split("a:*"), ("a", Some("*")));
        assert_eq!(split("a"), ("a", None));
    }
}
