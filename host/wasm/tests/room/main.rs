//! The whole room against real components: the built-in plugins, the hostile fixtures, a real keeper and real sockets.

mod backend;
mod checks;
mod deny;
mod hostile;
mod keeper;
mod loading;
mod steady;
mod support;
