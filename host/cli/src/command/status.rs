//! `hostler status`

mod host;
mod service;

use hostler_api::{HostInfo, ServiceDetail, ServiceQuery, routes};

use crate::context::Context;
use crate::error::Error;

/// Show one service in detail, or the host.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which service [default: the host itself]
    #[arg(value_name = "SERVICE")]
    service: Option<String>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    let client = context.client()?;
    let path = args.service.as_deref().map_or_else(|| routes::HOST.to_owned(), |name| ServiceQuery { usage: true }.path(name));
    let document = client.get(&path).await?;
    if context.out.json {
        return context.out.document(document.bytes());
    }
    match args.service {
        Some(_) => service::show(&document.read::<ServiceDetail>()?, context),
        None => host::show(&document.read::<HostInfo>()?, context),
    }
}

/// `label:  value`, the values below each other.
struct Lines(String);

impl Lines {
    fn new(first: String) -> Lines {
        Lines(first)
    }

    fn add(&mut self, label: &str, value: impl AsRef<str>) {
        self.0.push_str(&format!("\n  {:<13} {}", format!("{label}:"), value.as_ref()));
    }

    fn maybe(&mut self, label: &str, value: Option<impl AsRef<str>>) {
        if let Some(value) = value {
            self.add(label, value);
        }
    }
}
