//! Power cuts.

pub mod calls;
mod cut;
pub mod disk;
pub mod history;
pub mod image;
pub mod random;
pub mod verify;
mod workload;

pub use cut::{Failure, Report, cut_everywhere, scratch};
pub use workload::live;
