//! `hostler image run`

use std::collections::BTreeMap;

use hostler_api::{Image, ImageRequest, ImageResources, ImageStatus, routes};

use super::pairs;
use crate::context::Context;
use crate::error::{Error, usage};

/// Want containers of an image, at least one. Said again, it changes what is wanted.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Its reference: nginx:alpine
    #[arg(value_name = "IMAGE")]
    image: String,
    /// The fewest
    #[arg(long, value_name = "N", default_value_t = 1)]
    min: u32,
    /// The most
    #[arg(long, value_name = "N", default_value_t = 5)]
    max: u32,
    /// Environment of each container; may be given again
    #[arg(long, short, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Publish a port: 8080:80, or 80 to let the engine choose where; may be given again
    #[arg(long, short, value_name = "[HOST:]PORT[/PROTOCOL]")]
    publish: Vec<String>,
    /// Cores that each may use: 0.5 or 500m
    #[arg(long, value_name = "CPU")]
    cpu: Option<String>,
    /// Memory that each may use: 512m
    #[arg(long, value_name = "BYTES")]
    memory: Option<String>,
    /// Want them, but down
    #[arg(long)]
    stopped: bool,
    /// The backend whose engine runs them
    #[arg(long, value_name = "BACKEND", default_value = "docker")]
    backend: String,
    /// The service that it is [default: made of the reference]
    #[arg(long = "as", value_name = "SERVICE")]
    service: Option<String>,
}

pub(super) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    let request = ImageRequest {
        env: pairs("--env", &args.env, "write --env LOG_LEVEL=debug")?,
        ports: published(&args.publish)?,
        image: args.image,
        min_replicas: args.min,
        max_replicas: args.max,
        resources: ImageResources {
            cpu: args.cpu,
            memory: args.memory,
            status: if args.stopped { ImageStatus::Stopped } else { ImageStatus::Running },
        },
        backend: args.backend,
        service: args.service,
    };
    let document = context.client()?.post(routes::IMAGES, &request).await?;
    if context.out.json {
        return context.out.document(document.bytes());
    }
    let image: Image = document.read()?;
    context.out.line(format!("{} is wanted {} times, as the service {}", image.image, image.replicas, image.service))
}

/// `8080:80`, `80`, `53/udp`: the container's port, and where it is published.
fn published(texts: &[String]) -> Result<BTreeMap<String, u16>, Error> {
    let mut ports = BTreeMap::new();
    for text in texts {
        let (host, inside) = text.split_once(':').unwrap_or(("0", text));
        let (port, protocol) = inside.split_once('/').unwrap_or((inside, "tcp"));
        let (Ok(host), Ok(port)) = (host.parse::<u16>(), port.parse::<u16>()) else {
            return Err(usage(format!("`{text}` of --publish is no port")).hint("write --publish 8080:80, or --publish 80/udp").into());
        };
        ports.insert(format!("{port}/{protocol}"), host);
    }
    Ok(ports)
}
