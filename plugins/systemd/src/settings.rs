//! What a service file says about one task; `task.json` says the same as a schema.

use std::collections::BTreeMap;

use hostler_sdk::Problem;
use hostler_sdk::settings::{Text, pointer_key};
use serde::Deserialize;

use crate::properties;

/// A program of one's own, or an installed unit.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) binary: Option<String>,
    #[serde(default)]
    pub(crate) args: Vec<Text>,
    #[serde(default)]
    pub(crate) env: BTreeMap<String, Text>,
    pub(crate) working_dir: Option<String>,
    pub(crate) user: Option<Text>,
    #[serde(default)]
    pub(crate) properties: BTreeMap<String, Values>,
    pub(crate) unit: Option<String>,
    #[serde(default)]
    pub(crate) scope: Where,
}

/// Whose systemd runs it.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Where {
    #[default]
    System,
    User,
}

/// A property's value, or several, each of which is set in turn.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Values {
    One(Text),
    Many(Vec<Text>),
}

impl Values {
    pub(crate) fn all(&self) -> &[Text] {
        match self {
            Values::One(value) => std::slice::from_ref(value),
            Values::Many(values) => values,
        }
    }
}

impl Settings {
    /// What a schema cannot say: texts that no system takes, and what does not go together.
    pub(crate) fn check(&self) -> Result<(), Vec<Problem>> {
        let mut problems = Vec::new();
        self.check_kind(&mut problems);
        self.check_texts(&mut problems);
        self.check_properties(&mut problems);
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    fn check_kind(&self, problems: &mut Vec<Problem>) {
        match (&self.binary, &self.unit) {
            (None, None) => {
                problems.push(Problem::new("", "names neither a program nor a unit").hint("give `binary`, or `unit` for one that is installed"))
            }
            (Some(binary), None) if binary.is_empty() => problems.push(Problem::new("/binary", "is empty").hint("give the path of a program")),
            (Some(_), None) => {}
            (_, Some(unit)) => {
                if let Some(wrong) = wrong_with_unit(unit) {
                    problems.push(Problem::new("/unit", wrong).hint("give the name of a service, as `systemctl` shows it: nginx.service"));
                }
                problems.extend(self.beside_a_unit().map(|at| Problem::new(at, "does not go with `unit`: the unit's own file says it")));
            }
        }
    }

    /// Settings that only a program of one's own can have.
    fn beside_a_unit(&self) -> impl Iterator<Item = &'static str> {
        let user = self.scope == Where::System && self.user.is_some();
        let given = [
            ("/binary", self.binary.is_some()),
            ("/args", !self.args.is_empty()),
            ("/env", !self.env.is_empty()),
            ("/working_dir", self.working_dir.is_some()),
            ("/properties", !self.properties.is_empty()),
            ("/user", user),
        ];
        given.into_iter().filter(|(_, given)| *given).map(|(at, _)| at)
    }

    fn check_texts(&self, problems: &mut Vec<Problem>) {
        let args = self.args.iter().enumerate().map(|(index, arg)| (format!("/args/{index}"), arg.0.as_str()));
        let env = self.env.iter().map(|(name, value)| (variable(name), value.0.as_str()));
        let names = self.env.keys().map(|name| (variable(name), name.as_str()));
        let single = [
            ("/binary", self.binary.as_deref()),
            ("/working_dir", self.working_dir.as_deref()),
            ("/user", self.user.as_ref().map(|user| user.0.as_str())),
        ];
        let single = single.into_iter().filter_map(|(at, text)| Some((at.to_owned(), text?)));
        for (at, text) in single.chain(args).chain(names).chain(env) {
            if text.contains('\0') {
                problems.push(Problem::new(at, "contains a NUL byte, which no program can be given"));
            }
        }
        for name in self.env.keys().filter(|name| !is_variable(name)) {
            problems
                .push(Problem::new(variable(name), "is no name for a variable that systemd sets: letters, digits and `_`, and no digit in front"));
        }
        if let Some(directory) = self.working_dir.as_ref().filter(|directory| !directory.starts_with('/')) {
            problems.push(Problem::new("/working_dir", format!("`{directory}` is no absolute path")));
        }
        if let Some(user) = self.user.as_ref().filter(|user| !is_user(&user.0, self.scope)) {
            problems.push(
                Problem::new("/user", format!("`{}` is no user", user.0.escape_debug()))
                    .hint("a name or a number; in the system's scope also `user:group`"),
            );
        }
    }

