//! By which name the host is called, and from which page: what keeps other people's web pages out.
//!
//! A page that a browser shows may send requests to this machine's own addresses, and may have its own name lead there (DNS rebinding). So over
//! TCP the host answers only to names it knows, and nowhere does it do what a page of another origin asks for.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, header};
use hostler_api::{Code, Failure};

use super::caller::{Peer, Visitor};
use super::gate;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Is it called by a name of its own, and from a page that may?
pub(super) fn doubt(peer: &Peer, request: &Request) -> Result<(), Failure> {
    let headers = request.headers();
    if let Peer::Remote(visitor) = peer {
        let named = only(headers, header::HOST).ok_or_else(|| refuse("the request names no host, or several".to_owned()))?;
        // One in the first line counts as much.
        for name in std::iter::once(named).chain(request.uri().authority().map(|authority| authority.as_str())) {
            if !answers_to(visitor, name) {
                let failure = refuse(format!("this host does not answer to the name `{}`", name.escape_default()));
                return Err(failure.hint("name it in `settings.allowed_hosts`, or call it by its address"));
            }
        }
    }
    if only(headers, SEC_FETCH_SITE) == Some("cross-site") && !is_allowed_origin(peer, headers) {
        return Err(refuse("a page of another site may not ask this host".to_owned()));
    }
    // What a page may not change it may not listen to either: no browser asks before it opens a socket.
    let reaches_in = gate::changes(request.method()) || headers.contains_key(header::UPGRADE);
    if headers.contains_key(header::ORIGIN) && reaches_in && !is_own_origin(peer, headers) && !is_allowed_origin(peer, headers) {
        let failure = refuse("a page of another origin may not change anything here".to_owned());
        return Err(failure.hint("name the page's origin in `settings.allowed_origins`"));
    }
    Ok(())
}

fn refuse(message: String) -> Failure {
    Failure::new(Code::Denied, message)
}

/// The value, where there is exactly one and it is text.
fn only(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let (first, other) = (values.next()?, values.next());
    first.to_str().ok().filter(|_| other.is_none())
}

/// Loopback's names, the address that was connected to, and what the operator allows; a port does not matter.
fn answers_to(visitor: &Visitor, authority: &str) -> bool {
    let name = without_port(authority).to_ascii_lowercase();
    if name == "localhost" || visitor.door.allowed_hosts.contains(&name) {
        return true;
    }
    let address: Option<IpAddr> = name.trim_start_matches('[').trim_end_matches(']').parse().ok();
    address.is_some_and(|address| address.is_loopback() || address.to_canonical() == visitor.to.ip().to_canonical())
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && (!name.contains(':') || name.ends_with(']')) => name,
        _ => authority,
    }
}

/// Is the page from this very door: the same scheme, host and port?
fn is_own_origin(peer: &Peer, headers: &HeaderMap) -> bool {
    let Some((origin, host)) = only(headers, header::ORIGIN).zip(only(headers, header::HOST)) else { return false };
    let secure = match peer {
        Peer::Local { .. } => None,
        Peer::Remote(visitor) => Some(visitor.door.tls.is_some()),
    };
    let schemes: &[(&str, &str)] = match secure {
        Some(true) => &[("https://", ":443")],
        Some(false) => &[("http://", ":80")],
        None => &[("https://", ":443"), ("http://", ":80")],
    };
    let of = |(scheme, port): &(&str, &str)| {
        let plain = host.strip_suffix(port).unwrap_or(host);
        origin.eq_ignore_ascii_case(&format!("{scheme}{plain}"))
    };
    schemes.iter().any(of)
}

fn is_allowed_origin(peer: &Peer, headers: &HeaderMap) -> bool {
    let Peer::Remote(visitor) = peer else { return false };
    only(headers, header::ORIGIN).is_some_and(|origin| visitor.door.allowed_origins.contains(&origin.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::body::Body;
    use hostler_api::config::Listen;

    use super::*;

    fn peer() -> Peer {
        let here = "192.168.1.2:7070".parse().expect("an address");
        let door = Listen {
            address: "0.0.0.0:7070".parse().expect("an address"),
            tls: None,
            allowed_hosts: vec!["hostler.example".to_owned()],
            allowed_origins: vec!["https://console.example".to_owned()],
        };
        Peer::Remote(Arc::new(Visitor::new(here, here, None, Arc::new(door))))
    }

    fn may(peer: &Peer, method: &str, headers: &[(&str, &str)]) -> bool {
        let mut request = Request::builder().method(method).uri("/api/v1/host");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        doubt(peer, &request.body(Body::empty()).expect("a request")).is_ok()
    }

    #[test]
    fn the_host_answers_to_its_own_names_only() {
        for good in ["localhost", "LOCALHOST:1", "127.0.0.1:7070", "[::1]:80", "192.168.1.2", "192.168.1.2:9", "Hostler.example:443"] {
            assert!(may(&peer(), "GET", &[("host", good)]), "{good}");
        }
        for evil in
            ["evil.example", "localhost.evil.example", "192.168.1.3", "127.0.0.1.evil.example", "", ":", "[::2]", "hostler.example.", "localhost:x"]
        {
            assert!(!may(&peer(), "GET", &[("host", evil)]), "{evil}");
        }
        assert!(!may(&peer(), "GET", &[]) && !may(&peer(), "GET", &[("host", "localhost"), ("host", "evil.example")]));
        assert!(may(&Peer::Local { uid: Some(0) }, "GET", &[("host", "anything")]));
    }

    #[test]
    fn pages_of_other_origins_change_nothing() {
        let host = ("host", "localhost:7070");
        assert!(may(&peer(), "POST", &[host, ("origin", "http://localhost:7070")]));
        assert!(may(&peer(), "POST", &[host, ("origin", "https://console.example")]));
        assert!(may(&peer(), "POST", &[host]), "a client that is no browser has no origin");
        for origin in ["http://evil.example", "null", "http://localhost:7071", "https://localhost:7070", "http://localhost", ""] {
            assert!(!may(&peer(), "POST", &[host, ("origin", origin)]), "{origin}");
            assert!(!may(&Peer::Local { uid: Some(0) }, "DELETE", &[host, ("origin", origin)]) || origin == "https://localhost:7070", "{origin}");
            assert!(may(&peer(), "GET", &[host, ("origin", origin)]), "without CORS nobody reads the answer: {origin}");
        }
    }

    #[test]
    fn what_another_site_asks_for_is_refused_whatever_it_is() {
        let host = ("host", "localhost:7070");
        for (site, good) in [("cross-site", false), ("same-origin", true), ("same-site", true), ("none", true)] {
            assert_eq!(may(&peer(), "GET", &[host, ("sec-fetch-site", site)]), good, "{site}");
        }
        assert!(may(&peer(), "GET", &[host, ("sec-fetch-site", "cross-site"), ("origin", "https://console.example")]));
    }
}
