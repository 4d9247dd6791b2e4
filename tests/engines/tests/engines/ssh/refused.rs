//! What is refused, and what is said about it.

use std::fs;

use hostler_e2e::until;

use super::Far;

#[test]
fn an_option_in_a_name_is_refused_before_anything_is_run() {
    let Some(far) = Far::boot() else { return };
    let hurt = far.yard.file("hurt");
    let evil = format!("-oProxyCommand=touch {}", hurt.display());
    for (key, value) in [
        ("host", evil.as_str()),
        ("user", evil.as_str()),
        ("jump", evil.as_str()),
        ("host", "%h"),
        ("host", "$(id)"),
        ("user", "a;b"),
        ("state_dir", "/a'b"),
    ] {
        let known = format!("key_file = {:?}, known_hosts = {:?}", far.host.key_file(), far.host.known_hosts());
        let host = if key == "host" { String::new() } else { "host = \"127.0.0.1\", ".to_owned() };
        far.yard.config(&format!(
            "{}[services.web]\nbackend = {{ type = \"ssh\", {host}{known}, {key} = {value:?}, binary = \"/bin/true\" }}\n",
            far.plugin()
        ));
        let ran = far.yard.run("up --detach");
        assert_ne!(ran.code, 0, "{key} = {value}");
        assert!(format!("{}{}", ran.out, ran.err).contains(key), "{key}: {}{}", ran.out, ran.err);
    }
    assert!(!hurt.exists(), "an option was obeyed");
    far.yard.run("down");
}

#[test]
fn a_host_whose_key_nobody_knows_is_not_spoken_to() {
    let Some(far) = Far::boot() else { return };
    let known = far.host.dir().join("none");
    fs::write(&known, "").expect("it is ours");
    let strange = far.link().replace(&format!("{:?}", far.host.known_hosts()), &format!("{known:?}"));
    let service = |link: &str| format!("[services.web]\nbackend = {{ type = \"ssh\", {link}, binary = \"/bin/sleep\", args = [4801] }}\n");
    far.yard.config(&format!("{}{}", far.plugin(), service(&strange)));
    let ran = far.yard.run("up --detach");
    assert_ne!(ran.code, 0);
    assert!(far.yard.story("web").iter().any(|line| line.contains("host key")), "{:#?}", far.yard.story("web"));
    assert_eq!(far.processes("/bin/sleep 4801"), Vec::<u32>::new());

    // who asks for it gets to know a new host, and never one whose key has changed
    let asked = format!("{strange}, accept_new = true");
    far.up(&service(&asked));
    far.process("/bin/sleep 4801");
    far.yard.run("down").ok();
    far.host.sh("set -e; rm /etc/ssh/ssh_host_*; ssh-keygen -q -A; systemctl restart ssh.service").ok();
    far.cut();
    far.yard.run("up --detach");
    until("the changed key is told", || far.yard.story("web").iter().filter(|line| line.contains("host key")).count() > 1);
    assert_eq!(far.processes("/bin/sleep 4801"), Vec::<u32>::new());
}

#[test]
fn a_program_or_a_directory_that_is_not_there_leaves_nothing() {
    let Some(far) = Far::boot() else { return };
    for (settings, says) in [
        (r#"binary = "/opt/none""#, "no program `/opt/none`"),
        (r#"binary = "no-such-program""#, "no program `no-such-program`"),
        (r#"binary = "/bin/true", working_dir = "/none""#, "no directory `/none`"),
    ] {
        far.yard.config(&format!("{}{}", far.plugin(), far.service("web", settings)));
        assert_ne!(far.yard.run("up --detach").code, 0, "{settings}");
        assert!(far.yard.story("web").iter().any(|line| line.contains(says)), "{settings}: {:#?}", far.yard.story("web"));
        assert_eq!(far.tasks(), Vec::<String>::new(), "{settings}");
    }
    far.yard.run("down").ok();
}

#[test]
fn without_a_grant_nothing_is_run() {
    let Some(far) = Far::boot() else { return };
    let plugin = far.plugin() + "grants = { commands = { programs = [\"test\", \"mkdir\"] }, state = {} }\n";
    far.yard.config(&format!("{plugin}{}", far.service("web", r#"binary = "/bin/true""#)));
    assert_ne!(far.yard.run("up --detach").code, 0);
    assert!(far.yard.story("web").iter().any(|line| line.contains("ssh") && line.contains("program")), "{:#?}", far.yard.story("web"));
    far.yard.run("down").ok();
}
