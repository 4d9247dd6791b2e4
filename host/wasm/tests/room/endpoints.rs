//! Named endpoints against real servers: over TLS with certificates of the test's own, and over a unix socket.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::checks::judge;
use crate::secrets::Vault;
use crate::support::{Host, built_in, call};

/// A certificate authority, what it vouches for, and where that lies.
struct Papers {
    dir: tempfile::TempDir,
    ca: CertificateDer<'static>,
    server: (CertificateDer<'static>, PrivateKeyDer<'static>),
}

impl Papers {
    fn new() -> Papers {
        let dir = tempfile::tempdir().expect("a directory");
        let write = |name: &str, text: String| std::fs::write(dir.path().join(name), text).expect("ours");
        let key = || KeyPair::generate().expect("a key");
        let mut authority = CertificateParams::new(Vec::new()).expect("parameters");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_key = key();
        let ca = authority.self_signed(&ca_key).expect("a certificate");
        write("ca.pem", ca.pem());
        let issuer = Issuer::new(authority, ca_key);
        let issue = |names: &[&str], key: &KeyPair| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            CertificateParams::new(names).expect("parameters").signed_by(key, &issuer).expect("a certificate")
        };
        let (server_key, client_key, other_key) = (key(), key(), key());
        let server = issue(&["localhost", "127.0.0.1"], &server_key);
        write("client.pem", issue(&["client"], &client_key).pem());
        write("client.key", client_key.serialize_pem());
        write("other-ca.pem", CertificateParams::new(vec!["other".to_owned()]).expect("parameters").self_signed(&other_key).expect("made").pem());
        let server_key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(server_key.serialize_der()));
        Papers { ca: ca.der().clone(), server: (server.der().clone(), server_key), dir }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Serves only whom the authority vouches for.
    fn acceptor(&self) -> tokio_rustls::TlsAcceptor {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.ca.clone()).expect("a certificate");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let clients =
            rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().expect("a verifier");
        let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
        let (certificate, key) = (self.server.0.clone(), self.server.1.clone_key());
        Arc::new(config.with_client_cert_verifier(clients).with_single_cert(vec![certificate], key).expect("its own certificate")).into()
    }
}

/// Answers with what it was asked.
async fn answer(request: Request<Incoming>, requests: Arc<AtomicUsize>) -> Result<Response<Full<Bytes>>, Infallible> {
    requests.fetch_add(1, Ordering::SeqCst);
    let path = request.uri().path().to_owned();
    let response = match path.as_str() {
        "/v1/redirect" => Response::builder().status(302).header("location", "/v1/ok").body(Full::default()),
        "/v1/huge" => Response::builder().body(Full::from(vec![b'x'; 2 << 20])),
        _ => {
            let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or("-").to_owned();
            let said = format!("{} {path} host={} auth={} x={}", request.method(), header("host"), header("authorization"), header("x-key"));
            Response::builder().body(Full::from(said))
        }
    };
    Ok(response.expect("an answer"))
}

async fn serve(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, requests: Arc<AtomicUsize>) {
    let service = service_fn(move |request| answer(request, Arc::clone(&requests)));
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(io), service).await;
}

/// A server over TLS; its port, and how many requests it saw.
async fn secure(papers: &Papers) -> (u16, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (acceptor, requests) = (papers.acceptor(), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&requests);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, seen) = (acceptor.clone(), Arc::clone(&seen));
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    serve(stream, seen).await;
                }
            });
        }
    });
    (port, requests)
}

/// What an endpoint says of the server's papers.
fn trusted(papers: &Papers, url: &str) -> Value {
    json!({
        "url": url, "ca": papers.file("ca.pem"), "client_certificate": papers.file("client.pem"), "client_key": papers.file("client.key"),
        "addresses": ["127.0.0.0/8", "::1"],
    })
}

fn endpoints(value: Value) -> Value {
    json!({ "http": { "endpoints": value } })
}

