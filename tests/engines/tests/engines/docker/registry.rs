//! Images that are fetched from a registry, with a password and without.

use std::process::{Child, Command, Stdio};

use hostler_e2e::{can, free_port, until, until_some};
use hostler_engines::Docked;

/// Nobody else writes this.
const PASSWORD: &str = "canary-pull-5b1f";
/// `bot` with it, as a registry reads it.
const ACCOUNTS: &str = "bot:$2b$05$x2t5X/cEy3dgJ5kENZwGvOwJ3gcofzXpRMzfPz8M3x80/dCtqCdrO\n";

/// A registry on this machine's loopback, with an image on it that the engine has not.
struct Registry<'a> {
    docked: &'a Docked,
    child: Child,
    image: String,
}

impl<'a> Registry<'a> {
    fn new(docked: &'a Docked, private: bool) -> Option<Self> {
        let there = Command::new("docker-registry").arg("--version").output().is_ok_and(|output| output.status.success());
        if !can("a registry of images (Debian's docker-registry)", there) {
            return None;
        }
        let (yard, port) = (&docked.yard, free_port());
        let accounts = yard.write("accounts", ACCOUNTS);
        let auth = if private { format!("auth:\n  htpasswd:\n    realm: test\n    path: {}\n", accounts.display()) } else { String::new() };
        let root = yard.file("registry");
        let config = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:{port}\n{auth}",
            root.display()
        );
        let config = yard.write("registry.yml", config);
        let child = Command::new("docker-registry").arg("serve").arg(config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let registry = Registry { docked, child: child.expect("it can be started"), image: format!("127.0.0.1:{port}/team/app:1") };
        until("the registry listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        registry.push();
        Some(registry)
    }

    fn push(&self) {
        let config = self.docked.yard.file("docker-config");
        std::fs::create_dir(&config).expect("the yard is ours");
        let place = self.image.split('/').next().unwrap_or_default();
        // `bot:canary-pull-5b1f`
        std::fs::write(config.join("config.json"), format!("{{\"auths\":{{\"{place}\":{{\"auth\":\"Ym90OmNhbmFyeS1wdWxsLTViMWY=\"}}}}}}"))
            .expect("the yard is ours");
        self.docked.docker(&["tag", self.docked.image(), &self.image]).ok();
        let config = config.display().to_string();
        until_some("the image is pushed", || (self.docked.docker(&["--config", &config, "push", "--quiet", &self.image]).code == 0).then_some(()));
        self.docked.docker(&["rmi", &self.image]).ok();
    }
}

impl Drop for Registry<'_> {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        drop(self.docked.docker(&["rmi", "--force", &self.image]));
    }
}

const SLEEPS: &str = "command = \"sleep 1000\"";
const QUICKLY: &str = "restart = { backoff = { initial = \"10ms\", jitter = 0 } }";

#[test]
fn an_image_that_is_missing_is_fetched() {
    let Some(docked) = Docked::new() else { return };
    let Some(registry) = Registry::new(&docked, false) else { return };
    docked.yard.config(&format!("{}{}", docked.plugin(""), docked.service_of("web", &format!("image = {:?}, {SLEEPS}", registry.image), QUICKLY)));
    docked.yard.run("up --detach");
    docked.yard.until_status("web", "running");
    assert_eq!(docked.inspect(&docked.container("web"), "{{.Config.Image}}"), registry.image);
    docked.yard.run("down").ok();
}

#[test]
fn a_password_fetches_a_private_image_and_is_shown_nowhere() {
    let Some(docked) = Docked::new() else { return };
    let Some(registry) = Registry::new(&docked, true) else { return };
    let yard = &docked.yard;
    let image = &registry.image;
    let never = "restart = { policy = \"never\" }";
    yard.config(&format!("{}{}", docked.plugin(""), docked.service_of("open", &format!("image = {image:?}, {SLEEPS}"), never)));
    yard.run("up --detach");
    until("without a password it is denied", || yard.story("open").iter().any(|line| line.contains("image") && line.contains("fail")));

    yard.write("password", PASSWORD);
    let private =
        docked.service_of("web", &format!("image = {image:?}, {SLEEPS}, registry = {{ user = \"bot\", password_secret = \"pull\" }}"), QUICKLY);
    let plugin = docked.plugin("").replace("secrets = []", "secrets = [\"pull\"]");
    yard.config(&format!("{plugin}[secrets.pull]\nfile = \"./password\"\n{private}"));
    yard.run("up --detach");
    yard.until_status("web", "running");
    let shown =
        [yard.run("status web --json").out, yard.run("events --json").out, yard.run("logs web").out, yard.run("plugin list --verbose").out].concat();
    let inspected = docked.docker(&["inspect", &docked.container("web")]).ok();
    let log = std::fs::read_to_string(yard.state().join("host.log")).unwrap_or_default();
    for (what, text) in [("what the host shows", shown), ("the container", inspected), ("the host's log", log)] {
        assert!(!text.contains(PASSWORD) && !text.contains("Y2FuYXJ5"), "{what} holds the password");
    }
    yard.run("down").ok();
}
