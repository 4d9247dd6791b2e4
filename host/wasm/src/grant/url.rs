//! URL prefixes: which requests an HTTP grant admits, and which addresses they may end at.

use std::net::IpAddr;

use super::address::{Place, Range, place_from_here};
use super::host::{Host, HostPattern, PortPattern, split};
use super::{HttpGrant, Private};

/// An HTTP grant, read once.
#[derive(Debug)]
pub(crate) struct Urls {
    patterns: Vec<UrlPattern>,
    methods: Vec<String>,
    private: Private,
    ranges: Vec<Range>,
    pub(crate) max_response_bytes: u64,
}

#[derive(Debug, PartialEq, Eq)]
struct UrlPattern {
    /// Absent means both.
    https: Option<bool>,
    host: HostPattern,
    /// Absent means the scheme's own.
    port: Option<PortPattern>,
    /// Without a last slash; empty for any.
    prefix: String,
}

/// One request's destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Destination {
    pub(crate) https: bool,
    pub(crate) host: Host,
    pub(crate) port: u16,
}

/// What admits a request: it also decides which addresses are fine.
#[derive(Debug)]
pub(crate) struct Admission<'a> {
    hosts: Vec<&'a HostPattern>,
    private: Private,
    ranges: &'a [Range],
}

pub(crate) const DEFAULT_MAX_RESPONSE_BYTES: u64 = 4 << 20;

impl Urls {
    pub(crate) fn settle(grant: &HttpGrant) -> Result<Urls, String> {
        if grant.hosts.is_empty() && grant.endpoints.is_empty() {
            return Err("it names neither `hosts` nor `endpoints`".to_owned());
        }
        Ok(Urls {
            patterns: grant.hosts.iter().map(|text| UrlPattern::parse(text)).collect::<Result<_, _>>()?,
            methods: methods(grant.methods.as_deref()),
            private: grant.private,
            ranges: grant.addresses.iter().map(|text| Range::parse(text)).collect::<Result<_, _>>()?,
            max_response_bytes: grant.max_response_bytes.unwrap_or(DEFAULT_MAX_RESPONSE_BYTES),
        })
    }

    /// Decides by method and URL, before anything is resolved. The error is what was refused.
    pub(crate) fn admit(&self, method: &str, to: &Destination, path: &str) -> Result<Admission<'_>, String> {
        if !admits_method(&self.methods, method) {
            return Err(format!("method {method}"));
        }
        let hosts: Vec<&HostPattern> = self.patterns.iter().filter(|pattern| pattern.matches(to, path)).map(|pattern| &pattern.host).collect();
        if hosts.is_empty() {
            return Err(format!("{method} {to}{}", path.split('?').next().unwrap_or_default()));
        }
        Ok(Admission { hosts, private: self.private, ranges: &self.ranges })
    }
}

impl Admission<'_> {
    /// Decides by address, after the name was resolved.
    pub(crate) fn admits(&self, address: IpAddr) -> bool {
        if !self.ranges.is_empty() {
            return self.ranges.iter().any(|range| range.contains(address));
        }
        match place_from_here(address) {
            Place::Public => true,
            Place::Private => self.private == Private::Allow || self.is_named(address),
            Place::Forbidden => self.is_named(address),
        }
    }

    fn is_named(&self, address: IpAddr) -> bool {
        self.hosts.iter().any(|host| host.vouches_for(address))
    }
}

impl UrlPattern {
    fn parse(text: &str) -> Result<UrlPattern, String> {
        let wrong = |why: &str| format!("`{text}` is no URL prefix: {why}");
        if text == "*" {
            return Ok(UrlPattern { https: None, host: HostPattern::Any, port: Some(PortPattern::Any), prefix: String::new() });
        }
        let (scheme, rest) = text.split_once("://").ok_or_else(|| wrong("it has no `http://` or `https://`"))?;
        let https = match scheme {
            "http" => Some(false),
            "https" => Some(true),
            "*" => None,
            _ => return Err(wrong("only http and https exist")),
        };
        let (authority, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, ""),
        };
        let (host, port) = split(authority);
        let prefix = path.trim_end_matches('/').trim_end_matches("/*");
        if prefix.contains(['?', '#', '*']) {
            return Err(wrong("a path is a plain prefix"));
        }
        Ok(UrlPattern {
            https,
            host: HostPattern::parse(host).map_err(|why| wrong(&why))?,
            port: port.map(PortPattern::parse).transpose().map_err(|why| wrong(&why))?,
            prefix: prefix.to_owned(),
        })
    }

    fn matches(&self, to: &Destination, path: &str) -> bool {
        let port = match self.port {
            Some(port) => port.matches(to.port),
            None => to.port == default_port(to.https),
        };
        port && self.https.is_none_or(|https| https == to.https) && self.host.matches(&to.host) && self.admits_path(path)
    }

    fn admits_path(&self, path: &str) -> bool {
        self.prefix.is_empty() || is_below(path, &self.prefix)
    }
}

/// The methods of a grant; looking, where it names none.
pub(crate) fn methods(granted: Option<&[String]>) -> Vec<String> {
    match granted {
        Some(methods) => methods.iter().map(|method| method.to_ascii_uppercase()).collect(),
        None => vec!["GET".to_owned(), "HEAD".to_owned()],
    }
}

pub(crate) fn admits_method(methods: &[String], method: &str) -> bool {
    methods.iter().any(|granted| granted == "*" || granted == method)
}

