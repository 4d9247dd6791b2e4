//! An engine of containers, in memory; the same one by whatever name a plugin calls it.

use super::FakeHost;
use super::commands::{Scripts, run};
use super::world::World;
use crate::host::Error;
use crate::host::commands::{Command, Output};
use crate::host::containers::{Container, Ended, EngineInfo, Image, Limits, Line, Lines, Origin, Pulled, Spec, State, Usage, Whose};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// What every container of a host carries.
const OWNER: &str = "hostler.owner";

/// Containers, images and what tests say of them.
#[derive(Default)]
pub(super) struct Engines {
    held: Vec<Held>,
    images: BTreeMap<String, Image>,
    networks: Vec<String>,
    pulls: BTreeMap<String, Result<Pulled, Error>>,
    scripts: Scripts,
    last: u32,
}

struct Held {
    container: Container,
    spec: Spec,
    lines: Vec<Line>,
    signals: Vec<String>,
    usage: Option<Usage>,
}

/// What a test does to an engine from outside. Containers are named by id or name.
impl FakeHost {
    /// An image is there.
    pub fn add_image(&self, reference: &str, has_health_check: bool) {
        let image = Image {
            id: format!("sha256:{reference}"),
            digests: Vec::new(),
            created_at: None,
            size_bytes: 1,
            has_health_check,
            exposed: Vec::new(),
            volumes: Vec::new(),
            user: String::new(),
        };
        self.world.borrow_mut().containers.images.insert(reference.into(), image);
    }

    /// What every pull of an image answers; with [`Pulled::Done`] the image is there from now on. Without it a pull is denied.
    pub fn on_pull(&self, reference: &str, answer: Result<Pulled, Error>) {
        if matches!(answer, Ok(Pulled::Done(_))) {
            self.add_image(reference, false);
        }
        self.world.borrow_mut().containers.pulls.insert(reference.into(), answer);
    }

    /// Every container, strangers included.
    pub fn containers(&self) -> Vec<Container> {
        self.world.borrow().containers.held.iter().map(|held| held.container.clone()).collect()
    }

    /// What a container was made from.
    pub fn container_spec(&self, id: &str) -> Option<Spec> {
        self.world.borrow().containers.find(id).map(|held| held.spec.clone())
    }

    /// Somebody else makes a container: it has these labels and no others, and runs.
    pub fn add_stranger(&self, name: &str, image: &str, labels: &[(String, String)]) -> String {
        let mut world = self.world.borrow_mut();
        let now = world.now;
        let id = world.containers.add(name, Spec { labels: labels.to_vec(), ..Spec::new(image) }, now);
        world.containers.named(&id).container.state = State::Running;
        id
    }

    /// Changes what is to be seen of a container: `|it| it.state = State::Paused`.
    pub fn change_container(&self, id: &str, change: impl FnOnce(&mut Container)) {
        change(&mut self.world.borrow_mut().containers.named(id).container);
    }

    /// A container is removed behind the plugin's back.
    pub fn lose_container(&self, id: &str) {
        self.world.borrow_mut().containers.held.retain(|held| !held.is(id));
    }

    /// The signals that a container was sent, but for those of a stop.
    pub fn container_signals(&self, id: &str) -> Vec<String> {
        self.world.borrow_mut().containers.named(id).signals.clone()
    }

    /// What a container uses, until the next word about it.
    pub fn set_container_usage(&self, id: &str, usage: Usage) {
        self.world.borrow_mut().containers.named(id).usage = Some(usage);
    }

    /// A container writes a line.
    pub fn write_container_line(&self, id: &str, origin: Origin, line: &str) {
        let mut world = self.world.borrow_mut();
        let line = Line { at: world.now, origin, continued: false, bytes: line.into() };
        world.containers.named(id).lines.push(line);
    }

