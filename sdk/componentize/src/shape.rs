//! What a component imports and exports.

use crate::encode::Error;
use wit_component::DecodedWasm;
use wit_parser::{Resolve, WorldItem, WorldKey};

/// One imported or exported interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// With its package and version: `hostler:host/processes@0.1.0`.
    pub name: String,
    /// The functions in it. An interface without any carries types alone, and permits nothing.
    pub functions: Vec<String>,
}

/// The outside of a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// In the component's own order.
    pub imports: Vec<Interface>,
    /// In the component's own order.
    pub exports: Vec<Interface>,
}

impl Shape {
    /// Reads the type of a component. A core module has none, which is an error.
    pub fn of(component: &[u8]) -> Result<Self, Error> {
        let decoded = wit_component::decode(component).map_err(|error| Error::Mismatch(format!("{error:#}")))?;
        let DecodedWasm::Component(resolve, world) = decoded else {
            return Err(Error::Mismatch("this is a WIT package, not a component".into()));
        };
        let world = &resolve.worlds[world];
        Ok(Self { imports: interfaces(&resolve, &world.imports), exports: interfaces(&resolve, &world.exports) })
    }

    /// The names of the imports that can do something: those with functions, sorted.
    pub fn permissions(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.imports.iter().filter(|import| !import.functions.is_empty()).map(|import| import.name.as_str()).collect();
        names.sort_unstable();
        names
    }

    /// The names of the exports, sorted.
    pub fn abilities(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.exports.iter().map(|export| export.name.as_str()).collect();
        names.sort_unstable();
        names
    }
}

fn interfaces<'a>(resolve: &Resolve, items: impl IntoIterator<Item = (&'a WorldKey, &'a WorldItem)>) -> Vec<Interface> {
    items.into_iter().filter_map(|(key, item)| interface(resolve, key, item)).collect()
}

fn interface(resolve: &Resolve, key: &WorldKey, item: &WorldItem) -> Option<Interface> {
    let name = resolve.name_world_key(key);
    match item {
        WorldItem::Interface { id, .. } => {
            let functions = resolve.interfaces[*id].functions.keys().cloned().collect();
            Some(Interface { name, functions })
        }
        WorldItem::Function(function) => Some(Interface { name, functions: vec![function.name.clone()] }),
        WorldItem::Type { .. } => None,
    }
}
