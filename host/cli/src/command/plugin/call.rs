//! `hostler plugin call`

use std::path::PathBuf;
use std::time::Duration;

use hostler_conformance::Once;
use hostler_wasm::JsonCallError;
use serde_json::Value;

use super::trial::{Trial, json};
use crate::context::Context;
use crate::error::{Error, failed, usage};

/// Call one function of a component once, and print its answer
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The component
    #[arg(value_name = "FILE")]
    component: PathBuf,
    #[command(flatten)]
    trial: Trial,
    /// The function: `describe`, `start`, `logs.read`, …
    #[arg(value_name = "FUNCTION")]
    function: String,
    /// Its arguments: a list, an object by their names, or the value itself when there is one
    #[arg(value_name = "JSON", default_value = "null")]
    arguments: String,
    /// How long it may take, in milliseconds
    #[arg(long, value_name = "MS", default_value = "10000")]
    deadline: u64,
}

pub(super) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    let arguments: Value = json("the argument", &args.arguments)?;
    let (subject, end) = args.trial.subject(&args.component, None).await?.parts();
    let answered = once(subject, &args, &arguments).await;
    end.end().await;
    let answer = answered?;
    let text = serde_json::to_string_pretty(&answer).expect("JSON that was made is written");
    context.out.document(text.as_bytes())
}

async fn once(subject: hostler_conformance::Subject, args: &Args, arguments: &Value) -> Result<Value, Error> {
    let origin = subject.origin.clone();
    let at = |text: String| failed(text).at(origin.clone());
    let once = Once::load(subject).await.map_err(|error| at(error.to_string()))?;
    let answer = once.call(&args.function, arguments, Duration::from_millis(args.deadline)).await;
    for line in once.said() {
        crate::out::note(&format!("log: {}", crate::out::visible(&line)));
    }
    answer.map_err(|error| match error {
        JsonCallError::NoFunction { .. } | JsonCallError::Arguments { .. } => usage(error.to_string()).into(),
        JsonCallError::Call(error) => at(error.to_string()).into(),
    })
}
