//! Steps: from a line of text to what happens in the world.

use std::collections::BTreeMap;

use hostler_core::{Config, Event, Exit, Fault, Phase, Run, ServiceName, Span, Spec, Time, Verdict, Wanted, doubt};

use crate::settings::{change, services};
use crate::show;
use crate::world::{Fate, World};

/// A boot of the machine took this long before the host began.
const BOOT: Time = Time(5_000);

/// Plays a story: each step, and what followed it.
///
/// # Errors
/// The line that cannot be read, and why.
///
/// # Panics
/// When an invariant of the core does not hold, see [`world`](crate::world).
pub fn play(story: &str) -> Result<String, String> {
    let mut teller = Teller { world: world(Config::default()), seen: BTreeMap::new() };
    let mut out = String::new();
    for (at, line) in story.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        out.push_str(&format!("> {line}\n"));
        let told = teller.step(line).map_err(|why| format!("line {}: {why}: {line}", at + 1))?;
        told.into_iter().for_each(|line| out.push_str(&format!("    {line}\n")));
    }
    Ok(out)
}

fn world(config: Config) -> World {
    let mut world = World::with(config);
    world.journal = Some(Vec::new());
    world
}

struct Teller {
    world: World,
    /// What was last told of each service.
    seen: BTreeMap<ServiceName, String>,
}

impl Teller {
    /// Does one step, and tells what followed.
    fn step(&mut self, line: &str) -> Result<Vec<String>, String> {
        if let Some(answer) = self.ask(line) {
            return answer;
        }
        let before = if line == "reboot" { BOOT } else { self.world.now };
        let mut told = self.act(line)?;
        told.extend(show::journal(self.world.journal.replace(Vec::new()).unwrap_or_default(), before));
        told.extend(show::changes(&self.world, &mut self.seen));
        Ok(told)
    }

