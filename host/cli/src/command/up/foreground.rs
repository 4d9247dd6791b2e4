//! The host inside this process, for as long as somebody watches.

use std::collections::BTreeSet;
use std::time::Duration;

use hostler_api::{Code, Failure, Service, ServiceList, ShutdownRequest, Status, routes};

use crate::client::Client;
use crate::context::Context;
use crate::document::Wish;
use crate::error::Error;
use crate::host::{Beginning, Embedded};
use crate::out::Colour;
use crate::progress::{Progress, is_as_wanted, shortfall};
use crate::signals::Signals;

/// Starts everything, shows it, and stops it in the end.
pub(super) async fn run(wish: &Wish, services: Option<Vec<String>>, abort: bool, context: &Context) -> Result<(), Error> {
    let client = context.client_of(wish)?;
    if client.is_there().await {
        return Err(somebody_is_there(&client).into());
    }
    // Before the host: a signal that comes early must not leave it half started.
    let mut signals = Signals::new()?;
    let host = Embedded::start(client.state_dir(), Beginning::of(wish, wish.up(services)), context.loudness(false))
        .await
        .map_err(|error| wish.redrawn(error))?;
    let mut progress = Progress::from_nothing(client.clone(), context.out);
    let before_stop = tokio::select! {
        watched = watch(&mut progress, abort, context) => watched,
        () = signals.next() => Ok(progress.picture().cloned()),
        () = host.ended() => Err(Failure::new(Code::Unavailable, "the host was shut down by another command")),
    };
    let failure = match before_stop {
        Ok(list) => list.as_ref().and_then(failures),
        // Nothing is left to stop.
        Err(failure) if host.has_ended() => return ended_by_another(failure, context),
        Err(failure) => Some(failure),
    };
    stop(&mut progress, &client, &host, &mut signals).await;
    failure.map_or(Ok(()), |failure| Err(failure.into()))
}

fn somebody_is_there(client: &Client) -> Failure {
    Failure::new(Code::Conflict, format!("a host is running on {} already", client.state_dir().display()))
        .hint("`hostler apply` gives it this file, `hostler up --detach` does so and waits; `hostler down` ends it")
}

fn ended_by_another(failure: Failure, context: &Context) -> Result<(), Error> {
    if failure.code == Code::Unavailable || failure.code == Code::Unreachable {
        return if context.out.json { Ok(()) } else { context.out.line("the host was shut down by another command") };
    }
    Err(failure.into())
}

/// Until everything is settled, and then for as long as anything runs; the last picture.
async fn watch(progress: &mut Progress, abort: bool, context: &Context) -> Result<Option<ServiceList>, Failure> {
    let starting = " · Ctrl-C stops";
    let list = progress.until(&[], None, starting, |list| list.settled || (abort && failures(list).is_some())).await?;
    let short = shortfall(&list, Duration::ZERO);
    // What was not to be started is no reason to stay.
    let resting: BTreeSet<String> =
        list.services.iter().filter(|service| service.status == Status::Stopped).map(|service| service.name.clone()).collect();
    if nothing_is_left(&list, &resting) || (abort && short.is_some()) {
        return Ok(Some(list));
    }
    match short {
        Some(failure) => {
            progress.say(&format!("{} {failure}", context.out.paint.of(Colour::Red, "not everything is up:")));
            progress.say(&format!("{} {}", context.out.paint.of(Colour::Cyan, "hint:"), failure.hint.unwrap_or_default()));
        }
        None => progress.say(&format!("{} Ctrl-C stops it in reverse order", context.out.paint.of(Colour::Green, "everything is up;"))),
    }
    progress.until(&[], None, " · Ctrl-C stops in reverse order", |list| nothing_is_left(list, &resting)).await.map(Some)
}

/// All of it completed or failed: nothing runs, nothing will, and nobody stopped it by hand, who might start it again.
fn nothing_is_left(list: &ServiceList, resting: &BTreeSet<String>) -> bool {
    let by_hand = |service: &Service| service.stopped_by_hand && !resting.contains(&service.name);
    list.settled && list.services.iter().all(|service| is_over(service.status) && !by_hand(service))
}

/// Does nothing of it run?
fn is_over(status: Status) -> bool {
    matches!(status, Status::Completed | Status::Failed | Status::Disabled | Status::Stopped | Status::Pending)
}

/// What has failed for good, and what waits for it.
fn failures(list: &ServiceList) -> Option<Failure> {
    let settled = ServiceList { services: list.services.iter().filter(|service| service.settled).cloned().collect(), ..list.clone() };
    let any = settled.services.iter().any(|service| service.status == Status::Failed && !is_as_wanted(service));
    any.then(|| shortfall(&settled, Duration::ZERO)).flatten()
}

/// In reverse order; a second signal takes the grace away, a third the patience.
async fn stop(progress: &mut Progress, client: &Client, host: &Embedded, signals: &mut Signals) {
    let runs = |list: &ServiceList| list.services.iter().any(|service| !is_over(service.status));
    if progress.picture().is_none_or(runs) {
        progress.say("stopping in reverse order; Ctrl-C again stops without grace");
    }
    shut_down(progress, client, false).await;
    let mut forced = false;
    loop {
        let again = tokio::select! {
            // First what is still to be read, then the end.
            biased;
            _ = progress.last_words() => false,
            () = signals.next() => true,
            () = ended_and_heard(host) => false,
        };
        match (again, forced) {
            (false, _) => return host.ended().await,
            (true, false) => {
                forced = true;
                progress.say("stopping without grace");
                shut_down(progress, client, true).await;
            }
            (true, true) => return progress.say("not waiting any longer; what still runs is held by the keeper, and `hostler down --force` ends it"),
        }
    }
}

/// The host has ended, and what it said last has had the time to arrive: a stream inside one process does not end by itself.
async fn ended_and_heard(host: &Embedded) {
    host.ended().await;
    tokio::time::sleep(Duration::from_millis(50)).await;
}

async fn shut_down(progress: &mut Progress, client: &Client, force: bool) {
    if let Err(failure) = client.act(routes::SHUTDOWN, &ShutdownRequest { stop_services: true, force }).await
        && failure.code != Code::Unreachable
    {
        progress.say(&format!("the host does not stop: {failure}"));
    }
}
