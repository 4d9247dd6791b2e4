use super::*;
use hostler_sdk::settings;

#[track_caller]
fn places(text: &str) -> Vec<String> {
    let settings: Settings = settings::parse(text).expect("the shapes are right");
    settings.read().err().unwrap_or_default().into_iter().map(|problem| problem.at).collect()
}

#[test]
fn good_ones_pass() {
    for text in [
        r#"{"image": "redis"}"#,
        r#"{"image": "registry.example.com:5000/team/app:1.2", "engine": "build", "command": "redis-server --port 7000", "args": ["-x", 5]}"#,
        r#"{"image": "a@sha256:0f", "ports": ["8080:80"], "volumes": ["data:/data", "./x:/x"], "base_dir": "/srv", "tmpfs": {"/run": "1m"}, "networks": ["a"]}"#,
        r#"{"image": "a", "network_mode": "container:web", "user": 1000, "working_dir": "/srv", "labels": {"a": "b"}, "healthcheck": "off", "pull": "never"}"#,
        r#"{"image": "a", "registry": {"user": "u", "password_secret": "s"}, "shm_size": "64m", "ulimits": {"nofile": 5}, "cap_drop": ["ALL"], "stop_signal": "SIGQUIT"}"#,
        r#"{"container": "web_1"}"#,
        r#"{"container": "0f3a", "engine": "build"}"#,
    ] {
        assert_eq!(places(text), [""; 0], "{text}");
    }
}

#[test]
fn mistakes_are_told_at_their_place() {
    assert_eq!(places("{}"), [""]);
    assert_eq!(places(r#"{"container": "web", "image": "a", "env": {"A": 1}, "read_only": true}"#), ["/image", "/env", "/read_only"]);
    assert_eq!(
        places(r#"{"image": "a", "args": ["ok", "a\u0000b"], "env": {"A=B": "x"}, "command": "echo 'x"}"#),
        ["/args/1", "/env/A=B", "/command"]
    );
    assert_eq!(
        places(r#"{"image": "a", "engine": "a/b", "stop_signal": "STOP IT", "dns": ["10.0.0.1", "x"], "cap_add": ["-x"], "pids_limit": 0}"#),
        ["/engine", "/stop_signal", "/pids_limit", "/dns/1", "/cap_add/0",]
    );
    assert_eq!(places(r#"{"image": "a", "network_mode": "host", "ports": [80], "networks": ["x"]}"#), ["/networks", "/ports"]);
    assert_eq!(places(r#"{"image": "a", "network_mode": "container:", "volumes": ["a:/x"], "tmpfs": ["/x"]}"#), ["/volumes", "/network_mode"]);
    assert_eq!(places(r#"{"image": "a", "memory_swap": "lots", "shm_size": [], "working_dir": "x"}"#), ["/working_dir", "/memory_swap", "/shm_size"]);
}

#[test]
fn no_image_is_an_option_or_a_path() {
    for image in ["", "-v", "../x", "a b", "a\n", "/etc", "a//b", "$(id)"] {
        let settings = Settings { image: Some(image.to_owned()), ..settings::parse(r#"{"image": "a"}"#).expect("it is one") };
        assert_eq!(settings.read().expect_err(image)[0].at, "/image");
    }
}

#[test]
fn no_container_is_an_option_or_a_path() {
    for container in ["", "-f", "../x", "a/b", "a b"] {
        assert_eq!(places(&format!(r#"{{"container": "{container}"}}"#)), ["/container"]);
    }
}

#[test]
fn a_command_line_is_split_and_followed_by_args() {
    let settings: Settings = settings::parse(r#"{"image": "a", "command": "sh -c 'a b'", "args": ["$x"]}"#).expect("the shapes are right");
    assert_eq!(settings.read().expect("it is good").command.expect("there is one"), ["sh", "-c", "a b", "$x"]);
    let settings: Settings = settings::parse(r#"{"image": "a", "entrypoint": []}"#).expect("the shapes are right");
    let read = settings.read().expect("it is good");
    assert_eq!((read.entrypoint, read.command), (Some(vec![]), None), "an empty list clears the image's own");
}

#[test]
fn unknown_keys_are_refused_by_name() {
    let problems =
        settings::parse::<Settings>(r#"{"image": "a", "restart": "always", "registry": {"user": "u", "password_secret": "s", "password": "p"}}"#)
            .expect_err("both are unknown");
    let found: Vec<&str> = problems.iter().map(|problem| problem.at.as_str()).collect();
    assert!(found.contains(&"/restart") && found.contains(&"/registry/password"), "{found:?}");
}
