//! JavaScript: `componentize-qjs` puts QuickJS and the plugin's modules into a component.

use super::tool::{self, Tool};
use crate::contract::{Contract, STAND_IN, WORLD};
use crate::{BuildError, Project, namespace};
use std::path::PathBuf;

const COMPONENTIZE: Tool = Tool {
    names: &["componentize-qjs"],
    home: "javascript/node_modules/.bin",
    local: "node_modules/.bin",
    install: "npm install --prefix TOOLS/javascript componentize-qjs@0.4.5",
};

/// The program that the build calls first.
pub(super) fn tool(project: &Project) -> Result<PathBuf, BuildError> {
    COMPONENTIZE.find(project)
}

pub(super) fn build(project: &Project, say: &mut dyn FnMut(&str)) -> Result<Vec<u8>, BuildError> {
    tool::entry(project, "app.js")?;
    let program = COMPONENTIZE.find(project)?;
    say(&format!("building {} with {}", project.dir.display(), program.display()));
    let contract = Contract::write(project, true)?;
    let modules = tool::empty(project, "modules")?;
    tool::copy(&project.dir, &modules, &[".js", ".mjs", ".json"], &under_the_stand_in)?;
    let component = project.work_dir().join("interpreted.wasm");
    let mut command = tool::call(&program, project);
    command.arg("--wit").arg(&contract.dir).args(["--world", WORLD]).arg("--js").arg(modules.join("app.js")).arg("--module-root").arg(&modules);
    command.args(["--sync", "--stub-wasi", "--opt-size", "--output"]).arg(&component);
    tool::run(command, project)?;
    let bytes = std::fs::read(&component).map_err(BuildError::io(format!("reading {}", component.display())))?;
    namespace::restore(bytes).map_err(|why| BuildError::Tool { tool: "componentize-qjs".to_owned(), project: project.dir.clone(), said: why })
}

/// What a plugin imports of WASI has another name during the build.
fn under_the_stand_in(text: String) -> String {
    ['"', '\''].into_iter().fold(text, |text, quote| text.replace(&format!("{quote}wasi:"), &format!("{quote}{STAND_IN}:")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_interfaces_are_changed() {
        let text = "import * as http from \"wasi:http/types@0.2.12\";\nimport x from 'wasi:io/poll@0.2.12'; // wasi: is a word\n";
        let expected = "import * as http from \"wazi:http/types@0.2.12\";\nimport x from 'wazi:io/poll@0.2.12'; // wasi: is a word\n";
        assert_eq!(under_the_stand_in(text.to_owned()), expected);
    }
}
