//! From a run that fails to the shortest story that still does.

use std::collections::BTreeSet;

use crate::story::{Cut, Story};
use crate::{Played, play_twice};

/// So many runs are tried at most.
const TRIES: u32 = 600;

/// A shorter story that breaks the same rule; the story itself when there is none.
pub fn shrink(story: &Story, rule: &str) -> Story {
    let mut search = Search { story: story.clone(), rule: rule.to_owned(), tries: 0 };
    loop {
        let before = search.story.arguments();
        search.fewer_kinds();
        search.fewer_steps();
        search.fewer_services();
        if search.tries >= TRIES || search.story.arguments() == before {
            return search.story;
        }
    }
}

struct Search {
    /// The shortest so far.
    story: Story,
    rule: String,
    tries: u32,
}

impl Search {
    /// Takes over a cut that still fails.
    fn tries(&mut self, cut: Cut) -> bool {
        if self.tries >= TRIES {
            return false;
        }
        self.tries += 1;
        let story = self.story.cut(&cut);
        let Played { violation, .. } = play_twice(&story);
        let fails = violation.is_some_and(|violation| violation.rule == self.rule);
        if fails {
            self.story = story;
        }
        fails
    }

    fn fewer_kinds(&mut self) {
        for kind in self.story.kinds_of_calls() {
            let mut cut = self.story.cut.clone();
            cut.without.insert(kind);
            self.tries(cut);
        }
    }

    fn fewer_steps(&mut self) {
        let steps = self.story.steps();
        let kept = self.fewer(&steps, |cut, kept| cut.steps = Some(kept));
        debug_assert!(kept.len() <= steps.len());
    }

    fn fewer_services(&mut self) {
        let services = self.story.numbers();
        self.fewer(&services, |cut, kept| cut.services = Some(kept));
    }

    /// Leaves out halves, then quarters, then single ones, as long as it still fails.
    fn fewer(&mut self, all: &[usize], with: impl Fn(&mut Cut, BTreeSet<usize>)) -> Vec<usize> {
        let mut kept = all.to_vec();
        let mut size = kept.len().max(1);
        while size > 0 && !kept.is_empty() {
            let mut at = 0;
            while at < kept.len() {
                let mut rest = kept.clone();
                // The last go first: what came after the failure has no part in it.
                let end = kept.len() - at;
                rest.drain(end.saturating_sub(size)..end);
                let mut cut = self.story.cut.clone();
                with(&mut cut, rest.iter().copied().collect());
                if self.tries(cut) {
                    kept = rest;
                } else {
                    at += size;
                }
            }
            size /= 2;
        }
        kept
    }
}
