//! Where calls of capabilities go: in a component to the host, in a native test to the [fake one](crate::test).

#[cfg(not(all(feature = "test", not(target_family = "wasm"))))]
pub(crate) use crate::bindings::imports::hostler::host::*;
#[cfg(all(feature = "test", not(target_family = "wasm")))]
pub(crate) use crate::test::imports::*;
