//! A yard whose services are containers: of this machine's engine, or of one that a test has for itself.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use hostler_e2e::{Ran, Signal, Yard, alive, can, is_root, signal, until, until_some_within};
use tempfile::TempDir;

use crate::docker::{docker, label, sweep};
use crate::secured::Secured;

/// What all containers of one [`Docked`] carry.
const YARD: &str = "hostler-test.yard";

/// A host with backend `docker`, and an engine. Its containers go when it is dropped.
#[derive(Debug)]
pub struct Docked {
    /// Where its host is.
    pub yard: Yard,
    image: String,
    mark: String,
    own: Option<OwnEngine>,
}

/// A `dockerd` of a test's own: no network, and nobody else on it.
#[derive(Debug)]
struct OwnEngine {
    dir: TempDir,
    live_restore: bool,
    daemon: Option<Child>,
    /// More words for it.
    more: Vec<String>,
}

impl Docked {
    /// On this machine's engine; nothing where there is none.
    #[track_caller]
    pub fn new() -> Option<Docked> {
        static IMAGE: OnceLock<Option<String>> = OnceLock::new();
        let image = IMAGE.get_or_init(|| {
            let there = Command::new("docker").arg("info").output().is_ok_and(|output| output.status.success());
            if !there || busybox().is_none() {
                return None;
            }
            sweep();
            let name = image_name();
            import(&[], &name);
            Some(name)
        });
        let image = can("a Docker engine, and busybox-static to make an image of", image.is_some()).then(|| image.clone()).flatten()?;
        Some(Docked { yard: Yard::new(), image, mark: mark(), own: None })
    }

    /// On an engine of its own, which can be killed; nothing where none can be started.
    #[track_caller]
    pub fn alone(live_restore: bool) -> Option<Docked> {
        Docked::on(OwnEngine::new(live_restore))
    }

    /// The same, and all that it keeps has so much room: `64m`.
    #[track_caller]
    pub fn on_a_disk_of(size: &str) -> Option<Docked> {
        let own = OwnEngine::new(false);
        if is_root() {
            let data = own.data();
            fs::create_dir(&data).expect("the directory is ours");
            let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(&data).status();
            assert!(mounted.is_ok_and(|status| status.success()), "a tmpfs can be mounted");
        }
        Docked::on(own)
    }

    /// On an engine of its own that speaks TLS on a port, too, to whom a certificate lets in: see [`Secured`]. Nothing where none can be started.
    #[track_caller]
    pub fn secured() -> Option<(Docked, Secured)> {
        let possible = Command::new("openssl").arg("version").output().is_ok_and(|output| output.status.success());
        if !can("openssl, to make certificates with", possible) {
            return None;
        }
        let mut own = OwnEngine::new(false);
        own.more = Secured::words(own.dir.path());
        let docked = Docked::on(own)?;
        let own = docked.own.as_ref().expect("it was just started");
        let secured = Secured::at(own.dir.path(), own.daemon.as_ref().expect("it was just started").id());
        Some((docked, secured))
    }

    /// Where its own engine keeps everything.
    ///
    /// # Panics
    /// When the engine is not a test's own.
    pub fn engines_disk(&self) -> PathBuf {
        self.own.as_ref().expect("an engine of its own").data()
    }

    #[track_caller]
    fn on(mut own: OwnEngine) -> Option<Docked> {
        let possible =
            is_root() && busybox().is_some() && Command::new("dockerd").arg("--version").output().is_ok_and(|output| output.status.success());
        if !can("a dockerd of one's own, and busybox-static to make an image of", possible) {
            return None;
        }
        own.start();
        let image = image_name();
        import(&own.words(), &image);
        Some(Docked { yard: Yard::new(), image, mark: mark(), own: Some(own) })
    }

    /// The image: BusyBox, with all its names in `/bin`.
    pub fn image(&self) -> &str {
        &self.image
    }

    /// By which an engine picks out the containers of this yard, as `--filter` of `docker ps` and `docker events` has it.
    pub fn filter(&self) -> String {
        format!("label={YARD}={}", self.mark)
    }

    /// The socket of its engine.
    pub fn socket(&self) -> PathBuf {
        self.own.as_ref().map_or_else(|| PathBuf::from("/var/run/docker.sock"), OwnEngine::socket)
    }

    /// The plugin's table, with `more` in the grant of its engine: `, privileged = true`.
    pub fn plugin(&self, more: &str) -> String {
        Docked::plugin_at(&format!("unix://{}", self.socket().display()), more)
    }

