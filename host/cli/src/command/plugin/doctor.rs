//! `hostler plugin doctor`

mod component;
mod finding;
mod pins;
mod project;

use std::path::{Path, PathBuf};

use hostler_api::Shape;
use serde::Serialize;

use self::finding::{Finding, Level};
use super::named::service_file;
use crate::context::Context;
use crate::error::{Error, failed, usage};
use crate::out::{Colour, visible};

/// Say what is wrong with a plugin's folder or its component, with its entry and its pin, and which command mends it; nothing is run
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A component, or a plugin's folder
    #[arg(value_name = "FILE|DIR", default_value = ".")]
    path: PathBuf,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Findings<'a> {
    version: Shape,
    findings: &'a [Finding],
}

pub(super) fn run(args: Args, context: &Context) -> Result<(), Error> {
    let findings = examine(&args.path, context)?;
    if context.out.json {
        context.out.document(&serde_json::to_vec(&Findings { version: Shape, findings: &findings }).expect("it is strings"))?;
    } else {
        for finding in &findings {
            context.out.line(text(finding, context))?;
        }
    }
    let wrong = findings.iter().filter(|finding| finding.level == Level::Wrong).count();
    match wrong {
        0 => Ok(()),
        1 => Err(failed("one thing has to be mended").into()),
        many => Err(failed(format!("{many} things have to be mended")).into()),
    }
}

fn examine(path: &Path, context: &Context) -> Result<Vec<Finding>, Error> {
    let (component, mut findings) = match () {
        () if path.is_file() => (path.to_owned(), component::findings(path, context)?),
        () if path.is_dir() => project::findings(path, context)?,
        () => return Err(usage(format!("{} is neither a component nor a folder", path.display())).into()),
    };
    if let Some(file) = service_file(&component, context) {
        findings.extend(pins::findings(&file, &component, context)?);
    }
    Ok(findings)
}

fn text(finding: &Finding, context: &Context) -> String {
    let (colour, word) = match finding.level {
        Level::Fine => (Colour::Green, "ok   "),
        Level::Doubtful => (Colour::Yellow, "doubt"),
        Level::Wrong => (Colour::Red, "wrong"),
    };
    let indented = |text: &str| text.lines().map(visible).collect::<Vec<_>>().join("\n         ");
    let mut text = format!("{}  {}", context.out.paint.of(colour, word), indented(&finding.what));
    if let Some(mend) = &finding.mend {
        text.push_str(&format!("\n  {}  {}", context.out.paint.of(Colour::Cyan, "mend:"), indented(mend)));
    }
    text
}
