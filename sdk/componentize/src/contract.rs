//! The contract as text, and the world of one plugin: what its manifest says that it imports and exports.

use crate::{BuildError, Project, embedded};
use std::path::{Path, PathBuf};
use wit_parser::{PackageId, Resolve, WorldId};

/// The world that every build is made for.
pub(crate) const WORLD: &str = "plugin";

/// What a plugin's own imports of WASI are called while an interpreter is built in.
///
/// An interpreter links all of WASI, and the tools replace what is called so by stubs, the plugin's own imports included. Under another name
/// they stay; [`crate::namespace::restore`] gives them their own name back. As long as `wasi`, so that no length in a component changes.
pub(crate) const STAND_IN: &str = "wazi";

/// The contract in a folder, and what one plugin makes of it.
pub(crate) struct Contract {
    /// A WIT package with the world [`WORLD`], and its dependencies beneath.
    pub(crate) dir: PathBuf,
    /// The same, read.
    pub(crate) resolve: Resolve,
    /// The package of the world.
    package: PackageId,
}

impl Contract {
    /// Writes the contract and the plugin's world below the project's work folder, under WASI's own name or under the [`STAND_IN`].
    ///
    /// A folder `wit` in the project takes the place of the text in this program.
    pub(crate) fn write(project: &Project, stand_in: bool) -> Result<Self, BuildError> {
        let dir = project.work_dir().join("wit");
        if dir.exists() {
            std::fs::remove_dir_all(&dir).map_err(BuildError::io(format!("clearing {}", dir.display())))?;
        }
        for (file, text) in texts(project)? {
            put(&dir.join("deps").join(file), &text, stand_in)?;
        }
        // without imports of its own first: it is what names are looked up in
        put(&dir.join("world.wit"), &world(project, &[], &[])?, stand_in)?;
        let bare = Self::read(project, &dir)?;
        let imports = names(project, "imports")?.into_iter().map(|name| bare.import(project, &name)).collect::<Result<Vec<_>, _>>()?;
        let exports = names(project, "abilities")?.into_iter().map(|name| bare.ability(project, &name)).collect::<Result<Vec<_>, _>>()?;
        put(&dir.join("world.wit"), &world(project, &imports, &exports)?, stand_in)?;
        Self::read(project, &dir)
    }

    fn read(project: &Project, dir: &Path) -> Result<Self, BuildError> {
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_dir(dir).map_err(|error| manifest(project, format!("its contract cannot be read: {error:#}")))?;
        Ok(Self { dir: dir.to_path_buf(), resolve, package })
    }

    /// The plugin's world.
    pub(crate) fn world(&self) -> WorldId {
        self.resolve.packages[self.package].worlds[WORLD]
    }

    /// Every interface of the contract with its version, sorted.
    pub(crate) fn interfaces(&self) -> Vec<String> {
        let mut names: Vec<String> = self.resolve.interfaces.iter().filter_map(|(id, _)| self.resolve.id_of(id)).collect();
        names.sort_unstable();
        names
    }

    /// `state`, `hostler:host/state` and `wasi:http/types` mean the one version that is there.
    fn import(&self, project: &Project, name: &str) -> Result<String, BuildError> {
        let full = if name.contains(':') { name.replacen("wasi:", &format!("{}:", self.wasi()), 1) } else { format!("hostler:host/{name}") };
        let bare = full.split('@').next().unwrap_or(&full);
        self.find(bare).filter(|found| !found.starts_with("hostler:plugin/")).ok_or_else(|| {
            let there = self.listed(|name| name.starts_with("hostler:host/") || !name.starts_with("hostler:"));
            manifest(project, format!("imports: there is no {name:?} to import; there are {there}"))
        })
    }

    fn ability(&self, project: &Project, name: &str) -> Result<String, BuildError> {
        let no_ability = ["types", "backend", "health-check"].contains(&name);
        self.find(&format!("hostler:plugin/{name}")).filter(|_| !no_ability).ok_or_else(|| {
            let there = self.listed(|name| {
                name.starts_with("hostler:plugin/") && !["/types", "/backend", "/health-check"].iter().any(|role| bare(name).ends_with(role))
            });
            manifest(project, format!("abilities: there is no ability {name:?}; there are {there}"))
        })
    }

