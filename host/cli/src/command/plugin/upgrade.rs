//! `hostler plugin upgrade`

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hostler_api::{Code, Failure, PluginDetail, Revised, RevisedTo, UpgradeRequest, routes};

use super::text::{difference, revision};
use super::{grants, lock};
use crate::client::{Client, Document};
use crate::context::Context;
use crate::error::{Error, failed, usage};

/// From one look at a plugin that is watched to the next.
const EVERY: Duration = Duration::from_millis(500);
/// How much longer than asked for the host may take to say how it went.
const BEYOND: Duration = Duration::from_secs(60);

/// Give a plugin another component, under its live tasks
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which plugin
    #[arg(value_name = "PLUGIN")]
    name: String,
    /// The new component
    #[arg(value_name = "COMPONENT")]
    component: PathBuf,
    /// Grant this beside what it has, as in the file: 'state = { keys = 8 }'; accepts that it is new
    #[arg(long = "grant", value_name = "CAPABILITY=VALUE")]
    grants: Vec<String>,
    /// Accept what it may do beyond the one before, without being asked
    #[arg(long, short)]
    yes: bool,
    /// How long it is watched; when it breaks within that time, it is rolled back
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = hostler_core::Span::parse)]
    watch: hostler_core::Span,
    /// Return once it is in force, and do not wait until it was watched
    #[arg(long)]
    no_wait: bool,
}

pub(super) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    let source = args.component.canonicalize().map_err(|error| usage(format!("{} cannot be read: {error}", args.component.display())))?;
    let mut request = UpgradeRequest {
        source: source.to_string_lossy().into_owned(),
        digest: None,
        grants: grants::read(&args.grants)?,
        accept: args.yes,
        watch_ms: Some(args.watch.0),
    };
    let client = context.client()?;
    let (mut document, mut revised) = ask(&client, &args.name, &request).await?;
    if revised.outcome == RevisedTo::Waits {
        accept(&args, context, &revised, &mut request)?;
        (document, revised) = ask(&client, &args.name, &request).await?;
    }
    match revised.outcome {
        RevisedTo::Waits => return Err(waits(&revised).into()),
        RevisedTo::Same if context.out.json => return context.out.document(document.bytes()),
        RevisedTo::Same => return context.out.line(format!("{} is {} already", revised.name, revision(&revised.to))),
        RevisedTo::Swapped => {}
    }
    if let Some(configuration) = context.found_file(None) {
        lock::follow(&configuration, &args.name, &source, &revised.to.digest, &client).await?;
    }
    if context.out.json {
        context.out.document(document.bytes())?;
    } else {
        show(&revised, context)?;
    }
    if args.no_wait { Ok(()) } else { watched(&client, &revised, context).await }
}

async fn ask(client: &Client, name: &str, request: &UpgradeRequest) -> Result<(Document, Revised), Error> {
    let document = client.while_it_compiles().post(&routes::of(routes::UPGRADE, name), request).await?;
    let revised = document.read()?;
    Ok((document, revised))
}

/// Shows what it wants more, and asks whether that is meant.
fn accept(args: &Args, context: &Context, revised: &Revised, request: &mut UpgradeRequest) -> Result<(), Error> {
    let named = |import: &str| request.grants.keys().any(|capability| import.contains(&format!("/{capability}@")));
    let all_named =
        !request.grants.is_empty() && revised.difference.needs.is_empty() && revised.difference.imports.iter().all(|import| named(import));
    if !args.yes && !all_named {
        if context.out.json {
            return Err(waits(revised).into());
        }
        context.out.line(format!("{} wants to do more than it does now:\n{}", revised.name, difference(&revised.difference)))?;
        if let Some(stanza) = &revised.stanza {
            context.out.line(format!("it would be granted:\n{}", stanza.trim_end()))?;
        }
        if !grants::confirmed("Is that what you want?")? {
            return Err(waits(revised).into());
        }
    }
    let suggested = revised.stanza.as_deref().map(grants::of_stanza).transpose()?.unwrap_or_default();
    for (capability, value) in suggested {
        request.grants.entry(capability).or_insert(value);
    }
    request.accept = true;
    request.digest = Some(revised.to.digest.clone());
    Ok(())
}

fn waits(revised: &Revised) -> Failure {
    let Revised { name, difference: more, .. } = revised;
    let more = difference(more).lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>().join("; ");
    Failure::new(Code::Denied, format!("the new {name} wants to do more than it does now, and waits for you: {more}")).hint(format!(
        "--yes accepts it with the narrowest grants, --grant CAPABILITY=VALUE with yours:\n{}",
        revised.stanza.as_deref().unwrap_or_default()
    ))
}

fn show(revised: &Revised, context: &Context) -> Result<(), Error> {
    let from = revised.from.as_ref().map_or_else(|| "nothing that worked".to_owned(), revision);
    let seen = if revised.tasks > 0 { format!("; its {} live tasks go on", revised.tasks) } else { String::new() };
    context.out.line(format!("{}: {} instead of {from}{seen}", revised.name, revision(&revised.to)))?;
    if revised.difference != hostler_api::Difference::default() {
        context.out.line(difference(&revised.difference))?;
    }
    Ok(())
}

/// Waits until it stood its time, or was rolled back.
async fn watched(client: &Client, revised: &Revised, context: &Context) -> Result<(), Error> {
    if !context.out.json {
        context.out.line(format!("it is watched for {} (Ctrl-C leaves it to the host)", hostler_core::Span(revised.watch_ms)))?;
    }
    fate(client, revised).await?;
    if context.out.json { Ok(()) } else { context.out.line("it stood its time, and stays") }
}

/// Comes when it stood its time.
///
/// # Errors
/// It was rolled back, with the host's reason; or the host does not say.
pub(super) async fn fate(client: &Client, revised: &Revised) -> Result<(), Failure> {
    let end = Instant::now() + Duration::from_millis(revised.watch_ms) + BEYOND;
    loop {
        let detail: PluginDetail = client.get(&routes::of(routes::PLUGIN, &revised.name)).await?.read()?;
        if detail.plugin.digest.as_deref() != Some(revised.to.digest.as_str()) {
            let note = detail.plugin.note.unwrap_or_else(|| "somebody changed it meanwhile".to_owned());
            return Err(
                failed(format!("{} is not upgraded: {note}", revised.name)).hint("its tasks were left alone; `hostler events` has the whole story")
            );
        }
        if let Some(note) = detail.plugin.note {
            return Err(failed(format!("{} {note}", revised.name)));
        }
        if detail.plugin.upgraded.is_none_or(|upgraded| !upgraded.watched) {
            return Ok(());
        }
        if Instant::now() > end {
            return Err(Failure::new(Code::Timeout, format!("the host does not say how the upgrade of {} went", revised.name)));
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Where a component is, as the lock names it.
pub(super) fn is_same_file(one: &Path, other: &Path) -> bool {
    one.canonicalize().ok().zip(other.canonicalize().ok()).is_some_and(|(one, other)| one == other)
}
