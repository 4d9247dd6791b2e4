//! Backends against the real engines: a real systemd and a real sshd, on a machine of their own, and a real Docker engine.
//!
//! A [`TestHost`] is a container that booted a systemd; `scripts/testhost.sh` makes its image. Where there is no Docker, or no image,
//! tests say so by name and pass over; where `CI` is set, they fail.
//!
//! ```no_run
//! use hostler_engines::TestHost;
//! let Some(host) = TestHost::boot() else { return };
//! host.install_hostler();
//! assert_eq!(host.run(&["systemctl", "is-system-running"]).ok(), "running\n");
//! ```

mod docked;
mod docker;
mod hosted;
mod secured;
mod testhost;

pub use docked::Docked;
pub use hosted::Hosted;
pub use secured::{Relay, Secured};
pub use testhost::{TestHost, User};
