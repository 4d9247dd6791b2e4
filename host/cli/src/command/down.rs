//! `hostler down`

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use hostler_api::access::ALL_WORKSPACES;
use hostler_api::{ActionResult, Code, DownRequest, EventsQuery, Failure, HostInfo, Service, ServiceList, ShutdownRequest, Status, routes};
use hostler_core::Span;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, getpid, pidfd_open};

use crate::client::Client;
use crate::context::Context;
use crate::error::Error;
use crate::host::{Beginning, Embedded};
use crate::out::elapsed;
use crate::progress::Progress;

/// How long the host may take to end once nothing runs.
const FAREWELL: Duration = Duration::from_secs(60);

/// Stop everything in reverse order, forget it, and end the host. Where no host runs, what an earlier one left running is stopped.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Do not forget the services: they stay, stopped, for the next host
    #[arg(long)]
    keep: bool,
    /// Kill without grace
    #[arg(long)]
    force: bool,
    /// How long to wait until everything is down
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = Span::parse)]
    timeout: Span,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    if context.global.workspace.as_deref().is_some_and(|name| !name.is_empty() && name != ALL_WORKSPACES) {
        return one_workspace(&args, context).await;
    }
    context.here("down")?;
    let state_dir = context.state_dir(None)?;
    let client = Client::new(&state_dir);
    // Held to the end: what an earlier host left is stopped by one inside this process.
    let host = if client.is_there().await { None } else { Some(take_up(&state_dir, context).await?) };
    // Ending the host means everybody.
    let everything = client.of(ALL_WORKSPACES);
    let mut progress = Progress::from_now(everything.clone(), context.out).await?;
    let document = everything.post(routes::DOWN, &DownRequest { keep: args.keep, force: args.force }).await?;
    let accepted: ActionResult = document.read()?;
    stopped(&mut progress, &accepted, &args).await.map_err(|failure| failure.hint(force_hint(host.is_some())))?;
    end_host(&client, accepted.last_event).await?;
    if let Some(host) = host {
        host.ended().await;
    }
    if context.out.json {
        return context.out.document(document.bytes());
    }
    match accepted.services.len() {
        0 => progress.say("nothing was there; the host has ended"),
        _ => progress.say("everything is down; the host has ended"),
    }
    Ok(())
}

/// Stops what one workspace has, and forgets it; the host goes on.
async fn one_workspace(args: &Args, context: &Context) -> Result<(), Error> {
    let client = context.client()?;
    let mut progress = Progress::from_now(client.clone(), context.out).await?;
    let document = client.post(routes::DOWN, &DownRequest { keep: args.keep, force: args.force }).await?;
    let accepted: ActionResult = document.read()?;
    stopped(&mut progress, &accepted, args).await.map_err(|failure| failure.hint("`hostler down --force` kills what is left"))?;
    if context.out.json {
        return context.out.document(document.bytes());
    }
    progress.say("everything of the workspace is down");
    Ok(())
}

/// A host for what is in this directory; without anything there is nothing to stop.
async fn take_up(state_dir: &Path, context: &Context) -> Result<Embedded, Error> {
    if !state_dir.join("store.db").exists() {
        let failure = Failure::new(Code::Unreachable, format!("no host is running on {}, and none ever ran there", state_dir.display()));
        return Err(failure.hint("another state directory is named with --state-dir").into());
    }
    Embedded::start(state_dir, Beginning::default(), context.loudness(false)).await
}

/// A host inside this process ends with it.
fn force_hint(is_own_host: bool) -> String {
    let until_then = if is_own_host { "until then the keeper holds it" } else { "the host goes on until then" };
    format!("`hostler down --force` kills what is left; {until_then}")
}

async fn stopped(progress: &mut Progress, accepted: &ActionResult, args: &Args) -> Result<(), Failure> {
    let begun = Instant::now();
    let accepted: BTreeSet<&str> = accepted.services.iter().map(String::as_str).collect();
    let is_done = |list: &ServiceList| list.services.iter().all(|service| !accepted.contains(service.name.as_str()) || is_down(service, args.keep));
    let list = progress.until(&[], Some(begun + Duration::from_millis(args.timeout.0)), "", is_done).await?;
    if is_done(&list) {
        return Ok(());
    }
    let left: Vec<String> = list.services.iter().filter(|service| !is_down(service, args.keep)).map(told).collect();
    Err(Failure::new(Code::Timeout, format!("not everything is down after {}: {}", elapsed(args.timeout.0), left.join("; "))))
}

/// Kept services end stopped; the others end by not being there.
fn is_down(service: &Service, keep: bool) -> bool {
    keep && matches!(service.status, Status::Stopped | Status::Completed | Status::Failed | Status::Disabled)
}

fn told(service: &Service) -> String {
    let why = service.cause.as_deref().map_or_else(String::new, |why| format!(": {why}"));
    format!("{} is {}{why}", service.name, service.status.as_str())
}

/// Ends the host, and returns once its streams have ended and, of a host in another process, that process: only then the directory is free.
async fn end_host(client: &Client, last_event: u64) -> Result<(), Error> {
    let query = EventsQuery { after: Some(last_event), follow: true, ..EventsQuery::default() };
    let mut stream = client.stream(&query.path()).await?;
    let host: HostInfo = client.get(routes::HOST).await?.read()?;
    // Held before it ends, so that it is this process and no later one with the same number.
    let process = i32::try_from(host.pid).ok().and_then(Pid::from_raw).filter(|pid| *pid != getpid());
    let process = process.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    client.act(routes::SHUTDOWN, &ShutdownRequest::default()).await?;
    let ended = async {
        while let Ok(Some(_)) = stream.line().await {}
        // Nothing is left to do with what this wait could say wrong.
        let _ = tokio::task::spawn_blocking(move || process.map(|process| wait_for_end(&process))).await;
    };
    if tokio::time::timeout(FAREWELL, ended).await.is_ok() {
        return Ok(());
    }
    Err(Failure::new(Code::Timeout, format!("the host on {} does not end", client.state_dir().display())).into())
}

/// Waits for a process, not longer than for its farewell.
fn wait_for_end(process: &OwnedFd) {
    let patience = Timespec::try_from(FAREWELL).ok();
    // What cannot be waited for has ended.
    let _ = poll(&mut [PollFd::new(process, PollFlags::IN)], patience.as_ref());
}