/// Is a path the prefix or below it, however a server may read it?
pub(crate) fn is_below(path: &str, prefix: &str) -> bool {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    !walks(path) && path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Could a server read this path as leaving its prefix?
fn walks(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    lower.contains('\\')
        || lower.contains("%2f")
        || lower.contains("%5c")
        // what follows a `;` is a parameter to some servers, and no part of the name
        || lower.replace("%2e", ".").replace("%3b", ";").split('/').any(|part| matches!(part.split(';').next(), Some(".." | ".")))
}

pub(crate) fn default_port(https: bool) -> u16 {
    if https { 443 } else { 80 }
}

impl Destination {
    /// Reads scheme and authority of a request. User information (`user@host`) is refused with the host name.
    pub(crate) fn parse(https: bool, authority: &str) -> Result<Destination, String> {
        let (host, port) = split(authority);
        let port = match port {
            None | Some("") => default_port(https),
            Some(text) => text.parse().map_err(|_| format!("`{text}` is no port"))?,
        };
        Ok(Destination { https, host: Host::parse(host)?, port })
    }
}

impl std::fmt::Display for Destination {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        match &self.host {
            Host::Name(name) => write!(out, "{scheme}://{name}:{}", self.port),
            Host::Address(IpAddr::V6(v6)) => write!(out, "{scheme}://[{v6}]:{}", self.port),
            Host::Address(address) => write!(out, "{scheme}://{address}:{}", self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(hosts: &[&str], private: Private) -> Urls {
        let grant = HttpGrant { hosts: hosts.iter().map(|host| (*host).to_owned()).collect(), private, ..HttpGrant::default() };
        Urls::settle(&grant).expect("settles")
    }

    fn admitted(urls: &Urls, url: &str) -> bool {
        let (scheme, rest) = url.split_once("://").expect("a URL");
        let slash = rest.find('/').unwrap_or(rest.len());
        let Ok(to) = Destination::parse(scheme == "https", &rest[..slash]) else { return false };
        urls.admit("GET", &to, &rest[slash..]).is_ok()
    }

    #[test]
    fn only_granted_prefixes_are_admitted() {
        let urls = urls(&["http://127.0.0.1:*", "https://*.example.com/health"], Private::Deny);
        assert!(admitted(&urls, "http://127.0.0.1:8080/x?y"));
        assert!(admitted(&urls, "https://a.example.com/health"));
        assert!(admitted(&urls, "https://a.example.com/health/deep?q=../x"));
        assert!(admitted(&urls, "https://a.example.com/health/deep;v=1/x..y"));
        for url in [
            "https://127.0.0.1:8080/",
            "http://127.0.0.1.evil.com/",
            "http://127.0.0.1@evil.com/",
            "http://2130706433/",
            "https://a.example.com/healthy",
            "https://a.example.com/health/../admin",
            "https://a.example.com/health/%2e%2E/admin",
            "https://a.example.com/health/..%2fadmin",
            "https://a.example.com/health/..;/admin",
            "https://a.example.com/health/%2e%2e%3bx=1/admin",
            "https://a.example.com:8443/health",
            "https://example.com/health",
            "http://localhost:8080/",
        ] {
            assert!(!admitted(&urls, url), "{url}");
        }
    }

    #[test]
    fn methods_are_granted_one_by_one() {
        let urls = urls(&["*"], Private::Allow);
        let to = Destination::parse(false, "a.example").expect("destination");
        assert!(urls.admit("GET", &to, "/").is_ok());
        assert_eq!(urls.admit("POST", &to, "/").err().as_deref(), Some("method POST"));
    }

    #[test]
    fn addresses_are_judged_after_resolution() {
        let check = |hosts: &[&str], private: Private, to: &str, address: &str, expected: bool| {
            let urls = urls(hosts, private);
            let to = Destination::parse(false, to).expect("destination");
            let admission = urls.admit("GET", &to, "/").expect("admitted by URL");
            assert_eq!(admission.admits(address.parse().expect("an address")), expected, "{hosts:?} {private:?} {address}");
        };
        check(&["*"], Private::Deny, "rebind.example", "127.0.0.1", false);
        check(&["*"], Private::Deny, "rebind.example", "::ffff:10.0.0.1", false);
        check(&["*"], Private::Deny, "rebind.example", "8.8.8.8", true);
        check(&["*"], Private::Allow, "rebind.example", "127.0.0.1", true);
        check(&["*"], Private::Allow, "metadata.example", "169.254.169.254", false);
        check(&["*"], Private::Allow, "metadata.example", "::ffff:169.254.169.254", false);
        check(&["http://127.0.0.1"], Private::Deny, "127.0.0.1", "127.0.0.1", true);
        check(&["http://localhost"], Private::Deny, "localhost", "::1", true);
        check(&["http://localhost"], Private::Deny, "localhost", "10.0.0.1", false);
        check(&["*", "http://169.254.169.254"], Private::Deny, "169.254.169.254", "169.254.169.254", true);
    }

    #[test]
    fn bad_patterns_say_what_is_wrong() {
        for text in ["example.com", "ftp://x", "http://", "http://a:b", "http://ex*mple.com", "http://a/b*c"] {
            let grant = HttpGrant { hosts: vec![text.to_owned()], ..HttpGrant::default() };
            let error = Urls::settle(&grant).expect_err(text);
            assert!(error.contains(text), "{error}");
        }
    }
}
