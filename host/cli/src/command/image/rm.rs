//! `hostler image rm`

use hostler_api::{ActionResult, routes};

use crate::context::Context;
use crate::error::Error;

/// Remove every container of an image, and want none.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Its reference
    #[arg(value_name = "IMAGE")]
    image: String,
    /// Kill without grace
    #[arg(long)]
    force: bool,
}

pub(super) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    let path = routes::with(&routes::of(routes::IMAGE, &args.image), &[("force", args.force.then(|| "true".to_owned()))]);
    let document = context.client()?.delete(&path).await?;
    if context.out.json {
        return context.out.document(document.bytes());
    }
    let done: ActionResult = document.read()?;
    context.out.line(format!("{} and the service {} go", args.image, done.services.join(", ")))
}
