//! What may go wrong in a run: each seed draws some kinds of faults and leaves the others out, because a fault that is always there
//! hides the others.

use std::fmt;

use crate::dice::Dice;

/// One kind of fault, or of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Answers take seconds, and overtake each other.
    Late,
    /// Calls take effect, or do so much later, and nobody hears of it.
    Lost,
    /// Calls fail.
    Refused,
    /// Answers come twice.
    Twice,
    /// Wakes are lost.
    Hints,
    /// Engines cannot say where single tasks are.
    Opaque,
    /// Engines go away and come back.
    Away,
    /// Engines lose their tasks.
    Losses,
    /// Plugins are removed and added.
    Plugins,
    /// Tasks end by themselves.
    Exits,
    /// Tasks flap, are deaf to stops, or do not start.
    Tempers,
    /// Checks change their mind.
    Moods,
    /// People start, stop and restart.
    Requests,
    /// People lose patience.
    Force,
    /// Specs change.
    Edits,
    /// Services are removed and come again.
    Removals,
    /// The same is applied once more.
    Again,
    /// The host is killed between any two effects.
    Kills,
    /// The machine is started again.
    Reboots,
    /// The host is shut down.
    Close,
    /// The machine sleeps.
    Suspends,
    /// The wall's clock jumps.
    Walls,
    /// The disk is full, or slow.
    Disk,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 23] = [
        Kind::Late,
        Kind::Lost,
        Kind::Refused,
        Kind::Twice,
        Kind::Hints,
        Kind::Opaque,
        Kind::Away,
        Kind::Losses,
        Kind::Plugins,
        Kind::Exits,
        Kind::Tempers,
        Kind::Moods,
        Kind::Requests,
        Kind::Force,
        Kind::Edits,
        Kind::Removals,
        Kind::Again,
        Kind::Kills,
        Kind::Reboots,
        Kind::Close,
        Kind::Suspends,
        Kind::Walls,
        Kind::Disk,
    ];

    /// The kind of this name.
    pub fn named(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.to_string() == name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format!("{self:?}").to_lowercase())
    }
}

/// The faults of one run: how often each kind strikes, in percent of where it may; 0 is never.
#[derive(Debug, Clone)]
pub(crate) struct Faults {
    rates: [u64; Kind::ALL.len()],
}

impl Faults {
    pub(crate) fn draw(dice: &mut Dice) -> Faults {
        // Some runs are kinder than others.
        let (chosen, unkind) = (20 + dice.below(70), 5 + dice.below(40));
        Faults { rates: Kind::ALL.map(|_| if dice.percent(chosen) { 1 + dice.below(unkind) } else { 0 }) }
    }

    pub(crate) fn rate(&self, kind: Kind) -> u64 {
        self.rates[kind as usize]
    }

    /// Those that may strike.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = Kind> + '_ {
        Kind::ALL.into_iter().filter(|kind| self.rate(*kind) > 0)
    }

    pub(crate) fn leave_out(&mut self, kind: Kind) {
        self.rates[kind as usize] = 0;
    }
}