    fn find(&self, name: &str) -> Option<String> {
        self.interfaces().into_iter().find(|full| bare(full) == name)
    }

    /// For people: hosts' capabilities and abilities by their last word, WASI in full.
    fn listed(&self, wanted: impl Fn(&str) -> bool) -> String {
        let stand_in = format!("{STAND_IN}:");
        let short = |name: &String| {
            let name = bare(name);
            name.strip_prefix("hostler:host/").or(name.strip_prefix("hostler:plugin/")).unwrap_or(name).replacen(&stand_in, "wasi:", 1)
        };
        self.interfaces().iter().filter(|name| wanted(name)).map(short).collect::<Vec<_>>().join(", ")
    }

    fn wasi(&self) -> &'static str {
        let stands_in = self.resolve.packages.iter().any(|(_, package)| package.name.namespace == STAND_IN);
        if stands_in { STAND_IN } else { "wasi" }
    }
}

fn bare(name: &str) -> &str {
    name.split('@').next().unwrap_or(name)
}

/// The contract in this program: what plugins may be and call, and WASI.
fn ours() -> impl Iterator<Item = (PathBuf, &'static str)> {
    // every package has a folder of its own; WASI's files are one package each
    let wasi = embedded::WASI.iter().map(|(file, text)| (Path::new(&file.replace(".wit", "")).join(file), *text));
    embedded::WIT
        .iter()
        .map(|(file, text)| (PathBuf::from(file), *text))
        .chain(wasi)
        .filter(|(file, _)| file.extension().is_some_and(|extension| extension == "wit"))
}

/// The files of the contract: the project's own, or this program's.
fn texts(project: &Project) -> Result<Vec<(PathBuf, String)>, BuildError> {
    let own = project.dir.join("wit");
    if !own.is_dir() {
        return Ok(ours().map(|(file, text)| (file, text.to_owned())).collect());
    }
    let mut files = Vec::new();
    let mut folders = vec![own.clone()];
    while let Some(folder) = folders.pop() {
        let reading = || BuildError::io(format!("reading {}", folder.display()));
        for entry in std::fs::read_dir(&folder).map_err(reading())? {
            let path = entry.map_err(reading())?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "wit") {
                let text = std::fs::read_to_string(&path).map_err(BuildError::io(format!("reading {}", path.display())))?;
                let below = path.strip_prefix(&own).expect("it was found below it").to_path_buf();
                files.push((below, text));
            }
        }
    }
    Ok(files)
}

fn world(project: &Project, imports: &[String], exports: &[String]) -> Result<String, BuildError> {
    let kind = project.kind.ok_or_else(|| manifest(project, "`kind = \"backend\"` or `kind = \"health-check\"` is missing"))?;
    let mut text = format!("package hostler:built;\n\nworld {WORLD} {{\n  include hostler:plugin/{}@0.1.0;\n", kind.world());
    for import in imports {
        text.push_str(&format!("  import {import};\n"));
    }
    for export in exports {
        text.push_str(&format!("  export {export};\n"));
    }
    text.push_str("}\n");
    Ok(text)
}

fn put(path: &Path, text: &str, stand_in: bool) -> Result<(), BuildError> {
    let folder = path.parent().expect("it lies in the work folder");
    std::fs::create_dir_all(folder).map_err(BuildError::io(format!("creating {}", folder.display())))?;
    let text = if stand_in { text.replace("wasi:", &format!("{STAND_IN}:")) } else { text.to_owned() };
    std::fs::write(path, text).map_err(BuildError::io(format!("writing {}", path.display())))
}

