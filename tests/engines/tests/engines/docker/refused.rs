//! Starts that fail say where, and leave nothing; strings arrive as they are.

use std::net::TcpListener;
use std::os::unix::fs::symlink;

use hostler_e2e::until;
use hostler_engines::Docked;

use super::{QUICKLY, SLEEPS};

const NEVER: &str = "restart = { policy = \"never\" }";

#[test]
fn a_start_that_fails_says_where_and_leaves_nothing() {
    let Some(docked) = Docked::new() else { return };
    let taken = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let port = taken.local_addr().expect("it is bound").port();
    let all = [
        docked.service("program", "command = \"/nonexistent/program\"", NEVER),
        docked.service("place", &format!("{SLEEPS}, user = \"nobody7\""), NEVER),
        docked.service("port", &format!("{SLEEPS}, ports = [\"127.0.0.1:{port}:80\"]"), NEVER),
        docked.service_of("image", "image = \"hostler-test/no-such-image:1\", pull = \"never\"", NEVER),
        docked.service_of("pulled", "image = \"127.0.0.1:1/no-such-image:1\"", NEVER),
        docked.service("driver", &format!("{SLEEPS}, logging = {{ driver = \"nonsense\" }}"), NEVER),
    ];
    docked.try_up(&all.concat());
    for (name, word) in [("program", "command"), ("place", "user"), ("port", "port"), ("image", "image"), ("pulled", "image"), ("driver", "logging")]
    {
        until(&format!("the start of `{name}` has failed, and says where: {:#?}", docked.yard.story(name)), || {
            docked
                .yard
                .story(name)
                .iter()
                .any(|line| line.contains(word) && (line.contains("fail") || line.contains("unavailable") || line.contains("cannot")))
        });
    }
    docked.yard.run("down").ok();
    until("nothing is left", || docked.containers().is_empty());
}

#[test]
fn a_name_that_a_stranger_has_is_a_conflict() {
    let Some(docked) = Docked::new() else { return };
    docked.up(&docked.service("web", SLEEPS, QUICKLY));
    let id = docked.container("web");
    let name = docked.inspect(&id, "{{.Name}}");
    let (head, run) = name.trim_start_matches('/').rsplit_once('-').expect("a run stands last");
    let next = format!("{head}-{}", run.parse::<u64>().expect("a number") + 1);
    docked.docker(&["run", "--detach", "--name", &next, "--label", "hostler-test=stranger", docked.image(), "sleep", "1000"]).ok();
    docked.docker(&["kill", &id]).ok();
    until("the conflict is told by its name", || docked.yard.story("web").iter().any(|line| line.contains("conflict") && line.contains(&next)));
    assert_eq!(docked.inspect(&next, "{{.State.Running}}"), "true", "the stranger is not touched");
    docked.docker(&["rm", "--force", &next]).ok();
}

#[test]
fn every_byte_of_an_argument_arrives_and_none_is_an_option() {
    let Some(docked) = Docked::new() else { return };
    let args = r#"["; touch /tmp/evil", "$(touch /tmp/evil)", "$HOME", "$${HOME}", "$$$$", "--help", "-p", "a\nb", "\\x20", "", " two  words ", "'\"", "ü"]"#;
    let backend = format!(
        "command = [\"sh\", \"-c\", 'for arg in \"$@\"; do printf \"<%s>\" \"$arg\"; done; echo; env; exec sleep 1000', \"sh\"], args = {args}, \
         env = {{ A = \"$B; x\", B = \"x y\", LD_PRELOAD = \"\", \"_\" = \"-p\" }}"
    );
    docked.up(&docked.service("web", &backend, ""));
    until("it has spoken", || docked.yard.log("web").iter().any(|line| line == "A=$B; x"));
    let said = docked.docker(&["logs", &docked.container("web")]).ok();
    let expected = "<; touch /tmp/evil><$(touch /tmp/evil)><$HOME><${HOME}><$$><--help><-p><a\nb><\\x20><>< two  words ><'\"><ü>\n";
    assert!(said.starts_with(expected), "{said}");
    assert!(!said.contains("PATH=/usr/local"), "the host's own search path is none of a container's: {said}");
    for (backend, word) in [
        (r#"args = ["a\u0000b"]"#, "NUL"),
        (r#"user = "-x\u0000""#, "NUL"),
        (r#"env = { "A=B" = "x" }"#, "no name for a variable"),
        (r#"ports = ["80:http"]"#, "no port"),
        (r#"volumes = ["/a:b"]"#, "no place within a container"),
        (r#"volumes = ["../../etc:/x:z"]"#, "option of a volume"),
        (r#"shm_size = "lots""#, "no size"),
        (r#"labels = { "hostler.owner" = "x" }"#, "belongs to the host"),
        (r#"container = "x""#, "does not go with"),
        (r#"restart = "always""#, "restart"),
    ] {
        let image = docked.image();
        docked.yard.config(&format!("{}[services.a]\nbackend = {{ type = \"docker\", image = {image:?}, {backend} }}", docked.plugin("")));
        let said = docked.yard.run("up --detach");
        assert!(said.code != 0 && (said.err.contains(word) || said.out.contains(word)), "{backend}: {said:?}");
    }
}

#[test]
fn what_was_not_granted_is_denied_and_nothing_is_made() {
    let Some(docked) = Docked::new() else { return };
    let granted = docked.yard.file("granted");
    std::fs::create_dir(&granted).expect("the yard is ours");
    symlink("/etc", granted.join("out")).expect("the yard is ours");
    let service = |name: &str, backend: &str| docked.service(name, &format!("{SLEEPS}, {backend}"), NEVER);
    let all = [
        service("etc", "volumes = [\"/etc:/host\"]"),
        service("walks", &format!("volumes = [{:?}]", format!("{}/../../../etc:/host", granted.display()))),
        service("links", &format!("volumes = [{:?}]", format!("{}/out:/host", granted.display()))),
        service("socket", "volumes = [\"/var/run/docker.sock:/s\"]"),
        service("all", "privileged = true"),
        service("net", "network_mode = \"host\""),
        service("cap", "cap_add = [\"SYS_ADMIN\"]"),
        service("open", "security_opt = [\"apparmor=unconfined\"]"),
        service("good", &format!("volumes = [{:?}]", format!("{}:/host", granted.display()))),
    ];
    docked.yard.config(&format!("{}{}", docked.plugin(&format!(", mounts = [{:?}]", granted.display().to_string())), all.concat()));
    docked.yard.run("up --detach");
    for name in ["etc", "walks", "links", "socket", "all", "net", "cap", "open"] {
        until(&format!("`{name}` is denied"), || docked.yard.story(name).iter().any(|line| line.contains("denied")));
    }
    docked.yard.until_status("good", "running");
    assert_eq!(docked.containers().len(), 1);
}
