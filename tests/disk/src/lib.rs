//! The store on a disk that loses its power, fails, and fills up.
//!
//! A kill leaves what was written; a power cut leaves what was *synced*, and of everything else whatever the disk had got
//! round to. Nobody can cut the power ten thousand times, so this room does it on paper: the real engine works on a
//! watched directory ([`disk::Disk`]), every call on a file is recorded in order ([`disk::Op`]), together with what was
//! acknowledged and when ([`history::Note`]); at each place of that trace [`image::Platter`] makes what a disk might hold
//! after a cut right there, and [`verify::verify`] opens it with the real engine, as the host would on the next morning.
//!
//! # What a cut can leave
//!
//! - What was done to a file before its last sync is there. A sync that has not returned has promised nothing.
//! - Of what was done to it since, anything may be there: nothing, everything, a beginning, later writes without earlier
//!   ones, all but one. Writes tear between sectors of 512 bytes; what is missing of one has the old bytes, or zeros. The
//!   file may have its new length and none of the bytes.
//! - Names are their directory's content: a file that was made, renamed or unlinked since the directory's last sync is
//!   under its old name, its new one, or none, even if the file itself was synced. A rename happens as one.
//! - SQLite's shared memory (`-shm`) is garbage, or not there.
//!
//! Bytes beside a write are never harmed (SQLite calls it powersafe overwrite), and what was synced does not rot.
//!
//! # What must hold
//!
//! The store opens. It is, entry by entry and event by event, what some revision left, and not an earlier one than the
//! last that was acknowledged before the cut: so no acknowledged transaction is lost, none is there by half, and none
//! without those before it. A repeated transaction gets its first answer; the lease, compactions and snapshots are at
//! least where they were acknowledged; the next commit works; `integrity_check` is content with what was closed.
//!
//! # Failing calls
//!
//! [`disk::Disk::fail`] makes the N-th call answer `EIO` or `ENOSPC`, once or until it is mended. The tests do it for every
//! N of a short life: the answers must be the contract's, true of the files afterwards, and of what a cut leaves meanwhile.
//!
//! # How to run it
//!
//! `cargo test --release -p hostler-disk` makes 1500 images; so many as one likes, of several lives:
//! `cargo run --release -p hostler-disk -- --images 10000 --seed 7`. The seed is printed and decides what is done and which
//! images are made; threads make no two traces quite the same, so an image that fails is kept, with its place in the trace.
//!
//! ```no_run
//! let place = hostler_disk::scratch()?;
//! let (trace, history) = hostler_disk::live(place.path(), 7)?;
//! let report = hostler_disk::cut_everywhere(&trace, &history, 1000, 7, None);
//! assert!(report.failures.is_empty(), "{:?}", report.failures);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! It needs Linux with the GNU C library, on a 64-bit machine: see `calls.rs`.

mod calls;
mod cut;
pub mod disk;
pub mod history;
pub mod image;
pub mod random;
pub mod verify;
mod workload;

pub use cut::{Failure, Report, cut_everywhere, scratch};
pub use workload::live;
