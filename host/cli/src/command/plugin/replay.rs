//! `hostler plugin replay`

use std::path::PathBuf;

use hostler_api::{Code, Failure};
use hostler_conformance::{Recording, Replay};
use serde_json::{Value, json};

use super::trial::read;
use crate::context::Context;
use crate::error::{Error, failed};
use crate::out::visible;

/// Make every call of a recording again, on the same component or another, and show the first difference
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What `hostler plugin record` wrote
    #[arg(value_name = "RECORDING")]
    recording: PathBuf,
    /// The component to play it on
    #[arg(value_name = "FILE")]
    component: PathBuf,
}

pub(super) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    let place = args.recording.display().to_string();
    let text = std::fs::read_to_string(&args.recording)
        .map_err(|error| Failure::new(Code::NotFound, format!("cannot read the recording: {error}")).at(&place))?;
    let recording = Recording::read(&text).map_err(|error| Failure::new(Code::Config, format!("this is no recording: {error}")).at(&place))?;
    let origin = args.component.display().to_string();
    let played = hostler_conformance::replay(&recording, read(&args.component)?, origin.clone()).await;
    let played = played.map_err(|error| failed(error.to_string()).at(&origin))?;
    tell(&played, context)?;
    match &played.difference {
        None if played.same == 0 => Err(failed("nothing could be played back").at(place).into()),
        None => Ok(()),
        Some(difference) => Err(failed(format!("call {} ({}): {}", difference.call, difference.function, difference.what)).at(origin).into()),
    }
}

fn tell(played: &Replay, context: &Context) -> Result<(), Error> {
    if context.out.json {
        let difference = played.difference.as_ref().map(|difference| {
            json!({ "call": difference.call, "function": difference.function, "what": difference.what, "recorded": difference.recorded, "now": difference.now })
        });
        let document = json!({ "version": 1, "same": played.same, "skipped": played.skipped, "difference": difference });
        return context.out.document(document.to_string().as_bytes());
    }
    for (why, count) in &played.skipped {
        context.out.line(format!("{count} calls are left out: {}", visible(why)))?;
    }
    context.out.line(format!("{} calls went as they did then", played.same))?;
    let Some(difference) = &played.difference else { return Ok(()) };
    context.out.line(format!("then: {}\nnow:  {}", short(&difference.recorded), short(&difference.now)))
}

/// A value on one line; a large one is cut.
fn short(value: &Value) -> String {
    let text = value.to_string();
    let cut: String = text.chars().take(2_000).collect();
    if cut.len() < text.len() { format!("{}…", visible(&cut)) } else { visible(&cut).into_owned() }
}
