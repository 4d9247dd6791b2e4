//! Backend `process`, as a component. The backend itself is in [`process`].

mod command;
mod process;
mod status;

hostler_sdk::plugin!(backend: process::Process, abilities: [Logs, Stats, Signals]);
