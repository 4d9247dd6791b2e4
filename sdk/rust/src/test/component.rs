//! The real component, through the program `hostler`.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A component on disk. The program that loads it is the one that `HOSTLER` names, else `hostler` on the search path.
pub struct Component {
    path: PathBuf,
}

impl Component {
    /// Builds the project in a folder: `env!("CARGO_MANIFEST_DIR")` is one's own.
    ///
    /// # Panics
    /// With what the build said, when it fails.
    pub fn build(project: impl AsRef<Path>) -> Self {
        let path = project.as_ref().join("target/component.wasm");
        run(Command::new(program()).args(["plugin", "build"]).arg(project.as_ref()).arg("--out").arg(&path));
        Self { path }
    }

    /// One that is there already.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Holds it against the contract, item by item: `hostler plugin check`.
    ///
    /// # Panics
    /// With the table of cases, when one fails.
    pub fn check(&self) {
        self.check_with(&[]);
    }

    /// As [`check`](Self::check), with options of the command: `&["--settings", r#"{"path": "/"}"#]`.
    ///
    /// # Panics
    /// With the table of cases, when one fails.
    pub fn check_with(&self, options: &[&str]) {
        run(Command::new(program()).args(["plugin", "check"]).arg(&self.path).args(options));
    }

    /// Calls one exported function in a fresh instance: `hostler plugin call FILE FUNCTION JSON`, with an array of its arguments.
    ///
    /// # Panics
    /// With what the program said, when it fails.
    pub fn call(&self, function: &str, arguments: &Value) -> Value {
        let output = run(Command::new(program()).args(["--json", "plugin", "call"]).arg(&self.path).args([function, &arguments.to_string()]));
        serde_json::from_slice(&output.stdout).expect("with --json it answers JSON")
    }
}

fn program() -> PathBuf {
    std::env::var_os("HOSTLER").map_or_else(|| "hostler".into(), PathBuf::from)
}

fn run(command: &mut Command) -> Output {
    let said = format!("{command:?}");
    let output = command.output().unwrap_or_else(|error| panic!("{said}: {error}; put `hostler` on the search path, or name it with HOSTLER"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said} failed ({}):\n{out}{err}", output.status);
    output
}
