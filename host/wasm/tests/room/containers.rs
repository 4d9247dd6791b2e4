//! Containers: what is refused before any engine hears of it, engines that lie or are away, and everything on a real one.

mod denials;
mod engines;
mod functions;
mod logs;
mod yard;