/// A list of names in `plugin.toml`.
fn names(project: &Project, key: &str) -> Result<Vec<String>, BuildError> {
    let file = project.dir.join("plugin.toml");
    let text = std::fs::read_to_string(&file).map_err(BuildError::io(format!("reading {}", file.display())))?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| manifest(project, error.to_string()))?;
    let Some(value) = table.get(key) else { return Ok(Vec::new()) };
    let wrong = || manifest(project, format!("`{key}` is a list of names: `{key} = [\"…\"]`"));
    value.as_array().ok_or_else(wrong)?.iter().map(|name| name.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
}

fn manifest(project: &Project, why: impl Into<String>) -> BuildError {
    BuildError::Project { file: project.dir.join("plugin.toml"), why: why.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(manifest: &str) -> (tempfile::TempDir, Project) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let text = format!("name = \"a\"\nlanguage = \"c\"\nkind = \"backend\"\n{manifest}");
        std::fs::write(dir.path().join("plugin.toml"), text).expect("it is empty");
        let project = Project::open(dir.path()).expect("it is one");
        (dir, project)
    }

    fn imports(contract: &Contract) -> Vec<String> {
        let world = &contract.resolve.worlds[contract.world()];
        world.imports.keys().map(|key| contract.resolve.name_world_key(key)).collect()
    }

    #[test]
    fn a_world_has_what_the_manifest_says_and_what_everybody_has() {
        let (_dir, project) = project("imports = [\"state\", \"wasi:clocks/wall-clock\"]\nabilities = [\"logs\"]");
        let contract = Contract::write(&project, false).expect("it is written");
        let imports = imports(&contract);
        for name in ["hostler:host/log@0.1.0", "hostler:host/state@0.1.0", "wasi:clocks/wall-clock@0.2.12"] {
            assert!(imports.iter().any(|import| import == name), "{name}: {imports:?}");
        }
        assert!(!imports.iter().any(|import| import.contains("processes")), "{imports:?}");
        let world = &contract.resolve.worlds[contract.world()];
        let exports: Vec<String> = world.exports.keys().map(|key| contract.resolve.name_world_key(key)).collect();
        assert!(exports.len() == 2 && exports.contains(&"hostler:plugin/logs@0.1.0".to_owned()), "{exports:?}");
    }

    #[test]
    fn wasi_stands_under_another_name_while_an_interpreter_is_built_in() {
        let (_dir, project) = project("imports = [\"wasi:http/outgoing-handler\"]");
        let imports = imports(&Contract::write(&project, true).expect("it is written"));
        assert!(imports.iter().any(|import| import == "wazi:http/outgoing-handler@0.2.12"), "{imports:?}");
        assert!(!imports.iter().any(|import| import.starts_with("wasi:")), "{imports:?}");
    }

    #[test]
    fn what_cannot_be_imported_is_told_with_what_can() {
        let refused = |manifest: &str, expected: &[&str]| {
            let (_dir, project) = project(manifest);
            let error = Contract::write(&project, true).err().expect(manifest).to_string();
            assert!(error.contains("plugin.toml") && expected.iter().all(|part| error.contains(part)), "{error}");
        };
        refused("imports = [\"contraptions\"]", &["\"contraptions\"", "commands", "processes", "wasi:http/types"]);
        refused("imports = [\"hostler:plugin/types\"]", &["hostler:plugin/types"]);
        refused("imports = \"state\"", &["imports = [\"…\"]"]);
        refused("abilities = [\"backend\"]", &["\"backend\"", "exec, handles, logs"]);
    }

    #[test]
    fn a_folder_of_its_own_takes_the_place_of_the_contract() {
        let (dir, project) = project("imports = [\"telepathy\"]");
        let own = dir.path().join("wit");
        for (file, text) in ours() {
            put(&own.join(file), text, false).expect("written");
        }
        put(&own.join("host/more.wit"), "package hostler:host@0.1.0;\ninterface telepathy { read: func() -> string; }", false).expect("written");
        let imports = imports(&Contract::write(&project, false).expect("it is written"));
        assert!(imports.iter().any(|import| import == "hostler:host/telepathy@0.1.0"), "{imports:?}");
    }
}
