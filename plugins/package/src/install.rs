//! From a package to a process: the steps of a start, and the way back.

use crate::release::{Installed, Package};
use crate::settings::Settings;
use crate::watch;
use hostler_package::{HEALTH_CHECK, Manifest, POST_START, PRE_START};
use hostler_sdk::host::{commands, log, processes};
use hostler_sdk::{Fault, Task, TaskId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Labels of a process: what has to be known of it when every other memory is lost.
pub(crate) const DIGEST: &str = "spec-digest";
pub(crate) const LOG: &str = "log";
pub(crate) const RELEASE: &str = "release";
/// Why it is not the release that was asked for.
pub(crate) const NOTE: &str = "note";

/// Why a release does not run.
pub(crate) enum Failed {
    /// It is the release's doing: the one before comes back.
    Release(String),
    /// It is not, and nothing is decided by it.
    Fault(Fault),
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<hostler_sdk::host::Error> for Failed {
    fn from(error: hostler_sdk::host::Error) -> Self {
        Self::Fault(error.into())
    }
}

/// One start.
pub(crate) struct Install<'a> {
    task: &'a Task<Settings>,
    installed: Installed,
    log: String,
}

impl<'a> Install<'a> {
    pub(crate) fn of(task: &'a Task<Settings>, log: &str) -> Result<Self, Fault> {
        Ok(Self { task, installed: Installed::open(&task.settings.install_path, log)?, log: log.to_owned() })
    }

    /// Unpacks, switches and starts. When a release fails that was never up, the one before runs instead, and says so.
    pub(crate) fn run(&self) -> Result<(), Fault> {
        let settings = &self.task.settings;
        let package = Package::open(settings)?;
        let release = self.installed.unpack(&package)?;
        let fresh = !self.installed.was_up(&release)?;
        let before = self.installed.before(&release)?;
        let why = match self.begin(&release, &package.contents.manifest, fresh) {
            Ok(()) => {
                self.settle(&release, before);
                return Ok(());
            }
            Err(Failed::Fault(fault)) => return Err(self.withdrawn(fault, fresh, before.as_deref())),
            Err(Failed::Release(why)) => why,
        };
        self.end()?;
        if fresh { self.back(&release, before, &why) } else { Err(Fault::Other(format!("release {release}: {why}"))) }
    }

    /// It runs, and stays, whatever becomes of the note that says so and of what is old.
    fn settle(&self, release: &str, before: Option<String>) {
        let noted = self.installed.is_up(release);
        for fault in [noted, self.prune(release, before)].into_iter().filter_map(Result::err) {
            log::warn("it runs, and its directory of releases is not in order", &[("why", &format!("{fault:?}"))]);
        }
    }

    /// Removes what is old, and nothing that runs, or that somebody may have to go back to.
    fn prune(&self, release: &str, before: Option<String>) -> Result<(), Fault> {
        let running = processes::list()?.into_iter().filter(|process| process.state == processes::State::Running);
        let mut held: BTreeSet<String> = running.filter_map(|process| process.label(RELEASE).map(str::to_owned)).collect();
        held.extend(before);
        held.insert(release.to_owned());
        self.installed.prune(self.task.settings.keep, &held)
    }

    /// What a fault would leave running is ended, and `current` leads to the release before.
    fn withdrawn(&self, fault: Fault, fresh: bool, before: Option<&str>) -> Fault {
        if matches!(fault, Fault::Interrupted(_)) {
            return fault;
        }
        let undone = self.end().and_then(|()| if fresh { self.installed.lead_back(before) } else { Ok(()) });
        undone.err().unwrap_or(fault)
    }

    /// Leads back to the release before, and runs it, if that is wanted.
    fn back(&self, release: &str, before: Option<String>, why: &str) -> Result<(), Fault> {
        let failed = Fault::Other(format!("release {release}: {why}"));
        let Some(before) = before.as_ref().filter(|_| self.task.settings.rollback) else {
            self.installed.lead_back(before.as_deref())?;
            return Err(failed);
        };
        let note = format!("{before} runs instead of {release}: {why}");
        let manifest = self.installed.manifest(before)?;
        self.switch_and_spawn(before, &manifest, Some(&note)).map_err(|failed| match failed {
            Failed::Fault(fault) => fault,
            Failed::Release(again) => Fault::Other(format!("release {release}: {why}; and {before}: {again}")),
        })
    }

    /// The operator's hooks are for what is new; a release's own scripts run with every start.
    fn begin(&self, release: &str, manifest: &Manifest, fresh: bool) -> Result<(), Failed> {
        let settings = &self.task.settings;
        if fresh {
            self.hooks("pre_install", &settings.pre_install, release, manifest)?;
        }
        self.script(PRE_START, release, manifest)?;
        self.switch_and_spawn(release, manifest, None)?;
        self.script(POST_START, release, manifest)?;
        if fresh {
            self.hooks("post_install", &settings.post_install, release, manifest)?;
            self.healthy(release, manifest)?;
        }
        Ok(())
    }

    fn switch_and_spawn(&self, release: &str, manifest: &Manifest, note: Option<&str>) -> Result<(), Failed> {
        self.installed.switch(release)?;
        let Task { id, spec_digest, settings, resources, .. } = self.task;
        let path = self.installed.path(release);
        let mut labels = vec![(DIGEST.into(), spec_digest.clone()), (LOG.into(), self.log.clone()), (RELEASE.into(), release.to_owned())];
        labels.extend(note.map(|note| (NOTE.to_owned(), note.chars().take(500).collect())));
        let command = processes::Command {
            args: manifest.args.iter().cloned().chain(settings.args.iter().map(|arg| arg.0.clone())).collect(),
            env: self.environment(release, manifest)?,
            directory: Some(path.clone()),
            user: settings.user.clone().map(String::from),
            log_name: Some(self.log.clone()),
            cpu_millis: resources.cpu_millis,
            memory_bytes: resources.memory_bytes,
            labels,
            ..processes::Command::new(format!("{path}/{}", manifest.binary))
        };
        match processes::spawn(&id.id, &command) {
            Ok(_) => Ok(()),
            Err(hostler_sdk::host::Error::Invalid(why)) => Err(Failed::Release(why)),
            Err(error) => Err(error.into()),
        }
    }

    /// Nothing of a release that failed is left; or it is not known, and the host has to look.
    fn end(&self) -> Result<(), Fault> {
        let key = &self.task.id.id;
        let ended = match processes::stop(key, "SIGTERM", Duration::from_secs(5)) {
            Ok(_) | Err(hostler_sdk::host::Error::NotFound) => processes::forget(key),
            Err(error) => Err(error),
        };
        ended.map_err(|error| Fault::Interrupted(format!("what was started could not be ended: {error}")))
    }

    fn script(&self, path: &str, release: &str, manifest: &Manifest) -> Result<(), Failed> {
        if !self.installed.has(release, path)? {
            return Ok(());
        }
        let program = format!("{}/{path}", self.installed.path(release));
        self.command(path, &[program], release, manifest)
    }

    fn hooks(&self, list: &str, hooks: &[crate::settings::Hook], release: &str, manifest: &Manifest) -> Result<(), Failed> {
        for (nth, hook) in hooks.iter().enumerate() {
            self.command(&format!("{list}/{nth}"), &hook.words(), release, manifest)?;
        }
        Ok(())
    }

    /// What it prints is its own: it may be a secret.
    fn command(&self, name: &str, words: &[String], release: &str, manifest: &Manifest) -> Result<(), Failed> {
        let output = ran(name, &self.one(words, release, manifest)?)?;
        match (output.code, output.signal) {
            (Some(0), _) => Ok(()),
            (Some(code), _) => Err(Failed::Release(format!("{name} exited with {code}"))),
            (None, signal) => Err(Failed::Release(format!("{name} was ended by {}", signal.unwrap_or_else(|| "something unknown".into())))),
        }
    }

    fn one(&self, words: &[String], release: &str, manifest: &Manifest) -> Result<commands::Command, Fault> {
        let program = words.first().cloned().unwrap_or_default();
        Ok(commands::Command {
            args: words.iter().skip(1).cloned().collect(),
            env: self.environment(release, manifest)?,
            directory: Some(self.installed.path(release)),
            max_output: 4096,
            ..commands::Command::new(program)
        })
    }

    /// Waits until its own health check passes, as long as it runs and the time lasts.
    fn healthy(&self, release: &str, manifest: &Manifest) -> Result<(), Failed> {
        if self.task.settings.health_timeout == 0 || !self.installed.has(release, HEALTH_CHECK)? {
            return Ok(());
        }
        let program = format!("{}/{HEALTH_CHECK}", self.installed.path(release));
        let command = self.one(&[program], release, manifest)?;
        let until = watch::Until::within(Duration::from_secs(u64::from(self.task.settings.health_timeout)));
        loop {
            if ran(HEALTH_CHECK, &command)?.code == Some(0) {
                return Ok(());
            }
            let key = std::slice::from_ref(&self.task.id.id);
            let runs = processes::inspect(key)?.pop().flatten().is_some_and(|process| process.state == processes::State::Running);
            if !runs {
                return Err(Failed::Release("it ended before it was healthy".into()));
            }
            if !until.pause() {
                return Err(Failed::Release(format!("{HEALTH_CHECK} did not pass in time")));
            }
        }
    }

    /// The host's variables, then the package's, then who the task is and where it lies, then the user's own; the later wins.
    fn environment(&self, release: &str, manifest: &Manifest) -> Result<Vec<(String, String)>, Fault> {
        let Task { id, env, settings, .. } = self.task;
        let path = self.installed.path(release);
        let mut all: BTreeMap<String, String> = env.iter().cloned().collect();
        if self.installed.has(release, "lib")? {
            all.insert("LD_LIBRARY_PATH".into(), format!("{path}/lib"));
        }
        all.extend(manifest.env.clone());
        all.extend(who(id));
        all.insert("HOSTLER_RELEASE".into(), path);
        all.extend(settings.env.iter().map(|(name, value)| (name.clone(), value.0.clone())));
        Ok(all.into_iter().collect())
    }
}

/// Runs a command of a release; that there is nothing to run is the release's doing.
fn ran(name: &str, command: &commands::Command) -> Result<commands::Output, Failed> {
    commands::run(command).map_err(|error| match error {
        hostler_sdk::host::Error::NotFound => Failed::Release(format!("{name}: there is no such program")),
        hostler_sdk::host::Error::Invalid(why) => Failed::Release(format!("{name}: {why}")),
        error => error.into(),
    })
}

pub(crate) fn who(id: &TaskId) -> [(String, String); 4] {
    [
        ("HOSTLER_WORKSPACE".into(), id.workspace.clone()),
        ("HOSTLER_SERVICE".into(), id.service.clone()),
        ("HOSTLER_REPLICA".into(), id.replica.to_string()),
        ("HOSTLER_RUN".into(), id.run.to_string()),
    ]
}
