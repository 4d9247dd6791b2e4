//! Backend `package` on another host, over a real sshd.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use hostler_e2e::{json, root, until};

use crate::ssh::{Far, busybox, cut};

/// The other host, and packages on this one.
struct Depot {
    far: Far,
    /// Where releases are installed over there.
    opt: &'static str,
}

impl Depot {
    fn of(far: Far, opt: &'static str) -> Depot {
        fs::create_dir(far.yard.file("packages")).expect("the yard is ours");
        Depot { far, opt }
    }

    fn open() -> Option<Depot> {
        let far = Far::boot()?;
        far.host.sh("install -d -o deploy -g deploy /srv/app").ok();
        Some(Depot::of(far, "/srv/app"))
    }

    /// A package of one release: a program that says its version and stays, and these files.
    #[track_caller]
    fn package(&self, version: &str, files: &[(&str, &str)]) -> PathBuf {
        let dir = self.far.yard.file(&format!("source-{version}"));
        let manifest = format!("name: app\nversion: {version}\nbinary: bin/app\nargs: [from-manifest]\nenv: {{ MODE: \"it's $packed\" }}\n");
        let program = "#!/bin/sh\necho \"app $(cat config/version) $MODE $*\"\nexec /bin/sleep 6601\n";
        let usual = [("manifest.yaml", manifest.as_str()), ("bin/app", program), ("config/version", version), ("lib/a/b.so", "elf")];
        for (path, text) in usual.iter().chain(files) {
            let path = dir.join(path);
            fs::create_dir_all(path.parent().expect("it has one")).expect("the yard is ours");
            fs::write(&path, text).expect("the yard is ours");
            fs::set_permissions(&path, fs::Permissions::from_mode(if text.starts_with("#!") { 0o755 } else { 0o644 })).expect("it was just written");
        }
        let package = self.far.yard.file(&format!("packages/app-{version}.tar.gz"));
        self.far.yard.run(&format!("package build {} --out {}", dir.display(), package.display())).ok();
        package
    }

