//! Between the bindings and the traits: reads settings and handles, calls the plugin, writes the answer.

mod ability;
mod backend;
mod health_check;

use std::marker::PhantomData;

/// A plugin as the component exports it. [`plugin!`](crate::plugin) names it; nobody else needs to.
#[doc(hidden)]
pub struct Export<T>(PhantomData<T>);

/// What [`plugin!`](crate::plugin) asks of a type where nothing is exported: the same as where something is.
#[doc(hidden)]
#[allow(non_snake_case, reason = "each is named for its trait, as the macro names it")]
pub mod checked {
    macro_rules! checked {
        ($($name:ident),*) => { $(#[doc = "Has the type this role or ability?"] pub const fn $name<T: crate::$name>() {})* };
    }
    checked!(Backend, HealthCheck, Logs, Stats, Exec, Signals, Scale, Update, Handles, Discovery);
}
