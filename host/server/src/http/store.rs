//! The store as one file.

use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Response, header};
use hostler_api::{Code, Failure, routes};
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc::error::SendTimeoutError;
use tokio::sync::{Mutex, OwnedMutexGuard, mpsc};

use super::Door;
use super::answer::{Answer, stream};
use super::table::Table;
use crate::change::unreadable;

/// What is read and sent at a time.
const PIECE: usize = 256 << 10;
/// How long one piece may take on its way: whoever takes none gets no more, and the next one his turn.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes per second that a client takes at least, in the long run: one that takes a little now and then would keep the others for hours.
const LEAST: u64 = 64 << 10;
/// How long one waits for his turn: less than the command line waits for an answer, so that it hears why there is none.
const TURN: Duration = Duration::from_secs(20);

pub(super) fn routes(table: Table) -> Table {
    table.get(routes::STORE_SNAPSHOT, snapshot)
}

/// One at a time: each takes as much of the disk as the store, until it is sent.
async fn snapshot(State(door): State<Door>) -> Answer {
    let path = door.look(|desk| desk.state_dir.join("cache").join("snapshot.db")).await?;
    let writing = turn(&door.snapshots, TURN).await?;
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

/// The right to make one and to send it, or why there is none yet.
async fn turn(snapshots: &Arc<Mutex<()>>, within: Duration) -> Result<OwnedMutexGuard<()>, Failure> {
    let turn = tokio::time::timeout(within, Arc::clone(snapshots).lock_owned()).await;
    turn.map_err(|_| Failure::new(Code::Conflict, "another snapshot of the store is being sent").hint("try again when that backup has ended"))
}

/// Piece by piece, as fast as they are taken. One that cannot be read, or is not taken in time, ends the answer before its length, which
/// whoever hears it knows.
async fn send(mut file: tokio::fs::File, pieces: &mpsc::Sender<Vec<u8>>, most: Duration) {
    let mut patience = most;
    loop {
        let mut piece = Vec::with_capacity(PIECE);
        match file.read_buf(&mut piece).await {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => return tracing::error!(%error, "a snapshot broke off"),
        }
        let (bytes, offered) = (piece.len(), Instant::now());
        match pieces.send_timeout(piece, patience).await {
            Ok(()) => patience = rest(patience, offered.elapsed(), bytes, most),
            Err(SendTimeoutError::Closed(_)) => return,
            Err(SendTimeoutError::Timeout(_)) => {
                return tracing::warn!("a snapshot broke off: nobody took it for {} s, or less than {} KiB/s of it", most.as_secs(), LEAST >> 10);
            }
        }
    }
}

/// What is left of the patience, at most `most`: a wait takes from it, and what was taken after it gives back as much as it may take.
fn rest(patience: Duration, waited: Duration, bytes: usize, most: Duration) -> Duration {
    let earned = Duration::from_micros(bytes as u64 * 1_000_000 / LEAST);
    patience.saturating_sub(waited).saturating_add(earned).min(most)
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

    #[test]
    fn whoever_takes_a_piece_now_and_then_gets_no_more() {
        let pieces = |wait: Duration| {
            let (mut patience, mut taken) = (PATIENCE, 0);
            while wait < patience && taken < 1_000 {
                patience = rest(patience, wait, PIECE, PATIENCE);
                taken += 1;
            }
            taken
        };
        assert_eq!(pieces(Duration::from_secs(29)), 1);
        assert!(pieces(Duration::from_secs(5)) < 50, "52 KiB/s, for a while");
        assert_eq!(pieces(Duration::from_secs(4)), 1_000, "64 KiB/s");
    }

    #[tokio::test]
    async fn whoever_waits_too_long_for_his_turn_is_told_so() {
        let snapshots = Arc::new(Mutex::new(()));
        let first = turn(&snapshots, TURN).await.expect("nobody else is there");
        let refused = turn(&snapshots, Duration::ZERO).await.expect_err("it is taken");
        assert_eq!(refused.code, Code::Conflict);
        drop(first);
        drop(turn(&snapshots, TURN).await.expect("it is free again"));
    }
}
