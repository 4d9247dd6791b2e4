//! Which environment variables a plugin may set for what it runs.

use std::ffi::OsStr;

use super::{ProgramRule, pattern};

/// A grant's environment, read once.
#[derive(Debug)]
pub(crate) enum Environment {
    /// Whoever may run any program may set anything.
    Any,
    /// None of those that make a granted program run something else.
    Harmless {
        /// The host's own search path, which may be passed on.
        path: Option<String>,
    },
    /// These, by patterns.
    Only(Vec<String>),
}

/// By these a loader, an interpreter or a common tool is told to run other code; a last `*` stands for any text.
const LEADING: [&str; 33] = [
    "PATH",
    "LD_*",
    "GCONV_PATH",
    "GLIBC_TUNABLES",
    "BASH_ENV",
    "BASH_FUNC_*",
    "BASHOPTS",
    "ENV",
    "IFS",
    "PS4",
    "SHELLOPTS",
    "PERL5*",
    "PERLLIB",
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "PYTHONUSERBASE",
    "RUBYLIB",
    "RUBYOPT",
    "NODE_OPTIONS",
    "NODE_PATH",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "_JAVA_OPTIONS",
    "GIT_*",
    "SSH_ASKPASS*",
    "*PAGER",
    "*EDITOR",
    "VISUAL",
    "LESSOPEN",
    "LESSCLOSE",
    "OPENSSL_CONF",
    "OPENSSL_MODULES",
];

impl Environment {
    /// Reads what a grant says of names, beside its programs. `path` is the host's own.
    pub(crate) fn settle(names: Option<&[String]>, programs: &[ProgramRule], path: Option<&OsStr>) -> Result<Environment, String> {
        if let Some(wrong) = names.into_iter().flatten().find(|name| name.is_empty() || name.contains(['=', '\0'])) {
            return Err(format!("`env` has {wrong:?}, which is no name of an environment variable"));
        }
        let any = |rule: &ProgramRule| matches!(rule, ProgramRule::Any(program) if program == "*");
        Ok(match names {
            Some(names) => Environment::Only(names.to_vec()),
            None if programs.iter().any(any) => Environment::Any,
            None => Environment::Harmless { path: path.and_then(OsStr::to_str).map(str::to_owned) },
        })
    }

    /// The first of these variables that may not be set, as a refusal names it: without its value.
    pub(crate) fn refused(&self, env: &[(String, String)]) -> Option<String> {
        let (name, _) = env.iter().find(|(name, value)| !self.admits(name, value))?;
        let hint = match self {
            Environment::Harmless { .. } => ", by which a program is made to run another; `env` in the grant names those that may be set",
            Environment::Any | Environment::Only(_) => "",
        };
        Some(format!("environment variable `{name}`{hint}"))
    }

    fn admits(&self, name: &str, value: &str) -> bool {
        match self {
            Environment::Any => true,
            Environment::Harmless { path } => {
                let is_ours = name == "PATH" && path.as_deref() == Some(value);
                is_ours || !LEADING.iter().any(|leading| pattern::matches(leading, name))
            }
            Environment::Only(names) => names.iter().any(|granted| pattern::matches(granted, name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(names: Option<&[&str]>, programs: &str, name: &str, value: &str) -> Option<String> {
        let names: Option<Vec<String>> = names.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        let programs: Vec<ProgramRule> = serde_json::from_str(programs).expect("rules");
        let settled = Environment::settle(names.as_deref(), &programs, Some(OsStr::new("/bin"))).expect("settles");
        settled.refused(&[("LANG".to_owned(), "C".to_owned()), (name.to_owned(), value.to_owned())])
    }

    #[test]
    fn a_granted_program_is_not_made_to_run_another() {
        for name in ["LD_PRELOAD", "LD_LIBRARY_PATH", "BASH_ENV", "ENV", "PERL5OPT", "PYTHONPATH", "NODE_OPTIONS", "GIT_SSH_COMMAND", "PAGER", "PATH"]
        {
            let why = refused(None, r#"["/bin/x"]"#, name, "canary");
            assert!(why.as_ref().is_some_and(|why| why.contains(name) && !why.contains("canary")), "{name}: {why:?}");
            assert!(refused(None, r#"[{"program": "*", "args": ["-v"]}]"#, name, "canary").is_some(), "{name}");
            assert_eq!(refused(None, r#"["/bin/x", "*"]"#, name, "canary"), None, "who may run anything needs none of these");
        }
        assert_eq!(refused(None, r#"["/bin/x"]"#, "MODE", "fast"), None);
        assert_eq!(refused(None, r#"["/bin/x"]"#, "PATH", "/bin"), None, "the host's own");
    }

    #[test]
    fn names_that_are_granted_are_the_only_ones() {
        let only: &[&str] = &["LANG", "PG*", "LD_LIBRARY_PATH"];
        for (name, fine) in [("PGHOST", true), ("LD_LIBRARY_PATH", true), ("LD_PRELOAD", false), ("MODE", false)] {
            assert_eq!(refused(Some(only), r#"["*"]"#, name, "x").is_none(), fine, "{name}");
        }
        assert!(Environment::settle(Some(&["A=B".to_owned()]), &[], None).is_err_and(|why| why.contains("A=B")));
    }
}
