//! `hostler-componentize`: builds guest workspaces, or turns one core module into a component.

use hostler_componentize::{Build, Guest, Project, Shape, Toolchain, componentize};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const HELP: &str = "\
Builds Hostler's guests.

  hostler-componentize build --manifest FILE --out DIR [--target-dir DIR] [--package NAME] [--toolchain ready|source]
      every cdylib of a cargo workspace as DIR/NAME.wasm, and the grants.json beside its Cargo.toml as DIR/NAME.grants.json;
      files that did not change keep their time
  hostler-componentize project DIR [--out FILE]
      one plugin's folder, in any language, as DIR/NAME.wasm or FILE
  hostler-componentize wrap MODULE.wasm COMPONENT.wasm
      one core module as a component
  hostler-componentize show COMPONENT.wasm
      what a component imports and exports
  hostler-componentize reference
      the contract's comments as a document (docs/CONTRACT-REFERENCE.md)
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["build", options @ ..] => build(options),
        ["project", dir] => project(Path::new(dir), None),
        ["project", dir, "--out", file] => project(Path::new(dir), Some(Path::new(file))),
        ["wrap", module, component] => wrap(Path::new(module), Path::new(component)),
        ["show", component] => show(Path::new(component)),
        ["reference"] => {
            print!("{}", hostler_componentize::reference());
            Ok(())
        }
        ["--help" | "-h" | "help"] => {
            print!("{HELP}");
            Ok(())
        }
        _ => {
            eprint!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn build(options: &[&str]) -> Result<(), String> {
    let build = parse(options)?;
    let guests = build.run(&mut |line| eprintln!("{line}")).map_err(|error| error.to_string())?;
    let width = guests.iter().map(|guest| guest.name.len()).max().unwrap_or(0);
    for guest in &guests {
        println!("{}", summary(guest, width));
    }
    Ok(())
}

fn summary(guest: &Guest, width: usize) -> String {
    let state = if guest.changed { "" } else { "  (unchanged)" };
    let kilobytes = guest.size as f64 / 1000.0;
    format!("{:width$}  {kilobytes:7.1} kB  {}{state}", guest.name, guest.path.display())
}

fn parse(options: &[&str]) -> Result<Build, String> {
    let mut build = Build::new("", "");
    let mut target_dir = None;
    let mut rest = options.iter();
    while let Some(option) = rest.next() {
        let value = *rest.next().ok_or_else(|| format!("{option} needs a value"))?;
        match *option {
            "--manifest" => build.manifest = value.into(),
            "--out" => build = Build { target_dir: Build::new("", value).target_dir, out: value.into(), ..build },
            "--target-dir" => target_dir = Some(PathBuf::from(value)),
            "--package" => build.package = Some(value.into()),
            "--toolchain" => build.toolchain = Some(toolchain(value)?),
            unknown => return Err(format!("unknown option {unknown}\n\n{HELP}")),
        }
    }
    if build.manifest.as_os_str().is_empty() || build.out.as_os_str().is_empty() {
        return Err(format!("--manifest and --out are needed\n\n{HELP}"));
    }
    build.target_dir = target_dir.or(build.target_dir);
    Ok(build)
}

fn toolchain(name: &str) -> Result<Toolchain, String> {
    let found = match name {
        "ready" => Toolchain::ready(),
        "source" => Toolchain::from_source(Path::new("/usr/bin")),
        other => return Err(format!("--toolchain is `ready` or `source`, not `{other}`")),
    };
    found.ok_or_else(|| hostler_componentize::Missing.to_string())
}

fn project(dir: &Path, out: Option<&Path>) -> Result<(), String> {
    let project = Project::open(dir).map_err(|error| error.to_string())?;
    let guest = project.build(out, &mut |line| eprintln!("{line}")).map_err(|error| error.to_string())?;
    println!("{}", summary(&guest, 0));
    Ok(())
}

fn wrap(module: &Path, component: &Path) -> Result<(), String> {
    let core = read(module)?;
    let bytes = componentize(&core).map_err(|error| format!("{}: {error}", module.display()))?;
    std::fs::write(component, bytes).map_err(|error| format!("{}: {error}", component.display()))
}

fn show(component: &Path) -> Result<(), String> {
    let shape = Shape::of(&read(component)?).map_err(|error| format!("{}: {error}", component.display()))?;
    for (verb, interfaces) in [("import", &shape.imports), ("export", &shape.exports)] {
        for interface in interfaces {
            let functions = if interface.functions.is_empty() { "types only".into() } else { interface.functions.join(" ") };
            println!("{verb} {}: {functions}", interface.name);
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}
