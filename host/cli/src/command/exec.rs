//! `hostler exec`

use std::io::{Read, Write};
use std::time::Duration;

use hostler_api::{ExecRequest, ExecResult, routes};
use hostler_core::Span;

use crate::context::Context;
use crate::error::{Error, failed, usage};

/// The most that a command is handed.
const MOST: u64 = 8 << 20;

/// Run a command inside a service, to its end.
///
/// The command is a program and its arguments, without a shell. Its own exit code is told in a message; this command then ends with 1.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The service
    #[arg(value_name = "SERVICE")]
    service: String,
    /// In this replica [default: the first that runs]
    #[arg(long, value_name = "N")]
    replica: Option<u32>,
    /// Added to the task's environment
    #[arg(long, short = 'e', value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Hand it what comes on standard input, once that has ended
    #[arg(long, short = 'i')]
    stdin: bool,
    /// Kill it after this
    #[arg(long, value_name = "LENGTH", default_value = "60s", value_parser = Span::parse)]
    timeout: Span,
    /// The command
    #[arg(value_name = "COMMAND", required = true, last = true)]
    command: Vec<String>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    let stdin = if args.stdin { read_stdin()? } else { Vec::new() };
    let mut request = ExecRequest::new(args.command, &stdin);
    request.replica = args.replica;
    request.timeout_ms = Some(args.timeout.0);
    for text in &args.env {
        let (name, value) = text.split_once('=').ok_or_else(|| usage(format!("`--env {text}` is no NAME=VALUE")))?;
        request.env.insert(name.to_owned(), value.to_owned());
    }
    let client = context.client()?.waiting(Duration::from_millis(args.timeout.0));
    let document = client.post(&routes::of(routes::EXEC, &args.service), &request).await?;
    let result: ExecResult = document.read()?;
    if context.out.json {
        context.out.document(document.bytes())?;
    } else {
        context.out.raw(&result.out.bytes())?;
        std::io::stderr().lock().write_all(&result.err.bytes())?;
    }
    end(&request.command[0], &result)
}

fn read_stdin() -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let read = std::io::stdin().lock().take(MOST + 1).read_to_end(&mut bytes);
    read.map_err(|error| failed(format!("cannot read standard input: {error}")))?;
    if bytes.len() as u64 > MOST {
        return Err(usage(format!("standard input is longer than {} MiB", MOST >> 20)).into());
    }
    Ok(bytes)
}

fn end(program: &str, result: &ExecResult) -> Result<(), Error> {
    match (result.code, &result.signal) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => Err(failed(format!("{program} exited with {code}")).into()),
        (None, Some(signal)) => Err(failed(format!("{program} was ended by {signal}")).into()),
        (None, None) => Err(failed(format!("{program} ended, and nobody knows how")).into()),
    }
}
