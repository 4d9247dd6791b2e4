//! Kills the real `hostler` at each of its failpoints, once per scenario that passes it, and looks whether all is as promised.
//!
//! A [`Case`] is a point and the scenario that leads there. Each is played in a yard and a state directory of its own: a host with services that
//! keep account of themselves (those of the torture) comes up, the point is armed, something is done that passes it, host or keeper dies
//! there, comes back, and is held against the accounts: no life doubled, no number used twice, nobody killed who was not to be, each end
//! told and counted once, each acknowledged request kept, each event and each line of a log there, nothing left behind.
//!
//! Services that are containers ([`Deed`]) are held against what the engine itself says: one container for each replica and never two, none of
//! what was removed, none of nobody.
//!
//! A point that is never reached is a failure, too: [`cases`] has each point of [`hostler_failpoint::POINTS`], and its scenario passes it.

mod cases;
mod contained;
mod judge;
mod scenario;
mod site;

pub use cases::{Case, Deed, Scenario, cases};
pub use scenario::play;
pub use site::Site;