    /// The same of an engine at this endpoint.
    pub fn plugin_at(endpoint: &str, more: &str) -> String {
        format!(
            "[plugins.docker]\ngrants = {{ containers = {{ default = {{ endpoint = {endpoint:?}{more} }} }}, state = {{ bytes = \"4Mi\", keys = 4096 }}, secrets = [] }}\n"
        )
    }

    /// A service that is a container; `backend` are settings beside its image, `more` the rest of the service.
    pub fn service(&self, name: &str, backend: &str, more: &str) -> String {
        let image = &self.image;
        self.service_of(name, &format!("image = {image:?}, pull = \"never\", {backend}"), more)
    }

    /// The same with an image of the test's own.
    pub fn service_of(&self, name: &str, backend: &str, more: &str) -> String {
        let (owner, pid) = label().split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())).expect("a label has both");
        let labels = format!("labels = {{ {YARD:?} = {:?}, {owner:?} = {pid:?} }}", self.mark);
        let backend = backend.trim_end_matches([' ', ',']);
        format!("[services.{name}]\nbackend = {{ type = \"docker\", {labels}, {backend} }}\nstop = {{ grace = \"1s\" }}\n{more}\n")
    }

    /// Brings services up with the default grants; all of them come up.
    #[track_caller]
    pub fn up(&self, services: &str) {
        self.yard.up(&format!("{}{services}", self.plugin("")));
    }

    /// Tries to bring services up.
    #[track_caller]
    pub fn try_up(&self, services: &str) -> Ran {
        self.yard.config(&format!("{}{services}", self.plugin("")));
        self.yard.run("up --detach")
    }

    /// Runs `docker WORD…` on its engine.
    #[track_caller]
    pub fn docker(&self, words: &[&str]) -> Ran {
        let before = self.own.as_ref().map(OwnEngine::words).unwrap_or_default();
        let before: Vec<&str> = before.iter().map(String::as_str).collect();
        docker(&[&before, words].concat())
    }

    /// Containers of this yard, in whatever state.
    #[track_caller]
    pub fn containers(&self) -> Vec<String> {
        self.listed(&[])
    }

    /// The one container of a service that runs.
    ///
    /// # Panics
    /// When there are none, or several.
    #[track_caller]
    pub fn container(&self, service: &str) -> String {
        let found =
            self.listed(&["--filter", &format!("label=hostler.service={service}"), "--filter", "status=running", "--filter", "status=paused"]);
        assert_eq!(found.len(), 1, "containers of `{service}` that run: {found:?}");
        found[0].clone()
    }

    /// One field of a container, as a template of `docker inspect` has it.
    #[track_caller]
    pub fn inspect(&self, container: &str, template: &str) -> String {
        self.docker(&["inspect", "--format", template, container]).ok().trim().to_owned()
    }

    #[track_caller]
    fn listed(&self, filters: &[&str]) -> Vec<String> {
        let ours = self.filter();
        let words = [&["ps", "--all", "--quiet", "--no-trunc", "--filter", &ours], filters].concat();
        self.docker(&words).ok().lines().map(str::to_owned).collect()
    }

    /// `kill -9` of the engine.
    ///
    /// # Panics
    /// When it is not a test's own.
    pub fn kill_engine(&mut self) {
        self.own.as_mut().expect("an engine of its own").kill();
    }

    /// The engine again, with what is left on its disk.
    ///
    /// # Panics
    /// When it is not a test's own.
    pub fn start_engine(&mut self) {
        self.own.as_mut().expect("an engine of its own").start();
    }
}

impl Drop for Docked {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for line in ["ps", "events"] {
                let output = self.yard.command(line).output();
                eprintln!("$ hostler {line}\n{}", output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default());
            }
            eprintln!("host.log:\n{}", fs::read_to_string(self.yard.state().join("host.log")).unwrap_or_default());
        }
        // The host first: it would start them again.
        if let Some(host) = self.yard.get("/host").and_then(|host| host["pid"].as_u64()).and_then(|pid| u32::try_from(pid).ok()) {
            signal(host, Signal::KILL);
        }
        let ours = self.filter();
        let before = self.own.as_ref().map(OwnEngine::words).unwrap_or_default();
        let listed = Command::new("docker").args(&before).args(["ps", "--all", "--quiet", "--filter", &ours]).output();
        let ids = listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        for id in ids.lines() {
            let _ = Command::new("docker").args(&before).args(["rm", "--force", "--volumes", id]).output();
        }
    }
}

impl OwnEngine {
    fn new(live_restore: bool) -> OwnEngine {
        let dir = tempfile::Builder::new().prefix("hx-").tempdir().expect("there is a temporary directory");
        OwnEngine { dir, live_restore, daemon: None, more: Vec::new() }
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("s")
    }

    fn words(&self) -> Vec<String> {
        vec!["--host".into(), format!("unix://{}", self.socket().display())]
    }

