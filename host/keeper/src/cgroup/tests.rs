//! On a tree of directories that looks like version 2's: what the kernel makes of a write is not played, what is written is.

use std::path::PathBuf;

use super::*;

/// A mount whose top is not ours to write, and the keeper's own cgroup in it.
struct Played {
    own: PathBuf,
    mount: Mount,
    _dir: tempfile::TempDir,
}

impl Played {
    fn new() -> Played {
        let dir = tempfile::tempdir().expect("there is a temporary directory");
        let top = dir.path();
        let own = top.join("unit");
        cgroup(&own, "");
        write(&top.join("cgroup.controllers"), "cpu memory");
        // Whoever may do anything cannot make a directory here either.
        write(&top.join(FAMILY), "");
        let mount = mounts::parse(&format!("cgroup2 {} cgroup2 rw 0 0\n", top.display()), "0::/unit\n").remove(0);
        Played { own, mount, _dir: dir }
    }

    fn tree(&self, controller: &str) -> Result<Tree, String> {
        unified_tree(Some(&self.mount), "i", controller)
    }

    fn written(&self) -> Vec<String> {
        [self.own.clone(), self.own.join(FAMILY), self.own.join(FAMILY).join("i")]
            .map(|dir| group::text(&dir.join("cgroup.subtree_control")))
            .to_vec()
    }
}

/// A directory with the files that the kernel would make.
fn cgroup(dir: &Path, procs: &str) {
    std::fs::create_dir_all(dir).expect("it is ours");
    write(&dir.join("cgroup.type"), "domain\n");
    write(&dir.join("cgroup.procs"), procs);
    write(&dir.join("cgroup.subtree_control"), "");
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("it is ours");
}

#[test]
fn a_cgroup_that_processes_are_in_is_given_no_controller() {
    let played = Played::new();
    cgroup(&played.own.join(FAMILY), "");
    cgroup(&played.own.join(FAMILY).join("i"), "");
    write(&played.own.join("cgroup.procs"), "17\n");
    for controller in ["cpu", "memory"] {
        let why = played.tree(controller).expect_err("host and keeper are in it");
        assert!(why.contains("processes are in it") && why.contains(&*played.own.display().to_string()), "{why}");
    }
    assert_eq!(played.written(), ["", "", ""]);
    assert!(played.tree("").is_ok(), "members are kept there all the same");
}

#[test]
fn an_empty_one_and_the_real_root_are_given_theirs() {
    let played = Played::new();
    cgroup(&played.own.join(FAMILY), "");
    cgroup(&played.own.join(FAMILY).join("i"), "");
    assert!(played.tree("cpu").is_ok());
    assert_eq!(played.written(), ["+cpu", "+cpu", "+cpu"]);
    write(&played.own.join("cgroup.procs"), "17\n");
    std::fs::remove_file(played.own.join("cgroup.type")).expect("it is there");
    assert!(played.tree("memory").is_ok(), "the root has processes and controllers");
}

#[test]
fn below_a_threaded_one_no_tree_is_made() {
    let played = Played::new();
    cgroup(&played.own.join(FAMILY).join("i"), "");
    write(&played.own.join(FAMILY).join("i/cgroup.type"), "domain invalid\n");
    let why = played.tree("").expect_err("nothing could enter");
    assert!(why.contains("threaded"), "{why}");
}
