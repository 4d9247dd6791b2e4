//! One import: what it knows, and what it has to say.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use crate::convert;
use crate::load;
use crate::paths;
use crate::template::{Template, Written};
use crate::tree::{Item, Place};
use crate::{Imported, Note, Request, World, write};

/// Values that files, `extends` and `include` may add up to.
const MOST_VALUES: usize = 1_000_000;
/// Notes that are kept.
const MOST_NOTES: usize = 1_000;

/// A file that was read.
pub(crate) struct Source {
    /// As the caller calls it.
    pub(crate) name: String,
    /// What its relative paths are seen from; absolute.
    pub(crate) dir: PathBuf,
}

/// What containers ask of the engine that the backend is not granted by itself; texts as the service file has them.
#[derive(Default)]
pub(crate) struct Asks {
    /// Absolute paths of the machine.
    pub(crate) mounts: BTreeSet<String>,
    pub(crate) privileged: bool,
    pub(crate) capabilities: BTreeSet<String>,
    pub(crate) security_options: BTreeSet<String>,
    /// Networks of the machine or of other containers.
    pub(crate) network_modes: BTreeSet<String>,
}

impl Asks {
    /// Is there anything to grant?
    pub(crate) fn is_empty(&self) -> bool {
        !self.privileged && [&self.mounts, &self.capabilities, &self.security_options, &self.network_modes].iter().all(|asked| asked.is_empty())
    }
}

/// The whole of one import.
pub(crate) struct Import<'a> {
    pub(crate) request: &'a Request,
    world: &'a dyn World,
    pub(crate) sources: Vec<Source>,
    /// Files that services were extended from.
    pub(crate) extended: HashMap<PathBuf, Item>,
    /// The project's name, once it is known.
    pub(crate) project: String,
    notes: Vec<(Place, Note)>,
    mistakes: Vec<(Place, Note)>,
    /// Variables that the service file names, and the file that sets each, or none.
    pub(crate) variables: BTreeMap<String, Option<String>>,
    unset: BTreeSet<String>,
    pub(crate) asks: Asks,
    values: usize,
}

/// Does everything, in order.
pub(crate) fn run(request: &Request, world: &dyn World) -> Result<Imported, Vec<Note>> {
    let mut import = Import::new(request, world);
    let Some(root) = load::load(&mut import) else { return Err(import.told_mistakes()) };
    import.project = project_name(&mut import, &root);
    let stack = convert::convert(&mut import, &root);
    if !import.mistakes.is_empty() {
        return Err(import.told_mistakes());
    }
    if !import.asks.is_empty() {
        let message = "these containers ask for more than the backend may do by itself: paths of the machine, privileges or its network";
        import.note(Place::default(), "services", message, "look at the grants at the top of the service file, and take away the `#` before them");
    }
    let notes = sorted(std::mem::take(&mut import.notes));
    let toml = write::write(&import, &stack, &notes);
    Ok(Imported { toml, services: stack.services.len(), notes })
}

fn sorted(mut notes: Vec<(Place, Note)>) -> Vec<Note> {
    notes.sort_by(|a, b| (a.0, &a.1.key, &a.1.message).cmp(&(b.0, &b.1.key, &b.1.message)));
    notes.into_iter().map(|(_, note)| note).collect()
}

/// The name that Compose would give the project: it stands in the engine's names of volumes and networks.
fn project_name(import: &mut Import<'_>, root: &Item) -> String {
    let given = import.request.project.clone().or_else(|| import.value_of("COMPOSE_PROJECT_NAME"));
    if let Some(given) = given.filter(|given| !given.is_empty()) {
        return paths::project(&given);
    }
    if let Some(item) = root.member("name") {
        let named = item.word().map(str::to_owned).and_then(|text| import.resolve(item.place, "name", &text));
        match named.filter(|name| !name.is_empty()) {
            Some(name) => return paths::project(&name),
            None => import.mistake(item.place, "name", "the project's name is no text", "write name: shop"),
        }
    }
    let dir = import.sources.first().map(|source| source.dir.clone()).unwrap_or_default();
    paths::project(&dir.file_name().unwrap_or_default().to_string_lossy())
}

