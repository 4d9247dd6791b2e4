//! What guests share that work over ssh: a [`Link`] to another host, and tasks that run detached on the other side of it.
//!
//! Everything goes through OpenSSH's client, by the capability `commands`. Each call is one round trip: a POSIX shell over there
//! reads a [`Script`] from standard input and prints an [`Answer`] whose last line says that it is whole. Nothing of a script runs
//! unless all of it arrived, and no value stands on a command line.
//!
//! A task has a directory of its own, `STATE_DIR/OWNER/ID`, which appears whole and under its name in one step:
//!
//! | file | who writes it | what it says |
//! |---|---|---|
//! | `spec` | the start | digest, slot and run, and who was starting it |
//! | `run` | the start | the supervisor, a shell script |
//! | `supervisor`, `task` | each itself, once | pid, start time, boot |
//! | `out.OFFSET`, `err.OFFSET` | the supervisor | what the task wrote, from that offset on |
//! | `stop`, `stopper` | a stop | until when it has to be down, and who sees to it |
//! | `exit` | the supervisor | how it ended |
//!
//! `supervisor` and `task` have one writer, the first: whoever says that a task never began takes its place there, so that nothing
//! can begin afterwards.

mod answer;
mod call;
pub mod hosts;
mod link;
mod log;
mod phase;
pub mod quote;
mod script;
#[cfg(test)]
mod shells;
mod task;

pub use answer::{Answer, Data};
pub use call::{Reuse, Trouble};
pub use hosts::Config;
pub use link::{Control, Link};
pub use script::Script;
pub use task::{Remote, Spec};
