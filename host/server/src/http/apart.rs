//! What changes something is done to its end, also when whoever asked goes away: half of it would be neither done nor undone.

use axum::body::Body;
use axum::http::Response;
use axum::response::IntoResponse;
use hostler_api::{Code, Failure};
use tokio::sync::watch;

use super::answer::Refusal;

tokio::task_local! {
    /// Whoever asked, for as long as he waits for the answer.
    static CALLER: watch::Receiver<()>;
}

/// Answers apart from the connection: this goes on when that breaks off. Where the answer is not kept for him, what is only waited for ends with
/// the caller.
pub(super) async fn answer(is_kept: bool, answering: impl Future<Output = Response<Body>> + Send + 'static) -> Response<Body> {
    let (_waits, caller) = watch::channel(());
    let done = if is_kept { tokio::spawn(answering) } else { tokio::spawn(CALLER.scope(caller, answering)) };
    done.await.unwrap_or_else(|_| Refusal(Failure::new(Code::Internal, "what was asked for broke")).into_response())
}

/// Returns once nobody waits for the answer any more.
pub(super) async fn nobody_waits() {
    match CALLER.try_with(Clone::clone) {
        Ok(mut caller) => while caller.changed().await.is_ok() {},
        Err(_) => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::oneshot;

    use super::*;

    /// Asks for something that waits for `may`, and goes away at once; what is done says so.
    async fn left(is_kept: bool) -> (oneshot::Sender<()>, oneshot::Receiver<&'static str>) {
        let ((may, waits), (tell, told)) = (oneshot::channel(), oneshot::channel());
        let asked = answer(is_kept, async move {
            let how = tokio::select! {
                _ = waits => "done",
                () = nobody_waits() => "nobody waits",
            };
            tell.send(how).ok();
            Response::new(Body::empty())
        });
        assert!(tokio::time::timeout(Duration::from_millis(10), asked).await.is_err());
        (may, told)
    }

    #[tokio::test]
    async fn what_was_begun_goes_on_without_its_caller_and_what_waits_for_him_ends() {
        let (_may, told) = left(false).await;
        assert_eq!(told.await, Ok("nobody waits"));
        let (may, told) = left(true).await;
        may.send(()).expect("it goes on");
        assert_eq!(told.await, Ok("done"), "he may come back for it");
    }

    #[tokio::test]
    async fn what_breaks_is_answered() {
        let answer = answer(false, async { panic!("it breaks") }).await;
        assert_eq!(answer.status(), 500);
    }
}
