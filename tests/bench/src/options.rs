//! The command line.

use std::path::PathBuf;

use crate::Fallible;

const HELP: &str = "\
How fast is Hostler, beside what this machine can do at all, and beside other supervisors?

usage: hostler-bench [--only PARTS] [--services N] [--kills N] [--idle SECONDS] [--json FILE]

  --only PARTS      some of these, with commas between them [all]
                      one     a host with one service: start, plugin call, crash
                      many    N services: start, ask, crash, recovery, stop
                      sizes   memory and processor with 0, N/10, N and 5 N idle services
                      keeper  the keeper alone: processes started, killed and stopped through its socket, N of them at once
                      chain   50 services, each waiting for the one before it to be healthy
                      checks  N services with HTTP checks: 1 and 5 per second each
                      events  1000 listeners that hear what happens to N/2 services
                      requests   status of one, a list of N, an apply: beside hyper that says hello
                      plan    a plan of 10 N services
                      call    one call of a plugin, which asks the host one thing
                      containers   N/20 containers of a Docker engine: start, memory, processor, stats; beside docker and Docker Compose
                      peers   runit, s6 and supervisord; shown beside one, many and sizes, which it brings with it
  --services N      how many services stand beside each other; targets are for 1000 [1000]
  --kills N         how often a service is killed, alone and beside them [100]
  --idle SECONDS    how long idle hosts, and hosts that check, are watched [10]
  --json FILE       where the figures go as JSON [bench.json in cargo's target directory]

The host is `hostler` beside this program, or what HOSTLER_BIN names. Everything happens in temporary directories; everything that is
started is ended, also when this program is interrupted. All parts take about eight minutes; the machine should have nothing else to do.
";

/// A part of what can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// A host with one service.
    One,
    /// A host with very many.
    Many,
    /// Hosts of several sizes with nothing to do.
    Sizes,
    /// The keeper without a host.
    Keeper,
    /// Services that wait for each other.
    Chain,
    /// Health checks over HTTP.
    Checks,
    /// Events, told to very many.
    Events,
    /// Requests, beside the least that a server can do.
    Requests,
    /// Planning.
    Plan,
    /// One call of a plugin.
    Call,
    /// Containers of a real engine.
    Containers,
    /// Other supervisors.
    Peers,
}

impl Part {
    const ALL: [(&str, Part); 12] = [
        ("one", Part::One),
        ("many", Part::Many),
        ("sizes", Part::Sizes),
        ("keeper", Part::Keeper),
        ("chain", Part::Chain),
        ("checks", Part::Checks),
        ("events", Part::Events),
        ("requests", Part::Requests),
        ("plan", Part::Plan),
        ("call", Part::Call),
        ("containers", Part::Containers),
        ("peers", Part::Peers),
    ];

    fn read(word: &str) -> Fallible<Vec<Part>> {
        match Part::ALL.iter().find(|(name, _)| *name == word) {
            Some((_, Part::Peers)) => Ok(vec![Part::Peers, Part::One, Part::Many, Part::Sizes]),
            Some((_, part)) => Ok(vec![*part]),
            None => Err(format!("there is no part `{word}`; there are {}", Part::ALL.map(|(name, _)| name).join(", ")).into()),
        }
    }
}

/// What is to be measured, and with what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    /// What of it.
    pub(crate) parts: Vec<Part>,
    /// How many services stand beside each other.
    pub(crate) services: usize,
    /// How often one is killed.
    pub(crate) kills: usize,
    /// How long a host is watched.
    pub(crate) idle_secs: u64,
    /// Where the figures go.
    pub(crate) json: PathBuf,
    /// The program that is measured.
    pub(crate) hostler: PathBuf,
}

impl Options {
    /// Is this part asked for?
    pub(crate) fn wants(&self, part: Part) -> bool {
        self.parts.contains(&part)
    }

    /// Where the guests for tests are, beside where programs are built.
    pub(crate) fn fixtures(&self) -> PathBuf {
        self.hostler.parent().and_then(|release| release.parent()).map_or_else(|| PathBuf::from("target"), PathBuf::from).join("fixtures")
    }

    /// Is this as large as the targets suppose?
    pub(crate) fn is_full(&self) -> bool {
        self.services == FULL
    }
}

/// How many services the targets suppose.
const FULL: usize = 1_000;

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// This text.
    Help(&'static str),
    /// The figures.
    Run(Options),
}

/// Reads the words behind the program's name.
pub(crate) fn read(words: Vec<String>) -> Fallible<Asked> {
    let mut options = defaults()?;
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        if word == "--help" || word == "-h" {
            return Ok(Asked::Help(HELP));
        }
        let value = words.next().ok_or_else(|| format!("`{word}` is unknown, or has no value"))?;
        match word.as_str() {
            "--only" => options.parts = parts(&value)?,
            "--services" => options.services = number(&value, 10..=10_000)?,
            "--kills" => options.kills = number(&value, 5..=10_000)?,
            "--idle" => options.idle_secs = number(&value, 1..=600)? as u64,
            "--json" => options.json = PathBuf::from(value),
            _ => return Err(format!("there is no option `{word}`").into()),
        }
    }
    Ok(Asked::Run(options))
}

/// Each once, in the order in which they are measured.
fn parts(text: &str) -> Fallible<Vec<Part>> {
    let named = text.split(',').map(Part::read).collect::<Fallible<Vec<_>>>()?.concat();
    Ok(Part::ALL.into_iter().map(|(_, part)| part).filter(|part| named.contains(part)).collect())
}

fn number(text: &str, range: std::ops::RangeInclusive<usize>) -> Fallible<usize> {
    let number = text.parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| format!("`{text}` is no number between {} and {}", range.start(), range.end()).into())
}

fn defaults() -> Fallible<Options> {
    let own = std::env::current_exe()?;
    let beside = own.parent().ok_or("this program is in no directory")?;
    let hostler = std::env::var_os("HOSTLER_BIN").map_or_else(|| beside.join("hostler"), PathBuf::from);
    let json = beside.parent().unwrap_or(beside).join("bench.json");
    Ok(Options {
        parts: Part::ALL.map(|(_, part)| part).to_vec(),
        services: FULL,
        kills: 100,
        idle_secs: 10,
        json,
        hostler: std::path::absolute(hostler)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Asked, String> {
        read(text.split_whitespace().map(str::to_owned).collect()).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        let Ok(Asked::Run(options)) = of("--kills 7") else { panic!("it runs") };
        assert_eq!((options.services, options.kills, options.idle_secs), (1_000, 7, 10));
        assert!(options.wants(Part::Plan) && options.is_full());
        assert!(options.json.ends_with("bench.json"));
    }

    #[test]
    fn parts_are_chosen_and_peers_bring_what_they_stand_beside() {
        let Ok(Asked::Run(options)) = of("--only plan,peers --services 50") else { panic!("it runs") };
        let chosen = Part::ALL.iter().filter(|(_, part)| options.wants(*part)).map(|(name, _)| *name);
        assert_eq!(chosen.collect::<Vec<_>>(), ["one", "many", "sizes", "plan", "peers"]);
        assert!(!options.is_full());
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!(
            of("--only on"),
            Err("there is no part `on`; there are one, many, sizes, keeper, chain, checks, events, requests, plan, call, containers, peers"
                .to_owned())
        );
        assert_eq!(of("--kills 1"), Err("`1` is no number between 5 and 10000".to_owned()));
        assert_eq!(of("--kill 10"), Err("there is no option `--kill`".to_owned()));
        assert_eq!(of("--kills"), Err("`--kills` is unknown, or has no value".to_owned()));
    }
}
