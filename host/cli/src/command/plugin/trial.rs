//! What `check`, `call` and `replay` share: a component from a file, and a world to try it in.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hostler_api::{Code, Failure};
use hostler_conformance::{Against, Subject};
use hostler_keeper::protocol::Request;
use hostler_wasm::{Grants, KeeperLink, MAX_COMPONENT_BYTES, RestartHook};
use serde_json::Value;

use crate::error::{Error, failed, usage};

/// How long a keeper of one's own may take to answer.
const KEEPER: Duration = Duration::from_secs(10);

/// What is behind the plugin's imports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum World {
    /// Played: processes in memory, commands that are not run, servers of our own
    Fake,
    /// The real capabilities: processes, commands and connections of this machine, within --grants
    Real,
}

/// Options of everything that tries a file.
#[derive(Debug, clap::Args)]
pub(crate) struct Trial {
    /// What is behind its imports
    #[arg(long, value_enum, default_value = "fake")]
    against: World,
    /// The plugin's own configuration, as JSON
    #[arg(long, value_name = "JSON")]
    config: Option<String>,
    /// What it is granted: a JSON file with the table `grants` of its stanza [default: everything it imports, when nothing is real]
    #[arg(long, value_name = "FILE")]
    grants: Option<PathBuf>,
}

/// A subject, and the keeper that was started for it.
pub(crate) struct Tried {
    pub(crate) subject: Subject,
    keeper: Option<Keeper>,
}

/// A keeper in a directory of its own; what it holds ends with it.
struct Keeper {
    link: Arc<KeeperLink>,
    _dir: tempfile::TempDir,
}

impl Trial {
    pub(crate) async fn subject(&self, component: &Path, settings: Option<&str>) -> Result<Tried, Error> {
        let bytes = read(component)?;
        let grants = self.grants.as_deref().map(read_grants).transpose()?;
        if self.against == World::Real && grants.is_none() {
            let hint = "write a JSON file with its grants, such as {\"processes\": {\"programs\": [\"/usr/bin/sleep\"]}}, and name it with --grants";
            return Err(usage("against the real world a plugin gets only what you grant it").hint(hint).into());
        }
        let keeper = if self.against == World::Real { Some(Keeper::start().await?) } else { None };
        let against = keeper.as_ref().map_or(Against::Fake, |keeper| Against::Real(Some(Arc::clone(&keeper.link))));
        let name = component.file_stem().map_or_else(|| "plugin".to_owned(), |stem| stem.to_string_lossy().into_owned());
        let config = self.config.as_deref().map(|text| json("--config", text)).transpose()?.unwrap_or(Value::Null);
        let settings = settings.map(|text| json("--settings", text)).transpose()?;
        let origin = component.display().to_string();
        Ok(Tried { subject: Subject { name, bytes, origin, config, settings, grants, against }, keeper })
    }
}

impl Tried {
    /// The subject, and what has to be ended after it.
    pub(crate) fn parts(self) -> (Subject, End) {
        (self.subject, End(self.keeper))
    }
}

/// Ends the keeper that a trial had, if it had one.
pub(crate) struct End(Option<Keeper>);

impl End {
    pub(crate) async fn end(self) {
        if let Some(keeper) = self.0 {
            keeper.link.retire();
            let asked = keeper.link.request(Request::Shutdown { if_idle: false });
            // one that does not answer ends by itself once its directory is gone
            let _ = tokio::time::timeout(KEEPER, asked).await;
        }
    }
}

impl Keeper {
    async fn start() -> Result<Keeper, Error> {
        let dir = tempfile::tempdir().map_err(|error| failed(format!("cannot make a directory for a keeper: {error}")))?;
        let exe = std::env::current_exe().map_err(|error| failed(format!("cannot find the program's own file: {error}")))?;
        let path = dir.path().join("keeper");
        let socket = hostler_keeper::keeper::socket_path(&path);
        let restart: RestartHook = Arc::new(move || {
            let (path, exe) = (path.clone(), exe.clone());
            Box::pin(async move {
                let started = tokio::task::spawn_blocking(move || hostler_keeper::client::ensure(&path, &exe, KEEPER)).await;
                started.map_err(|error| error.to_string())?.map(drop).map_err(|error| error.to_string())
            })
        });
        let link = KeeperLink::connect(socket, Some(restart)).await.map_err(|error| failed(format!("cannot start a keeper: {error}")))?;
        Ok(Keeper { link, _dir: dir })
    }
}

/// A component's bytes, unless it is none by its size or kind.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let place = path.display().to_string();
    let unreadable = |error: std::io::Error| Failure::new(Code::NotFound, format!("cannot read the component: {error}")).at(&place);
    let about = std::fs::metadata(path).map_err(unreadable)?;
    let why = match about.len() {
        _ if !about.is_file() => "it is not a file".to_owned(),
        bytes if bytes > MAX_COMPONENT_BYTES => format!("its {bytes} bytes are too many for a component"),
        _ => return Ok(std::fs::read(path).map_err(unreadable)?),
    };
    Err(Failure::new(Code::Invalid, format!("this is no component: {why}")).at(&place).into())
}

fn read_grants(path: &Path) -> Result<Grants, Error> {
    let place = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| Failure::new(Code::NotFound, format!("cannot read the grants: {error}")).at(&place))?;
    serde_json::from_str(&text).map_err(|error| Failure::new(Code::Config, format!("these are no grants: {error}")).at(place).into())
}

/// JSON of the command line.
pub(crate) fn json(option: &str, text: &str) -> Result<Value, Error> {
    serde_json::from_str(text).map_err(|error| usage(format!("{option} is no JSON: {error}")).into())
}
