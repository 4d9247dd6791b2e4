//! Backend `package` on this machine: real archives, real processes.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use hostler_e2e::{Yard, json, root, until};

/// A yard with a directory to install to, and whatever the plugin has to be granted.
struct Shop {
    yard: Yard,
}

impl Shop {
    fn open() -> Shop {
        let yard = Yard::new();
        for dir in ["opt", "packages"] {
            fs::create_dir(yard.file(dir)).expect("the yard is ours");
        }
        Shop { yard }
    }

    /// A package of one release: a program that says its version and stays, and these files.
    #[track_caller]
    fn package(&self, version: &str, files: &[(&str, &str)]) -> PathBuf {
        let dir = self.yard.file(&format!("source-{version}"));
        let manifest = format!("name: app\nversion: {version}\nbinary: bin/app\nargs: [from-manifest]\nenv: {{ MODE: packed }}\n");
        let program = "#!/bin/sh\necho \"app $(cat config/version) $MODE $*\"\nexec sleep 6001\n";
        let usual = [("manifest.yaml", manifest.as_str()), ("bin/app", program), ("config/version", version)];
        for (path, text) in usual.iter().chain(files) {
            let path = dir.join(path);
            fs::create_dir_all(path.parent().expect("it has one")).expect("the yard is ours");
            fs::write(&path, text).expect("the yard is ours");
            let mode = if text.starts_with("#!") { 0o755 } else { 0o644 };
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("it was just written");
        }
        let package = self.yard.file(&format!("packages/app-{version}.tar.gz"));
        self.yard.run(&format!("package build {} --out {}", dir.display(), package.display())).ok();
        package
    }

