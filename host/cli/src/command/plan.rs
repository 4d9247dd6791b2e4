//! `hostler plan`

use std::path::PathBuf;

use hostler_api::{Change, Plan, routes};

use crate::context::Context;
use crate::document::Wish;
use crate::error::Error;
use crate::out::{Cell, Colour, Table};

/// Show what apply would do; nothing is changed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The configuration file
    #[arg(value_name = "FILE")]
    path: Option<PathBuf>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    let wish = Wish::read(context, args.path.as_deref())?;
    let client = context.client_of(&wish)?;
    let document = client.while_it_compiles().post(routes::PLAN, &wish.request(true, None)).await.map_err(|failure| wish.refused(failure))?;
    let plan: Plan = document.read()?;
    if context.out.json {
        context.out.document(document.bytes())?;
    } else {
        show(&plan, context)?;
    }
    wish.doubt(plan.problems)?;
    plan.refused.map_or(Ok(()), |failure| Err(failure.into()))
}

/// What changes, with its reasons.
pub(crate) fn show(plan: &Plan, context: &Context) -> Result<(), Error> {
    let changes: Vec<_> = plan.changes.iter().filter(|planned| planned.change != Change::Unchanged).collect();
    let unchanged = plan.changes.len() - changes.len();
    if !changes.is_empty() {
        let mut table = Table::new(&["CHANGE", "SERVICE", "WHY"]);
        for planned in changes {
            table.row(vec![
                Cell::painted(planned.change.as_str(), colour(planned.change)),
                Cell::painted(&planned.service, Colour::Bold),
                Cell::painted(planned.reasons.join("; "), Colour::Dim),
            ]);
        }
        context.out.table(&table)?;
    }
    match (unchanged, plan.is_empty()) {
        (0, true) => context.out.line("there is nothing to change")?,
        (count, true) => context.out.line(format!("nothing changes: {count} unchanged"))?,
        (0, false) => {}
        (count, false) => context.out.line(format!("{count} unchanged"))?,
    }
    Ok(())
}

fn colour(change: Change) -> Colour {
    match change {
        Change::Create => Colour::Green,
        Change::UpdateLive => Colour::Cyan,
        Change::Recreate => Colour::Yellow,
        Change::Remove => Colour::Red,
        Change::Unchanged => Colour::Plain,
    }
}
