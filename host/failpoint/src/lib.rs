//! Points to die at: each durable step and each effect of host and keeper has a name, and the crash sweep (`make sweep`) kills there.
//!
//! [`failpoint!`] expands to nothing, unless the whole program is built with the feature `failpoints`. Then a process whose variable
//! `HOSTLER_FAILPOINT` names a file reads that file at each point it passes. A line `NAME` or `NAME:N` in it means: whoever passes that point, for
//! the Nth time since, takes the line out, adds itself to `FILE.died`, and ends itself with SIGKILL. Then the next line counts. A line
//! `NAME wait MILLISECONDS` stays, and whoever passes that point waits there for so long: a disk is slow, or a call is late.
//!
//! A file and not the variable itself says where, for two reasons. A point can be armed at any moment of a host that runs, and of a keeper that was
//! started long ago. And who dies has disarmed it: a keeper that the host brings back by itself, with the same variable, is not killed again.
//!
//! The first word of a name says who dies: `host` and `store` the host, `keeper` the keeper. All names are in [`POINTS`]; `tests/tidy` holds
//! that each stands in the sources exactly once.

mod points;

#[cfg(feature = "failpoints")]
mod pass;

#[cfg(feature = "failpoints")]
pub use pass::pass;
pub use points::POINTS;

/// A point with this name, which dies here when it is told so.
#[cfg(feature = "failpoints")]
#[macro_export]
macro_rules! failpoint {
    ($name:literal) => {
        $crate::pass($name)
    };
}

/// A point with this name: nothing at all, in the product.
#[cfg(not(feature = "failpoints"))]
#[macro_export]
macro_rules! failpoint {
    ($name:literal) => {};
}