#[tokio::test]
async fn an_http_check_judges_over_tls_with_a_certificate_of_its_own() {
    let papers = Papers::new();
    let (port, requests) = secure(&papers).await;
    let host = Host::new();
    for url in [format!("https://localhost:{port}/v1"), format!("https://127.0.0.1:{port}/v1/")] {
        let grants = endpoints(json!({ "hub": trusted(&papers, &url) })).to_string();
        let http = host.load("http", built_in("http"), &grants).await;
        let report = judge(&http, call(), json!({"url": "http://hub/ok", "body_contains": "GET /v1/ok"})).await.expect("judged");
        assert_eq!(report.verdict, hostler_wasm::words::Verdict::Pass, "{report:?}");
    }
    let before = requests.load(Ordering::SeqCst);
    assert_eq!(before, 2);
    // whom nobody vouches for is not asked, and the check says so
    let cases = [("ca", json!(papers.file("other-ca.pem")), "its certificate is not trusted"), ("client_certificate", Value::Null, "TLS")];
    for (key, value, words) in cases {
        let mut endpoint = trusted(&papers, &format!("https://localhost:{port}/v1"));
        endpoint[key] = value;
        if key == "client_certificate" {
            endpoint["client_key"] = Value::Null;
        }
        let http = host.load("http", built_in("http"), &endpoints(json!({ "hub": endpoint })).to_string()).await;
        let report = judge(&http, call(), json!({"url": "http://hub/ok"})).await.expect("judged");
        assert_eq!(report.verdict, hostler_wasm::words::Verdict::Fail, "{key}: {report:?}");
        assert!(report.message.contains(words) || key != "ca", "{key}: {report:?}");
    }
    assert_eq!(requests.load(Ordering::SeqCst), before, "nobody was answered");
}

#[tokio::test]
async fn the_host_adds_what_the_plugin_does_not_see() {
    let (_keeper, link) = crate::keeper::start().await;
    let papers = Papers::new();
    let (port, requests) = secure(&papers).await;
    let mut hub = trusted(&papers, &format!("https://localhost:{port}/v1"));
    hub["token"] = json!("token");
    hub["headers"] = json!({"x-key": {"secret": "other"}});
    hub["paths"] = json!(["/api"]);
    let vault = Vault::with(link, endpoints(json!({ "hub": hub }))).await;
    vault.host.keep_secret("token", "sesame");
    let answer = vault.does_one(json!({"fetch": ["GET", "http://hub/api/x", "", ""]})).await;
    assert_eq!(answer, format!("200 GET /v1/api/x host=localhost:{port} auth=Bearer sesame x=another value"));
    let refused = [
        json!({"fetch": ["GET", "http://hub/api", "authorization", "mine"]}),
        json!({"fetch": ["GET", "http://hub/api", "x_key", "mine"]}),
        json!({"fetch": ["GET", "http://hub/api/..;/other", "", ""]}),
        json!({"fetch": ["GET", "http://hub/api", "X-Key", "mine"]}),
        json!({"fetch": ["POST", "http://hub/api", "", ""]}),
        json!({"fetch": ["GET", "http://hub/other", "", ""]}),
        json!({"fetch": ["GET", "http://hub/api/../other", "", ""]}),
        json!({"fetch": ["GET", "http://hub/api/%2e%2e/other", "", ""]}),
        json!({"fetch": ["GET", "http://hub.evil/api", "", ""]}),
        json!({"fetch": ["GET", format!("https://localhost:{port}/v1/api"), "", ""]}),
    ];
    for (count, step) in refused.iter().enumerate() {
        let answer = vault.does_one(step.clone()).await;
        assert!(answer.starts_with("denied"), "{step}: {answer}");
        assert_eq!(vault.host.heard.denied().len(), count + 1, "{step}: {:?}", vault.host.heard.denied());
        assert_eq!(vault.keyring.counts().denied, count as u64 + 1);
    }
    assert_eq!(requests.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_secret_of_the_plugin_goes_to_named_endpoints_alone() {
    let (_keeper, link) = crate::keeper::start().await;
    let papers = Papers::new();
    let (port, _) = secure(&papers).await;
    let web = crate::support::web::Web::start();
    let mut grants = endpoints(json!({ "hub": trusted(&papers, &format!("https://localhost:{port}")) }));
    grants["http"]["hosts"] = json!([web.url("")]);
    let vault = Vault::with(link, grants).await;
    vault.host.keep_secret("token", "sesame");
    let answer = vault.does_one(json!({"fetch": ["GET", "http://hub/a", "x-key", "<{token}>"]})).await;
    assert!(answer.ends_with("x=<sesame>"), "{answer}");
    vault.does_one(json!({"fetch": ["GET", web.url("/ok"), "x-key", "{token}"]})).await;
    let heads = web.heads();
    assert!(heads.contains("x-key: hostler-secret-") && !heads.contains("sesame"), "{heads}");
}

#[tokio::test]
async fn an_endpoint_may_be_a_socket() {
    let (_keeper, link) = crate::keeper::start().await;
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("engine.sock");
    let listener = tokio::net::UnixListener::bind(&path).expect("a socket");
    let requests = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&requests);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, Arc::clone(&seen)));
        }
    });
    let engine = json!({"url": format!("unix:{}", path.display()), "methods": ["GET", "PUT"], "max_response_bytes": 1 << 20});
    let vault = Vault::with(link, endpoints(json!({ "engine": engine }))).await;
    let answers = vault
        .does(json!([
            {"fetch": ["PUT", "http://engine/v1/x", "", ""]},
            {"fetch": ["GET", "http://engine/v1/redirect", "", ""]},
            {"fetch": ["GET", "http://engine/v1/huge", "", ""]},
        ]))
        .await;
    assert_eq!(answers[..2], ["200 PUT /v1/x host=localhost auth=- x=-", "302 "]);
    assert!(!answers[2].starts_with("200"), "{answers:?}");
    assert_eq!(requests.load(Ordering::SeqCst), 3, "nobody followed");
}

