//! What a service file says of one package; `task.json` says the same as a schema.

use hostler_remote::{Link, quote};
use hostler_sdk::Problem;
use hostler_sdk::settings::{Text, pointer_key};
use serde::Deserialize;
use std::collections::BTreeMap;

hostler_remote::reached! {
    #[derive(Debug, Clone, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(crate) struct Settings {
        pub(crate) package: String,
        pub(crate) digest: Option<String>,
        pub(crate) install_path: String,
        host: Option<String>,
        #[serde(default)]
        pub(crate) args: Vec<Text>,
        #[serde(default)]
        pub(crate) env: BTreeMap<String, Text>,
        pub(crate) user: Option<Text>,
        #[serde(default)]
        pub(crate) pre_install: Vec<Hook>,
        #[serde(default)]
        pub(crate) post_install: Vec<Hook>,
        #[serde(default = "default_keep")]
        pub(crate) keep: usize,
        #[serde(default = "default_true")]
        pub(crate) rollback: bool,
        #[serde(default = "default_settle")]
        pub(crate) health_timeout: u32,
        pub(crate) max_bytes: Option<u64>,
    }
}

/// A command of the operator's: a list is a program with its arguments, a text is for `/bin/sh -c`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "expected a command line, or a list of a program and its arguments")]
pub(crate) enum Hook {
    Line(String),
    Words(Vec<Text>),
}

impl Hook {
    /// Program and arguments.
    pub(crate) fn words(&self) -> Vec<String> {
        match self {
            Self::Line(line) => vec!["/bin/sh".into(), "-c".into(), line.clone()],
            Self::Words(words) => words.iter().map(|word| word.0.clone()).collect(),
        }
    }
}

fn default_keep() -> usize {
    3
}

fn default_true() -> bool {
    true
}

fn default_settle() -> u32 {
    30
}

impl Settings {
    /// The way to the host it is installed on; none to this one.
    pub(crate) fn link(&self) -> Option<Link> {
        self.host.as_deref().map(|host| self.way(host, self.user.as_ref().map(|user| user.0.as_str())))
    }

    /// What only another host has, or can be asked for.
    fn elsewhere(&self) -> Vec<Problem> {
        let Some(link) = self.link() else {
            let link = self.way("", None);
            let given = [
                ("/port", link.port.is_some()),
                ("/key_file", link.key_file.is_some()),
                ("/jump", link.jump.is_some()),
                ("/known_hosts", link.known_hosts.is_some()),
                ("/accept_new", link.accept_new),
                ("/connect_timeout", link.connect_timeout.is_some()),
                ("/state_dir", link.state_dir.is_some()),
            ];
            let without = |at: &str| Problem::new(at, "says how another host is reached, and none is named").hint("name it with `host`");
            return given.iter().filter(|(_, is)| *is).map(|(at, _)| without(at)).collect();
        };
        let mut problems = link.check();
        problems.extend(quote::bad_names(&self.env));
        if !self.install_path.starts_with('/') || self.install_path.contains('\n') || self.install_path.split('/').any(|part| part == "..") {
            problems.push(Problem::new("/install_path", "is no directory of the other host").hint("an absolute path, without `..`"));
        }
        problems
    }

    /// What no system takes.
    pub(crate) fn check(&self) -> Result<(), Vec<Problem>> {
        let mut problems = self.elsewhere();
        if self.digest.as_deref().is_some_and(|digest| !is_digest(digest)) {
            problems
                .push(Problem::new("/digest", "is no digest").hint("write `sha256:` and 64 hexadecimal digits; `hostler package inspect` prints it"));
        }
        for (at, path) in [("/package", &self.package), ("/install_path", &self.install_path)] {
            if !path.contains('/') || path.contains('\0') {
                problems.push(Problem::new(at, "is no path").hint("what lies beside the service file is `./name`"));
            }
        }
        if self.keep == 0 {
            problems.push(Problem::new("/keep", "is 0").hint("the release that runs is kept in any case: at least 1"));
        }
        for (list, hooks) in [("pre_install", &self.pre_install), ("post_install", &self.post_install)] {
            for (nth, hook) in hooks.iter().enumerate() {
                let words = hook.words();
                if words.first().is_none_or(String::is_empty) || words.iter().any(|word| word.contains('\0')) {
                    problems.push(Problem::new(format!("/{list}/{nth}"), "is no command: it is empty, or contains a NUL byte"));
                }
            }
        }
        for (name, value) in &self.env {
            if name.is_empty() || name.contains(['=', '\0']) || value.0.contains('\0') {
                problems.push(Problem::new(
                    format!("/env/{}", pointer_key(name)),
                    "is no variable: its name is empty or has `=`, or there is a NUL byte",
                ));
            }
        }
        for (nth, _) in self.args.iter().enumerate().filter(|(_, arg)| arg.0.contains('\0')) {
            problems.push(Problem::new(format!("/args/{nth}"), "contains a NUL byte, which no program can be given"));
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}

fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_sdk::settings::parse;

    #[test]
    fn mistakes_are_named_at_their_places() {
        let json = r#"{"package": "a", "install_path": "b", "digest": "md5:1", "keep": 0, "pre_install": [[]], "post_install": ["", "a\u0000"], "env": {"A=B": 1}, "args": ["\u0000"]}"#;
        let problems = parse::<Settings>(json).expect("the shapes are right").check().expect_err("eight mistakes");
        let places: Vec<&str> = problems.iter().map(|problem| problem.at.as_str()).collect();
        assert_eq!(places, ["/digest", "/package", "/install_path", "/keep", "/pre_install/0", "/post_install/1", "/env/A=B", "/args/0"]);
    }

    #[test]
    fn another_host_has_paths_of_its_own_and_no_option_in_a_name() {
        let places = |json: &str| -> Vec<String> {
            let problems = parse::<Settings>(json).expect("the shapes are right").check().err().unwrap_or_default();
            problems.into_iter().map(|problem| problem.at).collect()
        };
        assert_eq!(
            places(r#"{"package": "./a", "install_path": "./b", "host": "-oProxyCommand=id", "user": "0:0", "env": {"A.B": 1}}"#),
            ["/host", "/user", "/env/A.B", "/install_path"]
        );
        assert_eq!(places(r#"{"package": "./a", "install_path": "/b", "jump": "x", "port": 2222}"#), ["/port", "/jump"]);
        assert_eq!(places(r#"{"package": "./a", "install_path": "/b", "host": "h", "user": "deploy", "jump": "x"}"#), [""; 0]);
    }

    #[test]
    fn a_text_is_for_a_shell_and_a_list_is_not() {
        let settings: Settings = parse(r#"{"package": "a", "install_path": "/b", "pre_install": ["a && b", ["x", 1, "; y"]]}"#).expect("readable");
        assert_eq!(settings.pre_install[0].words(), ["/bin/sh", "-c", "a && b"]);
        assert_eq!(settings.pre_install[1].words(), ["x", "1", "; y"]);
    }
}
