//! A named endpoint: where it is, what may be asked of it, and what the host adds so that it answers.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use hyper::Request;
use hyper::header::{AUTHORIZATION, HOST, HeaderName, HeaderValue, PROXY_AUTHORIZATION};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsConnector;
use wasmtime_wasi_http::{Error, WasiBody};

use super::transport::{Identity, Tls, connector};
use super::{CAPABILITY, strip};
use crate::grant::address::{Place, Range, place};
use crate::grant::endpoint::check_name;
use crate::grant::host::Host;
use crate::grant::url::{DEFAULT_MAX_RESPONSE_BYTES, Destination, admits_method, is_below, methods};
use crate::grant::{EndpointGrant, HeaderText};
use crate::scope::Scope;

/// An endpoint's grant, read.
pub(super) struct Endpoint {
    pub(super) name: String,
    pub(super) max_response_bytes: u64,
    at: At,
    /// What the other side hears as its own name.
    host: HeaderValue,
    /// Before every path; without a last slash.
    base: String,
    methods: Vec<String>,
    paths: Vec<String>,
    ranges: Vec<Range>,
    added: Vec<(HeaderName, Added)>,
    connector: Option<TlsConnector>,
}

enum At {
    Socket(PathBuf),
    Net(Destination),
}

/// The value of a header that the host adds. Secrets are read when a request is sent.
enum Added {
    Plain(HeaderValue),
    Secret(String),
    Bearer(String),
}

impl Endpoint {
    pub(super) fn settle(name: &str, grant: &EndpointGrant) -> Result<Endpoint, String> {
        check_name(name)?;
        let (at, host, base) = locate(&grant.url)?;
        if let Some(path) = grant.paths.iter().find(|path| !path.starts_with('/') || path.contains(['?', '#', '*'])) {
            return Err(format!("`{path}` is no prefix of a path; write `/api`"));
        }
        let https = matches!(&at, At::Net(to) if to.https);
        Ok(Endpoint {
            name: name.to_owned(),
            max_response_bytes: grant.max_response_bytes.unwrap_or(DEFAULT_MAX_RESPONSE_BYTES),
            at,
            host,
            base,
            methods: methods(grant.methods.as_deref()),
            paths: grant.paths.iter().map(|path| path.trim_end_matches('/').to_owned()).collect(),
            ranges: grant.addresses.iter().map(|text| Range::parse(text)).collect::<Result<_, _>>()?,
            added: added(grant)?,
            connector: trust(grant, https)?,
        })
    }

    /// Where it is on the net; else its socket.
    pub(super) fn destination(&self) -> Result<&Destination, &Path> {
        match &self.at {
            At::Net(to) => Ok(to),
            At::Socket(path) => Err(path),
        }
    }

    /// How connections to it are protected.
    pub(super) fn tls(&self) -> Result<Option<Tls>, Error> {
        self.destination().map_or(Ok(None), |to| Tls::of(to, self.connector.clone()))
    }

    /// May this address be connected to? The operator wrote the host; where it is a name, somebody else says what it means.
    pub(super) fn admits(&self, address: IpAddr) -> bool {
        if !self.ranges.is_empty() {
            return self.ranges.iter().any(|range| range.contains(address));
        }
        match &self.at {
            At::Net(Destination { host: Host::Name(name), .. }) => match place(address) {
                Place::Public => true,
                Place::Private => name == "localhost" && address.to_canonical().is_loopback(),
                Place::Forbidden => false,
            },
            At::Net(_) | At::Socket(_) => true,
        }
    }

    /// The request as it is sent, if the plugin may send it.
    pub(super) async fn admit(&self, scope: &Scope, request: Request<WasiBody>) -> Result<Request<WasiBody>, Error> {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
        if let Err(what) = self.judge(&request, &path) {
            scope.denied(CAPABILITY, &what);
            return Err(Error::HttpRequestDenied);
        }
        let mut request = strip(request, &format!("{}{path}", self.base))?;
        let internal = |why: String| Error::InternalError(Some(why));
        for value in request.headers_mut().values_mut() {
            let Ok(text) = value.to_str().map(str::to_owned) else { continue };
            let filled = scope.fill(text.clone()).await.map_err(internal)?;
            if filled != text {
                *value = sensitive(&filled).map_err(internal)?;
            }
        }
        let headers = request.headers_mut();
        headers.insert(HOST, self.host.clone());
        for (name, added) in &self.added {
            let value = match added {
                Added::Plain(value) => value.clone(),
                Added::Secret(secret) => sensitive(&scope.secret(secret).await.map_err(internal)?).map_err(internal)?,
                Added::Bearer(secret) => sensitive(&format!("Bearer {}", scope.secret(secret).await.map_err(internal)?)).map_err(internal)?,
            };
            headers.insert(name, value);
        }
        Ok(request)
    }