    /// What a program inside any container answers. One without a script is [`Error::NotFound`].
    pub fn on_container_command(&self, program: &str, script: impl Fn(&Command) -> Result<Output, Error> + 'static) {
        self.world.borrow_mut().containers.scripts.add(program, script);
    }
}

impl Held {
    fn is(&self, id: &str) -> bool {
        self.container.id == id || self.container.name == id
    }

    fn ours(&self, owner: &str) -> bool {
        self.container.label(OWNER) == Some(owner)
    }

    fn runs(&self) -> bool {
        matches!(self.container.state, State::Running | State::Paused | State::Restarting)
    }
}

impl Engines {
    fn find(&self, id: &str) -> Option<&Held> {
        self.held.iter().find(|held| held.is(id))
    }

    fn find_mut(&mut self, id: &str) -> Result<&mut Held, Error> {
        self.held.iter_mut().find(|held| held.is(id)).ok_or(Error::NotFound)
    }

    /// For a test's own words: what it names must be there.
    fn named(&mut self, id: &str) -> &mut Held {
        self.find_mut(id).unwrap_or_else(|_| panic!("there is no container {id:?}"))
    }

    fn add(&mut self, name: &str, spec: Spec, now: u64) -> String {
        self.last += 1;
        let id = format!("{:064x}", self.last);
        let container = Container {
            id: id.clone(),
            name: name.into(),
            image: spec.image.clone(),
            image_id: format!("sha256:{}", spec.image),
            labels: spec.labels.clone(),
            state: State::Created,
            health: None,
            pid: None,
            created_at: now,
            started_at: None,
            ports: spec.ports.clone(),
            exposed: Vec::new(),
            addresses: Vec::new(),
            mounts: spec.mounts.clone(),
            engine_restarts: 0,
            restart_policy: "no".into(),
            user: spec.user.clone().unwrap_or_default(),
            command: spec.command.clone().unwrap_or_default(),
            env_names: spec.env.iter().map(|(name, _)| name.clone()).collect(),
        };
        self.held.push(Held { container, spec, lines: Vec::new(), signals: Vec::new(), usage: None });
        id
    }

    pub(super) fn info(&self) -> EngineInfo {
        EngineInfo {
            product: "Docker".into(),
            version: "0.0.0-fake".into(),
            api_version: "1.41".into(),
            operating_system: "linux".into(),
            architecture: "x86_64".into(),
            host: None,
            cpus: 2,
            memory_bytes: 1 << 30,
            storage_driver: "overlay2".into(),
            limits_storage: false,
            warnings: Vec::new(),
        }
    }

    pub(super) fn find_image(&self, reference: &str) -> Option<Image> {
        self.images.get(reference).cloned()
    }

    pub(super) fn pull(&mut self, reference: &str) -> Result<Pulled, Error> {
        let denied = || Err(Error::Invalid(format!("pull access denied for {reference}")));
        self.pulls.get(reference).cloned().unwrap_or_else(denied)
    }

    pub(super) fn create(&mut self, name: &str, spec: &Spec, owner: &str, now: u64) -> Result<String, Error> {
        if !self.images.contains_key(&spec.image) {
            return Err(Error::NotFound);
        }
        if let Some(there) = self.find(name) {
            return Err(Error::Conflict(format!("the name {name} is in use by container {}", there.container.id)));
        }
        let mut spec = spec.clone();
        spec.labels.retain(|(label, _)| label != OWNER);
        spec.labels.push((OWNER.into(), owner.into()));
        Ok(self.add(name, spec, now))
    }

    /// A host port that the engine is to choose is 32768 and what the container is counted as.
    pub(super) fn start(&mut self, id: &str, now: u64) -> Result<(), Error> {
        let chosen = u16::try_from(self.last).unwrap_or(0).saturating_add(32_768);
        let held = self.find_mut(id)?;
        if !held.runs() {
            held.container.state = State::Running;
            held.container.started_at = Some(now);
            held.container.pid = Some(1);
            held.container.ports.iter_mut().for_each(|port| port.host_port = port.host_port.or(Some(chosen)));
        }
        Ok(())
    }

