//! `hostler strangers`

use hostler_api::{StrangerList, StrangerRequest, StrangerResult, routes};

use super::discover::away;
use crate::context::Context;
use crate::error::Error;
use crate::out::{Cell, Colour, Table, age};

/// Show what bears a host's tag and is nobody's here: left by a host that lost its state, or of another host on the same engine.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: Option<What>,
    /// The ignored ones too
    #[arg(long)]
    all: bool,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// End one and remove it, whoever made it
    Kill(One),
    /// Speak of one no more
    Ignore(One),
    /// Speak of it again
    Notice(One),
}

#[derive(Debug, clap::Args)]
struct One {
    /// Its name or key
    #[arg(value_name = "NAME")]
    what: String,
    /// The backend whose engine has it [default: any]
    #[arg(long, value_name = "BACKEND")]
    backend: Option<String>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    match args.what {
        None => list(args.all, context).await,
        Some(What::Kill(one)) => act(routes::KILL_STRANGER, one, false, "was ended", context).await,
        Some(What::Ignore(one)) => act(routes::IGNORE_STRANGER, one, false, "is ignored; `hostler strangers --all` shows it", context).await,
        Some(What::Notice(one)) => act(routes::IGNORE_STRANGER, one, true, "is shown again", context).await,
    }
}

async fn act(path: &str, one: One, notice: bool, said: &str, context: &Context) -> Result<(), Error> {
    let request = StrangerRequest { what: one.what, backend: one.backend, notice };
    let document = context.client()?.post(path, &request).await?;
    if context.out.json {
        return context.out.document(document.bytes());
    }
    let done: StrangerResult = document.read()?;
    context.out.line(format!("{} of {} {said}", done.stranger.name, done.stranger.backend))
}

async fn list(all: bool, context: &Context) -> Result<(), Error> {
    let document = context.client()?.get(routes::STRANGERS).await?;
    if context.out.json {
        return context.out.document(document.bytes());
    }
    let list: StrangerList = document.read()?;
    away(&list.away);
    let shown: Vec<_> = list.strangers.iter().filter(|stranger| all || !stranger.ignored).collect();
    if shown.is_empty() && !list.away.is_empty() {
        // who could not say may have some
        return Ok(());
    }
    if shown.is_empty() {
        let ignored = list.strangers.len();
        return context.out.line(if ignored == 0 { "there are none".to_owned() } else { format!("there are none but {ignored} that are ignored") });
    }
    let mut table = Table::new(&["NAME", "BACKEND", "STATE", "SINCE", "PROBABLY OF"]);
    for stranger in shown {
        table.row(vec![
            Cell::painted(&stranger.name, Colour::Bold),
            Cell::new(&stranger.backend),
            Cell::new(&stranger.phase),
            Cell::maybe(stranger.started_at.map(age).as_deref()),
            Cell::painted(&stranger.probably, Colour::Dim),
        ]);
    }
    context.out.table(&table)
}
