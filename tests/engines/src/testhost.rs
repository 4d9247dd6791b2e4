//! A machine that booted a real systemd, with a real sshd.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use hostler_e2e::{Ran, program, until_some, until_some_within};
use tempfile::TempDir;

use crate::docker::{cgroups_are_hybrid, controllers, docker, image, label};

/// A boot of a systemd on a machine with much else to do.
const BOOT: Duration = Duration::from_secs(120);
/// Longer than an engine waits for a way down before it cuts the power.
const WAY_DOWN: Duration = Duration::from_secs(180);

/// Who logs in over ssh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum User {
    /// The superuser.
    Root,
    /// An ordinary user with a home, and a systemd of its own that runs from boot on.
    Deploy,
}

impl User {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            User::Root => "root",
            User::Deploy => "deploy",
        }
    }
}

/// A container with a systemd as its first process. It is removed when this is dropped.
#[derive(Debug)]
pub struct TestHost {
    id: String,
    dir: TempDir,
}

impl TestHost {
    /// Boots one, and waits until its systemd has nothing left to do. Nothing where this machine has no engine for it: that is said
    /// by name.
    ///
    /// # Panics
    /// When `CI` is set and there is no engine, and when the machine does not come up.
    #[track_caller]
    pub fn boot() -> Option<TestHost> {
        TestHost::boot_with(&[])
    }

    /// The same, with more words for `docker run`.
    ///
    /// # Panics
    /// As [`boot`](Self::boot).
    #[track_caller]
    pub fn boot_with(more: &[&str]) -> Option<TestHost> {
        let image = image()?;
        let dir = tempfile::Builder::new().prefix("testhost-").tempdir().expect("there is a temporary directory");
        let mut words: Vec<String> =
            ["run", "--detach", "--cap-add", "SYS_ADMIN", "--cap-add", "NET_ADMIN", "--env", "container=docker"].map(str::to_owned).into();
        words.extend(
            ["--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined", "--stop-signal", "SIGRTMIN+3"].map(str::to_owned),
        );
        words.extend(["--tmpfs", "/run", "--tmpfs", "/run/lock", "--tmpfs", "/tmp:exec", "--publish", "127.0.0.1::22"].map(str::to_owned));
        words.extend(["--label".to_owned(), label()]);
        words.extend(cgroups());
        words.extend(more.iter().map(|word| (*word).to_owned()));
        words.push(image.to_owned());
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let host = TestHost { id: docker(&words).ok().trim().to_owned(), dir };
        host.until_booted();
        host.make_keys();
        Some(host)
    }

    /// The container's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// A directory of this machine that goes with the test host.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Runs a command there as root, to its end. Words are handed over as they are: no shell.
    #[track_caller]
    pub fn run(&self, words: &[&str]) -> Ran {
        Ran::of(&mut self.command(words))
    }

    /// Runs a shell script there as root, to its end.
    #[track_caller]
    pub fn sh(&self, script: &str) -> Ran {
        self.run(&["sh", "-c", script])
    }

