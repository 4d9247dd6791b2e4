//! Between the bindings and the traits: reads settings and handles, calls the plugin, writes the answer.

mod ability;
mod backend;
mod health_check;

use std::marker::PhantomData;

/// A plugin as the component exports it. [`plugin!`](crate::plugin) names it; nobody else needs to.
#[doc(hidden)]
pub struct Export<T>(PhantomData<T>);
