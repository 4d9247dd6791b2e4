//! `hostler image ls`

use hostler_api::{ContainerList, ImageList, ImageStatus, routes};

use super::{ports, short};
use crate::context::Context;
use crate::error::Error;
use crate::out::{Cell, Colour, Table};

/// List the images of which containers are wanted; with an image, its containers.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Its reference [default: the list of images]
    #[arg(value_name = "IMAGE")]
    image: Option<String>,
    /// The containers of every image
    #[arg(long, conflicts_with = "image")]
    containers: bool,
}

pub(super) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    match args.image {
        Some(image) => containers(&routes::of(routes::IMAGE_CONTAINERS, &image), context).await,
        None if args.containers => containers(routes::CONTAINERS, context).await,
        None => images(context).await,
    }
}

async fn images(context: &Context) -> Result<(), Error> {
    let document = context.client()?.get(routes::IMAGES).await?;
    if context.out.json {
        return context.out.document(document.bytes());
    }
    let list: ImageList = document.read()?;
    let mut table = Table::new(&["IMAGE", "SERVICE", "WANTED", "RUNNING", "MIN", "MAX", "CPU", "MEMORY"]);
    for image in &list.images {
        let wanted = if image.resources.status == ImageStatus::Stopped { "stopped".to_owned() } else { image.replicas.to_string() };
        table.row(vec![
            Cell::painted(&image.image, Colour::Bold),
            Cell::new(&image.service),
            Cell::new(wanted),
            Cell::new(image.running.to_string()),
            Cell::new(image.min_replicas.to_string()),
            Cell::new(image.max_replicas.to_string()),
            Cell::maybe(image.resources.cpu.as_deref()),
            Cell::maybe(image.resources.memory.as_deref()),
        ]);
    }
    context.out.table(&table)
}

async fn containers(path: &str, context: &Context) -> Result<(), Error> {
    let document = context.client()?.get(path).await?;
    if context.out.json {
        return context.out.document(document.bytes());
    }
    let list: ContainerList = document.read()?;
    let mut table = Table::new(&["CONTAINER", "NAME", "SERVICE", "REPLICA", "STATUS", "PORTS"]);
    for container in &list.containers {
        table.row(vec![
            Cell::painted(short(&container.container_id), Colour::Bold),
            Cell::new(&container.name),
            Cell::new(&container.service),
            Cell::new(container.replica.to_string()),
            Cell::new(container.status.as_str()),
            Cell::maybe(ports(container).as_deref()),
        ]);
    }
    context.out.table(&table)
}
