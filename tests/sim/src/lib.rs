//! The simulator: the real core and the real store in a model world, on a virtual clock.
//!
//! A [`Story`] is all that a seed decides before anything happens: services, the kinds of faults that may strike, and the steps that
//! people, tasks, engines, machines and clocks take. [`play`] plays it against the core, as the server's one loop would drive it; rules
//! (`watch`) are judged at every step, and in the end everything must have come to rest. Calls are answered late, in another order,
//! twice or never; the host is killed between any two of its moves. What becomes of a call hangs on the seed and on which call it is,
//! not on what happened before: so a story can be [shrunk](shrink) to the few steps that matter, and the rest of it stays as it was.
//!
//! The same seed is the same run, byte for byte.

mod dice;
mod faults;
mod shrink;
mod story;
mod watch;
mod world;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

pub use faults::Kind;
pub use shrink::shrink;
pub use story::{Cut, Size, Story};

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// `I1` to `I13`, `rest` for what never comes to rest, `panic` for a core that gave up.
    pub rule: &'static str,
    /// For whom, and what was seen.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.message)
    }
}

/// What became of a story.
#[derive(Debug, Clone)]
pub struct Played {
    /// The first thing that must not be.
    pub violation: Option<Violation>,
    /// How much time passed in the world.
    pub simulated_ms: u64,
    /// How many things happened.
    pub events: u64,
    /// Of all decisions in their order: two runs that decided the same have the same.
    pub trace: u64,
    /// What happened, line by line, when it was asked for.
    pub log: Vec<String>,
}

/// Plays a story; with `told`, keeps what happened.
pub fn play(story: &Story, told: bool) -> Played {
    quiet_panics();
    let mut world = world::World::new(story, told);
    PLAYING.set(true);
    let ended = catch_unwind(AssertUnwindSafe(|| world.play()));
    PLAYING.set(false);
    if ended.is_err() {
        world.fail("panic", PANIC.take());
    }
    world.played()
}

/// Plays a story, and, when the wall's clock jumps in it, once more without: I12, nothing may hang on it.
pub fn play_twice(story: &Story) -> Played {
    let played = play(story, false);
    let Some(still) = story.without_wall_jumps().filter(|_| played.violation.is_none()) else { return played };
    let still = play(&still, false);
    let played = Played { simulated_ms: played.simulated_ms + still.simulated_ms, events: played.events + still.events, ..played };
    if still.trace == played.trace {
        return played;
    }
    let message = "it goes another way when the wall's clock jumps".to_owned();
    Played { violation: Some(Violation { rule: "I12", message }), ..played }
}

thread_local! {
    static PLAYING: Cell<bool> = const { Cell::new(false) };
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// A panic of the core is a finding like any other: it is kept, not printed.
fn quiet_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if PLAYING.get() {
                PANIC.set(panic.to_string());
            } else {
                before(panic);
            }
        }));
    });
}
