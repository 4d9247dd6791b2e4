//! The store as one file.

use std::fs::{File, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Response, header};
use hostler_api::{Code, Failure, routes};
use tokio::sync::mpsc;

use super::Door;
use super::answer::{Answer, stream};
use super::table::Table;
use crate::change::unreadable;

/// What is read and sent at a time.
const PIECE: usize = 256 << 10;

pub(super) fn routes(table: Table) -> Table {
    table.get(routes::STORE_SNAPSHOT, snapshot)
}

/// One at a time: each takes as much of the disk as the store, until it is open.
async fn snapshot(State(door): State<Door>) -> Answer {
    let path = door.look(|desk| desk.state_dir.join("cache").join("snapshot.db")).await?;
    let writing = Arc::clone(&door.snapshots).lock_owned().await;
    let store = Arc::clone(&door.store);
    let written = tokio::task::spawn_blocking(move || {
        let _writing = writing;
        store.snapshot(&path).map_err(|error| unreadable(&error))?;
        let opened = File::open(&path).and_then(|file| {
            file.set_permissions(Permissions::from_mode(0o600))?;
            Ok((file.metadata()?.len(), file))
        });
        // Whoever reads it has it open; nobody else needs it.
        std::fs::remove_file(&path).ok();
        opened.map_err(|error| Failure::new(Code::Unavailable, format!("the snapshot cannot be read: {error}")))
    });
    let written = written.await.map_err(|error| Failure::new(Code::Internal, format!("no snapshot was made: {error}")))?;
    let (bytes, file) = written?;
    let (pieces, sent) = mpsc::channel(2);
    tokio::task::spawn_blocking(move || send(file, &pieces));
    let mut response: Response<Body> = stream(sent);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(routes::SQLITE));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"hostler-store.db\""));
    Ok(response)
}

/// Piece by piece, as fast as they are taken. One that cannot be read ends the answer before its length, which whoever hears it knows.
fn send(mut file: File, pieces: &mpsc::Sender<Vec<u8>>) {
    loop {
        let mut piece = vec![0; PIECE];
        match file.read(&mut piece) {
            Ok(0) => return,
            Ok(read) => piece.truncate(read),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return tracing::error!(%error, "a snapshot broke off"),
        }
        if pieces.blocking_send(piece).is_err() {
            return;
        }
    }
}
