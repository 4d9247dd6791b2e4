//! The keeper's binary with real processes: each test has a keeper and a directory of its own.

mod full_disk;
mod house;
mod lifecycle;
mod limits;
mod logs;
mod power_cut;
mod recovery;
mod stopping;
mod wire;
