//! Which programs may be run, with which arguments.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::{ProgramArgs, ProgramRule, pattern};

/// Rules for programs, their bare names resolved once on the host's own search path.
#[derive(Debug)]
pub(crate) struct Programs {
    rules: Vec<Rule>,
    resolved: BTreeMap<String, PathBuf>,
    search: Vec<PathBuf>,
}

#[derive(Debug)]
struct Rule {
    program: String,
    args: Option<Vec<String>>,
}

/// Why a program may not be run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// No rule allows it; the text is what to grant.
    Denied(String),
    /// A bare name that is allowed, and found nowhere.
    NotFound(String),
    /// Not a name for a program at all.
    Invalid(String),
}

impl Programs {
    /// Reads the rules; a rule that can match nothing is an error for the operator.
    pub(crate) fn settle(rules: &[ProgramRule], search: Option<&OsStr>) -> Result<Programs, String> {
        let search: Vec<PathBuf> = search.map(|path| std::env::split_paths(path).filter(|dir| dir.is_absolute()).collect()).unwrap_or_default();
        let rules: Vec<Rule> = rules.iter().map(Rule::read).collect();
        for rule in &rules {
            if !(rule.program == "*" || rule.program.starts_with('/') || is_bare(&rule.program)) {
                return Err(format!("program `{}` is neither \"*\", nor an absolute path, nor a bare name", rule.program));
            }
        }
        let bare = rules.iter().map(|rule| rule.program.as_str()).filter(|program| is_bare(program) && *program != "*");
        let resolved = bare.filter_map(|name| Some((name.to_owned(), find(&search, name)?))).collect();
        Ok(Programs { rules, resolved, search })
    }

    /// The absolute path to run for what the plugin asked, if it may.
    pub(crate) fn admit(&self, program: &str, args: &[String]) -> Result<PathBuf, Refused> {
        check_text("program", program)?;
        if let Some(at) = args.iter().position(|arg| arg.contains('\0')) {
            return Err(Refused::Invalid(format!("argument {} contains a NUL byte", at + 1)));
        }
        if program.starts_with('/') {
            check_path(program)?;
        } else if !is_bare(program) {
            return Err(Refused::Invalid(format!("program `{program}` is neither an absolute path nor a bare name")));
        }
        let mut misfit = None;
        for rule in self.rules.iter().filter(|rule| self.names(rule, program)) {
            match rule.misfit(args) {
                None => return self.locate(program),
                Some(why) => misfit = Some(why),
            }
        }
        Err(Refused::Denied(misfit.map_or_else(|| format!("program `{program}`"), |why| format!("program `{program}` with {why}"))))
    }

    fn names(&self, rule: &Rule, program: &str) -> bool {
        rule.program == "*"
            || rule.program == program
            || (program.starts_with('/') && self.resolved.get(&rule.program).is_some_and(|path| path == Path::new(program)))
    }

    fn locate(&self, program: &str) -> Result<PathBuf, Refused> {
        if program.starts_with('/') {
            return Ok(PathBuf::from(program));
        }
        let found = self.resolved.get(program).cloned().or_else(|| find(&self.search, program));
        found.ok_or_else(|| Refused::NotFound(format!("program `{program}` is nowhere on the host's search path")))
    }
}

impl Rule {
    fn read(rule: &ProgramRule) -> Rule {
        match rule {
            ProgramRule::Any(program) => Rule { program: program.clone(), args: None },
            ProgramRule::Exact(ProgramArgs { program, args }) => Rule { program: program.clone(), args: Some(args.clone()) },
        }
    }

    /// What of these arguments is not allowed, without what they say: they may hold what nobody should read.
    fn misfit(&self, args: &[String]) -> Option<String> {
        let patterns = self.args.as_ref()?;
        let (patterns, open) = match patterns.split_last() {
            Some((last, rest)) if last == "..." => (rest, true),
            _ => (patterns.as_slice(), false),
        };
        if args.len() < patterns.len() || (args.len() > patterns.len() && !open) {
            let most = if open { " or more" } else { "" };
            return Some(format!("another number of arguments: {}, and {}{most} are granted", args.len(), patterns.len()));
        }
        let wrong = patterns.iter().zip(args).position(|(pattern, arg)| !pattern::matches(pattern, arg))?;
        Some(format!("an argument {} that does not fit `{}`", wrong + 1, patterns[wrong]))
    }
}

fn is_bare(program: &str) -> bool {
    !program.is_empty() && !program.contains('/') && program != "." && program != ".."
}

fn check_text(what: &str, text: &str) -> Result<(), Refused> {
    if text.is_empty() {
        return Err(Refused::Invalid(format!("{what} is empty")));
    }
    check_no_nul(what, text)
}

