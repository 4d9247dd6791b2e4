//! `hostler-torture --kills N --seed S`, `hostler-torture --restarts N`: see --help.

use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

use hostler_torture::{Report, restarts, service, torture};

const HELP: &str = "\
Kills the host and its keeper with SIGKILL under load, and holds what hostler says against what its services did.

Usage: hostler-torture [--kills N] [--seed S]
       hostler-torture --restarts N

Options:
  --kills N     How many kills [default: 1000]
  --seed S      Who is killed when, and what is asked for meanwhile [default: from the clock; it is printed first]
  --restarts N  Kills nobody: fifty services crash at once, whenever they are started, until they were restarted N times
  -h, --help    Print help

Environment:
  HOSTLER_BIN  The hostler under torture [default: target/release/hostler]

Some twenty services run in a state directory of their own: counters, one-shots, dependents, one with an HTTP check,
and some that crash by themselves. Each start and each end of theirs is a line in an account of their own. Meanwhile
configurations are applied, services are stopped, started and restarted, events and logs are read with cursors and
followed. After each kill `hostler serve --detach` takes over. Promised, and checked all the time:

  - who was not touched has the same pid and one life, whoever was killed
  - never two lives of one service at once, and no run is started twice
  - each exit is told once, with its code; as unknown only when its keeper was killed
  - events are numbered without gaps, over all hosts
  - no log line is missing; one is repeated only after a kill of the keeper, a batch at most
  - restart counts, the generation and the last event never go back
  - what was acknowledged holds afterwards

Of restarts it is promised that descriptors, threads, memory and files of host and keeper are after N of them what they were after 1000.

The machine decides when its processes run, so a seed repeats the wishes and the kills, not every race between them.

Exit codes: 0 every promise was kept; 1 one was not, with what was done before; 2 usage
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let ["be", part, dir, port] = words[..] {
        return service::play(part, Path::new(dir), port.parse().ok());
    }
    if words.iter().any(|word| ["-h", "--help"].contains(word)) {
        print!("{HELP}");
        return ExitCode::SUCCESS;
    }
    let (mut kills, mut seed) = (1000, SystemTime::UNIX_EPOCH.elapsed().map_or(1, |since| since.as_secs()));
    for pair in words.chunks(2) {
        match pair {
            ["--kills", number] if number.parse::<u64>().is_ok() => kills = number.parse().unwrap_or_default(),
            ["--seed", number] if number.parse::<u64>().is_ok() => seed = number.parse().unwrap_or_default(),
            ["--restarts", number] if number.parse::<u64>().is_ok() && words.len() == 2 => {
                return told(&restarts(number.parse().unwrap_or_default()));
            }
            _ => {
                eprintln!("not understood: {}\nusage: hostler-torture [--kills N] [--seed S] | --restarts N", pair.join(" "));
                return ExitCode::from(2);
            }
        }
    }
    println!("seed {seed}");
    told(&torture(kills, seed))
}

fn told(report: &Report) -> ExitCode {
    println!("{report}");
    if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
