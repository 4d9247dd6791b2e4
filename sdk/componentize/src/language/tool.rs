//! Programs of other languages: where they are, and what they say.

use crate::{BuildError, Project};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A program that a build calls.
pub(super) struct Tool {
    /// As it is called on a search path; the first that is there is taken.
    pub(super) names: &'static [&'static str],
    /// Below the folder of tools.
    pub(super) home: &'static str,
    /// Below a project's own folder.
    pub(super) local: &'static str,
    /// What installs it; `TOOLS` stands for the folder of tools.
    pub(super) install: &'static str,
}

impl Tool {
    /// Looks in the project, in the folder of tools, then on the search path.
    pub(super) fn find(&self, project: &Project) -> Result<PathBuf, BuildError> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let homes = [project.dir.join(self.local), folder().join(self.home)].into_iter().chain(std::env::split_paths(&path));
        let mut programs = homes.flat_map(|home| self.names.iter().map(move |name| home.join(name)));
        programs.find(|program| program.is_file()).ok_or_else(|| BuildError::NoTool {
            tool: self.names[0].to_owned(),
            hint: self.install.replace("TOOLS", &folder().display().to_string()),
        })
    }
}

/// Where tools are installed for one user: `HOSTLER_TOOLS`, else `hostler/tools` in the user's cache.
fn folder() -> PathBuf {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = || named("XDG_CACHE_HOME").or_else(|| named("HOME").map(|home| home.join(".cache"))).unwrap_or_default();
    named("HOSTLER_TOOLS").unwrap_or_else(|| cache().join("hostler/tools"))
}

/// A call of a tool in a project, with what it needs of other tools on its search path.
pub(super) fn call(program: &Path, project: &Project) -> Command {
    let mut command = Command::new(program);
    let path = std::env::var_os("PATH").unwrap_or_default();
    // an npm package's program asks for `node`, which may be one of the tools
    let with_tools = std::env::join_paths(std::env::split_paths(&path).chain([folder().join("python/bin")]));
    // what a tool has to say of a plugin should not drown in where it stood itself
    command.env("RUST_BACKTRACE", "0").env("PATH", with_tools.unwrap_or(path)).current_dir(&project.dir).stdin(Stdio::null());
    command
}

/// Runs a tool to its end. What it has to say of the plugin goes to standard error, line by line, as cargo's words do.
pub(super) fn run(mut command: Command, project: &Project) -> Result<(), BuildError> {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default().display().to_string();
    let output = command.stderr(Stdio::inherit()).output().map_err(BuildError::io(format!("running {program}")))?;
    if output.status.success() {
        return Ok(());
    }
    // some tools say on standard output what is wrong; where nobody listens there is nothing to be done
    let _ = std::io::Write::write_all(&mut std::io::stderr(), &output.stdout);
    let said = "its messages are above".to_owned();
    Err(BuildError::Tool { tool: program, project: project.dir.clone(), said })
}

/// Makes a folder of the project's work folder, empty.
pub(super) fn empty(project: &Project, name: &str) -> Result<PathBuf, BuildError> {
    let dir = project.work_dir().join(name);
    if dir.exists() {
        std::fs::remove_dir_all(&dir).map_err(BuildError::io(format!("clearing {}", dir.display())))?;
    }
    std::fs::create_dir_all(&dir).map_err(BuildError::io(format!("creating {}", dir.display())))?;
    Ok(dir)
}

/// The file that a plugin in this language begins with.
pub(super) fn entry(project: &Project, name: &str) -> Result<PathBuf, BuildError> {
    let file = project.dir.join(name);
    if file.is_file() {
        return Ok(file);
    }
    Err(BuildError::Project { file, why: "it is missing; a plugin in this language begins there".to_owned() })
}

/// Folders of a project that are no part of the plugin.
const LEFT_OUT: [&str; 4] = ["node_modules", "target", "test", "tests"];

/// Copies the modules of a plugin, each changed as its language needs it. Tools see a copy because they see nothing of a machine beside one folder,
/// where links lead nowhere. Hidden files, tests and what other builds left are not copied.
pub(super) fn copy(from: &Path, to: &Path, endings: &[&str], change: &dyn Fn(String) -> String) -> Result<(), BuildError> {
    let reading = || BuildError::io(format!("reading {}", from.display()));
    for entry in std::fs::read_dir(from).map_err(reading())? {
        let path = entry.map_err(reading())?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|name| !name.starts_with('.')) else { continue };
        let to = to.join(name);
        if path.is_dir() && !LEFT_OUT.contains(&name) {
            std::fs::create_dir_all(&to).map_err(BuildError::io(format!("creating {}", to.display())))?;
            copy(&path, &to, endings, change)?;
        } else if path.is_file() && endings.iter().any(|ending| name.ends_with(ending)) && !is_test(name) {
            let text = std::fs::read_to_string(&path).map_err(BuildError::io(format!("reading {}", path.display())))?;
            std::fs::write(&to, change(text)).map_err(BuildError::io(format!("writing {}", to.display())))?;
        }
    }
    Ok(())
}

fn is_test(name: &str) -> bool {
    name.starts_with("test_") || name.contains(".test.")
}
