//! `hostler plugin check`

use std::path::{Path, PathBuf};

use hostler_conformance::{CASES, Case, CaseReport, Outcome, Report};

use super::trial::Trial;
use crate::context::Context;
use crate::error::{Error, failed, usage};
use crate::out::{Cell, Colour, Table};

/// Try every promise of the contract on a component
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The component
    #[arg(value_name = "FILE", required_unless_present = "list")]
    component: Option<PathBuf>,
    #[command(flatten)]
    trial: Trial,
    /// Settings of the task or check to try, as JSON [default: the first of the `examples` in its schema]
    #[arg(long, value_name = "JSON")]
    settings: Option<String>,
    /// Only this case; may be given several times
    #[arg(long = "case", value_name = "NAME")]
    cases: Vec<String>,
    /// Write the results as JUnit XML, too
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Show the cases, and why each matters; nothing is tried
    #[arg(long)]
    list: bool,
}

pub(super) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    if args.list {
        return list(context);
    }
    let Some(component) = &args.component else { return Err(usage("no component is named").hint("hostler plugin check FILE.wasm").into()) };
    for name in &args.cases {
        if Case::named(name).is_none() {
            return Err(usage(format!("there is no case `{name}`")).hint("`hostler plugin check --list` shows them").into());
        }
    }
    let (subject, end) = args.trial.subject(component, args.settings.as_deref()).await?.parts();
    let wanted = |case: &Case| args.cases.is_empty() || args.cases.iter().any(|name| name.eq_ignore_ascii_case(case.name));
    let quiet = context.out.json;
    let mut told = Ok(());
    let mut tell = |case: &CaseReport| {
        // the cases of the other role are counted, and say nothing
        let other_role = matches!(&case.outcome, Outcome::NotApplicable(why) if why.starts_with("it is a "));
        if !quiet && !other_role && told.is_ok() {
            told = context.out.line(case.text().trim_end());
        }
    };
    let report = hostler_conformance::check_telling(subject, &wanted, &mut tell).await;
    end.end().await;
    told?;
    let report = report.map_err(|error| failed(error.to_string()))?;
    if let Some(path) = &args.junit {
        write(path, &report)?;
    }
    if quiet {
        context.out.document(report.json().to_string().as_bytes())?;
    } else {
        context.out.line(report.summary())?;
    }
    if report.passed() {
        return Ok(());
    }
    let names: Vec<&str> = report.failed().iter().map(|case| case.case.name).collect();
    Err(failed(format!("{} does not keep the contract: {}", report.plugin, names.join(", "))).at(report.origin.clone()).into())
}

fn write(path: &Path, report: &Report) -> Result<(), Error> {
    std::fs::write(path, report.junit()).map_err(|error| failed(format!("cannot write the results: {error}")).at(path.display().to_string()).into())
}

fn list(context: &Context) -> Result<(), Error> {
    if context.out.json {
        let document = serde_json::json!({ "version": 1, "cases": CASES });
        return context.out.document(document.to_string().as_bytes());
    }
    let mut table = Table::new(&["CASE", "GROUP", "WHY"]);
    for case in CASES {
        table.row(vec![Cell::painted(case.name, Colour::Bold), Cell::new(case.group.name()), Cell::new(case.why)]);
    }
    context.out.table(&table)
}
