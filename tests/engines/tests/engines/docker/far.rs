//! Engines that are reached in other ways than by this machine's socket.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use hostler_e2e::{can, is_root, until, until_some, until_some_within};
use hostler_engines::{Docked, Relay, TestHost};
use tempfile::TempDir;

use super::{QUICKLY, script};

const SPEAKS: &str = "echo hello; trap 'exit 0' TERM; while :; do sleep 1000 & wait; done";

/// A life from its start to its removal, through this endpoint. Figures aside: an engine beside another machine's systemd, or in a network of
/// its own, may have none.
#[track_caller]
fn lives_through(docked: &Docked, table: &str) {
    let yard = &docked.yard;
    yard.up(&format!("{table}{}", docked.service("web", &format!("{}, network_mode = \"none\"", script(SPEAKS)), QUICKLY)));
    let (id, pid) = (docked.container("web"), yard.pid("web"));
    assert_eq!(docked.inspect(&id, "{{.State.Pid}}"), pid.to_string());
    until("its log is read", || yard.log("web") == ["hello"]);
    assert_eq!(yard.run("exec web -- cat /etc/passwd").ok().lines().count(), 2);
    docked.docker(&["kill", &id]).ok();
    yard.until_again("web", pid);
    yard.kill_host();
    yard.serve();
    yard.until_status("web", "running");
    assert_eq!(yard.service("web")["restart_count"], 1);
    yard.run("stop web").ok();
    yard.until_status("web", "stopped");
    yard.run("down").ok();
    until("no container is left", || docked.containers().is_empty());
}

/// A service there does not start, and whoever asks is told why.
#[track_caller]
fn is_told(docked: &Docked, table: &str, words: &[&str]) {
    let yard = &docked.yard;
    yard.config(&format!("{table}{}", docked.service("web", &format!("{}, network_mode = \"none\"", script(SPEAKS)), QUICKLY)));
    yard.run("up --detach --timeout 1s");
    until_some(&format!("it is told: {words:?}"), || {
        let told = yard.run("explain web").out;
        words.iter().all(|word| told.contains(word)).then_some(())
    });
    assert!(docked.containers().is_empty());
    yard.run("down --force").ok();
}

#[test]
fn an_engine_behind_tls_is_an_engine() {
    let Some((docked, secured)) = Docked::secured() else { return };
    lives_through(&docked, &Docked::plugin_at(&secured.endpoint(), &secured.files("ca", "client")));
}

#[test]
fn what_is_wrong_with_the_certificates_is_told() {
    let Some((docked, secured)) = Docked::secured() else { return };
    let at = |more: &str| Docked::plugin_at(&secured.endpoint(), more);
    is_told(&docked, &at(&secured.files("other-ca", "client")), &["not from the authority in `ca`"]);
    is_told(&docked, &at(&secured.files("ca", "stranger")), &["wants a certificate that it trusts"]);
    is_told(&docked, &at(&secured.files("ca", "")), &["wants a certificate that it trusts"]);
    is_told(&docked, &at(""), &["speaks nothing but TLS"]);
    let plain = Relay::to_socket(&docked.socket());
    is_told(&docked, &Docked::plugin_at(&plain.endpoint(), &secured.files("ca", "client")), &["does not speak TLS there"]);
    lives_through(&docked, &Docked::plugin_at(&plain.endpoint(), ""));
}

/// A machine with an sshd, from which this machine's engine is reached; and a program `ssh` that finds it.
struct Reached {
    machine: TestHost,
    bin: TempDir,
}

impl Reached {
    #[track_caller]
    fn boot() -> Option<Reached> {
        let client = ["/usr/local/bin/docker", "/usr/bin/docker"].into_iter().find(|path| Path::new(path).exists())?;
        let mounts = ["--volume", "/var/run/docker.sock:/run/docker.sock", "--volume", &format!("{client}:/usr/bin/docker:ro")];
        let machine = TestHost::boot_with(&mounts)?;
        let reached = Reached { machine, bin: tempfile::tempdir().expect("there is a temporary directory") };
        reached.logs_in_with(&reached.machine.key_file(), &reached.machine.known_hosts());
        Some(reached)
    }

    /// What is in the configuration of the host's user elsewhere.
    fn logs_in_with(&self, key: &Path, known_hosts: &Path) {
        let ssh = format!(
            "#!/bin/sh\nexec /usr/bin/ssh -F none -o IdentitiesOnly=yes -o IdentityFile={} -o UserKnownHostsFile={} \"$@\"\n",
            key.display(),
            known_hosts.display()
        );
        let path = self.bin.path().join("ssh");
        fs::write(&path, ssh).expect("the directory is ours");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("the file is ours");
    }

    fn table(&self, user: &str) -> String {
        Docked::plugin_at(&format!("ssh://{user}@127.0.0.1:{}", self.machine.ssh_port()), "")
    }
}

#[test]
fn an_engine_behind_ssh_is_an_engine() {
    let Some(mut docked) = Docked::new() else { return };
    let Some(reached) = Reached::boot() else { return };
    docked.yard.search_first(reached.bin.path());
    lives_through(&docked, &reached.table("root"));
}

#[test]
fn what_ssh_says_is_told() {
    let Some(mut docked) = Docked::new() else { return };
    let Some(reached) = Reached::boot() else { return };
    docked.yard.search_first(reached.bin.path());
    let (key, known) = (reached.machine.key_file(), reached.machine.known_hosts());
    is_told(&docked, &reached.table("nobody-here"), &["ssh: ", "Permission denied"]);
    reached.logs_in_with(&key, Path::new("/dev/null"));
    is_told(&docked, &reached.table("root"), &["ssh: Host key verification failed."]);
    reached.logs_in_with(&key, &known);
    // whoever may log in, and may not speak with the engine
    is_told(&docked, &reached.table("deploy"), &["ssh: ", "ermission denied"]);
    reached.machine.sh("umount /usr/bin/docker").ok();
    is_told(&docked, &reached.table("root"), &["ssh: ", "docker"]);
}

