//! `hostler image scale`

use hostler_api::{Image, ImageScale, routes};

use crate::context::Context;
use crate::error::Error;

/// Set the fewest and the most containers of an image; as many are kept as fit between them.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Its reference
    #[arg(value_name = "IMAGE")]
    image: String,
    /// The fewest
    #[arg(long, value_name = "N")]
    min: u32,
    /// The most
    #[arg(long, value_name = "N")]
    max: u32,
}

pub(super) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    let request = ImageScale { min_replicas: args.min, max_replicas: args.max };
    let document = context.client()?.post(&routes::of(routes::SCALE_IMAGE, &args.image), &request).await?;
    if context.out.json {
        return context.out.document(document.bytes());
    }
    let image: Image = document.read()?;
    context.out.line(format!("{}: {} wanted, between {} and {}", image.image, image.replicas, image.min_replicas, image.max_replicas))
}