    fn config(&self, package: &Path, more: &str) -> String {
        let (opt, packages) = (self.yard.file("opt"), self.yard.file("packages"));
        format!(
            "[plugins.package.grants]
             processes = {{ programs = [\"*\"] }}
             commands = {{ programs = [\"*\"] }}
             state = {{}}
             filesystem = [{{ path = {opt:?}, access = \"write\" }}, {{ path = {packages:?}, access = \"read\" }}]
             [services.app]
             backend = {{ type = \"package\", package = {package:?}, install_path = {opt:?}{comma}{more} }}\n",
            comma = if more.is_empty() { "" } else { ", " }
        )
    }

    #[track_caller]
    fn up(&self, package: &Path, more: &str) {
        self.yard.up(&self.config(package, more));
    }

    /// The release that `current` leads to.
    fn current(&self) -> String {
        fs::read_link(self.yard.file("opt/current")).map(|target| target.display().to_string()).unwrap_or_default()
    }

    /// What lies in the directory of releases.
    fn releases(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.yard.file("opt/releases"))
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    /// How many programs of releases there are.
    fn programs(&self) -> usize {
        let releases = fs::canonicalize(self.yard.file("opt/releases")).expect("there are some");
        let processes = fs::read_dir("/proc").expect("it is mounted").flatten();
        processes.filter(|process| fs::read_link(process.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(&releases))).count()
    }

    #[track_caller]
    fn until_says(&self, line: &str) {
        until(&format!("it says `{line}`"), || self.yard.log("app").iter().any(|said| said == line));
    }
}

#[test]
fn a_release_is_installed_beside_the_one_before_and_switched() {
    let shop = Shop::open();
    let hooks = [("scripts/pre-start.sh", "#!/bin/sh\necho pre >>../../order\n"), ("scripts/post-start.sh", "#!/bin/sh\necho post >>../../order\n")];
    let one = shop.package("1.0.0", &hooks);
    let more = "args = [\"from-service\"], pre_install = [\"echo before >>../../order\"], post_install = [[\"/bin/sh\", \"-c\", \"echo after >>../../order\"]]";
    shop.up(&one, more);
    shop.until_says("app 1.0.0 packed from-manifest from-service");
    assert_eq!(shop.yard.read("opt/order"), "before\npre\npost\nafter\n");
    assert!(shop.current().starts_with("releases/1.0.0-"), "{}", shop.current());

    shop.up(&shop.package("1.1.0", &[]), "keep = 2");
    shop.until_says("app 1.1.0 packed from-manifest");
    assert!(shop.current().starts_with("releases/1.1.0-"), "{}", shop.current());
    shop.up(&shop.package("1.2.0", &[]), "keep = 2");
    shop.until_says("app 1.2.0 packed from-manifest");
    let kept: Vec<String> = shop.releases().iter().map(|name| name[..5].to_owned()).collect();
    assert_eq!(kept, ["1.1.0", "1.2.0"], "the oldest is gone");
    shop.yard.run("down").ok();
}

/// Why a release fails, its files beside the usual ones, and what is said of it.
type Failing<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);

#[test]
fn a_release_that_fails_gives_way_to_the_one_before() {
    let fails: [Failing; 5] = [
        ("pre", &[("scripts/pre-start.sh", "#!/bin/sh\nexit 3\n")], "scripts/pre-start.sh exited with 3"),
        ("post", &[("scripts/post-start.sh", "#!/bin/sh\nexit 4\n")], "scripts/post-start.sh exited with 4"),
        ("ill", &[("scripts/health-check.sh", "#!/bin/sh\nexit 1\n")], "did not pass in time"),
        ("no-check", &[("scripts/health-check.sh", "#!/nowhere/sh\n")], "scripts/health-check.sh: there is no such program"),
        ("ends", &[("bin/app", "#!/bin/sh\nexit 5\n"), ("scripts/health-check.sh", "#!/bin/sh\nexit 1\n")], "ended before it was healthy"),
    ];
    let shop = Shop::open();
    let good = shop.package("1.0.0", &[("scripts/health-check.sh", "#!/bin/sh\nexit 0\n")]);
    shop.up(&good, "");
    shop.until_says("app 1.0.0 packed from-manifest");
    let current = shop.current();
    for (nth, (name, files, says)) in fails.iter().enumerate() {
        let bad = shop.package(&format!("2.{nth}.0-{name}"), files);
        // A program that ends has all the time for that.
        let patience = if *name == "ends" { 20 } else { 1 };
        shop.yard.config(&shop.config(&bad, &format!("health_timeout = {patience}")));
        shop.yard.run("up --detach").ok();
        assert_eq!(shop.current(), current, "{name}");
        let shown = shop.yard.detail("app").to_string();
        assert!(shown.contains("runs instead of") && shown.contains(says), "{name}: {shown}");
        until(&format!("{name}: one program runs"), || shop.programs() == 1);
    }
    // who does not want that is told of the failure
    let bad = shop.package("3.0.0", &[("scripts/pre-start.sh", "#!/bin/sh\nexit 3\n")]);
    shop.yard.config(&shop.config(&bad, "rollback = false"));
    assert_ne!(shop.yard.run("up --detach --timeout 20s").code, 0);
    assert!(shop.yard.story("app").iter().any(|line| line.contains("scripts/pre-start.sh exited with 3")), "{:#?}", shop.yard.story("app"));
    shop.yard.run("down").ok();
}

#[test]
fn a_release_that_may_not_do_what_it_needs_leaves_nothing_running() {
    let shop = Shop::open();
    let package = shop.package("1.0.0", &[("scripts/post-start.sh", "#!/bin/sh\n")]);
    shop.yard.config(&shop.config(&package, "").replace("commands = { programs = [\"*\"] }", "commands = { programs = [\"chmod\"] }"));
    assert_ne!(shop.yard.run("up --detach --timeout 20s").code, 0);
    assert!(shop.yard.story("app").iter().any(|line| line.contains("start-failed")), "{:#?}", shop.yard.story("app"));
    until("nothing runs", || shop.programs() == 0);
    assert_eq!(shop.current(), "", "and nothing is said to");
    shop.yard.run("down").ok();
}

#[test]
fn the_release_before_is_the_last_that_came_up_whole() {
    let shop = Shop::open();
    shop.up(&shop.package("1.0.0", &[]), "");
    let good = shop.current();
    let unjudged = shop.package("2.0.0", &[("scripts/health-check.sh", "#!/bin/sh\nexit 1\n")]);
    shop.yard.config(&shop.config(&unjudged, "health_timeout = 600"));
    shop.yard.run("apply --no-wait").ok();
    until("it is being judged", || shop.current().starts_with("releases/2.0.0-") && shop.programs() > 0);
    shop.yard.kill_host();
    shop.yard.serve();
    shop.yard.until_status("app", "running");
    let bad = shop.package("3.0.0", &[("scripts/pre-start.sh", "#!/bin/sh\nexit 3\n")]);
    shop.yard.config(&shop.config(&bad, ""));
    shop.yard.run("up --detach").ok();
    assert_eq!(shop.current(), good);
    let shown = shop.yard.detail("app").to_string();
    assert!(shown.contains("1.0.0-") && shown.contains("runs instead of 3.0.0-"), "{shown}");
    shop.yard.run("down").ok();
}

#[test]
fn a_hostile_package_leaves_nothing_behind() {
    let shop = Shop::open();
    let good = shop.package("1.0.0", &[]);
    let evil = shop.yard.file("packages/evil.tar.gz");
    let tree = shop.yard.file("source-1.0.0");
    let tar = |words: &[&str]| {
        let made = Command::new("tar").arg("-C").arg(&tree).arg("-czPf").arg(&evil).args(words).status();
        assert!(made.is_ok_and(|status| status.success()), "tar {words:?}");
    };
    fs::write(shop.yard.file("outside"), "x").expect("the yard is ours");
    symlink("/etc/passwd", tree.join("lib-link")).expect("the yard is ours");
    fs::create_dir_all(tree.join("lib")).expect("the yard is ours");
    fs::hard_link(tree.join("bin/app"), tree.join("lib/hard")).expect("the yard is ours");
    let outside = shop.yard.file("outside");
    let cases: [(&str, Vec<&str>); 5] = [
        ("is refused", vec!["--format=ustar", "manifest.yaml", "bin/app", "../outside"]),
        ("is refused", vec!["--format=ustar", "manifest.yaml", "bin/app", outside.to_str().expect("it is text")]),
        ("leads out of the package", vec!["--format=ustar", "--transform=s,^lib-link$,lib/link,", "manifest.yaml", "bin/app", "lib-link"]),
        ("a hard link", vec!["--format=ustar", "manifest.yaml", "bin/app", "lib/hard"]),
        ("there twice", vec!["--format=ustar", "--hard-dereference", "manifest.yaml", "bin/app", "bin/app"]),
    ];
    for (says, words) in &cases {
        tar(words);
        shop.yard.config(&shop.config(&evil, ""));
        assert_ne!(shop.yard.run("up --detach").code, 0, "{words:?}");
        assert!(shop.yard.story("app").iter().any(|line| line.contains(says)), "{says}: {:#?}", shop.yard.story("app"));
        assert_ne!(shop.yard.run(&format!("package inspect {}", evil.display())).code, 0);
        assert_eq!((shop.releases(), shop.current()), (vec![], String::new()), "{words:?}");
        shop.yard.run("down");
    }
    for bytes in [&b"no archive"[..], &fs::read(&good).expect("it was built")[..200]] {
        fs::write(&evil, bytes).expect("the yard is ours");
        shop.yard.config(&shop.config(&evil, ""));
        assert_ne!(shop.yard.run("up --detach").code, 0);
        assert_eq!(shop.releases(), Vec::<String>::new());
        shop.yard.run("down");
    }
    // and one that is not the one that was meant
    shop.yard.config(&shop.config(&good, &format!("digest = \"sha256:{}\"", "0".repeat(64))));
    assert_ne!(shop.yard.run("up --detach").code, 0);
    assert!(shop.yard.story("app").iter().any(|line| line.contains("the package is another one")), "{:#?}", shop.yard.story("app"));
    assert_eq!(shop.releases(), Vec::<String>::new());
    shop.yard.run("down");
}

#[test]
fn a_directory_that_is_not_granted_is_not_written() {
    let shop = Shop::open();
    let package = shop.package("1.0.0", &[]);
    let config = shop.config(&package, "").replace("access = \"write\"", "access = \"read\"");
    shop.yard.config(&config);
    assert_ne!(shop.yard.run("up --detach").code, 0);
    assert_eq!(shop.releases(), Vec::<String>::new());
    shop.yard.run("down");
}

#[test]
fn the_same_directory_makes_the_same_package() {
    let shop = Shop::open();
    let package = shop.package("1.0.0", &[("lib/a/b.so", "elf")]);
    let first = fs::read(&package).expect("it was built");
    Command::new("touch").arg("-d").arg("2001-01-01").arg(shop.yard.file("source-1.0.0/bin/app")).status().expect("touch is there");
    assert_eq!(fs::read(shop.package("1.0.0", &[("lib/a/b.so", "elf")])).expect("it was built"), first);
    let document = &shop.yard.run(&format!("package inspect {} --json", package.display())).documents()[0]["package"];
    assert_eq!((document["name"].as_str(), document["version"].as_str(), document["binary"].as_str()), (Some("app"), Some("1.0.0"), Some("bin/app")));
    assert!(document["release"].as_str().is_some_and(|release| release.starts_with("1.0.0-")), "{document}");
}

#[test]
fn its_process_outlives_the_host() {
    let shop = Shop::open();
    shop.up(&shop.package("1.0.0", &[]), "");
    let pid = shop.yard.pid("app");
    shop.yard.kill_host();
    shop.yard.serve();
    shop.yard.until_status("app", "running");
    assert_eq!(shop.yard.pid("app"), pid);
    shop.yard.run("down").ok();
}

#[test]
fn it_keeps_the_contract_on_this_machine() {
    let shop = Shop::open();
    let package = shop.package("1.0.0", &[("scripts/health-check.sh", "#!/bin/sh\nexit 0\n")]);
    let (opt, packages) = (shop.yard.file("opt"), shop.yard.file("packages"));
    let grants = shop.yard.file("grants.json");
    let text = json!({
        "processes": { "programs": ["*"], "users": ["*"] },
        "commands": { "programs": ["*"] },
        "state": {},
        "filesystem": [{ "path": opt, "access": "write" }, { "path": packages, "access": "read" }],
    });
    fs::write(&grants, text.to_string()).expect("the yard is ours");
    let settings = json!({ "package": package, "install_path": opt });
    let component = root().join("target/plugins/package.wasm");
    let ran = shop.yard.run(&format!("plugin check {} --against real --grants {} --settings {settings}", component.display(), grants.display()));
    assert!(ran.code == 0 && ran.out.contains(" 0 failed"), "{}{}", ran.out, ran.err);
    let in_the_making: Vec<String> = shop.releases().into_iter().filter(|name| name.starts_with('.')).collect();
    assert_eq!(in_the_making, Vec::<String>::new());
}

#[test]
fn replicas_that_come_up_together_share_a_directory() {
    let shop = Shop::open();
    let package = shop.package("1.0.0", &[]);
    shop.up(&package, "keep = 1");
    for version in ["1.1.0", "1.2.0"] {
        let next = shop.package(version, &[]);
        shop.yard.up(&format!("{}replicas = 8\n", shop.config(&next, "keep = 1")));
        assert!(shop.current().starts_with(&format!("releases/{version}-")), "{}", shop.current());
        assert_eq!(shop.yard.service("app")["failure_count"], 0, "{:#?}", shop.yard.story("app"));
    }
    shop.yard.run("down").ok();
}
