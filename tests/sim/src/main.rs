//! `hostler-sim`: plays seeds, and shrinks the first that fails to a short story.

use std::process::ExitCode;
use std::time::Instant;

use hostler_sim::{Cut, Kind, Size, Story, play, play_twice, shrink};

const HELP: &str = "\
hostler-sim plays the core against a model world, seed after seed, and checks its invariants at every step.

  --seeds N              so many seeds (1)
  --seed N               begin with this one (0)
  --minutes N, --hours N how long the faults of each run last, in simulated time (1 hour)
  --services N           so many services, not as many as chance will have
  --show                 what happens, line by line
  --no-shrink            a seed that fails is told, and not made shorter
  --only-steps A,B,…     only these steps of it, by number
  --only-services A,B,…  only these services
  --without KIND,…       without calls that are: late, lost, refused, twice, opaque; without hints that are lost
  --planted N            with the fault N that is planted in the core (needs a build with --features planted)";

struct Arguments {
    seed: u64,
    seeds: u64,
    size: Size,
    cut: Cut,
    show: bool,
    shrink: bool,
}

fn arguments() -> Result<Arguments, String> {
    let mut found = Arguments { seed: 0, seeds: 1, size: Size::default(), cut: Cut::default(), show: false, shrink: true };
    let mut rest = std::env::args().skip(1);
    while let Some(name) = rest.next() {
        if name == "--help" || name == "-h" {
            println!("{HELP}");
            std::process::exit(0);
        }
        match name.as_str() {
            "--show" => {
                found.show = true;
                continue;
            }
            "--no-shrink" => {
                found.shrink = false;
                continue;
            }
            _ => {}
        }
        let value = rest.next().ok_or_else(|| format!("{name} needs a value; --help says which"))?;
        let number = || value.parse::<u64>().map_err(|_| format!("{name} needs a number, not `{value}`"));
        let numbers = || -> Result<std::collections::BTreeSet<usize>, String> {
            value.split(',').map(|part| part.parse::<usize>().map_err(|_| format!("{name}: `{part}` is no number"))).collect()
        };
        match name.as_str() {
            "--seed" => found.seed = number()?,
            "--seeds" => found.seeds = number()?,
            "--minutes" => found.size.minutes = number()?.max(1),
            "--hours" => found.size.minutes = number()?.max(1) * 60,
            "--services" => found.size.services = Some(usize::try_from(number()?.max(1)).map_err(|error| error.to_string())?),
            "--only-steps" => found.cut.steps = Some(numbers()?),
            "--only-services" => found.cut.services = Some(numbers()?),
            "--without" => {
                for word in value.split(',') {
                    found.cut.without.insert(Kind::named(word).ok_or_else(|| format!("there is no kind of fault `{word}`"))?);
                }
            }
            "--planted" => plant(number()?)?,
            _ => return Err(format!("there is no {name}; --help says what there is")),
        }
    }
    Ok(found)
}

#[cfg(feature = "planted")]
fn plant(number: u64) -> Result<(), String> {
    hostler_core::planted::choose(number);
    hostler_store::planted::choose(number);
    Ok(())
}

#[cfg(not(feature = "planted"))]
fn plant(_: u64) -> Result<(), String> {
    Err("no faults are planted in this build: build it with --features planted".to_owned())
}

fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(message) => {
            eprintln!("hostler-sim: {message}");
            return ExitCode::from(2);
        }
    };
    let began = Instant::now();
    let (mut simulated, mut events) = (0, 0);
    for seed in arguments.seed..arguments.seed + arguments.seeds {
        if arguments.seeds == 1 {
            println!("seed {seed}");
        }
        let story = Story::new(seed, arguments.size).cut(&arguments.cut);
        if arguments.show {
            let played = play(&story, true);
            played.log.iter().for_each(|line| println!("{line}"));
        }
        let played = play_twice(&story);
        simulated += played.simulated_ms;
        events += played.events;
        if let Some(violation) = played.violation {
            println!("seed {seed} breaks {violation}");
            println!("  again: hostler-sim {} --show", story.arguments());
            if arguments.shrink {
                tell(&shrink(&story, violation.rule));
            }
            return ExitCode::FAILURE;
        }
    }
    let (seconds, hours) = (began.elapsed().as_secs_f64(), simulated as f64 / 3_600_000.0);
    println!(
        "{} seeds from {}: {hours:.0} simulated hours, {events} events in {seconds:.1} s: {:.0} hours per minute, no invariant broken",
        arguments.seeds,
        arguments.seed,
        hours / seconds * 60.0
    );
    ExitCode::SUCCESS
}

/// The short story, and how it is played.
fn tell(story: &Story) {
    let played = play(story, true);
    println!("shortened to {} steps and {} services:", story.steps().len(), story.numbers().len());
    played.log.iter().for_each(|line| println!("  {line}"));
    if let Some(violation) = played.violation {
        println!("  {violation}");
    }
    println!("  again: hostler-sim {} --show", story.arguments());
}
