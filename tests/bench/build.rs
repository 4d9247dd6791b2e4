//! Compiles the service that is measured. It is C because it has to be small and static, and needs nothing but a C compiler, as SQLite does.

use std::path::Path;
use std::process::Command;

const SOURCE: &str = "service/service.c";

fn main() {
    println!("cargo::rerun-if-changed={SOURCE}");
    let dir = std::env::var_os("OUT_DIR").expect("cargo says where");
    let mut compiler = Command::new("cc");
    compiler.args(["-std=gnu11", "-O2", "-Wall", "-Werror", "-static", "-s", "-o"]).arg(Path::new(&dir).join("service")).arg(SOURCE);
    match compiler.status() {
        Ok(status) if status.success() => {}
        Ok(_) => println!("cargo::error=cc could not make a static program of tests/bench/{SOURCE}; Debian's gcc and libc6-dev can"),
        Err(error) => println!("cargo::error=cc: {error}; scripts/setup.sh build installs it"),
    }
}
