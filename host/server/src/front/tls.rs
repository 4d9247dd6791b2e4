//! Certificates of the TCP door, read when it opens, when their files change, and when somebody asks.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use hostler_api::config::TlsFiles;
use hostler_core::Problem;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

/// The largest of the files.
const MOST: u64 = 1 << 20;

/// How the door is protected now.
pub(super) struct Tls {
    files: TlsFiles,
    /// What the files were when they were read last.
    seen: Vec<Option<Seen>>,
    acceptor: TlsAcceptor,
}

/// What tells one content of a file from the next.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl Tls {
    pub(super) fn load(files: &TlsFiles) -> Result<Tls, String> {
        // Looked at before they are read: what changes in between is read again.
        let seen = seen(files);
        let acceptor = acceptor(files).map_err(|(_, why)| why)?;
        Ok(Tls { files: files.clone(), seen, acceptor })
    }

    /// For the next connection; those before keep what they have.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.clone()
    }

    /// Reads the files anew when they have changed or somebody asks; what cannot be used leaves all as it is.
    pub(super) fn renew(&mut self, asked: bool) -> Option<Result<(), String>> {
        let seen = seen(&self.files);
        if seen == self.seen && !asked {
            return None;
        }
        self.seen = seen;
        Some(acceptor(&self.files).map(|acceptor| self.acceptor = acceptor).map_err(|(_, why)| why))
    }
}

/// What is wrong with these files, at its place in the configuration.
pub(crate) fn doubt(files: &TlsFiles) -> Option<Problem> {
    let (key, why) = acceptor(files).err()?;
    Some(Problem::new(format!("/settings/tls/{key}"), why))
}

fn seen(files: &TlsFiles) -> Vec<Option<Seen>> {
    let of = |path: &String| {
        let found = std::fs::metadata(path).ok()?;
        Some(Seen { inode: found.ino(), size: found.size(), changed: (found.ctime(), found.ctime_nsec()) })
    };
    [&files.certificate, &files.key].into_iter().chain(&files.client_ca).map(of).collect()
}

/// What is made of the files, or which of them is wrong and why.
fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, (&'static str, String)> {
    let certificates = |key: &'static str, path: &str| -> Result<Vec<CertificateDer<'static>>, (&'static str, String)> {
        let wrong = |why: String| (key, format!("{path}: {why}"));
        let found: Vec<_> = CertificateDer::pem_slice_iter(&read(path).map_err(wrong)?)
            .collect::<Result<_, _>>()
            .map_err(|error| wrong(format!("it is no PEM of certificates: {error}")))?;
        if found.is_empty() { Err(wrong("there is no certificate in it".to_owned())) } else { Ok(found) }
    };
    let chain = certificates("certificate", &files.certificate)?;
    let wrong_key = |why: String| ("key", format!("{}: {why}", files.key));
    let key = PrivateKeyDer::from_pem_slice(&read(&files.key).map_err(wrong_key)?)
        .map_err(|error| wrong_key(format!("there is no private key in it: {error}")))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("the provider supports the default versions");
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for authority in certificates("client_ca", path)? {
                roots.add(authority).map_err(|error| ("client_ca", format!("{path}: {error}")))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| ("client_ca", format!("{path}: {error}")))?)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| ("certificate", format!("{}: {error}", files.certificate)))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config).into())
}

fn read(path: &str) -> Result<Vec<u8>, String> {
    let said = |error: std::io::Error| error.to_string();
    // A pipe without a writer would keep whoever opens it waiting.
    if !Path::new(path).metadata().map_err(said)?.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let mut bytes = Vec::new();
    File::open(path).map_err(said)?.take(MOST + 1).read_to_end(&mut bytes).map_err(said)?;
    if bytes.len() as u64 > MOST { Err(format!("it has more than {} KiB", MOST >> 10)) } else { Ok(bytes) }
}
