//! The core against a scripted world: stories that read like the things they tell, chance that looks for the ones nobody thought
//! of, and the cost of deciding.

mod chance;
mod change;
mod checked;
mod cost;
mod explained;
mod restarted;
mod restored;
mod scheduled;
mod started;
mod stopped;
mod unknown;

use hostler_stories::world;
