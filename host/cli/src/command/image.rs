//! `hostler image`

mod health;
mod ls;
mod reconcile;
mod rm;
mod run;
mod scale;

use std::collections::BTreeMap;

use hostler_api::Container;

use crate::context::Context;
use crate::error::Error;

/// Images as replica sets: so many containers of an image, kept. Each is a service, which every other command knows too.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Want containers of an image, at least one
    Run(run::Args),
    /// Set the fewest and the most
    Scale(scale::Args),
    /// Make what is missing, remove what is surplus, replace what differs, now
    Reconcile(reconcile::Args),
    /// List images, or the containers of one
    Ls(ls::Args),
    /// Show how each container of an image is
    Health(health::Args),
    /// Remove every container of an image, and want none
    Rm(rm::Args),
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    match args.what {
        What::Run(args) => run::run(args, context).await,
        What::Scale(args) => scale::run(args, context).await,
        What::Reconcile(args) => reconcile::run(args, context).await,
        What::Ls(args) => ls::run(args, context).await,
        What::Health(args) => health::run(args, context).await,
        What::Rm(args) => rm::run(args, context).await,
    }
}

/// `127.0.0.1:8080→80/tcp`, as far as they are published.
fn ports(container: &Container) -> Option<String> {
    let all = container.ports.iter().flat_map(|(port, bindings)| bindings.iter().map(move |own| format!("{}:{}→{port}", own.host_ip, own.host_port)));
    let all: Vec<String> = all.collect();
    (!all.is_empty()).then(|| all.join(" "))
}

/// Twelve digits are enough for people.
fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// `NAME=VALUE`, each of them once.
fn pairs<T: std::str::FromStr>(option: &str, texts: &[String], hint: &str) -> Result<BTreeMap<String, T>, Error> {
    let mut all = BTreeMap::new();
    for text in texts {
        let read = text.split_once('=').and_then(|(name, value)| Some((name, value.parse().ok()?))).filter(|(name, _)| !name.is_empty());
        let Some((name, value)) = read else {
            return Err(crate::error::usage(format!("`{text}` of {option} cannot be read")).hint(hint).into());
        };
        if all.insert(name.to_owned(), value).is_some() {
            return Err(crate::error::usage(format!("{option} names `{name}` twice")).hint("keep one of the two").into());
        }
    }
    Ok(all)
}