    fn start(&mut self) {
        let at = |name: &str| self.dir.path().join(name).display().to_string();
        let log = fs::File::options().create(true).append(true).open(at("log")).expect("the directory is ours");
        // In a network of its own: without a bridge an engine takes away the one that bears the default name, whoever made it.
        let mut command = Command::new("unshare");
        command.args(["--net", "sh", "-c", "busybox ifconfig lo up; exec dockerd \"$@\"", "dockerd"]);
        command.args(["--data-root", &at("data"), "--exec-root", &at("x"), "--pidfile", &at("pid"), "--host", &self.words()[1]]);
        command.args(["--bridge", "none", "--iptables=false", "--ip6tables=false", "--ip-masq=false"]);
        command.args(&self.more);
        if self.live_restore {
            command.arg("--live-restore");
        }
        let daemon = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("dockerd can be started");
        self.daemon = Some(daemon);
        let words = self.words();
        until_some_within(std::time::Duration::from_secs(90), "the engine answers", || {
            Command::new("docker").args(&words).arg("info").output().ok().filter(|output| output.status.success())
        });
    }

    fn kill(&mut self) {
        let mut daemon = self.daemon.take().expect("it runs");
        daemon.kill().expect("it is our child");
        drop(daemon.wait());
        // Its containerd goes with it, and a moment later; the next one must take neither for its own.
        let containerd = self.dir.path().join("x/containerd/containerd.pid");
        if let Some(pid) = fs::read_to_string(&containerd).ok().and_then(|text| text.trim().parse().ok()) {
            until("its containerd is gone", || !alive(pid));
        }
        for file in [containerd, self.dir.path().join("pid")] {
            drop(fs::remove_file(file));
        }
    }
}

impl Drop for OwnEngine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            let last: Vec<&str> = log.lines().rev().take(40).collect();
            eprintln!("dockerd:\n{}", last.into_iter().rev().collect::<Vec<_>>().join("\n"));
        }
        let Some(mut daemon) = self.daemon.take() else { return };
        let words = self.words();
        let ids = Command::new("docker").args(&words).args(["ps", "--all", "--quiet"]).output();
        for id in ids.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default().lines() {
            let _ = Command::new("docker").args(&words).args(["rm", "--force", "--volumes", id]).output();
        }
        signal(daemon.id(), Signal::TERM);
        drop(daemon.wait());
        // Its own containerd goes after it, and mounts with that.
        until("nothing of the engine is left", || {
            let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
            let under = self.dir.path().display().to_string();
            let left: Vec<&str> = mounts.lines().filter_map(|line| line.split(' ').nth(1)).filter(|at| at.starts_with(&under)).collect();
            left.iter().for_each(|at| drop(Command::new("umount").arg(at).output()));
            left.is_empty()
        });
    }
}

fn busybox() -> Option<&'static Path> {
    Some(Path::new("/bin/busybox")).filter(|path| path.exists())
}

fn image_name() -> String {
    let (_, owner) = label().split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())).expect("a label has both");
    format!("hostler-test:{owner}")
}

fn mark() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Makes the image on an engine.
#[track_caller]
fn import(engine: &[String], name: &str) {
    let dir = tempfile::tempdir().expect("there is a temporary directory");
    let at = |path: &str| dir.path().join(path);
    for directory in ["bin", "etc", "tmp", "proc", "root", "srv"] {
        fs::create_dir(at(directory)).expect("the directory is ours");
    }
    fs::copy(busybox().expect("it was asked for before"), at("bin/busybox")).expect("there is space");
    fs::write(at("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/tmp:/bin/sh\n").expect("there is space");
    let names = Command::new("/bin/busybox").arg("--list").output().expect("it runs");
    for applet in String::from_utf8_lossy(&names.stdout).lines().filter(|applet| *applet != "busybox") {
        symlink("busybox", at("bin").join(applet)).expect("the directory is ours");
    }
    let mut tar = Command::new("tar")
        .args(["--owner=0", "--group=0", "-C"])
        .arg(dir.path())
        .args(["-c", "."])
        .stdout(Stdio::piped())
        .spawn()
        .expect("tar can be started");
    let archive = tar.stdout.take().expect("it was asked to be a pipe");
    let mut import = Command::new("docker");
    import.args(engine).args([
        "import",
        "--change",
        "ENV PATH=/bin",
        "--change",
        &format!("LABEL {}", label()),
        "--change",
        "CMD [\"sleep\", \"100000\"]",
        "-",
        name,
    ]);
    let made = import.stdin(archive).output().expect("docker can be started");
    assert!(tar.wait().is_ok_and(|status| status.success()) && made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}
