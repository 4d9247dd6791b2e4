//! Events as messages of a WebSocket.

use std::pin::pin;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;

use super::form::item;
use super::reader::{Reader, Step};
use crate::feed::{Form, json};
use crate::http::connection::Wire;

/// Whoever says nothing for so long, not even that he is there, is gone; he is asked after each silence.
const GONE: Duration = Duration::from_secs(45);
/// What a client may say at once: nothing that it says is asked for.
const SAYS: usize = 4 << 10;

/// Takes over the connection.
pub(super) fn open(upgrade: WebSocketUpgrade, reader: Reader, wire: Wire, unwelcome: impl Future<Output = ()> + Send + 'static) -> Response {
    let upgrade = upgrade.max_message_size(SAYS).max_frame_size(SAYS).read_buffer_size(SAYS).write_buffer_size(0);
    upgrade.on_upgrade(move |socket| async move {
        tell(socket, reader, unwelcome).await;
        // Its place is free from now on.
        drop(wire);
    })
}

/// Ends with the host, with the client, when he is welcome no more, or when a write takes too long.
async fn tell(mut socket: WebSocket, mut reader: Reader, unwelcome: impl Future<Output = ()>) {
    let mut unwelcome = pin!(unwelcome);
    let mut heard = tokio::time::Instant::now();
    loop {
        let step = tokio::select! {
            step = reader.next() => step,
            said = socket.recv() => match said {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => {
                    heard = tokio::time::Instant::now();
                    continue;
                }
            },
            () = unwelcome.as_mut() => {
                close(&mut socket, close_code::POLICY, "the token is good no more").await;
                return;
            }
        };
        let told = match step {
            None => close(&mut socket, close_code::AWAY, "the host ends").await,
            Some(Step::Cut(after)) => close(&mut socket, close_code::AGAIN, &format!("too slow; after={after}")).await,
            Some(Step::Quiet(_)) if heard.elapsed() > GONE => return,
            Some(Step::Quiet(_)) => socket.send(Message::Ping(Bytes::new())).await.is_ok(),
            Some(step) => send(&mut socket, &step).await,
        };
        if !told {
            return;
        }
    }
}

/// False when nobody is there any more.
async fn send(socket: &mut WebSocket, step: &Step) -> bool {
    if let Some(item) = item(step) {
        return socket.send(Message::text(json(&item))).await.is_ok();
    }
    let Step::Events(batch, places) = step else { return true };
    for place in places {
        let line = batch.written(&[*place], Form::Line);
        let text = Utf8Bytes::try_from(line.slice(..line.len() - 1)).expect("JSON is UTF-8");
        if socket.send(Message::Text(text)).await.is_err() {
            return false;
        }
    }
    true
}

/// Says why it is over. There is nothing after that.
async fn close(socket: &mut WebSocket, code: u16, reason: &str) -> bool {
    // Who is gone needs no farewell.
    socket.send(Message::Close(Some(CloseFrame { code, reason: reason.into() }))).await.ok();
    false
}
