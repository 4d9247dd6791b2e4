//! What a service file says of one task, and the operator of the plugin; `task.json` and `config.json` say the same as schemas.

use hostler_remote::{
    Link, Spec,
    quote::{self, one_word},
};
use hostler_sdk::settings::{Text, pointer_key};
use hostler_sdk::{Problem, Task, TaskId};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

hostler_remote::reached! {
    #[derive(Debug, Clone, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(crate) struct Settings {
        host: String,
        user: Option<String>,
        pub(crate) binary: String,
        #[serde(default)]
        pub(crate) args: Vec<Text>,
        #[serde(default)]
        pub(crate) env: BTreeMap<String, Text>,
        pub(crate) working_dir: Option<String>,
        log_bytes: Option<u64>,
        log_files: Option<u32>,
    }
}

impl Settings {
    pub(crate) fn link(&self) -> Link {
        self.way(&self.host, self.user.as_deref())
    }

    /// What neither ssh nor a shell nor a program can be given.
    pub(crate) fn check(&self) -> Result<(), Vec<Problem>> {
        let mut problems = self.link().check();
        if self.binary.is_empty() || self.binary.starts_with('-') || (self.binary.contains('/') && !self.binary.starts_with('/')) {
            problems.push(
                Problem::new("/binary", "is no program of the other host")
                    .hint("an absolute path over there, or a bare name that its search path finds"),
            );
        }
        if self.working_dir.as_deref().is_some_and(|dir| !dir.starts_with('/')) {
            problems.push(Problem::new("/working_dir", "is not absolute").hint("a path on the other host, such as /srv/app"));
        }
        problems.extend(quote::bad_names(&self.env));
        let args = self.args.iter().enumerate().map(|(nth, arg)| (format!("/args/{nth}"), arg.0.as_str()));
        let env = self.env.iter().map(|(name, value)| (format!("/env/{}", pointer_key(name)), value.0.as_str()));
        let dir = self.working_dir.iter().map(|dir| ("/working_dir".to_owned(), dir.as_str()));
        for (at, text) in args.chain(env).chain(dir).chain([("/binary".to_owned(), self.binary.as_str())]) {
            if text.contains('\0') {
                problems.push(Problem::new(at, "contains a NUL byte, which no program can be given"));
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}

/// What a task becomes over there, with the texts it borrows.
pub(crate) struct Wanted {
    pub(crate) link: Link,
    id: TaskId,
    digest: String,
    slot: String,
    settings: Settings,
    args: Vec<String>,
    env: Vec<(String, String)>,
    note: &'static str,
}

impl Wanted {
    pub(crate) fn of(task: Task<Settings>) -> Self {
        let Task { id, spec_digest, settings, env, resources, .. } = task;
        let limited = resources.cpu_millis.is_some() || resources.memory_bytes.is_some() || resources.storage_bytes.is_some();
        Self {
            link: settings.link(),
            digest: one_word(&spec_digest),
            slot: one_word(&format!("{}/{}/{}", id.workspace, id.service, id.replica)),
            args: settings.args.iter().map(|arg| arg.0.clone()).collect(),
            env: environment(&id, env, &settings.env),
            note: if limited { "limits are not applied over ssh" } else { "" },
            settings,
            id,
        }
    }

    pub(crate) fn id(&self) -> &str {
        &self.id.id
    }

    pub(crate) fn spec(&self) -> Spec<'_> {
        Spec {
            id: &self.id.id,
            digest: &self.digest,
            slot: &self.slot,
            run: self.id.run,
            binary: &self.settings.binary,
            args: &self.args,
            env: self.env.clone(),
            directory: self.settings.working_dir.as_deref(),
            log_bytes: self.settings.log_bytes.unwrap_or(8 << 20),
            log_files: self.settings.log_files.unwrap_or(4),
            note: self.note,
            script: None,
            wait: Duration::from_secs(10),
        }
    }
}

/// The host's variables, then who the task is, then the user's own; the later wins. What a shell cannot set stays away.
fn environment(id: &TaskId, host: Vec<(String, String)>, own: &BTreeMap<String, Text>) -> Vec<(String, String)> {
    let mut env: BTreeMap<String, String> = host.into_iter().filter(|(name, _)| quote::is_variable(name)).collect();
    env.insert("HOSTLER_WORKSPACE".into(), id.workspace.clone());
    env.insert("HOSTLER_SERVICE".into(), id.service.clone());
    env.insert("HOSTLER_REPLICA".into(), id.replica.to_string());
    env.insert("HOSTLER_RUN".into(), id.run.to_string());
    env.extend(own.iter().map(|(name, value)| (name.clone(), value.0.clone())));
    env.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_sdk::settings;

    fn places(json: &str) -> Vec<String> {
        let settings: Settings = settings::parse(json).expect("the shapes are right");
        settings.check().map_or_else(|problems| problems.into_iter().map(|problem| problem.at).collect(), |()| Vec::new())
    }

    #[test]
    fn each_mistake_is_named_at_its_place() {
        let json = r#"{"host": "-oProxyCommand=id", "user": "-x", "binary": "../x", "working_dir": "a", "env": {"A.B": "1", "OK": "a\u0000"}, "args": ["\u0000"]}"#;
        assert_eq!(places(json), ["/host", "/user", "/binary", "/working_dir", "/env/A.B", "/args/0", "/env/OK"]);
    }

    #[test]
    fn hostile_arguments_are_no_mistake() {
        let json = r#"{"host": "h", "binary": "/bin/x", "args": ["; id", "$(id)", "-rf", "a\nb", "'"], "env": {"A": "`id`\n"}}"#;
        assert_eq!(places(json), [""; 0]);
    }

    #[test]
    fn a_default_that_is_written_is_the_same_link() {
        let link = |json: &str| settings::parse::<Settings>(json).expect("readable").link();
        assert_eq!(link(r#"{"host": "h", "binary": "x", "port": 22, "connect_timeout": 5}"#), link(r#"{"host": "h", "binary": "x"}"#));
    }
}