    /// Steps that only look.
    fn ask(&self, line: &str) -> Option<Result<Vec<String>, String>> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let lines = match (verb, rest) {
            ("explain", name) => {
                let text = self.world.explain(name);
                if text.is_empty() { vec!["as wanted".to_owned()] } else { text.lines().map(str::to_owned).collect() }
            }
            ("show", name) => show::service(&self.world, name),
            ("scaling", name) => vec![self.world.core.scaling(name).unwrap_or_else(|| "by hand".to_owned())],
            ("statuses", "") => show::statuses(&self.world),
            ("category", word) => show::category(&self.world, word),
            ("layers", "") => show::layers(&self.world),
            ("whole", "") => show::whole(&self.world),
            ("saved", "") => show::saved(&self.world),
            ("engines", "") => show::engines(&self.world),
            _ => return None,
        };
        Some(Ok(lines))
    }

    /// Steps in which something happens; what they say is told before what followed.
    fn act(&mut self, line: &str) -> Result<Vec<String>, String> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let names = self.known(rest);
        let world = &mut self.world;
        match verb {
            "parallel" => {
                let max_parallel = rest.parse().map_err(|_| "not a number")?;
                *world = self::world(Config { max_parallel, ..Config::default() });
            }
            "apply" => return self.apply(services(rest)?),
            "chain" => return self.apply(chain(rest, false)?),
            "ring" => return self.apply(chain(rest, true)?),
            "fan" => return self.apply(fan(rest)?),
            "set" => return self.set(rest),
            "start" => world.start(names?),
            "stop" => world.stop(names?),
            "restart" => world.restart(names?),
            "scale" => return self.scale(rest),
            "hold" => self.one(rest, Wanted::holding)?,
            "free" => self.one(rest, Wanted::freeing)?,
            "drop" => self.one(rest, Wanted::without)?,
            "load" => self.load(rest)?,
            "remove" => world.remove(names?),
            "force" => world.force(names?),
            "close" => world.close(rest == "force"),
            "exit" => self.exit(rest, true)?,
            "exit-unseen" => self.exit(rest, false)?,
            "pass" => world.pass(Span::parse(rest)?),
            "check" => self.check(rest)?,
            "ask" => {
                let named = rest.split_whitespace().map(ServiceName::new).collect::<Result<Vec<_>, _>>()?;
                let names = if named.is_empty() { world.core.names().cloned().collect() } else { named };
                world.hear(Event::CheckNow(names));
                world.settle();
            }
            "backend" => self.backend(rest)?,
            "plugin" => self.plugin(rest)?,
            "hints" => self.hints(rest)?,
            "hint" => world.hear(Event::Hint { backend: rest.to_owned() }),
            "engine" => self.engine(rest)?,
            "next" => {
                let (call, fate) = call_and_fate(rest)?;
                world.next(&call, fate);
            }
            "release" => world.release(rest),
            "fail" => {
                let (call, fate) = call_and_fate(rest)?;
                world.fail(&call, fate);
            }
            "kill" if rest == "host" => world.restart_host(true),
            "reboot" => self.reboot(),
            "repeat" => return self.repeat(rest),
            _ => return Err("there is no such step".to_owned()),
        }
        Ok(Vec::new())
    }

    /// Does the steps again and again; what only tells is told the last time.
    fn repeat(&mut self, rest: &str) -> Result<Vec<String>, String> {
        let (count, steps) = rest.split_once(':').ok_or("write `repeat 10: STEP | STEP`")?;
        for _ in 0..count.parse::<u32>().map_err(|_| "not a number")? {
            for step in steps.split('|') {
                self.act(step.trim())?;
            }
        }
        Ok(Vec::new())
    }

    fn known<'a>(&self, names: &'a str) -> Result<&'a str, String> {
        let unknown = names.split_whitespace().find(|name| !self.world.store.wanted.contains_key(*name));
        unknown.map_or(Ok(names), |name| Err(format!("{name} is not among the services")))
    }

    /// A set of services with one mistake changes nothing.
    fn apply(&mut self, specs: Vec<Spec>) -> Result<Vec<String>, String> {
        let wanted = self.world.store.wanted.iter().map(|(name, wanted)| (name.clone(), wanted.spec.as_ref().clone()));
        let mut then: BTreeMap<ServiceName, Spec> = wanted.collect();
        then.extend(specs.iter().map(|spec| (spec.name.clone(), spec.clone())));
        let problems = doubt(&then);
        if problems.is_empty() {
            self.world.apply_specs(specs);
        }
        Ok(problems.into_iter().map(show::problem).collect())
    }

    fn set(&mut self, rest: &str) -> Result<Vec<String>, String> {
        let (name, settings) = rest.split_once(' ').ok_or("write `set NAME KEY VALUE`")?;
        let mut spec = self.world.store.wanted[self.known(name)?].spec.as_ref().clone();
        change(&mut spec, settings)?;
        self.apply(vec![spec])
    }

    /// `scale web 3`.
    fn scale(&mut self, rest: &str) -> Result<Vec<String>, String> {
        let (name, count) = rest.split_once(' ').ok_or("write `scale NAME COUNT`")?;
        let (name, count) = (self.known(name)?, count.parse().map_err(|_| "not a number")?);
        Ok(self.world.scale(name, count).err().map(|why| format!("refused: {why}")).into_iter().collect())
    }

    /// `hold web.1`: one replica is stopped; `free web.1`: and may run again; `drop web.1`: and goes.
    fn one(&mut self, label: &str, change: fn(&Wanted, u32) -> Wanted) -> Result<(), String> {
        let (name, replica) = label.split_once('.').ok_or("write `hold NAME.REPLICA`")?;
        let (name, replica) = (self.known(name)?, replica.parse().map_err(|_| "not a number")?);
        self.world.change(name, |wanted| *wanted = change(wanted, replica));
        Ok(())
    }

    /// `load web 95 80`: what each replica uses, in percent; `-` of one that could not be measured.
    fn load(&mut self, rest: &str) -> Result<(), String> {
        let (name, figures) = rest.split_once(' ').ok_or("write `load NAME PERCENT …`")?;
        let name = self.known(name)?;
        let known: Vec<u64> =
            figures.split_whitespace().filter(|figure| *figure != "-").map(str::parse).collect::<Result<_, _>>().map_err(|_| "not a number")?;
        self.world.load(name, known.iter().map(|percent| percent * 10).sum(), known.len());
        Ok(())
    }

    /// `exit db 1`, `exit db SIGKILL`, `exit db memory`, `exit db lost`.
    fn exit(&mut self, rest: &str, hinted: bool) -> Result<(), String> {
        let (label, how) = rest.split_once(' ').ok_or("write `exit NAME HOW`")?;
        let run = self.world.run_of(label).ok_or("it does not run")?;
        let (name, _) = label.split_once('.').unwrap_or((label, ""));
        let backend = self.world.core.service(name).ok_or("it is not there")?.spec.backend.plugin.clone();
        end(&mut self.world, &backend, run, how);
        if hinted {
            self.world.hear(Event::Hint { backend });
            self.world.settle();
        }
        Ok(())
    }

    /// `check db fail connection refused`: what a check says from now on.
    fn check(&mut self, rest: &str) -> Result<(), String> {
        let (name, rest) = rest.split_once(' ').ok_or("write `check NAME VERDICT WORDS`")?;
        let (word, words) = rest.split_once(' ').unwrap_or((rest, ""));
        let verdict = match word {
            "pass" => Verdict::Pass,
            "warn" => Verdict::Warn,
            "fail" => Verdict::Fail,
            "unknown" => Verdict::Unknown,
            _ => return Err(format!("{word} is no verdict")),
        };
        self.world.says(name, verdict);
        self.world.words.remove(name);
        if !words.is_empty() {
            self.world.words.insert(name.to_owned(), words.to_owned());
        }
        Ok(())
    }

    fn backend(&mut self, rest: &str) -> Result<(), String> {
        match rest.splitn(3, ' ').collect::<Vec<_>>()[..] {
            [name, "back"] => self.world.back(name),
            [name, "away", why] => self.world.away(name, why),
            _ => return Err("write `backend NAME away WHY` or `backend NAME back`".to_owned()),
        }
        Ok(())
    }

    fn plugin(&mut self, rest: &str) -> Result<(), String> {
        let (backend, missing) = match rest.splitn(3, ' ').collect::<Vec<_>>()[..] {
            [name, "back"] => (name.to_owned(), None),
            [name, "gone", why] => (name.to_owned(), Some(why.to_owned())),
            _ => return Err("write `plugin NAME gone WHY` or `plugin NAME back`".to_owned()),
        };
        // Without the plugin no call reaches the engine.
        self.world.engine(&backend).away.clone_from(&missing);
        self.world.hear(Event::Plugin { backend, missing });
        self.world.settle();
        Ok(())
    }

    /// Somebody hints at every end there from now on, or nobody does.
    fn hints(&mut self, rest: &str) -> Result<(), String> {
        let (name, word) = rest.split_once(' ').ok_or("write `hints NAME yes`")?;
        self.world.hear(Event::Watched { backend: name.to_owned(), closely: word == "yes" });
        self.world.settle();
        Ok(())
    }

    /// What an engine does that nobody told the core: it starts, loses or ends a run, or claims one that is not its own.
    fn engine(&mut self, rest: &str) -> Result<(), String> {
        let wrong = "write `engine NAME starts|loses RUN`, `engine NAME ends RUN HOW` or `engine NAME claims RUN`";
        let (name, what) = rest.split_once(' ').ok_or(wrong)?;
        let (what, run) = what.split_once(' ').ok_or(wrong)?;
        let (run, how) = run.split_once(' ').unwrap_or((run, "lost"));
        let run: Run = run.parse().map_err(|_| wrong)?;
        match what {
            "starts" => self.world.engine(name).start(run, "").map_err(|fault| fault.message().to_owned())?,
            "loses" => drop(self.world.engine(name).tasks.remove(&run)),
            "ends" => end(&mut self.world, name, run, how),
            "claims" => {
                self.world.hear(Event::Seen { backend: name.to_owned(), seen: vec![(run, Phase::Exited(exit(how)))] });
                self.world.settle();
            }
            _ => return Err(wrong.to_owned()),
        }
        Ok(())
    }

    /// The machine falls and comes up again: its processes are gone, and its clock begins anew.
    fn reboot(&mut self) {
        self.world.engine("process").tasks.clear();
        self.world.now = BOOT;
        self.world.restart_host(false);
    }
}

