//! The client against a real HTTP server on a real socket.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::os::unix::fs::PermissionsExt;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Frame};
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use tempfile::TempDir;
use tokio::net::UnixListener;

use hostler_api::{EventItem, Explanation};

use super::*;

/// Serves what `answer` says about each path, until the test ends.
fn host(answer: impl Fn(&str) -> (u16, Vec<&'static str>) + Clone + Send + Sync + 'static) -> (TempDir, Client) {
    let directory = TempDir::new().expect("a temporary directory");
    let listener = UnixListener::bind(directory.path().join(routes::SOCKET)).expect("a fresh path");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = answer.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                let (status, pieces) = answer(request.uri().path());
                let body = Pieces(pieces.into());
                async move { Ok::<_, Infallible>(Response::builder().status(status).body(body).expect("a status is all it has")) }
            });
            tokio::spawn(server::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    let client = Client::new(directory.path());
    (directory, client)
}

/// A body that comes in pieces.
struct Pieces(VecDeque<&'static str>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;
    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(Bytes::from(piece)))))
    }
}

#[tokio::test]
async fn an_answer_is_kept_as_it_came_and_read_when_asked() {
    let text = r#"{"version":1,"service":"db","wanted":"running","status":"pending","health":"unknown","because":["waiting"],"next":null,"hint":null,"new_field":7}"#;
    let (_directory, client) = host(move |path| {
        assert_eq!(path, "/api/v1/services/db/explain");
        (200, vec![text])
    });
    let document = client.get(&routes::of(routes::EXPLAIN, "db")).await.expect("an answer");
    assert_eq!(document.bytes(), text.as_bytes());
    assert_eq!(document.read::<Explanation>().expect("an explanation").because, ["waiting"]);
}

#[tokio::test]
async fn a_document_of_another_version_is_refused() {
    let (_directory, client) = host(|_| (200, vec![r#"{"version":2,"plugins":[]}"#]));
    let failure = client.get("/x").await.expect("an answer").read::<hostler_api::PluginList>().expect_err("version 2");
    assert!(failure.message.contains("version 2"), "{failure}");
}

#[tokio::test]
async fn a_refusal_is_the_hosts_own_words() {
    let (_directory, client) = host(|path| match path {
        "/told" => (
            404,
            vec![r#"{"version":1,"code":"not-found","message":"there is no service `dd`","hint":"did you mean `db`?","where":null,"problems":[]}"#],
        ),
        _ => (503, vec!["<html>"]),
    });
    let told = client.get("/told").await.expect_err("a 404");
    assert_eq!((told.code, told.message.as_str()), (Code::NotFound, "there is no service `dd`"));
    let mute = client.post("/mute", &()).await.expect_err("a 503");
    assert_eq!((mute.code, mute.message.as_str()), (Code::Unavailable, "the host answered 503 Service Unavailable"));
    assert_eq!(client.stream("/told").await.expect_err("a 404").code, Code::NotFound);
}

#[tokio::test]
async fn lines_are_whole_however_they_are_cut() {
    let (_directory, client) =
        host(|_| (200, vec!["{\"type\":\"gap\",\"ver", "sion\":1,\"next\":3}\n{\"type\":\"gap\",\"version\":1,\"next\":9}\n\n", "last"]));
    let mut lines = client.stream("/events").await.expect("a stream");
    for expected in [3, 9] {
        let item: EventItem = lines.next().await.expect("a line").expect("a document");
        assert!(matches!(item, EventItem::Gap { next, .. } if next == expected), "{item:?}");
    }
    assert_eq!(lines.line().await.expect("an empty line").expect("it counts"), "");
    assert_eq!(lines.line().await.expect("a line without its newline").expect("it counts"), "last");
    assert_eq!(lines.line().await.expect("the end"), None);
}

#[tokio::test]
async fn without_a_host_the_exit_code_is_4_and_the_directory_is_named() {
    let directory = TempDir::new().expect("a temporary directory");
    let failure = Client::new(directory.path()).get("/x").await.expect_err("nobody listens");
    assert_eq!(failure.message, format!("no host is running on {}", directory.path().display()));
    assert_eq!(failure.code.exit_code(), 4);
    // A socket that a killed host left behind.
    drop(UnixListener::bind(directory.path().join(routes::SOCKET)).expect("a fresh path"));
    assert_eq!(Client::new(directory.path()).get("/x").await.expect_err("nobody listens").message, failure.message);
}

#[tokio::test]
async fn somebody_elses_host_is_denied() {
    if rustix::process::geteuid().is_root() {
        // Root may ask every host: there is nothing to be denied.
        return;
    }
    let (directory, client) = host(|_| (200, vec!["{}"]));
    std::fs::set_permissions(directory.path().join(routes::SOCKET), std::fs::Permissions::from_mode(0o000)).expect("it is ours");
    assert_eq!(client.get("/x").await.expect_err("no permission").code.exit_code(), 5);
}

#[tokio::test]
async fn a_host_that_says_nothing_is_not_waited_for_forever() {
    let directory = TempDir::new().expect("a temporary directory");
    let _listener = UnixListener::bind(directory.path().join(routes::SOCKET)).expect("a fresh path");
    let client = Client { patience: Duration::from_millis(20), ..Client::new(directory.path()) };
    assert_eq!(client.get("/x").await.expect_err("silence").code, Code::Timeout);
    assert_eq!(client.stream("/x").await.expect_err("silence").code, Code::Timeout);
    let asked = client.post("/x", &()).await.expect_err("silence");
    assert!(asked.hint.as_deref().is_some_and(|hint| hint.contains("may still be done")), "{asked:?}");
}

#[tokio::test]
async fn a_path_too_long_for_a_socket_is_no_obstacle() {
    let directory = TempDir::new().expect("a temporary directory");
    let long = directory.path().join("x".repeat(120));
    assert_eq!(Client::new(&long).get("/x").await.expect_err("nobody").code, Code::Unreachable);
    std::fs::create_dir(&long).expect("a fresh path");
    let handle = std::fs::File::open(&long).expect("it is there");
    let short = format!("/proc/self/fd/{}/{}", handle.as_raw_fd(), routes::SOCKET);
    let _listener = UnixListener::bind(short).expect("a fresh path");
    // It says nothing, and is there.
    assert!(Client { patience: Duration::from_millis(20), ..Client::new(&long) }.is_there().await);
}

#[tokio::test]
async fn a_host_that_dies_while_it_is_asked_is_not_there() {
    let directory = TempDir::new().expect("a temporary directory");
    let listener = UnixListener::bind(directory.path().join(routes::SOCKET)).expect("a fresh path");
    let dying = tokio::spawn(async move { drop(listener.accept().await) });
    assert!(!Client::new(directory.path()).is_there().await);
    dying.await.expect("it took the connection");
}
