//! `hostler plugin dev`

mod build;
mod round;
mod watch;

use std::future::Future;
use std::path::PathBuf;

use hostler_api::{Code, Failure, Shape};
use serde::Serialize;

use self::round::{Maker, Swapped};
use self::watch::Watch;
use super::upgrade::fate;
use crate::context::Context;
use crate::error::{Error, failed};
use crate::out::{Colour, visible};
use crate::signals::Signals;

/// Watch a plugin's folder: build it at every change, try it quickly, and swap it into the host that runs
///
/// A build that fails, a component that does not keep the contract, or one that the host refuses changes nothing: the host goes on with what it has.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The plugin's folder
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// What the host calls the plugin [default: as the service file names it, else the project's name]
    #[arg(long, value_name = "PLUGIN")]
    name: Option<String>,
    /// One round, and its outcome as the exit code
    #[arg(long)]
    once: bool,
}

/// What one round came to; with `--json`, a line of it.
#[derive(Debug, Serialize)]
struct Told {
    version: Shape,
    /// How far it came: `swapped`, `same`, `built` (there is no host to swap it into), or why it did not; after a swap also `rolled back`.
    outcome: &'static str,
    /// In full.
    text: String,
    took_ms: u64,
    #[serde(skip)]
    good: bool,
}

pub(super) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    // Before the first build: a signal that comes early must not leave half of it behind.
    let mut signals = Signals::new()?;
    let maker = Maker::new(&args.dir, args.name.clone(), context)?;
    let ended = tokio::select! {
        ended = rounds(&maker, args.once, context) => Some(ended),
        () = signals.next() => None,
    };
    match ended {
        Some(ended) => ended,
        None => {
            maker.abandon().await;
            if args.once { Err(failed("ended before the round was over; the host goes on with what it has").into()) } else { Ok(()) }
        }
    }
}

async fn rounds(maker: &Maker<'_>, once: bool, context: &Context) -> Result<(), Error> {
    let dir = maker.dir();
    let unwatched = |what: &'static str| move |why: std::io::Error| failed(format!("{} {what}: {why}", dir.display()));
    let mut watched = if once { None } else { Some(Watch::of(dir).map_err(unwatched("cannot be watched"))?) };
    loop {
        let (told, swapped) = maker.round().await;
        tell(&told, context)?;
        let Some(watched) = &mut watched else {
            return if told.good { Ok(()) } else { Err(failed("the host goes on with what it has").into()) };
        };
        let changed = watched.changed();
        let changed = beside(changed, undone(swapped, &told), |undone| tell(&undone, context)).await?;
        changed.map_err(unwatched("is not watched any more"))?;
    }
}

/// Waits for one thing, and says the other one should it come meanwhile.
async fn beside<T, U>(
    awaited: impl Future<Output = T>,
    other: impl Future<Output = U>,
    say: impl FnOnce(U) -> Result<(), Error>,
) -> Result<T, Error> {
    let mut awaited = std::pin::pin!(awaited);
    tokio::select! {
        done = &mut awaited => return Ok(done),
        other = other => say(other)?,
    }
    Ok(awaited.await)
}

/// Comes when the host takes a swap back, and never otherwise.
async fn undone(swapped: Option<Swapped>, told: &Told) -> Told {
    if let Some(Swapped { client, revised }) = swapped
        && let Err(failure) = fate(&client, &revised).await
        // the host ended, or was busy: that says nothing about the plugin
        && !matches!(failure.code, Code::Unreachable | Code::Unavailable | Code::Timeout)
    {
        return Told { version: Shape, outcome: "rolled back", text: in_full(&failure), took_ms: told.took_ms, good: false };
    }
    std::future::pending().await
}

/// A failure with each of its reasons, and with what helps.
fn in_full(failure: &Failure) -> String {
    let problems = failure.problems.iter().map(|problem| format!("{}: {}", problem.at, problem.message));
    let lines = [failure.message.clone()].into_iter().chain(problems).chain(failure.hint.clone());
    lines.collect::<Vec<_>>().join("\n")
}

fn tell(told: &Told, context: &Context) -> Result<(), Error> {
    if context.out.json {
        return context.out.document(&serde_json::to_vec(told).expect("it is strings and numbers"));
    }
    let colour = if told.good { Colour::Green } else { Colour::Red };
    let lines = told.text.lines().map(visible).collect::<Vec<_>>().join("\n    ");
    context.out.line(format!("{} {lines}", context.out.paint.of(colour, told.outcome)))
}
