//! The least that an HTTP server can do: hyper alone, in a process of its own, that says the same to whoever asks.

use std::convert::Infallible;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitCode};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::UnixListener;

use crate::Fallible;
use crate::place::{self, Place};

/// The process.
#[derive(Debug)]
pub(crate) struct Hello {
    child: Child,
    /// Where it listens.
    pub(crate) socket: PathBuf,
}

impl Hello {
    /// Starts it; it ends with this value, or with the place.
    pub(crate) fn start(place: &Place) -> Fallible<Hello> {
        let socket = place.file("hello.sock");
        let mut child = place.program(std::env::current_exe()?).arg("hello").arg(&socket).spawn()?;
        place::until("a server that says hello", Duration::from_millis(5), || match child.try_wait()? {
            Some(status) => Err(format!("it has ended: {status}").into()),
            None => Ok(std::os::unix::net::UnixStream::connect(&socket).ok()),
        })?;
        Ok(Hello { child, socket })
    }
}

impl Drop for Hello {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The life of that process: the word is where it listens.
pub(crate) fn live(socket: Option<OsString>) -> ExitCode {
    let Some(socket) = socket else { return ExitCode::from(2) };
    match serve(Path::new(&socket)) {
        Ok(never) => match never {},
        Err(error) => {
            eprintln!("hostler-bench hello: {error}");
            ExitCode::FAILURE
        }
    }
}

/// With the executor of the host, and as many threads.
fn serve(socket: &Path) -> Fallible<Infallible> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let listener = UnixListener::bind(socket)?;
        loop {
            let (stream, _) = listener.accept().await?;
            // Whoever hangs up ends his own connection.
            tokio::spawn(async move { drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)).await) });
        }
    })
}

async fn answer(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::new(Bytes::from_static(br#"{"hello":"world"}"#)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}
