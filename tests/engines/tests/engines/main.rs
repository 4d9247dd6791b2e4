//! Backends against real engines.

mod docker;
mod package;
mod package_far;
mod packaged;
mod ssh;
mod stack;
mod systemd;
mod systemd_bad_luck;
mod systemd_contract;
mod systemd_installed;
mod systemd_journal;
mod testhost;
mod upgrades;
