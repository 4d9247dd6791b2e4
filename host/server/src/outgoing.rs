//! Requests that the host itself sends to whom the operator has named: one at a time, each on a connection of its own. No redirect is followed.

use std::fs;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

/// What is read of an answer.
const ANSWER_BYTES: usize = 64 << 10;

/// Sends it, and waits for the whole answer; whoever calls sets the time. `ca` is a file of the authorities that vouch for the other side,
/// the machine's own when absent.
pub(crate) async fn send(request: Request<Full<Bytes>>, ca: Option<&str>) -> Result<Response<Bytes>, String> {
    let uri = request.uri().clone();
    let is_secure = uri.scheme_str() == Some("https");
    let host = uri.host().ok_or("its address names no host")?.trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = uri.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
    let stream = TcpStream::connect((host.as_str(), port)).await.map_err(|error| format!("{host}:{port}: {error}"))?;
    // Only a hint for speed.
    stream.set_nodelay(true).ok();
    if !is_secure {
        return converse(stream, request, &uri).await;
    }
    let name = ServerName::try_from(host.clone()).map_err(|error| format!("{host}: {error}"))?;
    let stream = connector(ca).await?.connect(name, stream).await.map_err(|error| format!("{host}:{port}: {error}"))?;
    converse(stream, request, &uri).await
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
    uri: &Uri,
) -> Result<Response<Bytes>, String> {
    let told = |error: hyper::Error| error.to_string();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(told)?;
    let _driving = Driving(tokio::spawn(connection));
    let (mut parts, body) = request.into_parts();
    parts.uri = uri.path_and_query().map_or("/", |path| path.as_str()).parse().map_err(|_| "its path cannot be asked for")?;
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    parts.headers.insert(HOST, HeaderValue::from_str(authority).map_err(|_| "its host cannot be asked for")?);
    let answer = sender.send_request(Request::from_parts(parts, body)).await.map_err(told)?;
    let (parts, body) = answer.into_parts();
    let body = Limited::new(body, ANSWER_BYTES).collect().await.map_err(|error| format!("its answer broke off: {error}"))?;
    Ok(Response::from_parts(parts, body.to_bytes()))
}

/// A connection, for as long as somebody waits for its answer.
struct Driving(JoinHandle<Result<(), hyper::Error>>);

impl Drop for Driving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn connector(ca: Option<&str>) -> Result<TlsConnector, String> {
    static OWN: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if ca.is_none()
        && let Some(own) = OWN.get()
    {
        return Ok(Arc::clone(own).into());
    }
    let file = ca.map(str::to_owned);
    let read = tokio::task::spawn_blocking(move || roots(file.as_deref())).await;
    let config = client(read.map_err(|error| error.to_string())??);
    if ca.is_none() {
        // Two at once have read the same.
        OWN.set(Arc::clone(&config)).ok();
    }
    Ok(config.into())
}

fn client(roots: RootCertStore) -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("the provider supports the default versions");
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}

fn roots(ca: Option<&str>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let Some(file) = ca else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return Ok(roots);
    };
    let text = fs::read(file).map_err(|error| format!("{file}: {error}"))?;
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let certificate = certificate.map_err(|error| format!("{file}: it is no PEM of certificates: {error}"))?;
        roots.add(certificate).map_err(|error| format!("{file}: {error}"))?;
    }
    if roots.is_empty() { Err(format!("{file}: there is no certificate in it")) } else { Ok(roots) }
}
