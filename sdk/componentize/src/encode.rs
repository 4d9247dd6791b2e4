//! Core module to component.

use wit_component::ComponentEncoder;

/// Why a core module did not become a component.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes are no WebAssembly at all.
    #[error("not a WebAssembly file: it does not begin with \\0asm")]
    NotWasm,
    /// The bytes are a component, or of a later layer.
    #[error("this is a component already; only core modules become components")]
    AlreadyComponent,
    /// The module says nothing about its world.
    #[error(
        "the module says nothing about its world (no `component-type` section): does the guest call `hostler_sdk::plugin!` and is it a `cdylib`?"
    )]
    NoWorld,
    /// The module and the world it claims do not fit, or the world is malformed.
    #[error("the module does not fit its world: {0}")]
    Mismatch(String),
}

/// Makes a component of a core module that was compiled with the SDK (or with any `wit-bindgen` bindings).
///
/// Imports that the module never calls are left out. The result is validated before it is returned.
///
/// ```
/// # use hostler_componentize::{componentize, Error};
/// assert!(matches!(componentize(b"hello"), Err(Error::NotWasm)));
/// assert!(matches!(componentize(b"\0asm\x01\0\0\0"), Err(Error::NoWorld)));
/// ```
pub fn componentize(core_wasm: &[u8]) -> Result<Vec<u8>, Error> {
    match (core_wasm.get(..4), core_wasm.get(4..8)) {
        (Some(b"\0asm"), Some([1, 0, 0, 0])) => {}
        (Some(b"\0asm"), _) => return Err(Error::AlreadyComponent),
        _ => return Err(Error::NotWasm),
    }
    if !claims_a_world(core_wasm)? {
        return Err(Error::NoWorld);
    }
    ComponentEncoder::default().module(core_wasm).and_then(|encoder| encoder.validate(true).encode()).map_err(mismatch)
}

/// Bindings leave their world in custom sections; the decoder hands the module back stripped of them, or not at all.
fn claims_a_world(core_wasm: &[u8]) -> Result<bool, Error> {
    let (stripped, _) = wit_component::metadata::decode(core_wasm).map_err(mismatch)?;
    Ok(stripped.is_some())
}

fn mismatch(error: impl std::fmt::Display + std::fmt::Debug) -> Error {
    // the alternate form carries the whole chain of causes
    Error::Mismatch(format!("{error:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn garbage_is_told_from_wasm() {
        assert!(matches!(componentize(b""), Err(Error::NotWasm)));
        assert!(matches!(componentize(b"#!/bin/sh\n"), Err(Error::NotWasm)));
    }

    #[test]
    fn a_component_is_not_wrapped_twice() {
        assert!(matches!(componentize(b"\0asm\x0d\0\x01\0"), Err(Error::AlreadyComponent)));
    }

    #[test]
    fn a_module_without_a_world_is_refused_with_a_hint() {
        let error = componentize(b"\0asm\x01\0\0\0").expect_err("an empty module claims no world");
        assert!(error.to_string().contains("hostler_sdk::plugin!"), "{error}");
    }

    #[test]
    fn a_truncated_module_is_an_error_and_no_panic() {
        let error = componentize(b"\0asm\x01\0\0\0\x00\xff").expect_err("the section is cut off");
        assert!(matches!(error, Error::Mismatch(_)), "{error}");
    }
}
