//! `hostler adopt`

use hostler_api::{ActionResult, AdoptRequest, routes};
use serde_json::{Map, Value};

use crate::context::Context;
use crate::error::{Error, usage};

/// Take over something that runs already: it becomes a service, and is neither stopped nor restarted for it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its name, or its key, as `hostler discover` shows them
    #[arg(value_name = "NAME")]
    what: String,
    /// The service that it becomes [default: its own name]
    #[arg(long = "as", value_name = "SERVICE")]
    service: Option<String>,
    /// The backend whose engine has it [default: every one is asked]
    #[arg(long, value_name = "BACKEND")]
    backend: Option<String>,
    /// The rest of the service as JSON: '{"critical": true, "health_check": {…}}'
    #[arg(long, value_name = "JSON")]
    with: Option<String>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    let definition = match &args.with {
        Some(text) => read(text)?,
        None => Map::new(),
    };
    let request = AdoptRequest { what: args.what.clone(), backend: args.backend, service: args.service, definition };
    let document = context.client()?.post(routes::ADOPT, &request).await?;
    if context.out.json {
        return context.out.document(document.bytes());
    }
    let done: ActionResult = document.read()?;
    context.out.line(format!("{} is now the service {}; `hostler release` gives it back", args.what, done.services.join(", ")))
}

fn read(text: &str) -> Result<Map<String, Value>, Error> {
    match serde_json::from_str(text) {
        Ok(Value::Object(table)) => Ok(table),
        Ok(_) => Err(usage("--with is no table").hint("write --with '{\"critical\": true}'").into()),
        Err(error) => Err(usage(format!("--with cannot be read as JSON: {error}")).hint("write --with '{\"critical\": true}'").into()),
    }
}
