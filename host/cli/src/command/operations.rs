//! `hostler operations`

use std::time::Duration;

use hostler_api::{Code, Failure, Operation, OperationList, OperationStatus, OperationsQuery, routes};
use hostler_core::Span;
use serde_json::json;

use crate::client::{Client, Document};
use crate::context::Context;
use crate::error::Error;
use crate::out::{Cell, Colour, Table, elapsed, local_zone, note, stamp};

/// The longest that the host is asked to wait at a time.
const TURN: Duration = Duration::from_secs(20);

/// Show what the host was asked to do and does by itself: deployments, and whatever was asked for with `Prefer: respond-async`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// List them, the oldest first
    Ls(Ls),
    /// Show one in full
    Show(One),
    /// Wait until one is over
    Wait(Wait),
    /// Call one off; what it has made wanted stays so
    Cancel(One),
}

#[derive(Debug, Default, clap::Args)]
struct Ls {
    /// Only those that are queued, running, succeeded, failed, cancelled or unknown
    #[arg(long, value_name = "STATUS", value_parser = status)]
    status: Option<OperationStatus>,
    /// Only those about this service
    #[arg(long, value_name = "SERVICE")]
    service: Option<String>,
}

#[derive(Debug, clap::Args)]
struct One {
    /// Its id
    #[arg(value_name = "ID")]
    id: String,
}

#[derive(Debug, clap::Args)]
struct Wait {
    /// Its id
    #[arg(value_name = "ID")]
    id: String,
    /// How long to wait
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = Span::parse)]
    timeout: Span,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    let client = context.client()?;
    match args.what.unwrap_or(What::Ls(Ls::default())) {
        What::Ls(args) => list(args, context, &client).await,
        What::Show(One { id }) => {
            let document = client.get(&routes::of(routes::OPERATION, &id)).await?;
            show(context, &document, &document.read()?)
        }
        What::Wait(Wait { id, timeout }) => wait_for(context, &client, &id, timeout).await,
        What::Cancel(One { id }) => {
            let document = client.post(&routes::of(routes::CANCEL_OPERATION, &id), &json!({})).await?;
            show(context, &document, &document.read()?)
        }
    }
}

async fn list(args: Ls, context: &Context, client: &Client) -> Result<(), Error> {
    let mut asked = OperationsQuery { status: args.status, service: args.service, after: None, limit: Some(1_000) };
    let zone = local_zone();
    let mut table = Table::new(&["ID", "KIND", "SERVICES", "STATUS", "TRIED", "ASKED", "TOOK", "BY", "WHAT"]);
    loop {
        let document = client.get(&asked.path()).await?;
        if context.out.json {
            context.out.document(document.bytes())?;
        }
        let page: OperationList = document.read()?;
        for operation in &page.operations {
            table.row(vec![
                Cell::painted(&operation.id, Colour::Bold),
                Cell::new(operation.kind.as_str()),
                Cell::new(whom(operation)),
                Cell::painted(operation.status.as_str(), colour(operation.status)),
                Cell::new(format!("{}/{}", operation.attempts, operation.max_attempts)),
                Cell::new(stamp(operation.queued_at, &zone)),
                Cell::maybe(operation.duration_ms.map(elapsed)),
                Cell::new(&operation.created_by),
                Cell::new(&operation.progress.message),
            ]);
        }
        asked.after = page.next;
        if asked.after.is_none() {
            return if context.out.json { Ok(()) } else { context.out.table(&table) };
        }
    }
}

/// One in full.
pub(crate) fn show(context: &Context, document: &Document, operation: &Operation) -> Result<(), Error> {
    if context.out.json {
        return context.out.document(document.bytes());
    }
    let zone = local_zone();
    let progress = &operation.progress;
    let mut lines = vec![
        format!("operation  {}", operation.id),
        format!("what       {} of {}, asked for by {}", operation.kind.as_str(), whom(operation), operation.created_by),
        format!("status     {}: {}", operation.status, progress.message),
        format!("progress   {} of {} steps, attempt {} of {}", progress.done, progress.of, operation.attempts, operation.max_attempts),
        format!("queued     {}, priority {}", stamp(operation.queued_at, &zone), operation.priority),
    ];
    lines.extend(operation.next_attempt_at.map(|at| format!("next try   {}", stamp(at, &zone))));
    lines.extend(operation.deadline_at.map(|at| format!("given up   {}, unless it is done before", stamp(at, &zone))));
    lines.extend(operation.ended_at.map(|at| format!("ended      {}", stamp(at, &zone))));
    lines.extend(operation.duration_ms.map(|ms| format!("took       {}", elapsed(ms))));
    lines.extend(operation.problem.as_ref().and_then(|problem| problem.hint.as_ref()).map(|hint| format!("hint       {hint}")));
    lines.iter().try_for_each(|line| context.out.line(line))
}

/// Says what it waits for until it is over; one that did not succeed is a failure.
pub(crate) async fn wait_for(context: &Context, client: &Client, id: &str, timeout: Span) -> Result<(), Error> {
    let client = client.waiting(TURN);
    let end = std::time::Instant::now() + Duration::from_millis(timeout.0);
    let mut said = String::new();
    loop {
        let left = end.saturating_duration_since(std::time::Instant::now());
        let turn = u64::try_from(left.min(TURN).as_millis()).unwrap_or(0);
        let document = client.get(&routes::with(&routes::of(routes::OPERATION, id), &[("wait_ms", Some(turn.to_string()))])).await?;
        let operation: Operation = document.read()?;
        if operation.status.is_over() {
            return over(context, &document, &operation);
        }
        let message = format!("operation {id}: {}", operation.progress.message);
        if left.is_zero() {
            let failure = Failure::new(Code::Timeout, format!("not over after {}: {message}", elapsed(timeout.0)));
            return Err(failure.hint(format!("it goes on; `hostler operations wait {id}` waits on")).into());
        }
        if message != said && !context.out.json {
            note(&message);
            said = message;
        }
    }
}

fn over(context: &Context, document: &Document, operation: &Operation) -> Result<(), Error> {
    if context.out.json {
        context.out.document(document.bytes())?;
    }
    let took = operation.duration_ms.map(|ms| format!(" after {}", elapsed(ms))).unwrap_or_default();
    let id = &operation.id;
    match (operation.status, &operation.problem) {
        (OperationStatus::Succeeded, _) if context.out.json => Ok(()),
        (OperationStatus::Succeeded, _) => context.out.line(format!("{} of {} is done{took}", operation.kind.as_str(), whom(operation))),
        (_, Some(problem)) => Err(problem.clone().into()),
        (_, None) => Err(Failure::new(Code::Failed, format!("operation {id} {}", operation.progress.message)).into()),
    }
}

fn whom(operation: &Operation) -> String {
    if operation.services.is_empty() { "all services".to_owned() } else { operation.services.join(", ") }
}

fn colour(status: OperationStatus) -> Colour {
    match status {
        OperationStatus::Succeeded => Colour::Green,
        OperationStatus::Failed | OperationStatus::Unknown => Colour::Red,
        OperationStatus::Queued | OperationStatus::Cancelled => Colour::Dim,
        OperationStatus::Running => Colour::Bold,
    }
}

fn status(word: &str) -> Result<OperationStatus, String> {
    serde_json::from_value(word.into()).map_err(|_| "it is queued, running, succeeded, failed, cancelled or unknown".to_owned())
}
