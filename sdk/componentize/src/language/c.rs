//! C: bindings of the contract, clang, and a C library that is just large enough for them. No WASI is linked.

use super::tool::{self, Tool};
use crate::contract::Contract;
use crate::create::File;
use crate::{BuildError, Project, componentize, embedded};
use std::path::{Path, PathBuf};
use wit_bindgen_core::Files;

const CLANG: Tool = Tool {
    names: &["clang", "clang-22", "clang-21", "clang-20", "clang-19", "clang-18", "clang-17", "clang-16", "clang-15", "clang-14"],
    home: "clang/bin",
    local: "",
    install: "apt-get install -y --no-install-recommends clang-22 lld-22, or clang and lld of your system",
};

/// Folder of the SDK with the C library, which belongs to the build; the rest of it is copied into projects.
const LIBRARY: &str = "library/";

pub(super) fn vendored() -> Vec<File> {
    let own = embedded::C.iter().filter(|(path, _)| !path.starts_with(LIBRARY));
    own.map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}

/// The program that the build calls first.
pub(super) fn tool(project: &Project) -> Result<PathBuf, BuildError> {
    CLANG.find(project)
}

pub(super) fn build(project: &Project, say: &mut dyn FnMut(&str)) -> Result<Vec<u8>, BuildError> {
    let clang = CLANG.find(project)?;
    let sources = sources(project)?;
    say(&format!("building {} with {}", project.dir.display(), clang.display()));
    let bindings = bindings(project)?;
    let module = project.work_dir().join("module.wasm");
    let mut command = tool::call(&clang, project);
    command
        .args(["--target=wasm32-unknown-unknown", "-std=c17", "-Oz", "-Wall", "-Wextra", "-nostdlib", "-nostdlibinc", "-fno-builtin"])
        .args(["-Wl,--no-entry", "-Wl,--stack-first", "-Wl,--strip-debug", "-Wl,-z,stack-size=131072"])
        .arg("-isystem")
        .arg(bindings.join("include"))
        .arg("-isystem")
        .arg(&bindings)
        .arg("-I")
        .arg(&project.dir)
        .args(sources)
        .args(["plugin.c", "plugin_component_type.o", "library.c"].map(|file| bindings.join(file)))
        .arg("-o")
        .arg(&module);
    tool::run(command, project)?;
    let core = std::fs::read(&module).map_err(BuildError::io(format!("reading {}", module.display())))?;
    componentize(&core).map_err(|source| BuildError::Guest { name: project.name.clone(), source })
}

/// Every `.c` file of the project's folder; tests lie in a folder of their own.
fn sources(project: &Project) -> Result<Vec<PathBuf>, BuildError> {
    let reading = || BuildError::io(format!("reading {}", project.dir.display()));
    let mut sources = Vec::new();
    for entry in std::fs::read_dir(&project.dir).map_err(reading())? {
        let path = entry.map_err(reading())?.path();
        if path.extension().is_some_and(|extension| extension == "c") {
            sources.push(path);
        }
    }
    sources.sort();
    if sources.is_empty() {
        let why = "there is no C file in this folder; a plugin in C is every file `*.c` of it".to_owned();
        return Err(BuildError::Project { file: project.dir.clone(), why });
    }
    Ok(sources)
}

/// `plugin.h`, `plugin.c` and an object that carries the world, with the library beside them.
fn bindings(project: &Project) -> Result<PathBuf, BuildError> {
    let mut contract = Contract::write(project, false)?;
    let world = contract.world();
    let mut files = Files::default();
    let generator = &mut wit_bindgen_c::Opts::default().build();
    generator.generate(&mut contract.resolve, world, &mut files).map_err(|error| BuildError::Tool {
        tool: "wit-bindgen c".to_owned(),
        project: project.dir.clone(),
        said: format!("{error:#}"),
    })?;
    let dir = tool::empty(project, "bindings")?;
    for (name, bytes) in files.iter() {
        put(&dir.join(name), bytes)?;
    }
    for (name, text) in embedded::C.iter().filter_map(|(path, text)| Some((path.strip_prefix(LIBRARY)?, text))) {
        // its headers lie apart: a plugin's tests are compiled with the machine's own
        put(&dir.join(if name.ends_with(".h") { "include" } else { "" }).join(name), text.as_bytes())?;
    }
    Ok(dir)
}

fn put(path: &Path, bytes: &[u8]) -> Result<(), BuildError> {
    let folder = path.parent().expect("it lies below the work folder");
    std::fs::create_dir_all(folder).map_err(BuildError::io(format!("creating {}", folder.display())))?;
    std::fs::write(path, bytes).map_err(BuildError::io(format!("writing {}", path.display())))
}