    /// What the plugin is granted: packages of this machine, and ssh. It installs nothing here.
    fn plugin(&self) -> String {
        format!(
            "[plugins.package]
             config = {{ control_dir = {:?} }}
             [plugins.package.grants]
             processes = {{ programs = [] }}
             commands = {{ programs = [\"ssh\", \"test\", \"mkdir\"] }}
             state = {{ bytes = \"1Mi\", keys = 1024 }}
             filesystem = [{{ path = {:?}, access = \"read\" }}]\n",
            self.far.yard.file("c"),
            self.far.yard.file("packages")
        )
    }

    fn service(&self, name: &str, opt: &str, package: &std::path::Path, more: &str) -> String {
        let comma = if more.is_empty() { "" } else { ", " };
        format!(
            "[services.{name}]\nbackend = {{ type = \"package\", {}, package = {package:?}, install_path = {opt:?}{comma}{more} }}\nstop = {{ grace = \"3s\" }}\n",
            self.far.link()
        )
    }

    fn config(&self, package: &std::path::Path, more: &str) -> String {
        format!("{}{}", self.plugin(), self.service("app", self.opt, package, more))
    }

    #[track_caller]
    fn up(&self, package: &std::path::Path, more: &str) {
        self.far.yard.up(&self.config(package, more));
    }

    /// What lies in a directory over there, below the one of releases.
    #[track_caller]
    fn there(&self, path: &str) -> Vec<String> {
        self.far.host.sh(&format!("ls -A {}/{path}", self.opt)).out.lines().map(str::to_owned).collect()
    }

    #[track_caller]
    fn current(&self) -> String {
        self.far.host.run(&["readlink", &format!("{}/current", self.opt)]).out.trim().trim_start_matches("releases/").to_owned()
    }

    #[track_caller]
    fn until_says(&self, line: &str) {
        until(&format!("it says `{line}`"), || self.far.yard.log("app").iter().any(|said| said == line));
    }

    /// Nothing is in the making any more.
    #[track_caller]
    fn is_tidy(&self) {
        let loose = |name: &String| name.starts_with('.');
        assert!(!self.there("").iter().any(loose) && !self.there("releases").iter().any(loose), "{:?} {:?}", self.there(""), self.there("releases"));
    }
}

#[test]
fn a_release_is_installed_switched_and_switched_back_over_there() {
    let Some(depot) = Depot::open() else { return };
    let far = &depot.far;
    let hooks = [("scripts/pre-start.sh", "#!/bin/sh\necho pre >>../../order\n"), ("scripts/post-start.sh", "#!/bin/sh\necho post >>../../order\n")];
    let more = "args = [\"from service\"], env = { TOKEN = \"canary-51c0\" }, pre_install = [\"echo before $HOSTLER_SERVICE >>../../order\"], post_install = [[\"/bin/sh\", \"-c\", \"echo after >>../../order\"]]";
    depot.up(&depot.package("1.0.0", &hooks), more);
    depot.until_says("app 1.0.0 it's $packed from-manifest from service");
    assert_eq!(far.host.read("/srv/app/order"), "before app\npre\npost\nafter\n");
    assert!(depot.current().starts_with("1.0.0-"), "{}", depot.current());
    assert_eq!(far.host.sh("grep -rl canary-51c0 /srv/app /home/deploy /tmp 2>/dev/null | wc -l").ok().trim(), "0", "a value lies on the disk");
    let pid = far.process("/bin/sleep 6601");
    far.yard.kill_host();
    far.cut();
    far.yard.serve();
    far.yard.until_status("app", "running");
    assert_eq!(far.process("/bin/sleep 6601"), pid, "it outlives the host and the link");

    depot.up(&depot.package("1.1.0", &[("scripts/health-check.sh", "#!/bin/sh\nexit 0\n")]), "keep = 2");
    depot.until_says("app 1.1.0 it's $packed from-manifest");
    depot.up(&depot.package("1.2.0", &[]), "keep = 2");
    depot.until_says("app 1.2.0 it's $packed from-manifest");
    let kept: Vec<String> = depot.there("releases").iter().map(|name| name[..5].to_owned()).collect();
    assert_eq!(kept, ["1.1.0", "1.2.0"], "the oldest is gone");

    let current = depot.current();
    let fails = [
        ("scripts/pre-start.sh", "#!/bin/sh\nexit 3\n", "scripts/pre-start.sh exited with 3"),
        ("scripts/post-start.sh", "#!/bin/sh\nexit 4\n", "scripts/post-start.sh exited with 4"),
        ("scripts/health-check.sh", "#!/bin/sh\nexit 1\n", "did not pass in time"),
    ];
    for (nth, (path, text, says)) in fails.iter().enumerate() {
        let bad = depot.package(&format!("2.{nth}.0"), &[(path, text)]);
        depot.up(&bad, "health_timeout = 1");
        assert_eq!(depot.current(), current, "{path}");
        let shown = far.yard.detail("app").to_string();
        assert!(shown.contains("runs instead of") && shown.contains(says), "{path}: {shown}");
        far.process("/bin/sleep 6601");
    }
    let bad = depot.package("3.0.0", &[("scripts/pre-start.sh", "#!/bin/sh\nexit 3\n")]);
    far.yard.config(&depot.config(&bad, "rollback = false"));
    assert_ne!(far.yard.run("up --detach --timeout 20s").code, 0);
    assert!(far.yard.story("app").iter().any(|line| line.contains("scripts/pre-start.sh exited with 3")), "{:#?}", far.yard.story("app"));
    assert_eq!(far.processes("/bin/sleep 6601"), Vec::<u32>::new(), "nothing runs");
    depot.is_tidy();
    far.yard.run("down").ok();
}

#[test]
fn a_link_cut_at_several_steps_doubles_nothing_and_leaves_nothing_half() {
    let Some(depot) = Depot::open() else { return };
    let far = &depot.far;
    // the snare would stand in front of what asks
    let hooks = [("scripts/pre-start.sh", "#!/bin/sh\necho pre >>../../pre\n"), ("scripts/health-check.sh", "#!/bin/sh\nexit 0\n")];
    let package = depot.package("1.0.0", &hooks);
    let services: Vec<(u32, String)> = [1, 2, 4, 6, 8, 10, 12, 14, 17, 20, 24, 28, 33, 40]
        .into_iter()
        .map(|step| (step, depot.service(&format!("s{step}"), &format!("/srv/app/{step}"), &package, "")))
        .collect();
    cut::trap(far);
    let mut cuts = 0;
    for (step, service) in services {
        let (name, dir) = (format!("s{step}"), format!("/srv/app/{step}"));
        cut::armed(far, step, if step % 4 == 0 { "kill" } else { "cut" });
        far.yard.config(&format!("{}{service}", depot.plugin()));
        far.yard.run("up --detach");
        far.yard.until_service(&name, "it runs", |service| service["status"] == "running" && service["pid"].is_u64());
        cuts += u32::from(cut::sprung(far));
        cut::disarm(far);
        far.process("/bin/sleep 6601");
        let found = far
            .host
            .sh(&format!(
                "cd {dir}; ls releases; readlink current; cat current/config/version pre | tr '\\n' ' '; ls -A . releases | grep '^\\.[a-z]'"
            ))
            .out;
        let lines: Vec<&str> = found.lines().collect();
        assert!(lines.len() == 3 && lines[1] == format!("releases/{}", lines[0]) && lines[2].starts_with("1.0.0"), "step {step}: {found}");
        far.yard.config(&depot.plugin());
        far.yard.run("apply");
        until("nothing of it runs", || far.processes("/bin/sleep 6601").is_empty() && far.tasks().iter().all(|task| task.starts_with('.')));
    }
    assert!(cuts > 6, "{cuts} cuts are too few: the trap does not work");
    far.yard.run("down").ok();
}

#[test]
fn a_host_of_busybox_alone_is_enough() {
    let Some(far) = Far::boot() else { return };
    far.host.sh(busybox::WORLD).ok();
    let depot = Depot::of(far.user("box"), "/root/app");
    let far = &depot.far;
    depot.up(&depot.package("1.0.0", &[("scripts/health-check.sh", "#!/bin/sh\nexit 0\n")]), "");
    depot.until_says("app 1.0.0 it's $packed from-manifest");
    depot.up(&depot.package("1.1.0", &[("scripts/health-check.sh", "#!/bin/sh\nexit 1\n")]), "health_timeout = 1");
    let shown = far.yard.detail("app").to_string();
    assert!(shown.contains("runs instead of"), "{shown}");
    far.process("/bin/sleep 6601");
    assert!(far.host.run(&["readlink", "/box/root/app/current"]).out.contains("1.0.0-"));
    far.yard.run("down").ok();
    assert_eq!(far.processes("/bin/sleep 6601"), Vec::<u32>::new());
}

#[test]
fn a_hostile_package_does_not_leave_this_machine() {
    let Some(depot) = Depot::open() else { return };
    let far = &depot.far;
    depot.package("1.0.0", &[]);
    fs::write(far.yard.file("outside"), "x").expect("the yard is ours");
    let evil = far.yard.file("packages/evil.tar.gz");
    let tar = std::process::Command::new("tar")
        .args(["--format=ustar", "-czPf"])
        .arg(&evil)
        .arg("-C")
        .arg(far.yard.file("source-1.0.0"))
        .args(["manifest.yaml", "bin/app", "../outside"])
        .status();
    assert!(tar.is_ok_and(|status| status.success()));
    far.yard.config(&depot.config(&evil, ""));
    assert_ne!(far.yard.run("up --detach").code, 0);
    assert!(far.yard.story("app").iter().any(|line| line.contains("is refused")), "{:#?}", far.yard.story("app"));
    assert_eq!(depot.there(""), Vec::<String>::new());
    far.yard.run("down").ok();
}

/// Long, and about the room that runs plugins rather than this one.
const ELSEWHERE: [&str; 1] = ["sequence"];

#[test]
fn it_keeps_the_contract_over_a_real_sshd() {
    let Some(depot) = Depot::open() else { return };
    let far = &depot.far;
    let grants = far.yard.file("grants.json");
    let text = json!({
        "processes": { "programs": [] }, "commands": { "programs": ["ssh", "test", "mkdir"] }, "state": { "bytes": "1Mi", "keys": 1024 },
        "filesystem": [{ "path": far.yard.file("packages"), "access": "read" }],
    });
    fs::write(&grants, text.to_string()).expect("the yard is ours");
    let settings = json!({
        "host": "127.0.0.1", "port": far.host.ssh_port(), "user": "deploy", "key_file": far.host.key_file(), "known_hosts": far.host.known_hosts(),
        "package": depot.package("1.0.0", &[]), "install_path": depot.opt,
    });
    let config = json!({ "control_dir": far.yard.file("c") });
    let component = root().join("target/plugins/package.wasm");
    let list = far.yard.run("plugin check --list --json").documents();
    let cases = list[0]["cases"].as_array().expect("a list of cases").iter();
    let names = cases.filter(|case| case["group"] != "checks").filter_map(|case| case["name"].as_str()).filter(|name| !ELSEWHERE.contains(name));
    let cases: String = names.map(|name| format!(" --case {name}")).collect();
    let line =
        format!("plugin check {} --against real --grants {} --settings {settings} --config {config}{cases}", component.display(), grants.display());
    // minutes, which is longer than a command of the yard's may take
    let output = far.yard.command(&line).output().expect("the program is there");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains(" 0 failed"), "{said}");
    assert_eq!(far.processes("/bin/sleep 6601"), Vec::<u32>::new(), "nothing is left over there");
}
