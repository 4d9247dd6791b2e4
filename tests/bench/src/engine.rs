//! Docker, as whoever has no host uses it: containers by `docker run` in a loop, and by Docker Compose.

use std::fmt::Write;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::Fallible;
use crate::births::Births;
use crate::place::{Place, timed};
use crate::processes;

/// Every container that is made for a place carries it, with the directory.
const LABEL: &str = "hostler-bench";

/// In a place for which containers may have been made.
const MARK: &str = "containers";

/// This machine's engine, with an image in which the service is.
#[derive(Debug)]
pub(crate) struct Engine<'a> {
    place: &'a Place,
    /// The image.
    pub(crate) image: String,
    /// Of the engine.
    pub(crate) version: String,
}

impl<'a> Engine<'a> {
    /// The engine behind its usual socket; why there is none.
    pub(crate) fn find(place: &'a Place) -> Fallible<Engine<'a>> {
        let asked = place.program("docker").args(["version", "--format", "{{.Server.Version}}"]).stdout(Stdio::piped()).output();
        let output = asked.map_err(|error| format!("`docker` cannot be started ({error})"))?;
        if !output.status.success() {
            return Err("there is a `docker`, and no engine that answers it".into());
        }
        place.write(MARK, "")?;
        let name = place.dir().file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        let engine = Engine { place, image: format!("{name}:1"), version: String::from_utf8_lossy(&output.stdout).trim().to_owned() };
        engine.import()?;
        Ok(engine)
    }

    /// An image with one file in it.
    fn import(&self) -> Fallible<()> {
        let mut tar = self.place.program("tar");
        let file = self.place.service_program();
        tar.args(["--owner=0", "--group=0", "-C"]).arg(self.place.dir()).args(["-c"]).args(file.file_name());
        let archive = tar.stdout(Stdio::piped()).output()?;
        let mut import = self.place.program("docker");
        let mut import = import.args(["import", "-", &self.image]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        import.stdin.take().ok_or("it was asked for as a pipe")?.write_all(&archive.stdout)?;
        let done = import.wait_with_output()?;
        if done.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&done.stderr).trim().to_owned().into()) }
    }

    /// The words of the service in a slot.
    pub(crate) fn words(&self, births: &Births, slot: usize) -> [String; 3] {
        let [file, slot] = births.words(slot);
        [format!("/{}", self.place.service_program().file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()), file, slot]
    }

    /// The mount by which a service finds the births.
    pub(crate) fn mount(&self, births: &Births) -> String {
        let [file, _] = births.words(0);
        format!("{file}:{file}")
    }

    /// The label of what is made here: its name, its value.
    pub(crate) fn label(&self) -> (&'static str, String) {
        (LABEL, self.place.dir().display().to_string())
    }

    fn filter(&self) -> String {
        filter(self.place.dir())
    }

    /// `docker run --detach`, one after the other; each one's time, in seconds.
    pub(crate) fn run_all(&self, births: &Births, count: usize) -> Fallible<Vec<f64>> {
        (0..count).map(|slot| timed(&mut self.run(births, slot))).collect()
    }

    fn run(&self, births: &Births, slot: usize) -> Command {
        let mut run = self.docker();
        run.args(["run", "--detach", "--label", &self.filter()["label=".len()..], "--volume", &self.mount(births), &self.image]);
        run.args(self.words(births, slot));
        run
    }

    /// `docker stats --no-stream` of all that was made here, in seconds.
    pub(crate) fn stats(&self) -> Fallible<f64> {
        let ids = ids(self.place.dir());
        timed(self.docker().args(["stats", "--no-stream"]).args(ids))
    }

    /// The Compose tool that is here, as its first words.
    pub(crate) fn compose(&self) -> Option<Vec<&'static str>> {
        let tools = [vec!["docker", "compose"], vec!["docker-compose"]];
        tools.into_iter().find(|words| {
            let mut version = self.place.program(words[0]);
            version.args(&words[1..]).arg("version").stderr(Stdio::null());
            version.status().is_ok_and(|status| status.success())
        })
    }

    /// Writes the same containers as a Compose file.
    pub(crate) fn compose_file(&self, births: &Births, count: usize) -> Fallible<()> {
        let mut text = "version: \"2.4\"\nservices:\n".to_owned();
        let (name, value) = self.label();
        for slot in 0..count {
            let (command, mount) = (self.words(births, slot), self.mount(births));
            write!(text, "  idle-{slot:05}:\n    image: {}\n    command: {command:?}\n    volumes: [{mount:?}]\n", self.image)?;
            writeln!(text, "    labels: {{ {name:?}: {value:?} }}\n    network_mode: bridge")?;
        }
        self.place.write("docker-compose.yml", &text).map(drop)
    }

    /// Compose's command on that file.
    pub(crate) fn composed(&self, tool: &[&str], words: &[&str]) -> Command {
        let mut command = self.place.program(tool[0]);
        command.args(&tool[1..]).args(words).stderr(Stdio::piped());
        command
    }

    /// Removes every container that was made here.
    pub(crate) fn clear(&self) -> Fallible<()> {
        remove(self.place.dir());
        if ids(self.place.dir()).is_empty() { Ok(()) } else { Err("containers cannot be removed".into()) }
    }

    /// The engine's own processes: not those that hold one container each.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let daemon = std::fs::read_to_string("/var/run/docker.pid").ok().and_then(|text| text.trim().parse().ok());
        let is_own = |pid: &u32| processes::name(*pid).is_some_and(|name| ["dockerd", "containerd"].contains(&name.as_str()));
        daemon.map(processes::family).unwrap_or_default().into_iter().filter(is_own).collect()
    }

    fn docker(&self) -> Command {
        let mut docker = self.place.program("docker");
        docker.stderr(Stdio::piped());
        docker
    }
}

fn filter(dir: &Path) -> String {
    format!("label={LABEL}={}", dir.display())
}

fn ids(dir: &Path) -> Vec<String> {
    let listed = Command::new("docker").args(["ps", "--all", "--quiet", "--no-trunc", "--filter", &filter(dir)]).output();
    listed.map(|output| String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()).unwrap_or_default()
}

fn remove(dir: &Path) {
    let ids = ids(dir);
    if !ids.is_empty() {
        // What is left is looked at afterwards.
        let _ = Command::new("docker").args(["rm", "--force", "--volumes"]).args(ids).output();
    }
}

/// Removes what was made in a place, if anything was.
pub(crate) fn clean(dir: &Path) {
    if dir.join(MARK).exists() {
        remove(dir);
        let name = dir.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        let _ = Command::new("docker").args(["rmi", "--force", &format!("{name}:1")]).output();
    }
}
