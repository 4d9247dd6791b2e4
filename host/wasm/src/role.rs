//! What a plugin may be: a file per role, with every call the host makes to it and what an honest answer looks like.

mod backend;
#[doc(hidden)]
pub mod door;
mod health_check;
pub(crate) mod honest;

pub use backend::Backend;
pub use health_check::HealthCheck;
