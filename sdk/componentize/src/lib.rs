//! Turns guests into components.
//!
//! A guest is a Rust `cdylib` for `wasm32-unknown-unknown`, a target without WASI: what its component imports is exactly what
//! its code calls, so the import list *is* the list of permissions it can ever use.
//!
//! - [`componentize`]: one core module in, one component out. Nothing else is needed, no tool and no adapter.
//! - [`Examined`]: what is wrong with a file that should be a plugin; [`reference()`]: the contract's comments as a document.
//! - [`Shape`]: what a component imports and exports, by interface name.
//! - [`Toolchain`]: a cargo that can build for the target: the one on the search path, or Debian's, which builds std itself.
//! - [`Project`]: one plugin's folder, in any [`Language`], built into one component.
//! - [`Build`]: a whole guest workspace, built once and written as `NAME.wasm` files.
//!
//! ```no_run
//! use hostler_componentize::{Build, Shape};
//!
//! let build = Build::new("plugins/Cargo.toml", "target/plugins");
//! for guest in build.run(&mut |line| eprintln!("{line}"))? {
//!     let shape = Shape::of(&std::fs::read(&guest.path)?)?;
//!     println!("{}: {} bytes, imports {:?}", guest.name, guest.size, shape.permissions());
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The same as a command: `hostler-componentize build --manifest plugins/Cargo.toml --out target/plugins`.

mod build;
mod contract;
mod create;
mod embedded;
mod encode;
mod environment;
mod examine;
mod guest;
mod language;
mod namespace;
mod project;
mod reference;
mod shape;
mod toolchain;
mod words;

pub use build::{Build, BuildError};
pub use create::CreateError;
pub use encode::{Error, componentize};
pub use examine::{Component, Difference, Examined, examine};
pub use guest::Guest;
pub use language::Language;
pub use project::{Kind, Project, ProjectError};
pub use reference::reference;
pub use shape::{Interface, Shape};
pub use toolchain::{Missing, Toolchain};

/// The one target that guests are built for.
pub const TARGET: &str = "wasm32-unknown-unknown";