#[tokio::test]
async fn an_endpoint_is_where_its_ranges_say() {
    let (_keeper, link) = crate::keeper::start().await;
    let web = crate::support::web::Web::start();
    let port = web.address.port();
    let at = |url: String, addresses: Value| json!({"url": url, "addresses": addresses});
    let cases = json!({
        "literal": at(format!("http://127.0.0.1:{port}"), json!([])),
        "localhost": at(format!("http://localhost:{port}"), json!([])),
        "elsewhere": at(format!("http://localhost:{port}"), json!(["10.0.0.0/8"])),
        "metadata": at("http://169.254.169.254".to_owned(), json!(["0.0.0.0/0"])),
        "mapped": at("http://[::ffff:169.254.169.254]".to_owned(), json!(["::/0", "0.0.0.0/0"])),
    });
    let vault = Vault::with(link, endpoints(cases)).await;
    for (name, good) in [("literal", true), ("localhost", true), ("elsewhere", false), ("metadata", false), ("mapped", false)] {
        let before = vault.host.heard.denied().len();
        let answer = vault.does_one(json!({"fetch": ["GET", format!("http://{name}/ok"), "", ""]})).await;
        assert_eq!(answer == "200 all is well", good, "{name}: {answer}");
        assert_eq!(vault.host.heard.denied().len() > before, !good, "{name}: {:?}", vault.host.heard.denied());
    }
}

#[tokio::test]
async fn hosts_may_be_held_to_ranges_too() {
    let (_keeper, link) = crate::keeper::start().await;
    let web = crate::support::web::Web::start();
    let fetch = json!({"fetch": ["GET", format!("http://localhost:{}/ok", web.address.port()), "", ""]});
    let inside = Vault::with(Arc::clone(&link), json!({"http": {"hosts": ["*"], "addresses": ["127.0.0.0/8", "::1"]}})).await;
    assert_eq!(inside.does_one(fetch.clone()).await, "200 all is well");
    let outside = Vault::with(link, json!({"http": {"hosts": ["*"], "private": "allow", "addresses": ["10.0.0.0/8"]}})).await;
    assert_eq!(outside.does_one(fetch).await, "denied: the address");
    assert_eq!(web.requests(), 1);
}

#[tokio::test]
async fn an_endpoint_that_cannot_be_is_named_with_its_reason() {
    let host = Host::new();
    let papers = Papers::new();
    let cases = [
        (json!({"hub": {"url": "hub:80"}}), "`hub:80` is no place of an endpoint"),
        (json!({"hub": {"url": "unix:run/x"}}), "absolute path"),
        (json!({"hub": {"url": "https://user@hub"}}), "is no host name"),
        (json!({"Hub": {"url": "https://hub"}}), "no name for an endpoint"),
        (json!({"hub": {"url": "https://hub", "ca": "/nowhere/ca.pem"}}), "/nowhere/ca.pem cannot be read"),
        (json!({"hub": {"url": "https://hub", "ca": "ca.pem"}}), "no absolute path"),
        (json!({"hub": {"url": "https://hub", "ca": papers.file("client.key")}}), "no certificate"),
        (json!({"hub": {"url": "https://hub", "client_key": "/x"}}), "go together"),
        (json!({"hub": {"url": "http://hub", "ca": papers.file("ca.pem")}}), "for `https://`"),
        (json!({"hub": {"url": "https://hub", "addresses": ["ten"]}}), "no range of addresses"),
        (json!({"hub": {"url": "https://hub", "headers": {"host": "x"}}}), "belongs to the connection"),
        (json!({"hub": {"url": "https://hub", "token": "t", "headers": {"Authorization": "x"}}}), "keep one"),
        (json!({"hub": {"url": "https://hub", "paths": ["api"]}}), "no prefix of a path"),
        (json!({}), "neither `hosts` nor `endpoints`"),
    ];
    for (grant, words) in cases {
        let error = host.try_load("http", built_in("http"), &endpoints(grant.clone()).to_string()).await.expect_err(words).to_string();
        assert!(error.contains("grant `http`") && error.contains(words), "{grant}: {error}");
    }
}
