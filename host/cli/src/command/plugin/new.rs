//! `hostler plugin new`

use std::path::{Path, PathBuf};

use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser;
use hostler_api::{Code, Failure, Shape};
use hostler_componentize::{CreateError, Kind, Language, Project, ProjectError};
use serde::Serialize;

use crate::context::Context;
use crate::error::{Error, failed, usage};

/// Make a folder with a plugin that builds, keeps the contract and has tests
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What the plugin is called
    #[arg(value_name = "NAME")]
    name: String,
    /// What it is to be
    #[arg(long, value_name = "KIND", value_parser = PossibleValuesParser::new(Kind::NAMES).map(|name| Kind::named(&name).expect("one of its names")))]
    kind: Kind,
    /// What it is written in
    #[arg(long, value_name = "LANGUAGE", value_parser = PossibleValuesParser::new(Language::NAMES).map(|name| Language::named(&name).expect("one of its names")))]
    lang: Language,
    /// Where it goes; what is there is never overwritten [default: a folder of that name, here]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Made<'a> {
    version: Shape,
    name: &'a str,
    kind: &'a str,
    language: &'a str,
    dir: &'a Path,
}

pub(super) fn run(args: Args, context: &Context) -> Result<(), Error> {
    let dir = args.dir.unwrap_or_else(|| PathBuf::from(&args.name));
    let project = Project::create(&dir, &args.name, args.kind, args.lang).map_err(refused)?;
    let (kind, language) = (args.kind.as_str(), args.lang.as_str());
    if context.out.json {
        let made = Made { version: Shape, name: &project.name, kind, language, dir: &project.dir };
        return context.out.document(&serde_json::to_vec(&made).expect("it is strings"));
    }
    let place = dir.display();
    context.out.line(format!("made {place}: a {kind} in {language}; {place}/README.md says what to do with it"))
}

/// What a person can do about it decides the kind of failure.
pub(super) fn refused(error: CreateError) -> Failure {
    match error {
        CreateError::Name(why) => usage(why),
        CreateError::Exists(_) => Failure::new(Code::Conflict, error.to_string()),
        CreateError::Template(error) => no_project(error),
        CreateError::NoTemplate { .. } | CreateError::Io { .. } => failed(error.to_string()),
    }
}

/// The folder is not what it should be.
pub(super) fn no_project(error: ProjectError) -> Failure {
    match error {
        ProjectError::Manifest { .. } => Failure::new(Code::Config, error.to_string()),
        ProjectError::Folder { .. } | ProjectError::NotOne(_) => usage(error.to_string()),
    }
}
