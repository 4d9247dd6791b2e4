//! A host over TCP: where it is, how it is protected, and the token it is asked with.

use std::path::Path;
use std::sync::Arc;

use hyper::header::HeaderValue;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use hostler_api::{Code, Failure, Secret, token};

use super::Stream;
use crate::config::read_text;
use crate::error::usage;

/// What says how a host is reached.
#[derive(Debug, Clone, Default)]
pub struct Reach {
    /// `http://` or `https://` and a host, with a port where it is not the scheme's own.
    pub url: String,
    /// What to ask with.
    pub token: Option<Secret>,
    /// File of the authorities that vouch for the host; the machine's own when absent. PEM.
    pub ca: Option<std::path::PathBuf>,
    /// Files of a certificate to show, and of the key to it; PEM.
    pub certificate: Option<(std::path::PathBuf, std::path::PathBuf)>,
}

/// A host over TCP.
pub(super) struct Remote {
    pub(super) url: String,
    /// Host and port, as they are called.
    pub(super) authority: String,
    address: (String, u16),
    tls: Option<(ServerName<'static>, TlsConnector)>,
    pub(super) authorization: Option<HeaderValue>,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remote").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Remote {
    pub(super) fn new(reach: &Reach) -> Result<Remote, Failure> {
        let url = reach.url.trim_end_matches('/').to_owned();
        let (secure, authority) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
            (Some(authority), _) => (true, authority),
            (None, Some(authority)) => (false, authority),
            (None, None) => return Err(bad_url(&url)),
        };
        let address = split(authority, if secure { 443 } else { 80 }).ok_or_else(|| bad_url(&url))?;
        if !secure && reach.token.is_some() && !is_loopback(&address.0) {
            return Err(usage(format!("{url} is not protected: the token would travel in the clear"))
                .hint("use https://, or reach the host's loopback address through `ssh -L`"));
        }
        let tls = if secure { Some((server_name(&address.0).ok_or_else(|| bad_url(&url))?, connector(reach)?)) } else { None };
        let authorization = reach.token.as_ref().map(authorization).transpose()?;
        Ok(Remote { authority: authority.to_owned(), url, address, tls, authorization })
    }

    pub(super) async fn connect(&self) -> std::io::Result<Box<dyn Stream>> {
        let (host, port) = &self.address;
        let stream = TcpStream::connect((host.as_str(), *port)).await?;
        // Only a hint for speed.
        let _ = stream.set_nodelay(true);
        match &self.tls {
            None => Ok(Box::new(stream)),
            Some((name, connector)) => Ok(Box::new(connector.connect(name.clone(), stream).await?)),
        }
    }
}

fn bad_url(url: &str) -> Failure {
    usage(format!("`{url}` is no address of a host")).hint("write https://HOST:PORT, or http://127.0.0.1:PORT for this machine")
}

fn split(authority: &str, default: u16) -> Option<(String, u16)> {
    if authority.is_empty() || authority.contains(['/', '@', '?', '#', ' ']) {
        return None;
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, port.parse().ok()?),
        _ => (authority, default),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn server_name(host: &str) -> Option<ServerName<'static>> {
    ServerName::try_from(host.to_owned()).ok()
}

/// A typo is told here: the host tells nobody how good a token is.
fn authorization(token: &Secret) -> Result<HeaderValue, Failure> {
    let text = token.reveal().trim();
    if token::id_of(text).is_none() {
        return Err(Failure::new(Code::Denied, "the token has a typo, or is cut off: its checksum does not fit")
            .hint("copy the whole of it, from `hst_` to its end"));
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {text}")).map_err(|_| usage("the token is no text"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn connector(reach: &Reach) -> Result<TlsConnector, Failure> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider supports the default versions")
        .with_root_certificates(roots(reach.ca.as_deref())?);
    let config = match &reach.certificate {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let wrong = |error: &dyn std::fmt::Display| usage(format!("{}: {error}", key.display()));
            let key = PrivateKeyDer::from_pem_slice(text_of(key)?.as_bytes()).map_err(|error| wrong(&error))?;
            builder.with_client_auth_cert(certificates(certificate)?, key).map_err(|error| usage(format!("{}: {error}", certificate.display())))?
        }
    };
    Ok(Arc::new(config).into())
}

fn roots(ca: Option<&Path>) -> Result<RootCertStore, Failure> {
    let mut roots = RootCertStore::empty();
    match ca {
        None => drop(roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
        Some(path) => {
            for authority in certificates(path)? {
                roots.add(authority).map_err(|error| usage(format!("{}: {error}", path.display())))?;
            }
        }
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text_of(path)?.as_bytes()).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(usage(format!("{}: there is no certificate in it", path.display()))),
        Err(error) => Err(usage(format!("{}: it is no PEM of certificates: {error}", path.display()))),
    }
}

fn text_of(path: &Path) -> Result<String, Failure> {
    read_text(path).map_err(|why| usage(format!("{}: {why}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> Secret {
        token::compose("abc", "0123456789ABCDEFGHIJKLMNOPQRSTUV")
    }

    fn reach(url: &str, token: Option<Secret>) -> Result<Remote, Failure> {
        Remote::new(&Reach { url: url.to_owned(), token, ..Reach::default() })
    }

    #[test]
    fn an_address_is_read_as_people_write_it() {
        for (url, host, port) in [
            ("http://127.0.0.1:7070", "127.0.0.1", 7070),
            ("http://localhost/", "localhost", 80),
            ("https://hostler.example", "hostler.example", 443),
            ("https://[::1]:7070", "::1", 7070),
            ("https://[fd00::2]", "fd00::2", 443),
        ] {
            assert_eq!(reach(url, None).expect(url).address, (host.to_owned(), port));
        }
        for url in ["", "hostler.example", "ftp://x", "https://", "https://a/b", "https://user@a", "https://a:b", "http://:80"] {
            assert_eq!(reach(url, None).expect_err(url).code, Code::Invalid, "{url}");
        }
    }

    #[test]
    fn a_token_goes_nowhere_in_the_clear() {
        assert!(reach("http://127.0.0.1:1", Some(token())).is_ok() && reach("https://a.example", Some(token())).is_ok());
        let refused = reach("http://a.example", Some(token())).expect_err("others can listen");
        assert!(refused.message.contains("in the clear"), "{refused}");
    }

    #[test]
    fn a_typo_is_told_before_anybody_is_asked() {
        let refused = reach("http://127.0.0.1:1", Some(Secret::new(token().reveal().replace("ABC", "ABD")))).expect_err("a typo");
        assert!(refused.message.contains("typo") && !refused.message.contains("hst_"), "{refused}");
    }

    #[test]
    fn nothing_shows_the_token() {
        let remote = reach("https://a.example", Some(token())).expect("good");
        assert!(!format!("{remote:?} {:?}", remote.authorization).contains("0123"), "{remote:?}");
    }
}