    pub(super) fn inspect(&self, ids: &[String]) -> Vec<Option<Container>> {
        ids.iter().map(|id| self.find(id).map(|held| held.container.clone())).collect()
    }

    pub(super) fn stop(&mut self, id: &str, signal: &str, now: u64) -> Result<Container, Error> {
        let held = self.find_mut(id)?;
        if held.runs() {
            // every other signal ends as the default one does
            let code = if signal == "SIGKILL" { 137 } else { 143 };
            held.container.state = State::Exited(Ended { code, out_of_memory: false, at: Some(now), error: None });
            held.container.pid = None;
        }
        Ok(held.container.clone())
    }

    pub(super) fn signal(&mut self, id: &str, signal: &str) -> Result<(), Error> {
        let held = self.find_mut(id)?;
        if !held.runs() {
            return Err(Error::NotFound);
        }
        held.signals.push(signal.into());
        Ok(())
    }

    pub(super) fn remove(&mut self, id: &str, force: bool) -> Result<(), Error> {
        if self.find(id).is_some_and(|held| held.runs() && !force) {
            return Err(Error::Conflict(format!("{id} runs; stop it first")));
        }
        self.held.retain(|held| !held.is(id));
        Ok(())
    }

    pub(super) fn update(&mut self, id: &str, limits: Limits) -> Result<(), Error> {
        self.find_mut(id)?.spec.limits = limits;
        Ok(())
    }

    pub(super) fn list(&self, whose: Whose, labels: &[(String, String)], owner: &str) -> Vec<Container> {
        let whose = |held: &&Held| match whose {
            Whose::Ours => held.ours(owner),
            Whose::Tagged => held.container.label(OWNER).is_some(),
            Whose::All => true,
        };
        let has =
            |held: &&Held| labels.iter().all(|(name, value)| held.container.label(name).is_some_and(|there| value.is_empty() || there == value));
        self.held.iter().filter(whose).filter(has).map(|held| held.container.clone()).collect()
    }

    /// A cursor is the number of lines that were read.
    pub(super) fn read_log(&self, id: &str, cursor: Option<&str>, tail: Option<u32>, max_bytes: u32) -> Result<Lines, Error> {
        let lines = &self.find(id).ok_or(Error::NotFound)?.lines;
        let from = match (cursor, tail) {
            (Some(cursor), _) => cursor.parse::<usize>().map_err(|_| Error::Invalid(format!("{cursor:?} is no cursor")))?.min(lines.len()),
            (None, Some(tail)) => lines.len().saturating_sub(tail as usize),
            (None, None) => 0,
        };
        let mut room = max_bytes as usize;
        let fits = |line: &&Line| {
            let fits = line.bytes.len() <= room;
            room = room.saturating_sub(line.bytes.len());
            fits
        };
        let page: Vec<Line> = lines[from..].iter().take_while(fits).cloned().collect();
        Ok(Lines { next: (from + page.len()).to_string(), lines: page, gap: false })
    }

    pub(super) fn measure(&self, ids: &[String]) -> Vec<Option<Usage>> {
        ids.iter().map(|id| self.find(id).filter(|held| held.runs()).and_then(|held| held.usage)).collect()
    }

    pub(super) fn ensure_network(&mut self, name: &str) -> bool {
        let there = self.networks.iter().any(|network| network == name);
        if !there {
            self.networks.push(name.into());
        }
        !there
    }
}

/// Runs a script in the place of a command in a container.
pub(super) fn exec(world: &RefCell<World>, id: &str, command: &Command) -> Result<Output, Error> {
    match world.borrow().containers.find(id) {
        Some(held) if held.container.state == State::Running => {}
        Some(_) => return Err(Error::Conflict(format!("{id} does not run"))),
        None => return Err(Error::NotFound),
    }
    run(world, |world| Some(&mut world.containers.scripts), command)
}
