//! `hostler image health`

use hostler_api::{ImageHealth, routes};

use super::{ports, short};
use crate::context::Context;
use crate::error::Error;
use crate::out::{Cell, Colour, Table, bytes, percent};

/// Show how each container of an image is: does it listen, and what does it use.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Its reference
    #[arg(value_name = "IMAGE")]
    image: String,
}

pub(super) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    let document = context.client()?.get(&routes::of(routes::IMAGE_HEALTH, &args.image)).await?;
    if context.out.json {
        return context.out.document(document.bytes());
    }
    let list: ImageHealth = document.read()?;
    let mut table = Table::new(&["CONTAINER", "REPLICA", "STATUS", "ALIVE", "CPU", "MEMORY", "DISK FREE", "PORTS"]);
    for one in &list.health {
        let alive = one.server_alive.map(|alive| if alive { ("yes", Colour::Green) } else { ("no", Colour::Red) });
        table.row(vec![
            Cell::painted(short(&one.container.container_id), Colour::Bold),
            Cell::new(one.container.replica.to_string()),
            Cell::new(one.container.status.as_str()),
            alive.map_or_else(|| Cell::maybe(None::<&str>), |(word, colour)| Cell::painted(word, colour)),
            Cell::new(percent(one.cpu_percent)),
            Cell::new(percent(one.mem_percent)),
            Cell::maybe(one.fs_free_bytes.map(bytes).as_deref()),
            Cell::maybe(ports(&one.container).as_deref()),
        ]);
    }
    context.out.table(&table)
}
