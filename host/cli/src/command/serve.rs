//! `hostler serve`

use std::path::PathBuf;

use hostler_api::{Failure, ShutdownRequest, routes};
use hostler_failpoint::failpoint;
use tokio::signal::unix::{SignalKind, signal};

use crate::client::Client;
use crate::context::Context;
use crate::document::Wish;
use crate::error::{Error, failed};
use crate::host::{self, Beginning, Embedded, Loudness};
use crate::out::note;
use crate::service_manager;

/// Be the host: stay until SIGTERM or SIGINT, and leave the services running under the keeper, for the next host to take up.
///
/// Where systemd has started it and takes the machine down, SIGTERM stops the services first, in reverse order; the next start of the machine starts them again.
/// SIGHUP reads the certificates of its TCP door anew. A service manager that wants to know hears when it is ready, reloads and stops (sd_notify), and,
/// where it watches, that the host still answers.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Apply this file first [default: what was applied last]
    #[arg(value_name = "FILE")]
    path: Option<PathBuf>,
    /// In the background, with its log in the state directory
    #[arg(long, short)]
    detach: bool,
    /// This is the process in the background: it says on standard output that it is ready, or why not
    #[arg(long, hide = true, conflicts_with = "detach")]
    detached: bool,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    context.here("serve")?;
    if args.detached {
        return in_background(context).await;
    }
    let named = args.path.as_deref().or(context.global.file.as_deref());
    let wish = named.map(|file| Wish::read(context, Some(file))).transpose()?;
    let client = match &wish {
        Some(wish) => context.client_of(wish)?,
        None => context.client()?,
    };
    let redrawn = |error| match &wish {
        Some(wish) => wish.redrawn(error),
        None => error,
    };
    let beginning = wish.as_ref().map_or_else(Beginning::default, |wish| Beginning::of(wish, wish.request(true, None)));
    if args.detach {
        let pid = host::in_background(client.state_dir(), &beginning, context).await.map_err(redrawn)?;
        if context.out.json {
            return context.out.document(client.get(routes::HOST).await?.bytes());
        }
        return context.out.line(format!("hostler serves {} in the background, pid {pid}", client.state_dir().display()));
    }
    let host = Embedded::start(client.state_dir(), beginning, context.loudness(true)).await.map_err(redrawn)?;
    if context.out.json {
        context.out.document(client.get(routes::HOST).await?.bytes())?;
    }
    stay(host, &client).await
}

/// The process that [`host::in_background`] has started.
async fn in_background(context: &Context) -> Result<(), Error> {
    host::leave_terminal();
    let client = context.client()?;
    let started = match host::hear() {
        Ok(beginning) => Embedded::start(client.state_dir(), beginning, Loudness { to_file: true, ..context.loudness(true) }).await,
        Err(error) => Err(error),
    };
    failpoint!("host.start.before-telling");
    host::say(started.as_ref().map(|_| ()));
    stay(started?, &client).await
}

async fn stay(host: Embedded, client: &Client) -> Result<(), Error> {
    let listen = |kind| signal(kind).map_err(|error| failed(format!("cannot listen for signals: {error}")));
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let mut hangup = listen(SignalKind::hangup())?;
    service_manager::ready(client);
    note(&format!("hostler {} serves {}, pid {}", env!("CARGO_PKG_VERSION"), client.state_dir().display(), std::process::id()));
    let is_the_last = loop {
        tokio::select! {
            () = host.ended() => {
                note("the host was shut down");
                return Ok(());
            }
            _ = hangup.recv() => {
                service_manager::reloading();
                host.reload();
                service_manager::reloaded();
            }
            _ = terminate.recv() => break service_manager::takes_the_machine_down().await,
            _ = interrupt.recv() => break false,
        }
    };
    service_manager::stopping();
    if is_the_last && stop_services(client, &host).await {
        return Ok(());
    }
    leave(client, &host).await
}

/// Stops what the end of the machine would kill, as `up` does: in reverse order, each with its grace, and all of it still wanted. `false` where that
/// cannot be begun, because nothing can be remembered now.
async fn stop_services(client: &Client, host: &Embedded) -> bool {
    let request = ShutdownRequest { stop_services: true, force: false };
    let asked: Result<_, Failure> = client.act(routes::SHUTDOWN, &request).await;
    if let Err(failure) = asked {
        note(&format!("the machine goes down, and the services cannot be stopped first: {failure}"));
        return false;
    }
    note("the machine goes down: the services stop first, in reverse order, and start again with it");
    host.ended().await;
    true
}

/// Ends the host and nothing else.
async fn leave(client: &Client, host: &Embedded) -> Result<(), Error> {
    let asked: Result<_, Failure> = client.act(routes::SHUTDOWN, &ShutdownRequest::default()).await;
    if let Err(failure) = asked
        && !host.has_ended()
    {
        return Err(failure.into());
    }
    host.ended().await;
    note("the services keep running under the keeper; `hostler serve` takes them up again, `hostler down` stops them");
    Ok(())
}
