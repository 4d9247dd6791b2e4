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
use tokio::task::{JoinHandle, spawn_blocking};
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

/// What the files have become: what they were when they were read, and what was made of them.
pub(super) struct Fresh {
    seen: Vec<Option<Seen>>,
    acceptor: Result<TlsAcceptor, String>,
}

impl Fresh {
    fn read(files: &TlsFiles) -> Fresh {
        // Looked at before they are read: what changes in between is read again.
        let seen = seen(files);
        Fresh { seen, acceptor: acceptor(files).map_err(|(_, why)| why) }
    }
}

impl Tls {
    pub(super) async fn load(files: &TlsFiles) -> Result<Tls, String> {
        let files = files.clone();
        let reading = spawn_blocking(move || -> Result<Tls, String> {
            let Fresh { seen, acceptor } = Fresh::read(&files);
            Ok(Tls { files, seen, acceptor: acceptor? })
        });
        reading.await.unwrap_or_else(|error| Err(error.to_string()))
    }

    /// For the next connection; those before keep what they have.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.clone()
    }

    /// Takes what the files have become; what cannot be used leaves all as it is.
    pub(super) fn renew(&mut self, fresh: Fresh) -> Result<(), String> {
        self.seen = fresh.seen;
        self.acceptor = fresh.acceptor?;
        Ok(())
    }

    /// A look at the files, for a thread that may wait for them: they are read anew when they have changed or somebody asks.
    fn look(&self, asked: bool) -> impl FnOnce() -> Option<Fresh> + Send + use<> {
        let (files, before) = (self.files.clone(), self.seen.clone());
        move || (asked || seen(&files) != before).then(|| Fresh::read(&files))
    }
}

/// The look at the files that is under way: there is one at most, so that a directory that does not answer costs one thread, and the door goes on
/// with what it has.
#[derive(Default)]
pub(super) struct Look {
    under_way: Option<JoinHandle<Option<Fresh>>>,
    /// Somebody has asked since it began.
    asked: bool,
}

impl Look {
    /// Begins one, unless one is under way.
    pub(super) fn want(&mut self, tls: Option<&Tls>, asked: bool) {
        if let Some(tls) = tls {
            self.begin(asked, |asked| tls.look(asked));
        }
    }

    /// Begins another, if somebody has asked meanwhile.
    pub(super) fn go_on(&mut self, tls: Option<&Tls>) {
        if self.asked {
            self.want(tls, false);
        }
    }

    /// What was found at its end, if anything has changed. It never returns while none is under way, and may be dropped at any time.
    pub(super) async fn ended(&mut self) -> Option<Fresh> {
        let Some(under_way) = &mut self.under_way else { return std::future::pending().await };
        let found = under_way.await;
        self.under_way = None;
        found.ok().flatten()
    }

    fn begin<L: FnOnce() -> Option<Fresh> + Send + 'static>(&mut self, asked: bool, look: impl FnOnce(bool) -> L) {
        self.asked |= asked;
        if self.under_way.is_none() {
            self.under_way = Some(spawn_blocking(look(std::mem::take(&mut self.asked))));
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn files_that_do_not_answer_are_looked_at_once_and_again_for_whoever_asked_meanwhile() {
        let (answer, answered) = std::sync::mpsc::channel::<()>();
        let mut look = Look::default();
        look.begin(false, |_| {
            move || {
                answered.recv().ok();
                None
            }
        });
        for asked in [false, true, false] {
            look.begin(asked, |_| -> fn() -> Option<Fresh> { panic!("one is under way") });
        }
        drop(answer);
        assert!(look.ended().await.is_none() && look.asked);
        look.begin(false, |asked| {
            let acceptor = Err(format!("asked: {asked}"));
            move || Some(Fresh { seen: Vec::new(), acceptor })
        });
        let why = look.ended().await.expect("it was looked").acceptor.err();
        assert_eq!((why.as_deref(), look.asked), (Some("asked: true"), false));
    }
}
