//! What people and the world do: requests, new specs, exits, moods of checks, engines and hosts that go away.

use std::sync::Arc;

use hostler_core::{CheckSpec, Condition, Dependency, Event, Exit, Kind, Replicas, RestartMode, RestartPolicy, ServiceName, Span, Spec, Verdict};

use super::dice::Dice;
use crate::world::World;

const BACKENDS: [&str; 2] = ["p", "q"];

/// The services that people know, applied or not; each may depend on those before it.
pub(super) struct People {
    pub(super) specs: Vec<Spec>,
}

impl People {
    pub(super) fn new(dice: &mut Dice) -> People {
        let mut people = People { specs: Vec::new() };
        for n in 0..=dice.below(12) {
            // Names run against the order of dependencies as often as with it.
            let name = if n % 2 == 0 { format!("a{n}") } else { format!("z{}", 50 - n) };
            let backend = *dice.pick(&BACKENDS);
            let mut spec = Spec::new(ServiceName::new(&name).expect("a name"), backend, "{}");
            spec.kind = if dice.percent(20) { Kind::Oneshot } else { Kind::Service };
            spec.restart = policy(dice);
            people.specs.push(spec);
            people.change_edges(n as usize, dice);
            people.change_checks(n as usize, dice);
        }
        people
    }

    fn change_edges(&mut self, n: usize, dice: &mut Dice) {
        let mut edges: Vec<Dependency> = Vec::new();
        for _ in 0..dice.below(4).min(n as u64) {
            let on = &self.specs[dice.below(n as u64) as usize];
            if edges.iter().any(|edge| edge.service == on.name) {
                continue;
            }
            let condition = match dice.below(4) {
                0 => Some(Condition::Started),
                1 if !on.checks.is_empty() => Some(Condition::Healthy),
                2 if on.kind == Kind::Oneshot => Some(Condition::Completed),
                _ => None,
            };
            edges.push(Dependency { optional: dice.percent(30), restart: dice.percent(30), condition, ..Dependency::on(on.name.clone()) });
        }
        self.specs[n].dependencies = edges;
    }

    fn change_checks(&mut self, n: usize, dice: &mut Dice) {
        let spec = &mut self.specs[n];
        spec.checks.clear();
        for name in ["one", "two"].into_iter().take([0, 0, 1, 2][dice.below(4) as usize]) {
            let mut check = CheckSpec::new(name, "tcp", "{}");
            check.interval = Span(200 + dice.below(8_000));
            check.failure_threshold = 1 + dice.below(3) as u32;
            check.auto_recovery = dice.percent(70);
            check.start_period = Span(dice.below(2) * dice.below(5_000));
            spec.checks.push(check);
        }
        if dice.percent(50) {
            spec.checks.reverse();
        }
    }

    pub(super) fn apply_all(&mut self, world: &mut World) {
        world.apply_specs(self.specs.clone());
    }

    /// One thing happens.
    pub(super) fn act(&mut self, world: &mut World, dice: &mut Dice) {
        match dice.below(100) {
            0..35 => {
                let reach = *dice.pick(&[50, 1_000, 1_000, 5_000, 5_000, 20_000, 100_000]);
                world.pass(Span(dice.below(reach)));
            }
            35..47 => exit(world, dice),
            47..55 => mood(world, dice, &self.specs),
            55..61 => engine(world, dice),
            61..77 => request(world, dice),
            77..87 => self.edit(world, dice),
            87..90 => self.remove(world, dice),
            90..93 => again(world),
            93..99 => world.kill_host(dice.percent(80)),
            _ => {
                let force = dice.percent(30);
                world.close(force);
                world.pass(Span(dice.below(20_000)));
                world.kill_host(true);
            }
        }
        stopped_at_once(world);
    }

    fn edit(&mut self, world: &mut World, dice: &mut Dice) {
        let n = dice.below(self.specs.len() as u64) as usize;
        match dice.below(8) {
            // Some changes are such that a backend makes them while a task runs.
            0 | 1 => {
                let (spec, live) = (&mut self.specs[n], dice.percent(50));
                if !live {
                    spec.backend.settings.push(' ');
                }
                spec.task_digest.push('x');
                spec.fixed_digest = Some(format!("{} {}", spec.backend.plugin, spec.backend.settings));
            }
            2 => self.change_edges(n, dice),
            3 => self.change_checks(n, dice),
            4 => self.specs[n].enabled = !self.specs[n].enabled,
            5 => self.specs[n].replicas = Replicas { min: 0, max: 3, count: 1 + dice.below(3) as u32, autoscale: None },
            6 => {
                let backend = *dice.pick(&BACKENDS);
                self.specs[n].backend.plugin = backend.to_owned();
                self.specs[n].task_digest = format!("{backend} {}", dice.below(3));
                self.specs[n].fixed_digest = None;
            }
            _ => self.specs[n].restart = policy(dice),
        }
        // Whoever asked for a check that is gone no longer asks for it.
        let gone = self.specs[n].checks.is_empty().then(|| self.specs[n].name.clone());
        for edge in self.specs.iter_mut().flat_map(|spec| &mut spec.dependencies) {
            if Some(&edge.service) == gone.as_ref() && edge.condition == Some(Condition::Healthy) {
                edge.condition = None;
            }
        }
        if dice.percent(70) {
            self.apply_all(world);
        } else {
            world.apply_specs(vec![self.specs[n].clone()]);
        }
    }

