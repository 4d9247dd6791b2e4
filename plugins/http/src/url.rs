//! Urls, as far as a check needs them.

use serde::Deserialize;
use std::fmt;

/// An http or https url without user information. Shown without its query, which may hold a token.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Url {
    pub(crate) https: bool,
    pub(crate) authority: String,
    pub(crate) path_with_query: String,
}

impl TryFrom<String> for Url {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err("the url contains a space or a control character; spell it as %20");
        }
        let (scheme, rest) = text.split_once("://").ok_or("the url does not begin with http:// or https://")?;
        let https = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return Err("the url does not begin with http:// or https://"),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        Self::authority(authority)?;
        let path = path.split('#').next().unwrap_or("");
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(Self { https, authority: authority.to_owned(), path_with_query: format!("{slash}{path}") })
    }
}

impl Url {
    fn authority(authority: &str) -> Result<(), &'static str> {
        if authority.contains('@') {
            return Err("the url carries a user or password; put them into an Authorization header");
        }
        let after_address = authority.rsplit_once(']').map_or(authority, |(_, rest)| rest);
        let (host, port) = match after_address.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (after_address, None),
        };
        if host.is_empty() && !authority.starts_with('[') {
            return Err("the url names no host");
        }
        if port.is_some_and(|port| port.parse::<u16>().is_err()) {
            return Err("the url's port is no number from 1 to 65535");
        }
        Ok(())
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        let path = self.path_with_query.split('?').next().unwrap_or("");
        write!(f, "{scheme}://{}{path}", self.authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Result<Url, &'static str> {
        Url::try_from(text.to_owned())
    }

    #[test]
    fn a_url_has_three_parts() {
        let parts = |text: &str| {
            let url = url(text).expect("it is a url");
            (url.https, url.authority, url.path_with_query)
        };
        assert_eq!(parts("http://localhost:8080/health"), (false, "localhost:8080".into(), "/health".into()));
        assert_eq!(parts("HTTPS://x"), (true, "x".into(), "/".into()));
        assert_eq!(parts("http://x?a=b#c"), (false, "x".into(), "/?a=b".into()));
        assert_eq!(parts("http://[::1]:80/a#b"), (false, "[::1]:80".into(), "/a".into()));
    }

    #[test]
    fn a_url_is_shown_without_its_query() {
        assert_eq!(url("http://x/health?token=s3cret").expect("it is a url").to_string(), "http://x/health");
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for text in ["localhost:80", "ftp://x/", "http://", "http:///x", "http://:80/", "http://x:99999/", "http://a b/", "http://u:p@x/"] {
            assert!(url(text).is_err(), "{text}");
        }
    }
}