fn end(world: &mut World, backend: &str, run: Run, how: &str) {
    world.engine(backend).exit(run, exit(how));
}

fn exit(how: &str) -> Exit {
    match how {
        "memory" => Exit { out_of_memory: true, ..Exit::default() },
        "lost" => Exit::default(),
        how => match how.parse() {
            Ok(code) => Exit { code: Some(code), ..Exit::default() },
            Err(_) => Exit { signal: Some(how.to_owned()), ..Exit::default() },
        },
    }
}

/// `start db held`, `stop db failed it will not die`, `start db late 5s`.
fn call_and_fate(text: &str) -> Result<(String, Fate), String> {
    let parts: Vec<&str> = text.splitn(4, ' ').collect();
    let [verb, name, word, ref rest @ ..] = parts[..] else { return Err("write `next CALL NAME FATE WORDS`".to_owned()) };
    let words = rest.first().copied().unwrap_or_default();
    let message = words.to_owned();
    let fate = match word {
        "done" => Fate::Done,
        "held" => Fate::Held,
        "lost" => Fate::Lost,
        "late" => Fate::Late(Span::parse(words)?),
        "invalid" => Fate::Fault(Fault::Invalid(message)),
        "denied" => Fate::Fault(Fault::Denied(message)),
        "unsupported" => Fate::Fault(Fault::Unsupported(message)),
        "unavailable" => Fate::Fault(Fault::Unavailable { message, after: None }),
        "interrupted" => Fate::Fault(Fault::Interrupted(message)),
        "failed" => Fate::Fault(Fault::Failed(message)),
        _ => return Err(format!("{word} is no fate of a call")),
    };
    Ok((format!("{verb} {name}"), fate))
}

/// So many services, each needing the one before; in a ring the first needs the last.
fn chain(count: &str, ring: bool) -> Result<Vec<Spec>, String> {
    let count: usize = count.parse().map_err(|_| "not a number")?;
    let link = |at: usize| match (at, ring) {
        (0, false) => "link0".to_owned(),
        (0, true) => format!("link0 <- link{}", count - 1),
        (at, _) => format!("link{at} <- link{}", at - 1),
    };
    (0..count).map(|at| services(&link(at))).collect::<Result<Vec<_>, _>>().map(|found| found.into_iter().flatten().collect())
}

/// `fan 10 app <- db`: app0 to app9, each as the text says of `app`.
fn fan(text: &str) -> Result<Vec<Spec>, String> {
    let (count, text) = text.split_once(' ').ok_or("write `fan 10 SERVICE`")?;
    let count: usize = count.parse().map_err(|_| "not a number")?;
    let mut found = services(text)?;
    let spec = found.pop().ok_or("which service?")?;
    (0..count).map(|at| Ok(Spec { name: ServiceName::new(&format!("{}{at}", spec.name))?, ..spec.clone() })).collect()
}