    /// A command there, to be run as the test likes.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command.args(["exec", &self.id]).args(words);
        command
    }

    /// Writes a file there, with the directories above it; readable for everybody.
    ///
    /// # Panics
    /// When it cannot be written.
    #[track_caller]
    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let mut command = Command::new("docker");
        command.args(["exec", "--interactive", &self.id, "sh", "-c", "mkdir -p \"${1%/*}\" && cat > \"$1\"", "write", path]);
        let mut child = command.stdin(Stdio::piped()).spawn().expect("docker can be started");
        child.stdin.take().expect("it was asked to be a pipe").write_all(text.as_ref()).expect("docker reads it");
        assert!(child.wait().is_ok_and(|status| status.success()), "{path} cannot be written");
    }

    /// What a file there holds; empty when it is not there.
    pub fn read(&self, path: &str) -> String {
        let ran = self.run(&["cat", path]);
        if ran.code == 0 { ran.out } else { String::new() }
    }

    /// Copies a file of this machine to a path there.
    #[track_caller]
    pub fn copy_in(&self, from: &Path, to: &str) {
        docker(&["cp", "--quiet", &from.display().to_string(), &format!("{}:{to}", self.id)]).ok();
    }

    /// Copies the program under test to `/usr/local/bin/hostler`.
    #[track_caller]
    pub fn install_hostler(&self) {
        self.copy_in(program(), "/usr/local/bin/hostler");
    }

    /// Where its sshd listens on this machine's loopback. It changes when the host is rebooted.
    #[track_caller]
    pub fn ssh_port(&self) -> u16 {
        until_some("the engine says which port sshd has", || {
            let published = docker(&["port", &self.id, "22/tcp"]).ok();
            published.lines().next()?.rsplit_once(':')?.1.parse().ok()
        })
    }

    /// Its address on the engine's own network, where any port of it can be reached from this machine.
    #[track_caller]
    pub fn address(&self) -> String {
        docker(&["inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", &self.id]).ok().trim().to_owned()
    }

    /// The private key that its users accept. It was made for this host alone.
    pub fn key_file(&self) -> PathBuf {
        self.dir().join("key")
    }

    /// A `known_hosts` file that names its sshd at [`ssh_port`](Self::ssh_port) and at [`address`](Self::address), as they are now.
    ///
    /// # Panics
    /// When it cannot be written.
    #[track_caller]
    pub fn known_hosts(&self) -> PathBuf {
        let key = self.read("/etc/ssh/ssh_host_ed25519_key.pub");
        let key = key.split(' ').take(2).collect::<Vec<_>>().join(" ");
        let path = self.dir().join("known_hosts");
        fs::write(&path, format!("[127.0.0.1]:{} {key}\n{} {key}\n", self.ssh_port(), self.address())).expect("the directory is ours");
        path
    }

    /// Cuts the power and boots again: nothing of what ran is left, files are.
    #[track_caller]
    pub fn reboot(&self) {
        docker(&["kill", &self.id]).ok();
        docker(&["start", &self.id]).ok();
        self.until_booted();
    }

    /// Shuts it down in good order and boots again; how long the way down took, which is at most two minutes.
    #[track_caller]
    pub fn reboot_in_order(&self) -> Duration {
        let begun = Instant::now();
        Ran::within(WAY_DOWN, Command::new("docker").args(["stop", "--time", "120", &self.id])).ok();
        let took = begun.elapsed();
        docker(&["start", &self.id]).ok();
        self.until_booted();
        took
    }

    #[track_caller]
    fn until_booted(&self) {
        until_some_within(BOOT, "the test host has booted", || {
            let state = self.run(&["systemctl", "is-system-running"]).out;
            // A unit that failed fails its own test, not everybody's.
            ["running", "degraded"].contains(&state.trim()).then_some(())
        });
    }

    /// Its own host key, and one key pair that logs in as each user.
    #[track_caller]
    fn make_keys(&self) {
        self.sh("set -e; ssh-keygen -q -A; ssh-keygen -q -t ed25519 -N '' -C 'hostler test' -f /tmp/key
             cp /tmp/key.pub ~root/.ssh/authorized_keys
             install -o deploy -g deploy -m 600 /tmp/key.pub ~deploy/.ssh/authorized_keys
             systemctl start ssh.service")
            .ok();
        let mut private = File::options().write(true).create_new(true).mode(0o600).open(self.key_file()).expect("the directory is ours");
        private.write_all(self.read("/tmp/key").as_bytes()).expect("there is space");
        self.run(&["rm", "/tmp/key", "/tmp/key.pub"]).ok();
    }
}

impl Drop for TestHost {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("\n--- the journal of the test host ---\n{}", self.run(&["journalctl", "--no-pager", "--lines", "60"]).out);
        }
        // What cannot be removed is swept by the next test process.
        let _ = Command::new("docker").args(["rm", "--force", "--volumes", &self.id]).output();
    }
}

/// What its systemd needs to make groups of processes, and limits: on a hybrid machine the hierarchies one by one, else the one there is.
fn cgroups() -> Vec<String> {
    if !cgroups_are_hybrid() {
        return ["--cgroupns", "host", "--volume", "/sys/fs/cgroup:/sys/fs/cgroup:rw"].map(str::to_owned).into();
    }
    let hierarchies = controllers().into_iter().chain(["/sys/fs/cgroup/systemd".to_owned()]);
    hierarchies.flat_map(|at| ["--volume".to_owned(), format!("{at}:{at}")]).collect()
}