impl<'a> Import<'a> {
    fn new(request: &'a Request, world: &'a dyn World) -> Import<'a> {
        Import {
            request,
            world,
            sources: Vec::new(),
            extended: HashMap::new(),
            project: String::new(),
            notes: Vec::new(),
            mistakes: Vec::new(),
            variables: BTreeMap::new(),
            unset: BTreeSet::new(),
            asks: Asks::default(),
            values: 0,
        }
    }

    fn told_mistakes(&mut self) -> Vec<Note> {
        let mut told = sorted(std::mem::take(&mut self.mistakes));
        told.dedup();
        told
    }

    fn told(&self, place: Place, key: &str, message: &str, hint: &str) -> Note {
        let file = self.sources.get(place.file).map(|source| source.name.clone()).unwrap_or_default();
        let (message, hint) = (message.to_owned(), hint.to_owned());
        Note { file, line: place.line, column: place.column, key: key.to_owned(), message, hint }
    }

    /// Says what could not be carried.
    pub(crate) fn note(&mut self, place: Place, key: &str, message: impl AsRef<str>, hint: impl AsRef<str>) {
        let note = (place, self.told(place, key, message.as_ref(), hint.as_ref()));
        if self.notes.len() < MOST_NOTES && !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Says why the files are refused.
    pub(crate) fn mistake(&mut self, place: Place, key: &str, message: impl AsRef<str>, hint: impl AsRef<str>) {
        if self.mistakes.len() < MOST_NOTES {
            self.mistakes.push((place, self.told(place, key, message.as_ref(), hint.as_ref())));
        }
    }

    /// How much there is to refuse so far.
    pub(crate) fn mistakes(&self) -> usize {
        self.mistakes.len()
    }

    /// Is there nothing to refuse yet?
    pub(crate) fn is_good(&self) -> bool {
        self.mistakes.is_empty()
    }

    /// Counts values; false once there are too many.
    pub(crate) fn afford(&mut self, values: usize, place: Place, key: &str) -> bool {
        self.values = self.values.saturating_add(values);
        if self.values > MOST_VALUES {
            self.mistake(place, key, format!("files, `extends` and `include` add up to more than {MOST_VALUES} values"), "import them apart");
        }
        self.values <= MOST_VALUES
    }

    pub(crate) fn text_of(&self, path: &Path) -> Result<String, String> {
        self.world.text(path)
    }

    pub(crate) fn variables_of(&self, path: &Path) -> Result<Vec<(String, String)>, String> {
        self.world.variables(path)
    }

    /// A variable's value today.
    pub(crate) fn value_of(&self, name: &str) -> Option<String> {
        match self.world.variable(name) {
            None if name == "COMPOSE_PROJECT_NAME" && !self.project.is_empty() => Some(self.project.clone()),
            found => found.map(|found| found.value),
        }
    }

    /// Takes a text apart; what is malformed is refused.
    pub(crate) fn template(&mut self, place: Place, key: &str, text: &str) -> Template {
        Template::parse(text).unwrap_or_else(|why| {
            self.mistake(place, key, why, "write ${NAME}, ${NAME:-default}, ${NAME:?message} or ${NAME:+other}, and $$ for a dollar");
            Template::default()
        })
    }

    /// A text's value today, for what must be a number or a word; nothing when it cannot be known.
    pub(crate) fn resolve(&mut self, place: Place, key: &str, text: &str) -> Option<String> {
        let template = self.template(place, key, text);
        self.resolve_template(place, key, &template)
    }

    pub(crate) fn resolve_template(&mut self, place: Place, key: &str, template: &Template) -> Option<String> {
        let resolved = template.resolve(&|name| self.value_of(name));
        match resolved {
            Ok(text) => Some(text),
            Err((name, message)) => {
                let colon = if message.is_empty() { "" } else { ": " };
                self.mistake(place, key, format!("the variable `{name}` must be set{colon}{message}"), format!("set {name} and import again"));
                None
            }
        }
    }

    /// A text's value today, with a note when variables decided it.
    pub(crate) fn decide(&mut self, place: Place, key: &str, text: &str) -> Option<String> {
        let template = self.template(place, key, text);
        if template.as_literal().is_none() {
            self.note(
                place,
                key,
                "a variable stands here, and its value of today was written",
                "change the number in the service file when the variable changes",
            );
        }
        self.resolve_template(place, key, &template)
    }

    /// As the service file has it: variables stay variables.
    pub(crate) fn write(&mut self, place: Place, key: &str, template: &Template) -> String {
        let Written { text, names, unset, decided } = template.write(&|name| self.value_of(name));
        for name in names {
            let file = self.world.variable(&name).and_then(|variable| variable.file);
            self.variables.insert(name, file);
        }
        for name in unset {
            if self.unset.insert(name.clone()) {
                let hint = format!("set {name} before `hostler up`, or write its value");
                self.note(place, key, format!("the variable `{name}` is not set; it reads as an empty text, as in Compose"), hint);
            }
        }
        for name in decided {
            let message = format!("service files have no such form of `${{{name}…}}`; what it leads to today was written");
            self.note(place, key, message, "look whether that is what you want");
        }
        text
    }

    /// The directory that relative paths of this place are seen from.
    pub(crate) fn dir_of(&self, place: Place) -> PathBuf {
        self.sources.get(place.file).map(|source| source.dir.clone()).unwrap_or_default()
    }
}
