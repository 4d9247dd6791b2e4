//! The store as one file.

use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Response, header};
use hostler_api::{Code, Failure, routes};
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::SendTimeoutError;

use super::Door;
use super::answer::{Answer, stream};
use super::table::Table;
use crate::change::unreadable;

/// What is read and sent at a time.
const PIECE: usize = 256 << 10;
/// How long one piece may take on its way: whoever takes none gets no more, and the next one his turn.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn routes(table: Table) -> Table {
    table.get(routes::STORE_SNAPSHOT, snapshot)
}

/// One at a time: each takes as much of the disk as the store, until it is sent.
async fn snapshot(State(door): State<Door>) -> Answer {
    let path = door.look(|desk| desk.state_dir.join("cache").join("snapshot.db")).await?;
    let writing = Arc::clone(&door.snapshots).lock_owned().await;
    let store = Arc::clone(&door.store);
    let written = tokio::task::spawn_blocking(move || {
        store.snapshot(&path).map_err(|error| unreadable(&error))?;
        let opened = File::open(&path).and_then(|file| {
            file.set_permissions(Permissions::from_mode(0o600))?;
            Ok((file.metadata()?.len(), file))
        });
        // Whoever reads it has it open; nobody else needs it.
        std::fs::remove_file(&path).ok();
        let (bytes, file) = opened.map_err(|error| Failure::new(Code::Unavailable, format!("the snapshot cannot be read: {error}")))?;
        Ok::<_, Failure>((bytes, file, writing))
    });
    let written = written.await.map_err(|error| Failure::new(Code::Internal, format!("no snapshot was made: {error}")))?;
    let (bytes, file, writing) = written?;
    let (pieces, sent) = mpsc::channel(2);
    tokio::spawn(async move {
        let _writing = writing;
        send(file.into(), &pieces, PATIENCE).await;
    });
    let mut response: Response<Body> = stream(sent);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(routes::SQLITE));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"hostler-store.db\""));
    Ok(response)
}

/// Piece by piece, as fast as they are taken. One that cannot be read, or is not taken in time, ends the answer before its length, which
/// whoever hears it knows.
async fn send(mut file: tokio::fs::File, pieces: &mpsc::Sender<Vec<u8>>, patience: Duration) {
    loop {
        let mut piece = Vec::with_capacity(PIECE);
        match file.read_buf(&mut piece).await {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => return tracing::error!(%error, "a snapshot broke off"),
        }
        match pieces.send_timeout(piece, patience).await {
            Ok(()) => {}
            Err(SendTimeoutError::Closed(_)) => return,
            Err(SendTimeoutError::Timeout(_)) => return tracing::warn!("a snapshot broke off: nobody took it for {} s", patience.as_secs()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_takes_no_piece_gets_no_more() {
        let dir = tempfile::tempdir().expect("there is a temporary directory");
        let path = dir.path().join("snapshot.db");
        std::fs::write(&path, vec![7; 4 * PIECE]).expect("a file");
        let open = || tokio::fs::File::from(File::open(&path).expect("it was written"));
        let (pieces, mut sent) = mpsc::channel::<Vec<u8>>(2);
        send(open(), &pieces, Duration::from_millis(20)).await;
        drop(pieces);
        let mut taken = 0;
        while let Some(piece) = sent.recv().await {
            taken += piece.len();
        }
        assert!(taken > 0 && taken < 4 * PIECE, "{taken}");
        let (pieces, mut sent) = mpsc::channel::<Vec<u8>>(2);
        let (file, mut taken) = (open(), 0);
        let hearing = async {
            while let Some(piece) = sent.recv().await {
                taken += piece.len();
            }
            taken
        };
        let sending = async move { send(file, &pieces, Duration::from_secs(60)).await };
        assert_eq!(tokio::join!(sending, hearing).1, 4 * PIECE);
    }
}
