//! How a sink is told: a line in the log, a POST, or a program.

use std::time::Duration;

use bytes::Bytes;
use hostler_api::config::{Sink, Way};
use hostler_api::{AlertMessage, AlertState, routes};
use http_body_util::Full;
use hyper::{Method, Request, Uri, header};
use ring::hmac;

use crate::act::duration;
use crate::outgoing;
use crate::secrets;

/// What is kept of a program's complaint.
const COMPLAINT: usize = 2_000;
/// The header of a signature.
const SIGNATURE: &str = "hostler-signature";

/// Tells a sink; the error says why it did not take it.
pub(super) async fn deliver(sink: &Sink, message: &AlertMessage) -> Result<(), String> {
    let within = duration(sink.timeout);
    match &sink.way {
        Way::Log => {
            log(message);
            Ok(())
        }
        Way::Webhook { url, secret_file, ca } => {
            let told = post(url, secret_file.as_deref(), ca.as_deref(), json(message));
            tokio::time::timeout(within, told).await.unwrap_or_else(|_| Err(format!("no answer within {} ms", within.as_millis())))
        }
        Way::Command { command } => run(command, json(message), within).await,
    }
}

fn json(message: &AlertMessage) -> Vec<u8> {
    serde_json::to_vec(message).expect("wire documents have no maps with odd keys")
}

fn log(message: &AlertMessage) {
    let AlertMessage { rule, summary, count, dropped, .. } = message;
    match message.state {
        AlertState::Firing | AlertState::Pending => tracing::warn!(target: "alert", rule, count, dropped, "{summary}"),
        AlertState::Resolved => tracing::info!(target: "alert", rule, count, dropped, "{summary}"),
    }
}

/// Redirects are not followed: whoever reads alerts is whom the operator has named.
async fn post(url: &str, secret_file: Option<&str>, ca: Option<&str>, body: Vec<u8>) -> Result<(), String> {
    let uri: Uri = url.parse().map_err(|error| format!("its address cannot be read: {error}"))?;
    let mut request = Request::builder().method(Method::POST).uri(uri).header(header::CONTENT_TYPE, routes::JSON);
    if let Some(file) = secret_file {
        let secret = secrets::read(file).await.map_err(|why| format!("its secret cannot be read from {file}: {why}"))?;
        request = request.header(SIGNATURE, signature(secret.as_bytes(), &body));
    }
    let request = request.body(Full::new(Bytes::from(body))).map_err(|error| format!("it cannot be asked: {error}"))?;
    let answer = outgoing::send(request, ca).await?;
    let status = answer.status();
    match () {
        () if status.is_success() => Ok(()),
        () if status.is_redirection() => Err(format!("answered {status}, and redirects are not followed")),
        () => Err(format!("answered {status}")),
    }
}

fn signature(secret: &[u8], body: &[u8]) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), body);
    let digits: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={digits}")
}

async fn run(command: &[String], body: Vec<u8>, within: Duration) -> Result<(), String> {
    let end = hostler_wasm::run_command(command, body, within, COMPLAINT).await?;
    let said = String::from_utf8_lossy(&end.err);
    let said = said.trim().lines().last().map(|line| format!(": {}", line.escape_debug())).unwrap_or_default();
    match (end.code, end.signal) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => Err(format!("the program exited with {code}{said}")),
        (None, signal) => Err(format!("the program was ended by {}{said}", signal.unwrap_or_else(|| "a signal".to_owned()))),
    }
}

#[cfg(test)]
mod tests {
    use super::signature;

    #[test]
    fn messages_are_signed_as_rfc_4231_has_it() {
        let expected = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(signature(b"Jefe", b"what do ya want for nothing?"), expected);
    }
}
