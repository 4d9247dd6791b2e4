//! `hostler image reconcile`

use hostler_api::{Reconciled, routes};
use serde_json::json;

use super::short;
use crate::context::Context;
use crate::error::{Error, failed};

/// Look at the engine at once, and make of an image's containers what is wanted.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Its reference
    #[arg(value_name = "IMAGE")]
    image: String,
}

pub(super) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    let document = context.client()?.post(&routes::of(routes::RECONCILE_IMAGE, &args.image), &json!({})).await?;
    let done: Reconciled = document.read()?;
    if context.out.json {
        context.out.document(document.bytes())?;
    } else {
        let named = |ids: &[String]| ids.iter().map(|id| short(id)).collect::<Vec<_>>().join(" ");
        for (what, ids) in [("created", &done.created), ("removed", &done.removed)] {
            if !ids.is_empty() {
                context.out.line(format!("{what} {}", named(ids)))?;
            }
        }
        if done.settled {
            context.out.line(format!("{}: {} as wanted", done.image, done.replicas))?;
        }
    }
    if done.settled {
        return Ok(());
    }
    let failure = failed(format!("{} is not as wanted yet", args.image));
    Err(failure.hint("`hostler image ls IMAGE` shows its containers, `hostler explain SERVICE` why").into())
}
