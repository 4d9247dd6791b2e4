//! What `hostler plugin new` writes in Python, JavaScript and C: it builds, its own tests pass, and it keeps the contract.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use hostler_e2e::{Ran, Yard, can};

/// Where `scripts/setup.sh languages` puts the tools: of the user who runs the tests, not of a yard's.
pub(crate) fn tools() -> PathBuf {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = || named("XDG_CACHE_HOME").or_else(|| named("HOME").map(|home| home.join(".cache"))).unwrap_or_default();
    named("HOSTLER_TOOLS").unwrap_or_else(|| cache().join("hostler/tools"))
}

/// Far longer than a component with a whole interpreter in it takes to be compiled, again and again, on a machine that does other things.
pub(crate) const COMPILING: Duration = Duration::from_secs(600);

/// Makes a project, builds it, runs its own tests, and lets the conformance suite judge it.
#[track_caller]
fn is_whole(language: &str, kind: &str, tests: &[&str]) {
    let yard = Yard::bare();
    let run = |line: &str| Ran::within(COMPILING, yard.command(line).env("HOSTLER_TOOLS", tools()));
    run(&format!("plugin new my-plugin --kind {kind} --lang {language}")).ok();
    run("plugin build my-plugin").ok();
    let (program, args) = tests.split_first().expect("it names a program");
    let path = format!("{}:{}", std::env::var("PATH").unwrap_or_default(), tools().join("python/bin").display());
    let own = Ran::of(Command::new(program).args(args).current_dir(yard.file("my-plugin")).env("PATH", path).env("PYTHONDONTWRITEBYTECODE", "1"));
    own.ok();
    let said = run("plugin check my-plugin/my-plugin.wasm").ok();
    assert!(said.contains(" 0 failed"), "{said}");
}

fn has(tool: &str) -> bool {
    can(&format!("{tool} (scripts/setup.sh languages)"), tools().join(tool).is_file())
}

pub(crate) fn has_python() -> bool {
    has("python/bin/componentize-py")
}

fn has_javascript() -> bool {
    has("javascript/node_modules/.bin/componentize-qjs")
}

pub(crate) fn has_clang() -> bool {
    let installed = (14..30).any(|version| Path::new(&format!("/usr/bin/clang-{version}")).exists()) || Path::new("/usr/bin/clang").exists();
    can("clang and lld (scripts/setup.sh languages)", installed)
}

const PYTHON: &[&str] = &["/usr/bin/python3", "-m", "unittest"];
const JAVASCRIPT: &[&str] = &["npm", "test"];
const C: &[&str] = &["make", "test"];

#[test]
fn a_backend_in_python() {
    if has_python() {
        is_whole("python", "backend", PYTHON);
    }
}

#[test]
fn a_health_check_in_python() {
    if has_python() {
        is_whole("python", "health-check", PYTHON);
    }
}

#[test]
fn a_backend_in_javascript() {
    if has_javascript() {
        is_whole("javascript", "backend", JAVASCRIPT);
    }
}

#[test]
fn a_health_check_in_javascript() {
    if has_javascript() {
        is_whole("javascript", "health-check", JAVASCRIPT);
    }
}

#[test]
fn a_backend_in_c() {
    if has_clang() {
        is_whole("c", "backend", C);
    }
}

#[test]
fn a_health_check_in_c() {
    if has_clang() {
        is_whole("c", "health-check", C);
    }
}

/// A missing tool is named, with the command that installs it.
#[test]
fn a_tool_that_is_missing_is_named() {
    let yard = Yard::bare();
    for (language, tool, command) in
        [("python", "componentize-py", "pip install componentize-py=="), ("javascript", "componentize-qjs", "npm install")]
    {
        yard.run(&format!("plugin new {language}-plugin --kind backend --lang {language}")).ok();
        let mut build = yard.command(&format!("plugin build {language}-plugin"));
        let said = Ran::of(build.env("HOSTLER_TOOLS", yard.file("no-tools")).env("PATH", "/var/empty")).fails(1);
        assert!(said.contains(&format!("{tool} is needed")) && said.contains(command), "{said}");
    }
}

/// What is wrong in a plugin is shown in the words of its tool.
#[test]
fn a_mistake_is_shown_as_the_tool_says_it() {
    if !has_clang() {
        return;
    }
    let yard = Yard::bare();
    yard.run("plugin new broken --kind health-check --lang c").ok();
    let source = yard.read("broken/app.c").replace("return wrong.len == 0;", "return wrong.length == 0;");
    yard.write("broken/app.c", source);
    let said = yard.run("plugin build broken").fails(1);
    assert!(said.contains("app.c:") && said.contains("no member named 'length'"), "{said}");
    let manifest = yard.read("broken/plugin.toml").replace("\"commands\"", "\"contraptions\"");
    yard.write("broken/plugin.toml", manifest);
    let said = yard.run("plugin build broken").fails(1);
    assert!(said.contains("plugin.toml") && said.contains("there is no \"contraptions\"") && said.contains("processes"), "{said}");
}