    fn check_properties(&self, problems: &mut Vec<Problem>) {
        for (name, values) in &self.properties {
            let at = format!("/properties/{}", pointer_key(name));
            if let Some(hint) = properties::refused(name) {
                problems.push(Problem::new(at, format!("`{}` is no property that a service can set", name.escape_debug())).hint(hint));
            } else if values.all().iter().any(|value| value.0.contains(char::is_control)) {
                problems.push(Problem::new(at, "contains a control character"));
            }
        }
    }
}

/// The pointer to an environment variable.
fn variable(name: &str) -> String {
    format!("/env/{}", pointer_key(name))
}

fn is_variable(name: &str) -> bool {
    !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Names as `useradd` allows them, and a little more; never one that reads as an option.
fn is_user(text: &str, scope: Where) -> bool {
    let (user, group) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
    let is_name = |name: &str| {
        !name.is_empty()
            && !name.starts_with('-')
            && name.len() <= 256
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.@".contains(&byte))
    };
    is_name(user) && group.is_none_or(|group| scope == Where::System && is_name(group))
}

/// Why this is no name of a service's unit; nothing when it is one.
pub(crate) fn wrong_with_unit(unit: &str) -> Option<String> {
    let shown = unit.escape_debug();
    let stem = unit.strip_suffix(".service");
    match () {
        () if unit.len() > 255 => Some("is longer than 255 bytes".into()),
        () if stem.is_none_or(str::is_empty) => Some(format!("`{shown}` does not end in `.service`")),
        () if unit.starts_with('-') || !unit.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte)) => {
            Some(format!("`{shown}` is no unit's name: letters, digits and `:-_.\\@`, and no dash in front"))
        }
        () if unit.starts_with("hostler-") => Some(format!("`{shown}` belongs to a hostler itself")),
        () if stem.is_some_and(|stem| stem.ends_with('@')) => Some(format!("`{shown}` is a template; name an instance of it")),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_sdk::settings;

    #[track_caller]
    fn places(text: &str) -> Vec<String> {
        let settings: Settings = settings::parse(text).expect("the shapes are right");
        settings.check().err().unwrap_or_default().into_iter().map(|problem| problem.at).collect()
    }

    #[test]
    fn good_ones_pass() {
        for text in [
            r#"{"binary": "/bin/x", "args": ["-x", "$(id)", "a\nb"], "env": {"PORT": 80}, "working_dir": "/srv", "user": "www-data:adm", "properties": {"LimitNOFILE": 1024}}"#,
            r#"{"unit": "nginx.service"}"#,
            r#"{"unit": "getty@tty1.service", "scope": "system"}"#,
            r#"{"unit": "syncthing.service", "scope": "user", "user": "deploy"}"#,
            r#"{"binary": "/bin/x", "properties": {"ReadWritePaths": ["/srv", "/tmp"]}}"#,
        ] {
            assert_eq!(places(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn mistakes_are_told_at_their_place() {
        assert_eq!(places("{}"), [""]);
        assert_eq!(
            places(r#"{"binary": "", "args": ["ok", "a\u0000b"], "env": {"A=B": "x", "1": "y"}}"#),
            ["/binary", "/args/1", "/env/1", "/env/A=B"]
        );
        assert_eq!(places(r#"{"unit": "nginx.service", "binary": "/bin/x", "args": [1], "user": "x"}"#), ["/binary", "/args", "/user"]);
        assert_eq!(
            places(r#"{"binary": "/x", "properties": {"ExecStartPre": "/bin/evil", "Nice": "1\nExecStartPre=/bin/evil"}}"#),
            ["/properties/ExecStartPre", "/properties/Nice"]
        );
        assert_eq!(places(r#"{"binary": "/x", "working_dir": "-/srv", "user": "-x"}"#), ["/working_dir", "/user"]);
        assert_eq!(places(r#"{"binary": "/x", "scope": "user", "user": "a:b"}"#), ["/user"]);
    }

    #[test]
    fn no_name_of_a_unit_is_an_option_a_path_or_a_pattern() {
        for unit in [
            "",
            "nginx",
            ".service",
            "-H.service",
            "--now.service",
            "../x.service",
            "a b.service",
            "ng*.service",
            "[a].service",
            "a\n.service",
            "nginx.socket",
            "foo@.service",
            "hostler-h1-x.service",
        ] {
            assert!(wrong_with_unit(unit).is_some(), "{unit}");
        }
        assert!(wrong_with_unit(&format!("{}.service", "a".repeat(250))).is_some());
    }
}
