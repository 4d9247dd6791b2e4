//! What becomes of calls: most are answered soon, some late, some never, some fail.

use std::cell::Cell;
use std::rc::Rc;

use hostler_core::{Action, Fault, Span};

use super::dice::Dice;
use crate::world::{Course, Fate, World};

/// Hands the calls of this world to chance, until the answer is set to true.
pub(super) fn set(world: &mut World, seed: u64) -> Rc<Cell<bool>> {
    let calm = Rc::new(Cell::new(false));
    let (is_calm, mut dice) = (Rc::clone(&calm), Dice::new(!seed));
    // Some worlds are quicker and kinder than others.
    let (slow, unkind) = (dice.below(60), dice.below(40));
    world.fates = Some(Box::new(move |_, action| {
        if is_calm.get() {
            return Course { fate: Fate::Done, effect_after: Span::ZERO, answer_after: Span(dice.below(20)) };
        }
        let fate = if dice.percent(unkind) { misfortune(action, &mut dice) } else { Fate::Done };
        Course { fate, effect_after: delay(&mut dice, slow), answer_after: delay(&mut dice, slow) }
    }));
    calm
}

fn delay(dice: &mut Dice, slow: u64) -> Span {
    match dice.percent(slow) {
        false => Span::ZERO,
        true if dice.percent(80) => Span(dice.below(1_500)),
        true => Span(dice.below(12_000)),
    }
}

fn misfortune(action: &Action, dice: &mut Dice) -> Fate {
    let text = "by chance".to_owned();
    let late = Fate::Late(Span(dice.below(30_000)));
    match action {
        Action::Start { .. } => match dice.below(9) {
            0 | 1 => Fate::Fault(Fault::Failed(text)),
            2 => Fate::Fault(Fault::Unavailable { message: text, after: dice.percent(50).then(|| Span(dice.below(5_000))) }),
            3 => Fate::Fault(Fault::Interrupted(text)),
            4 if dice.percent(30) => Fate::Fault(Fault::Invalid(text)),
            5 | 6 => late,
            _ => Fate::Lost,
        },
        Action::Stop { .. } | Action::Destroy { .. } => match dice.below(4) {
            0 => Fate::Fault(Fault::Failed(text)),
            1 => Fate::Fault(Fault::Unavailable { message: text, after: None }),
            2 => late,
            _ => Fate::Lost,
        },
        Action::Update { .. } => match dice.below(5) {
            0 => Fate::Fault(Fault::Unsupported(text)),
            1 => Fate::Fault(Fault::Unavailable { message: text, after: None }),
            2 => Fate::Fault(Fault::Interrupted(text)),
            3 => Fate::Fault(Fault::Failed(text)),
            _ => Fate::Lost,
        },
        Action::Look { .. } | Action::List { .. } | Action::Check { .. } | Action::Save(_) | Action::Tell(_) => Fate::Lost,
    }
}