/// Podman's own service, with storage of its own.
struct Podman {
    dir: TempDir,
    service: Option<Child>,
}

impl Podman {
    /// Nothing where there is no Podman, or it cannot run a container on this machine.
    #[track_caller]
    fn new() -> Option<Podman> {
        let there = is_root() && Command::new("podman").arg("--version").output().is_ok_and(|output| output.status.success());
        if !can("Podman (apt-get install podman runc)", there) {
            return None;
        }
        let dir = tempfile::Builder::new().prefix("hp-").tempdir().expect("there is a temporary directory");
        // Its default limits are more than a machine in a sandbox may give.
        fs::write(dir.path().join("containers.conf"), "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n")
            .expect("the directory is ours");
        let mut podman = Podman { dir, service: None };
        podman.import();
        let tried = podman.command(&["run", "--rm", "--network", "none", "hostler-test:podman", "true"]).output().expect("it can be started");
        let said = String::from_utf8_lossy(&tried.stderr).trim().to_owned();
        if !can(&format!("a Podman that can run containers: {said}"), tried.status.success()) {
            return None;
        }
        podman.serve();
        Some(podman)
    }

    fn socket(&self) -> String {
        format!("unix://{}", self.dir.path().join("podman.sock").display())
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("podman");
        command.env("CONTAINERS_CONF", self.dir.path().join("containers.conf"));
        for (name, place) in [("--root", "root"), ("--runroot", "run"), ("--tmpdir", "tmp")] {
            command.arg(name).arg(self.dir.path().join(place));
        }
        command.args(["--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--runtime", "runc"]).args(words);
        command
    }

    #[track_caller]
    fn run(&self, words: &[&str]) -> String {
        let output = self.command(words).output().expect("it can be started");
        assert!(output.status.success(), "podman {words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// BusyBox, with the few names that the test needs.
    #[track_caller]
    fn import(&self) {
        let (root, archive) = (self.dir.path().join("image"), self.dir.path().join("image.tar"));
        fs::create_dir_all(root.join("bin")).expect("the directory is ours");
        fs::copy("/bin/busybox", root.join("bin/busybox")).expect("busybox-static is there");
        for name in ["sh", "sleep", "echo", "true", "cat"] {
            std::os::unix::fs::symlink("busybox", root.join("bin").join(name)).expect("the directory is ours");
        }
        let made = Command::new("tar").arg("-C").arg(&root).arg("-cf").arg(&archive).arg(".").status();
        assert!(made.is_ok_and(|status| status.success()), "tar");
        self.run(&["import", "--change", "ENV PATH=/bin", &archive.display().to_string(), "hostler-test:podman"]);
    }

    #[track_caller]
    fn serve(&mut self) {
        let socket = self.socket();
        let mut command = self.command(&["system", "service", "--time=0", &socket]);
        self.service = Some(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it can be started"));
        until_some_within(std::time::Duration::from_secs(30), "Podman answers", || {
            Command::new("docker").args(["--host", &socket, "version"]).output().ok().filter(|output| output.status.success())
        });
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        drop(self.command(&["rm", "--all", "--force", "--time", "0"]).output());
        if let Some(mut service) = self.service.take() {
            drop(service.kill());
            drop(service.wait());
        }
    }
}

#[test]
fn podman_is_an_engine() {
    let Some(podman) = Podman::new() else { return };
    let yard = hostler_e2e::Yard::new();
    let of = |memory: &str| {
        let backend = format!("image = \"localhost/hostler-test:podman\", pull = \"never\", network_mode = \"none\", {}", script(SPEAKS));
        let service = format!(
            "[services.web]\nbackend = {{ type = \"docker\", {backend} }}\nstop = {{ grace = \"1s\" }}\nresources = {{ memory = {memory:?} }}\n{QUICKLY}\n"
        );
        format!("{}{service}", Docked::plugin_at(&podman.socket(), ""))
    };
    yard.up(&of("64Mi"));
    let running = || podman.run(&["ps", "--quiet", "--no-trunc"]);
    let (id, pid) = (running(), yard.pid("web"));
    assert_eq!(podman.run(&["inspect", "--format", "{{.State.Pid}} {{.HostConfig.Memory}}", &id]), format!("{pid} 67108864"));
    until("its log is read", || yard.log("web") == ["hello"]);
    assert_eq!(yard.run("exec web -- echo within").ok(), "within\n");
    until("it is measured", || yard.usage("web")["memory_bytes"].as_u64().is_some_and(|bytes| bytes > 0));

    yard.kill_host();
    yard.serve();
    yard.until_status("web", "running");
    assert_eq!((running(), yard.pid("web")), (id.clone(), pid));

    podman.run(&["kill", &id]);
    let again = yard.until_again("web", pid);
    yard.run("restart web").ok();
    yard.until_again("web", again);

    // Where it cannot change what runs, the change is had by a restart.
    yard.config(&of("96Mi"));
    yard.run("apply").ok();
    until("it may use more", || podman.run(&["inspect", "--format", "{{.HostConfig.Memory}}", &running()]) == "100663296");

    yard.run("stop web").ok();
    yard.until_status("web", "stopped");
    assert!(!yard.story("web").iter().any(|line| line.starts_with("stop-failed")), "{:#?}", yard.story("web"));
    yard.run("down").ok();
    until("nothing is left there", || podman.run(&["ps", "--all", "--quiet"]).is_empty());
}
