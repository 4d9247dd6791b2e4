//! What the core decides, told as text: stories that people can read and say are right.
//!
//! A [`World`](world::World) holds engines, a store, checks and a clock around the real core, and proves the invariants after every step; the
//! core's own tests play in it, too. A story (`NAME.story`) is a promise in its first line and one step per line below it; [`play`] tells what
//! followed each step, and `NAME.out` beside it is what was read and found right.
//!
//! The steps are listed in `README.md` beside them.

mod play;
mod settings;
mod show;
pub mod world;

pub use play::play;