/// A NUL would cut the text short on its way into the new process.
pub(crate) fn check_no_nul(what: &str, text: &str) -> Result<(), Refused> {
    if text.contains('\0') {
        return Err(Refused::Invalid(format!("{what} {text:?} contains a NUL byte")));
    }
    Ok(())
}

/// A path that walks (`..`) could leave what a rule names.
fn check_path(path: &str) -> Result<(), Refused> {
    if path.split('/').any(|part| part == ".." || part == ".") {
        return Err(Refused::Invalid(format!("path `{path}` contains `.` or `..`")));
    }
    Ok(())
}

fn find(search: &[PathBuf], name: &str) -> Option<PathBuf> {
    search.iter().map(|dir| dir.join(name)).find(|path| is_executable(path))
}

fn is_executable(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settle(rules: &str) -> Programs {
        let rules: Vec<ProgramRule> = serde_json::from_str(rules).expect("rules");
        Programs::settle(&rules, Some(OsStr::new("relative:/usr/bin:/bin"))).expect("settles")
    }

    fn admit(programs: &Programs, program: &str, args: &[&str]) -> Result<PathBuf, Refused> {
        programs.admit(program, &args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn only_what_a_rule_names_is_admitted() {
        let programs = settle(r#"["/bin/true", "sh"]"#);
        assert_eq!(admit(&programs, "/bin/true", &["anything"]), Ok(PathBuf::from("/bin/true")));
        assert!(admit(&programs, "sh", &[]).is_ok());
        assert!(matches!(admit(&programs, "/bin/false", &[]), Err(Refused::Denied(_))));
        assert!(matches!(admit(&programs, "true", &[]), Err(Refused::Denied(_))));
        assert!(matches!(admit(&programs, "../bin/true", &[]), Err(Refused::Invalid(_))));
        assert!(matches!(admit(&programs, "/bin/../bin/true", &[]), Err(Refused::Invalid(_))));
        assert!(matches!(admit(&programs, "/bin/true\0x", &[]), Err(Refused::Invalid(_))));
        assert!(matches!(admit(&programs, "/bin/true", &["a\0b"]), Err(Refused::Invalid(_))));
        assert!(matches!(admit(&programs, "", &[]), Err(Refused::Invalid(_))));
    }

    #[test]
    fn arguments_match_position_by_position() {
        let programs = settle(r#"[{"program": "/bin/pg", "args": ["-h", "*.local", "..."]}, {"program": "/bin/one", "args": ["--ok"]}]"#);
        assert!(admit(&programs, "/bin/pg", &["-h", "db.local"]).is_ok());
        assert!(admit(&programs, "/bin/pg", &["-h", "db.local", "-p", "1"]).is_ok());
        assert!(matches!(admit(&programs, "/bin/pg", &["-h", "evil.com"]), Err(Refused::Denied(_))));
        assert!(matches!(admit(&programs, "/bin/pg", &["-h"]), Err(Refused::Denied(_))));
        assert!(matches!(admit(&programs, "/bin/one", &["--ok", "--rm"]), Err(Refused::Denied(_))));
        assert!(matches!(admit(&programs, "/bin/one", &[]), Err(Refused::Denied(_))));
    }

    #[test]
    fn what_an_argument_says_is_not_repeated() {
        let programs = settle(r#"[{"program": "/bin/pg", "args": ["--password", "x*"]}, {"program": "/bin/some", "args": ["-a", "..."]}]"#);
        let check = |program: &str, args: &[&str], expected: &str| {
            assert_eq!(admit(&programs, program, args), Err(Refused::Denied(expected.to_owned())), "{args:?}");
        };
        check("/bin/pg", &["--password", "hunter2"], "program `/bin/pg` with an argument 2 that does not fit `x*`");
        check("/bin/pg", &["hunter2"], "program `/bin/pg` with another number of arguments: 1, and 2 are granted");
        check("/bin/some", &[], "program `/bin/some` with another number of arguments: 0, and 1 or more are granted");
        let nul = admit(&programs, "/bin/pg", &["hunter2\0"]);
        assert_eq!(nul, Err(Refused::Invalid("argument 1 contains a NUL byte".to_owned())));
    }

    #[test]
    fn a_bare_name_that_is_nowhere_says_so() {
        let programs = settle(r#"["*"]"#);
        assert!(matches!(admit(&programs, "no-such-program-here", &[]), Err(Refused::NotFound(_))));
        assert!(admit(&programs, "sh", &["-c", "$(rm -rf /); \n -x"]).is_ok());
    }

    #[test]
    fn a_rule_that_can_match_nothing_is_refused() {
        let rules = vec![ProgramRule::Any("bin/x".into())];
        assert!(Programs::settle(&rules, None).is_err());
    }
}
