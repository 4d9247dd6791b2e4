//! `hostler import`

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use hostler_api::{Code, Failure, Shape};
use hostler_compose::{Imported, Note, Request, Variable, World, import};
use hostler_core::Problem;
use serde::Serialize;
use serde_json::json;

use crate::config::{env_lines, read_text};
use crate::context::Context;
use crate::error::{Error, failed, usage};
use crate::out::{note, visible};

/// Names by which Compose finds its file, and the file over it.
const NAMES: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];
const OVERRIDES: [&str; 4] = ["compose.override.yaml", "compose.override.yml", "docker-compose.override.yml", "docker-compose.override.yaml"];

/// Make a service file of a Compose file, and say what it could not carry. Nothing is started.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Compose files, each one over those before it [default: compose.yaml of the current directory, and its override]
    #[arg(value_name = "COMPOSE")]
    files: Vec<PathBuf>,
    /// More Compose files, over the others
    // The name of the global option, in whose place it stands here.
    #[arg(id = "file", long = "file", short = 'f', value_name = "FILE", action = clap::ArgAction::Append)]
    more: Vec<PathBuf>,
    /// The service file to write; standard output when absent
    #[arg(long, short, value_name = "TOML")]
    out: Option<PathBuf>,
    /// The project's name, which stands in the names of volumes and networks [default: the file's `name`, else its directory]
    #[arg(long, value_name = "NAME")]
    project: Option<String>,
    /// A profile whose services are enabled; `*` for all
    #[arg(long, value_name = "PROFILE")]
    profile: Vec<String>,
    /// A file of variables, in place of .env beside the first Compose file
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// Fail and write nothing when something cannot be carried
    #[arg(long)]
    strict: bool,
    /// Overwrite the service file
    #[arg(long)]
    force: bool,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Document<'a> {
    version: Shape,
    /// Where the service file is; absent when it is `toml`.
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    toml: Option<&'a str>,
    services: usize,
    /// What could not be carried.
    notes: &'a [Note],
}

pub(crate) fn run(args: Args, context: &Context) -> Result<(), Error> {
    let here =
        std::env::current_dir().and_then(|dir| dir.canonicalize()).map_err(|error| failed(format!("there is no current directory: {error}")))?;
    let files = files(&args)?;
    if let Some(out) = args.out.as_deref().filter(|out| out.exists() && !args.force) {
        let failure = failed(format!("{} is there already", out.display()));
        return Err(failure.hint("name another file, or overwrite it with --force").into());
    }
    let shell = Shell { variables: variables(&args.env_file, &files)? };
    let out_dir = args.out.as_deref().and_then(Path::parent).map(|dir| here.join(dir)).unwrap_or_else(|| here.clone());
    let out_dir = out_dir.canonicalize().map_err(|error| failed(format!("{}: {error}", out_dir.display())))?;
    let profiles = if args.profile.is_empty() { asked_profiles() } else { args.profile.clone() };
    let request = Request { files, here, out_dir, project: args.project.clone(), profiles };
    let imported = import(&request, &shell).map_err(|notes| refused(&notes))?;
    tell(&imported.notes, context);
    if args.strict && !imported.notes.is_empty() {
        let failure = failed(format!("{} could not be carried", counted(imported.notes.len(), "thing")));
        return Err(failure.hint("change the Compose file, or import without --strict").into());
    }
    finish(&args, &imported, context)
}

/// The files as they were named; else those that Compose would find.
fn files(args: &Args) -> Result<Vec<PathBuf>, Error> {
    let named: Vec<PathBuf> = args.files.iter().chain(&args.more).cloned().collect();
    if !named.is_empty() {
        return Ok(named);
    }
    let found = |names: [&str; 4]| names.iter().map(PathBuf::from).find(|file| file.is_file());
    let Some(base) = found(NAMES) else {
        return Err(usage("there is no Compose file here").hint(format!("name one, or go where one of {} is", NAMES.join(", "))).into());
    };
    Ok([Some(base), found(OVERRIDES)].into_iter().flatten().collect())
}

fn asked_profiles() -> Vec<String> {
    let asked = std::env::var("COMPOSE_PROFILES").unwrap_or_default();
    asked.split(',').filter(|profile| !profile.is_empty()).map(str::to_owned).collect()
}

