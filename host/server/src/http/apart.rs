//! What changes something is done to its end, also when whoever asked goes away: half of it would be neither done nor undone.

use axum::body::Body;
use axum::http::Response;
use axum::response::IntoResponse;
use hostler_api::{Code, Failure};
use tokio::sync::{Semaphore, watch};

use super::answer::Refusal;

/// Done at a time, most of it for callers who wait. Whoever gives up and asks again, while the disk is slow, asks for one more.
const MOST: usize = 2_048;

static ROOM: Semaphore = Semaphore::const_new(MOST);

tokio::task_local! {
    /// Whoever asked, for as long as he waits for the answer.
    static CALLER: watch::Receiver<()>;
}

/// Answers apart from the connection: this goes on when that breaks off. Where the answer is not kept for him, what is only waited for ends with
/// the caller.
pub(super) async fn answer(is_kept: bool, answering: impl Future<Output = Response<Body>> + Send + 'static) -> Response<Body> {
    within(&ROOM, is_kept, answering).await
}

async fn within(room: &'static Semaphore, is_kept: bool, answering: impl Future<Output = Response<Body>> + Send + 'static) -> Response<Body> {
    let Ok(room) = room.try_acquire() else {
        let failure = Failure::new(Code::Unavailable, format!("{MOST} changes are being made, also for callers who have gone"));
        return Refusal(failure.hint("ask again later; what was asked for before is still done")).into_response();
    };
    let answering = async move {
        let _room = room;
        answering.await
    };
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
    async fn there_is_an_end_to_what_is_done_for_who_has_gone() {
        static ROOM: Semaphore = Semaphore::const_new(1);
        let ((may, waits), (tell, told)) = (oneshot::channel::<()>(), oneshot::channel());
        let long = async move {
            waits.await.ok();
            tell.send(()).ok();
            Response::new(Body::empty())
        };
        assert!(tokio::time::timeout(Duration::from_millis(10), within(&ROOM, false, long)).await.is_err(), "its caller goes");
        let next = || within(&ROOM, false, async { Response::new(Body::empty()) });
        assert_eq!(next().await.status(), 503);
        may.send(()).expect("it goes on");
        told.await.expect("it is done");
        while next().await.status() != 200 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn what_breaks_is_answered() {
        let answer = answer(false, async { panic!("it breaks") }).await;
        assert_eq!(answer.status(), 500);
    }
}
