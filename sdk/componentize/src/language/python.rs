//! Python: `componentize-py` puts CPython and the plugin's modules into a component.

use super::tool::{self, Tool};
use crate::contract::{Contract, STAND_IN, WORLD};
use crate::{BuildError, Project, namespace};
use std::path::PathBuf;

const COMPONENTIZE: Tool = Tool {
    names: &["componentize-py"],
    home: "python/bin",
    local: ".venv/bin",
    install: "python3 -m venv TOOLS/python && TOOLS/python/bin/pip install componentize-py==0.25.1",
};

/// Two interfaces of the same name would otherwise get names that hang on what else is imported.
const NAMES: [(&str, &str); 3] =
    [("hostler:plugin/types", "types"), ("wasi:http/types", "http_types"), ("wasi:filesystem/types", "filesystem_types")];

/// The program that the build calls first.
pub(super) fn tool(project: &Project) -> Result<PathBuf, BuildError> {
    COMPONENTIZE.find(project)
}

pub(super) fn build(project: &Project, say: &mut dyn FnMut(&str)) -> Result<Vec<u8>, BuildError> {
    tool::entry(project, "app.py")?;
    let program = COMPONENTIZE.find(project)?;
    say(&format!("building {} with {}", project.dir.display(), program.display()));
    let contract = Contract::write(project, true)?;
    let no_packages = tool::empty(project, "no-packages")?;
    tool::empty(project, "no-packages/lib/python3/site-packages")?;
    let begun = || {
        let mut command = tool::call(&program, project);
        command.arg("--quiet").arg("--wit-path").arg(&contract.dir).args(["--world", WORLD]);
        for name in names(&contract) {
            command.args(["--import-interface-name", &name]);
        }
        // packages of the machine are none of the plugin's; those of its own environment are
        let own = project.dir.join(".venv");
        command.env("VIRTUAL_ENV", if own.is_dir() { own } else { no_packages.clone() });
        command
    };
    let bindings = tool::empty(project, "bindings")?;
    let mut command = begun();
    command.arg("bindings").arg(&bindings);
    tool::run(command, project)?;

    let modules = tool::empty(project, "modules")?;
    tool::copy(&project.dir, &modules, &[".py", ".json"], &|text| text)?;
    let component = project.work_dir().join("interpreted.wasm");
    let mut command = begun();
    command.args(["componentize", "--stub-wasi", "--python-path"]).arg(&modules).arg("--output").arg(&component).arg("app");
    tool::run(command, project)?;
    let bytes = std::fs::read(&component).map_err(BuildError::io(format!("reading {}", component.display())))?;
    namespace::restore(bytes).map_err(|why| BuildError::Tool { tool: "componentize-py".to_owned(), project: project.dir.clone(), said: why })
}

/// `INTERFACE=MODULE` for those of [`NAMES`] that the world imports.
fn names(contract: &Contract) -> Vec<String> {
    let world = &contract.resolve.worlds[contract.world()];
    let imported: Vec<String> = world.imports.keys().map(|key| contract.resolve.name_world_key(key)).collect();
    let named = |(interface, module): (&str, &str)| {
        let interface = interface.replacen("wasi:", &format!("{STAND_IN}:"), 1);
        imported.iter().find(|name| name.split('@').next() == Some(interface.as_str())).map(|name| format!("{name}={module}"))
    };
    NAMES.into_iter().filter_map(named).collect()
}