/// What the files of variables say; the later one wins, as Compose has it.
fn variables(named: &[PathBuf], files: &[PathBuf]) -> Result<BTreeMap<String, Variable>, Error> {
    let beside = files.first().and_then(|file| file.parent()).unwrap_or(Path::new("")).join(".env");
    let found = if named.is_empty() && beside.is_file() { vec![beside] } else { named.to_vec() };
    let mut variables = BTreeMap::new();
    for path in found {
        let lines = read_text(&path).and_then(|text| env_lines(&text));
        let lines = lines.map_err(|why| {
            Failure::config(vec![Problem::new("", format!("{}: {why}", path.display())).hint("each line is NAME=VALUE, a comment or empty")])
        })?;
        let file = path.display().to_string();
        variables.extend(lines.into_iter().map(|(name, value)| (name, Variable { value, file: Some(file.clone()) })));
    }
    Ok(variables)
}

/// This machine's files, this process's variables, and those of `.env`.
struct Shell {
    variables: BTreeMap<String, Variable>,
}

impl World for Shell {
    fn text(&self, path: &Path) -> Result<String, String> {
        read_text(path)
    }

    fn variables(&self, path: &Path) -> Result<Vec<(String, String)>, String> {
        read_text(path).and_then(|text| env_lines(&text))
    }

    fn variable(&self, name: &str) -> Option<Variable> {
        let own = std::env::var(name).ok().map(|value| Variable { value, file: None });
        own.or_else(|| self.variables.get(name).cloned())
    }
}

/// The mistakes with their places, for people and for programs.
fn refused(notes: &[Note]) -> Error {
    let mut drawing = String::new();
    for note in notes {
        let place = if note.line > 0 { format!(":{}:{}", note.line, note.column) } else { String::new() };
        let key = if note.key.is_empty() { String::new() } else { format!(" {}:", visible(&note.key)) };
        drawing.push_str(&format!("{}{place}:{key} {}\n", visible(&note.file), visible(&note.message)));
        if !note.hint.is_empty() {
            drawing.push_str(&format!("  hint: {}\n", visible(&note.hint)));
        }
    }
    drawing.push_str(&format!("{} in what is to be imported", counted(notes.len(), "problem")));
    let problems = notes.iter().map(|note| Problem::new(&note.key, &note.message).hint(&note.hint)).collect();
    let line = |number: u32| (number > 0).then_some(number);
    let one = |note: &Note| json!({ "file": note.file, "line": line(note.line), "column": line(note.column), "at": note.key, "message": note.message, "hint": note.hint });
    Error::Drawn { failure: Box::new(Failure { code: Code::Config, ..Failure::config(problems) }), drawing, places: notes.iter().map(one).collect() }
}

/// Says what was lost, on standard error; a program finds it in the document.
fn tell(notes: &[Note], context: &Context) {
    if context.out.json || notes.is_empty() {
        return;
    }
    let lines: Vec<String> = notes.iter().map(|one| format!("warning: {}", visible(&one.to_string()))).collect();
    note(&lines.join("\n"));
}

fn finish(args: &Args, imported: &Imported, context: &Context) -> Result<(), Error> {
    if let Some(out) = &args.out {
        write(out, imported.toml.as_bytes()).map_err(|error| failed(format!("{}: {error}", out.display())))?;
    }
    let file = args.out.as_ref().map(|out| out.display().to_string());
    if context.out.json {
        let toml = args.out.is_none().then_some(imported.toml.as_str());
        let document = Document { version: Shape, file, toml, services: imported.services, notes: &imported.notes };
        return context.out.document(&serde_json::to_vec(&document).expect("a document is strings and numbers"));
    }
    let Some(file) = file else { return context.out.raw(imported.toml.as_bytes()) };
    let lost = match imported.notes.len() {
        0 => "; everything was carried".to_owned(),
        count => format!("; {} could not be carried", counted(count, "thing")),
    };
    context.out.line(format!("{}: {}{lost}", visible(&file), counted(imported.services, "service")))
}

fn counted(count: usize, thing: &str) -> String {
    if count == 1 { format!("1 {thing}") } else { format!("{count} {thing}s") }
}

/// The whole file or none.
fn write(out: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let name = out.file_name().unwrap_or_default().to_string_lossy();
    let beside = out.with_file_name(format!(".{name}.{}", std::process::id()));
    fs::write(&beside, bytes).and_then(|()| fs::rename(&beside, out)).inspect_err(|_| drop(fs::remove_file(&beside)))
}
