//! `hostler up`

mod foreground;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use hostler_api::routes;
use hostler_core::Span;

use super::ps;
use crate::context::Context;
use crate::document::Wish;
use crate::error::Error;
use crate::host::{self, Beginning};
use crate::progress::{Progress, shortfall};

/// Start everything and stay; Ctrl-C stops it in reverse order, a second Ctrl-C without grace.
///
/// It ends by itself when nothing is left that runs: with 0 when all of it completed, with 1 when something failed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The configuration file (a word with a dot or slash), then the services to start with what they depend on [default: all]
    #[arg(value_name = "FILE|SERVICE")]
    words: Vec<String>,
    /// Start the host in the background, wait until everything is settled, and return; where a host runs already, apply to it
    #[arg(long, short)]
    detach: bool,
    /// Stop everything as soon as something has failed to start
    #[arg(long, conflicts_with = "detach")]
    abort_on_failure: bool,
    /// With --detach: how long to wait
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = Span::parse)]
    timeout: Span,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    context.here("up")?;
    let (file, services) = split(args.words);
    let wish = Wish::read(context, file.as_deref())?;
    let services = (!services.is_empty()).then_some(services);
    if args.detach {
        detached(&wish, services, args.timeout, context).await
    } else {
        foreground::run(&wish, services, args.abort_on_failure, context).await
    }
}

/// The first word is a file when it has a dot or a slash: no service's name has one.
fn split(words: Vec<String>) -> (Option<PathBuf>, Vec<String>) {
    let mut words = words;
    let is_file = words.first().is_some_and(|word| word.contains(['.', '/']));
    let file = is_file.then(|| PathBuf::from(words.remove(0)));
    (file, words)
}

async fn detached(wish: &Wish, services: Option<Vec<String>>, timeout: Span, context: &Context) -> Result<(), Error> {
    let client = context.client_of(wish)?;
    let mut progress = if client.is_there().await {
        let progress = Progress::from_now(client.clone(), context.out).await?;
        client.while_it_compiles().post(routes::APPLY, &wish.up(services)).await.map_err(|failure| wish.refused(failure))?;
        progress
    } else {
        let begun = host::in_background(client.state_dir(), &Beginning::of(wish, wish.up(services)), context).await;
        begun.map_err(|error| wish.redrawn(error))?;
        Progress::from_now(client, context.out).await?
    };
    let names: Vec<String> = wish.config.services.keys().map(ToString::to_string).collect();
    finish(&mut progress, &names, timeout, context).await
}

async fn finish(progress: &mut Progress, names: &[String], timeout: Span, context: &Context) -> Result<(), Error> {
    let begun = Instant::now();
    let deadline = begun + Duration::from_millis(timeout.0);
    let list = progress.until(names, Some(deadline), "", |list| list.settled).await?;
    if let (true, Some(document)) = (context.out.json, progress.latest()) {
        context.out.document(document.bytes())?;
    } else {
        progress.quiet();
        context.out.line("")?;
        context.out.table(&ps::table(&list))?;
    }
    shortfall(&list, begun.elapsed()).map_or(Ok(()), |failure| Err(failure.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_with_a_dot_or_slash_is_a_file() {
        let of = |text: &str| split(text.split_whitespace().map(str::to_owned).collect());
        assert_eq!(of("shop.toml db web"), (Some(PathBuf::from("shop.toml")), vec!["db".to_owned(), "web".to_owned()]));
        assert_eq!(of("./shop"), (Some(PathBuf::from("./shop")), Vec::new()));
        assert_eq!(of("db web"), (None, vec!["db".to_owned(), "web".to_owned()]));
        assert_eq!(of(""), (None, Vec::new()));
    }
}
