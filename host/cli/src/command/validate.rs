//! `hostler validate`

use std::path::PathBuf;

use hostler_api::{Code, Plan, Shape, routes};
use serde::Serialize;

use crate::context::Context;
use crate::document::Wish;
use crate::error::Error;

/// Check the file; nothing is changed. Where a host runs, its plugins check their own settings too.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The configuration file
    #[arg(value_name = "FILE")]
    path: Option<PathBuf>,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Verdict {
    version: Shape,
    file: String,
    valid: bool,
    services: usize,
    /// Did a running host's plugins check their settings?
    plugins_checked: bool,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    let wish = Wish::read(context, args.path.as_deref())?;
    let plan = ask_host(&wish, context).await?;
    if let Some(plan) = &plan {
        wish.doubt(plan.problems.clone())?;
    }
    let services = wish.config.services.len();
    let file = wish.file.display().to_string();
    if context.out.json {
        let verdict = Verdict { version: Shape, file, valid: true, services, plugins_checked: plan.is_some() };
        return context.out.document(&serde_json::to_vec(&verdict).expect("a verdict is strings and numbers"));
    }
    let checked = if plan.is_some() { "" } else { "; the settings of backends and checks are checked when a host runs" };
    let services = if services == 1 { "1 service".to_owned() } else { format!("{services} services") };
    context.out.line(format!("{file} is valid: {services}{checked}"))
}

/// What a running host says of it; nothing where none runs.
async fn ask_host(wish: &Wish, context: &Context) -> Result<Option<Plan>, Error> {
    match context.client_of(wish)?.while_it_compiles().post(routes::PLAN, &wish.request(true, None)).await {
        Ok(document) => Ok(Some(document.read()?)),
        Err(failure) if matches!(failure.code, Code::Unreachable | Code::Denied) => Ok(None),
        Err(failure) => Err(wish.refused(failure)),
    }
}