    fn remove(&mut self, world: &mut World, dice: &mut Dice) {
        let n = dice.below(self.specs.len() as u64) as usize;
        let name = self.specs[n].name.clone();
        let needed = world.store.wanted.values().any(|wanted| wanted.spec.dependencies.iter().any(|edge| edge.service == name));
        if !needed && world.store.wanted.contains_key(&name) {
            world.remove(name.as_str());
        }
    }
}

fn policy(dice: &mut Dice) -> RestartPolicy {
    RestartPolicy {
        mode: *dice.pick(&[RestartMode::Always, RestartMode::Always, RestartMode::OnFailure, RestartMode::Never]),
        max_attempts: *dice.pick(&[Some(0), Some(1), Some(3), Some(10), None]),
        initial: Span(dice.below(3_000)),
        max: Span::secs(20),
        reset_after: Span(*dice.pick(&[1_000, 20_000, 600_000])),
        ..RestartPolicy::default()
    }
}

fn exit(world: &mut World, dice: &mut Dice) {
    let alive = world.alive();
    if alive.is_empty() {
        return;
    }
    let run = *dice.pick(&alive);
    let backend = world.engines.iter().find(|(_, engine)| engine.tasks.contains_key(&run)).map(|(name, _)| name.clone()).expect("it is alive there");
    world.engine(&backend).exit(run, Exit { code: Some(i32::from(dice.percent(60))), ..Exit::default() });
    if dice.percent(70) {
        world.hear(Event::Hint { backend });
        world.settle();
    }
}

fn mood(world: &mut World, dice: &mut Dice, specs: &[Spec]) {
    let name = dice.pick(specs).name.to_string();
    let verdict = *dice.pick(&[Verdict::Pass, Verdict::Pass, Verdict::Warn, Verdict::Fail, Verdict::Fail, Verdict::Unknown]);
    world.says(&name, verdict);
    if dice.percent(20) {
        world.hear(Event::CheckNow(world.core.names().cloned().collect()));
        world.settle();
    }
}

fn engine(world: &mut World, dice: &mut Dice) {
    let name = *dice.pick(&BACKENDS);
    match dice.below(5) {
        0 | 1 => world.away(name, "away by chance"),
        2 | 3 => world.back(name),
        _ => {
            let missing = dice.percent(50).then(|| "no plugin by chance".to_owned());
            world.hear(Event::Plugin { backend: name.to_owned(), missing });
            world.settle();
        }
    }
}

fn request(world: &mut World, dice: &mut Dice) {
    let names: Vec<ServiceName> = world.store.wanted.keys().cloned().collect();
    if names.is_empty() {
        return;
    }
    let chosen: Vec<String> = names.iter().filter(|_| dice.percent(25)).map(ToString::to_string).collect();
    let chosen = if chosen.is_empty() { dice.pick(&names).to_string() } else { chosen.join(" ") };
    match dice.below(7) {
        0..3 => world.start(&chosen),
        3..5 => world.stop(&chosen),
        5 => world.restart(&chosen),
        _ => world.force(dice.pick(&names).as_str()),
    }
}

/// I9: the same once more changes nothing.
fn again(world: &mut World) {
    world.hear(Event::Tick);
    let decided = world.decided;
    let same = world
        .store
        .wanted
        .clone()
        .into_iter()
        .map(|(name, wanted)| (name, Some(hostler_core::Wanted { spec: Arc::new(wanted.spec.as_ref().clone()), ..wanted })));
    let same = same.collect();
    world.hear(Event::Wanted(same));
    assert_eq!(world.decided, decided, "I9: an identical spec changed something");
    world.settle();
}

/// I11: what is to be stopped and is not alive waits for nothing.
fn stopped_at_once(world: &World) {
    for (name, wanted) in &world.store.wanted {
        let stopped = wanted.desired == hostler_core::Desired::Stopped;
        let Some(view) = world.core.service(name.as_str()).filter(|_| stopped) else { continue };
        if view.replicas.iter().all(|replica| replica.run.is_none()) {
            assert!(matches!(view.status.as_str(), "stopped" | "disabled" | "completed"), "I11: {name} is {} after a stop", view.status.as_str());
        }
    }
}