    fn judge(&self, request: &Request<WasiBody>, path: &str) -> Result<(), String> {
        let (name, method) = (&self.name, request.method().as_str());
        if !admits_method(&self.methods, method) {
            return Err(format!("method {method} of endpoint {name}"));
        }
        let below = |prefix: &String| is_below(path, prefix);
        if !(below(&String::new()) && (self.paths.is_empty() || self.paths.iter().any(below))) {
            return Err(format!("{method} {} of endpoint {name}", path.split('?').next().unwrap_or_default()));
        }
        // many servers do not tell `_` from `-`
        let one_word = |header: &HeaderName| header.as_str().replace('_', "-");
        let own = |header: &&HeaderName| {
            let header = one_word(header);
            [AUTHORIZATION, PROXY_AUTHORIZATION].iter().chain(self.added.iter().map(|(added, _)| added)).any(|own| one_word(own) == header)
        };
        match request.headers().keys().find(own) {
            Some(header) => Err(format!("header {header} of endpoint {name}, which the host sets")),
            None => Ok(()),
        }
    }
}

/// Reads the URL: where it is, what it hears as its name, and the path before every path.
fn locate(url: &str) -> Result<(At, HeaderValue, String), String> {
    let wrong = |why: &str| format!("`{url}` is no place of an endpoint: {why}; write `https://10.0.0.1:6443` or `unix:/run/x.sock`");
    if let Some(path) = url.strip_prefix("unix:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        if !path.starts_with('/') {
            return Err(wrong("a socket has an absolute path"));
        }
        return Ok((At::Socket(path.into()), HeaderValue::from_static("localhost"), String::new()));
    }
    let (scheme, rest) = url.split_once("://").ok_or_else(|| wrong("it has no scheme"))?;
    let https = match scheme {
        "https" => true,
        "http" => false,
        _ => return Err(wrong("only http, https and unix exist")),
    };
    let (authority, base) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
    let base = base.trim_end_matches('/');
    if base.contains(['?', '#']) || !is_below(base, "") {
        return Err(wrong("its path is a plain prefix"));
    }
    let to = Destination::parse(https, authority).map_err(|why| wrong(&why))?;
    let host = HeaderValue::from_str(authority).map_err(|_| wrong("its host is none"))?;
    Ok((At::Net(to), host, base.to_owned()))
}

fn added(grant: &EndpointGrant) -> Result<Vec<(HeaderName, Added)>, String> {
    let mut added = Vec::new();
    for (name, text) in &grant.headers {
        let header: HeaderName = name.parse().map_err(|_| format!("`{name}` is no name of a header"))?;
        if header == HOST || OF_THE_CONNECTION.contains(&header.as_str()) {
            return Err(format!("header `{name}` belongs to the connection"));
        }
        let value = match text {
            HeaderText::Plain(text) => {
                Added::Plain(HeaderValue::from_str(text).map_err(|_| format!("header `{name}` has a value that HTTP cannot carry"))?)
            }
            HeaderText::Secret(name) => Added::Secret(name.secret.clone()),
        };
        added.push((header, value));
    }
    if let Some(token) = &grant.token {
        if added.iter().any(|(name, _)| *name == AUTHORIZATION) {
            return Err("it has a `token` and a header `authorization`; keep one of them".to_owned());
        }
        added.push((AUTHORIZATION, Added::Bearer(token.clone())));
    }
    Ok(added)
}

const OF_THE_CONNECTION: [&str; 6] = ["connection", "content-length", "keep-alive", "te", "transfer-encoding", "upgrade"];

fn sensitive(text: &str) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::from_str(text).map_err(|_| "a secret that HTTP cannot carry in a header".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

/// What connections are made with; nothing where the machine's own certificates are enough.
pub(in crate::capability) fn trust(grant: &EndpointGrant, https: bool) -> Result<Option<TlsConnector>, String> {
    let identity = match (&grant.client_certificate, &grant.client_key) {
        (None, None) => None,
        (Some(certificate), Some(key)) => Some(identity(certificate, key)?),
        _ => return Err("`client_certificate` and `client_key` go together".to_owned()),
    };
    if grant.ca.is_none() && identity.is_none() {
        return Ok(None);
    }
    if !https {
        return Err("certificates are for `https://`".to_owned());
    }
    let mut roots = RootCertStore::empty();
    match &grant.ca {
        Some(file) => {
            for authority in certificates(file)? {
                roots.add(authority).map_err(|error| format!("{file}: {error}"))?;
            }
        }
        None => drop(roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
    }
    connector(roots, identity).map(Some).map_err(|error| format!("its client certificate cannot be used: {error}"))
}

fn identity(certificate: &str, key: &str) -> Result<Identity, String> {
    check_file("client_key", key)?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| format!("{key} has no private key in PEM: {error}"))?;
    Ok((certificates(certificate)?, key))
}

fn certificates(file: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    check_file("a certificate", file)?;
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = read.map_err(|error| format!("{file} cannot be read as certificates in PEM: {error}"))?;
    if found.is_empty() { Err(format!("{file} has no certificate in PEM")) } else { Ok(found) }
}

/// Only a regular file: a pipe would keep the host waiting.
fn check_file(what: &str, file: &str) -> Result<(), String> {
    if !Path::new(file).is_absolute() {
        return Err(format!("`{file}` is no absolute path; {what} is named by one"));
    }
    match std::fs::metadata(file) {
        Ok(about) if about.is_file() => Ok(()),
        Ok(_) => Err(format!("{file} is not a file")),
        Err(error) => Err(format!("{file} cannot be read: {error}")),
    }
}
