//! The whole room against real components: the built-in plugins, the hostile fixtures, a real keeper and real sockets.

mod backend;
mod checks;
mod containers;
mod corpus;
mod denials;
mod deny;
mod endpoints;
mod filesystem;
mod hostile;
mod keeper;
mod loading;
mod secrets;
mod steady;
mod support;
mod tap;
