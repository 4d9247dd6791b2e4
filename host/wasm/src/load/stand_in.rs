//! What a component imports and was not granted, for looking at it: everything is there, and nothing does anything.

use wasmtime::Engine;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker};

use crate::capability::{self, CallState};
use crate::grant::{Import, import};

/// Adds what the linker has not.
///
/// Not wasmtime's own `define_unknown_imports_as_traps`: that makes a second resource of each name that an interface of the baseline takes from another
/// one (`pollable` of the clocks), and a component that uses both does not fit any more.
pub(super) fn link(linker: &mut Linker<CallState>, component: &Component, engine: &Engine) -> wasmtime::Result<()> {
    capability::link_http(linker)?;
    let ty = component.component_type();
    for (name, item) in ty.imports(engine) {
        let ComponentItem::ComponentInstance(instance) = &item.ty else { continue };
        if !name.starts_with("hostler:host/") || !matches!(import(name), Import::Needs(_)) {
            continue;
        }
        let mut there = linker.instance(name)?;
        for (function, item) in instance.exports(engine) {
            if matches!(item.ty, ComponentItem::ComponentFunc(_)) {
                let called = format!("{name}.{function}");
                there
                    .func_new(function, move |_, _, _, _| Err(wasmtime::Error::msg(format!("{called} is not granted to what is only looked at"))))?;
            }
        }
    }
    Ok(())
}
