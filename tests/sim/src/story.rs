//! A story: all that a seed decides before anything happens.

mod services;
mod step;

use std::collections::BTreeSet;

use hostler_core::{Config, Span, Spec};

use crate::dice::Dice;
use crate::faults::{Faults, Kind};

pub(crate) use step::{Edit, Step, Temper};

/// The names of the model engines: `p` forgets its tasks when the machine is started again, `q` remembers that they ended.
pub(crate) const ENGINES: [&str; 2] = ["p", "q"];

/// How far apart two steps may be, in milliseconds: some stories are dense, and some leave time for things to rest.
const GAPS: [&[u64]; 3] = [&[50, 1_000, 5_000, 20_000], &[50, 1_000, 5_000, 20_000, 100_000, 300_000], &[1_000, 100_000, 600_000]];

/// How long a story is, and how many it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// How long the faults last, in simulated minutes.
    pub minutes: u64,
    /// How many services; chance decides when it is not said.
    pub services: Option<usize>,
}

impl Default for Size {
    /// An hour of as many services as chance will have.
    fn default() -> Size {
        Size { minutes: 60, services: None }
    }
}

/// What is left of a story when it was cut; everything where nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cut {
    /// Only these steps.
    pub steps: Option<BTreeSet<usize>>,
    /// Only these services.
    pub services: Option<BTreeSet<usize>>,
    /// Without faults of these kinds.
    pub without: BTreeSet<Kind>,
}

/// One thing that is done to the world.
#[derive(Debug, Clone)]
pub(crate) struct Beat {
    pub(crate) chapter: u64,
    /// After the chapter's beginning.
    pub(crate) at_ms: u64,
    pub(crate) step: Step,
}

/// All that a seed decides before anything happens.
#[derive(Debug, Clone)]
pub struct Story {
    /// Where it came from.
    pub seed: u64,
    /// How large it was asked for.
    pub size: Size,
    /// What is left of it.
    pub cut: Cut,
    pub(crate) faults: Faults,
    pub(crate) config: Config,
    /// By number; those that were cut away are missing.
    pub(crate) services: Vec<Option<Spec>>,
    /// In order of time; those that were cut away are missing.
    pub(crate) beats: Vec<Option<Beat>>,
    /// The faults stop at the end of each chapter, and everything must come to rest.
    pub(crate) chapters: u64,
    pub(crate) chapter_ms: u64,
}

impl Story {
    /// The story of a seed.
    pub fn new(seed: u64, size: Size) -> Story {
        let mut dice = Dice::of(&[seed, 1]);
        let faults = Faults::draw(&mut dice);
        let config = Config {
            max_parallel: 1 + dice.small(4),
            seed,
            look_every: Span::secs(*dice.pick(&[1, 1, 2, 5])),
            look_seldom: Span::secs(*dice.pick(&[5, 30])),
            list_every: Span::secs(*dice.pick(&[120, 300])),
        };
        let count = size.services.unwrap_or_else(|| 1 + dice.index(20));
        let services: Vec<Option<Spec>> = services::draw(count, &mut dice).into_iter().map(Some).collect();
        let chapters = 1 + size.minutes / 60;
        let mut story = Story {
            seed,
            size,
            cut: Cut::default(),
            faults,
            config,
            services,
            beats: Vec::new(),
            chapters,
            chapter_ms: size.minutes * 60_000 / chapters,
        };
        story.draw_beats(&mut dice);
        story
    }

    fn draw_beats(&mut self, dice: &mut Dice) {
        let steps: Vec<Kind> = self.faults.kinds().filter(|kind| step::is_step(*kind)).collect();
        let weights: Vec<u64> = steps.iter().map(|kind| self.faults.rate(*kind)).collect();
        let gaps = GAPS[dice.index(GAPS.len())];
        for chapter in 0..self.chapters {
            let mut at_ms = 0;
            loop {
                let gap = *dice.pick(gaps);
                at_ms += dice.below(gap) + dice.below(3);
                if at_ms >= self.chapter_ms || steps.is_empty() {
                    break;
                }
                let mut at = dice.below(weights.iter().sum());
                let chosen = weights.iter().position(|weight| {
                    let here = at < *weight;
                    at = at.saturating_sub(*weight);
                    here
                });
                let kind = steps[chosen.expect("less than the sum is below one of them")];
                let step = step::draw(kind, &self.services, dice);
                // a machine that falls while much is being started is the unkindest
                if matches!(step, Step::Reboot { .. }) && dice.percent(50) {
                    let services = (0..self.services.len()).collect();
                    self.beats.push(Some(Beat { chapter, at_ms, step: Step::Restart { services } }));
                }
                self.beats.push(Some(Beat { chapter, at_ms, step }));
            }
        }
    }

    /// The same story with less in it.
    pub fn cut(&self, cut: &Cut) -> Story {
        let mut story = Story::new(self.seed, self.size);
        let keeps = |chosen: &Option<BTreeSet<usize>>, index: usize| chosen.as_ref().is_none_or(|chosen| chosen.contains(&index));
        for (index, beat) in story.beats.iter_mut().enumerate() {
            if !keeps(&cut.steps, index) {
                *beat = None;
            }
        }
        for (index, spec) in story.services.iter_mut().enumerate() {
            if !keeps(&cut.services, index) {
                *spec = None;
            }
        }
        let names: BTreeSet<_> = story.services.iter().flatten().map(|spec| spec.name.clone()).collect();
        for spec in story.services.iter_mut().flatten() {
            spec.dependencies.retain(|edge| names.contains(&edge.service));
        }
        for kind in &cut.without {
            story.faults.leave_out(*kind);
        }
        story.cut = cut.clone();
        story
    }

    /// The same with a wall clock that stands where it should; nothing when it does anyway.
    pub(crate) fn without_wall_jumps(&self) -> Option<Story> {
        let mut story = self.clone();
        let mut jumps = false;
        for beat in story.beats.iter_mut().flatten() {
            if let Step::Wall { by_ms } = &mut beat.step {
                *by_ms = 0;
                jumps = true;
            }
        }
        jumps.then_some(story)
    }

    /// The steps that are left, by number.
    pub fn steps(&self) -> Vec<usize> {
        (0..self.beats.len()).filter(|index| self.beats[*index].is_some()).collect()
    }

    /// The services that are left, by number.
    pub fn numbers(&self) -> Vec<usize> {
        (0..self.services.len()).filter(|index| self.services[*index].is_some()).collect()
    }

    /// The kinds of faults that may strike.
    pub fn kinds(&self) -> Vec<Kind> {
        self.faults.kinds().collect()
    }

    /// Those of them that strike calls; the others are steps.
    pub(crate) fn kinds_of_calls(&self) -> Vec<Kind> {
        self.faults.kinds().filter(|kind| !step::is_step(*kind)).collect()
    }

    /// The arguments that play it again.
    pub fn arguments(&self) -> String {
        let list = |numbers: &BTreeSet<usize>| numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let mut text = format!("--seed {}", self.seed);
        let Size { minutes, services } = self.size;
        if minutes != Size::default().minutes {
            text += &format!(" --minutes {minutes}");
        }
        if let Some(services) = services {
            text += &format!(" --services {services}");
        }
        if let Some(steps) = &self.cut.steps {
            text += &format!(" --only-steps {}", list(steps));
        }
        if let Some(services) = &self.cut.services {
            text += &format!(" --only-services {}", list(services));
        }
        if !self.cut.without.is_empty() {
            text += &format!(" --without {}", self.cut.without.iter().map(ToString::to_string).collect::<Vec<_>>().join(","));
        }
        text
    }
}
