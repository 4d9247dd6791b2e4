//! Turns guests into components.
//!
//! A guest is a Rust `cdylib` for `wasm32-unknown-unknown`, a target without WASI: what its component imports is exactly what
//! its code calls, so the import list *is* the list of permissions it can ever use.
//!
//! - [`componentize`]: one core module in, one component out. Nothing else is needed, no tool and no adapter.
//! - [`Shape`]: what a component imports and exports, by interface name.
//! - [`Toolchain`]: a cargo that can build for the target: the one on the search path, or Debian's, which builds std itself.
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
mod encode;
mod environment;
mod shape;
mod toolchain;

pub use build::{Build, BuildError, Guest};
pub use encode::{Error, componentize};
pub use shape::{Interface, Shape};
pub use toolchain::{Missing, Toolchain};

/// The one target that guests are built for.
pub const TARGET: &str = "wasm32-unknown-unknown";
