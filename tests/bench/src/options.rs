//! The command line.

use std::path::PathBuf;

use crate::Fallible;

const HELP: &str = "\
How fast is Hostler, beside what this machine can do at all?

usage: hostler-bench [--services N] [--kills N] [--idle SECONDS] [--json FILE]

  --services N      how many `sleep` services stand beside each other [1000]
  --kills N         how often a service is killed, alone and beside them [100]
  --idle SECONDS    how long the idle host is watched [20]
  --json FILE       where the figures go as JSON [bench.json in cargo's target directory]

The host is `hostler` beside this program, or what HOSTLER_BIN names. Everything happens in temporary directories; everything that is
started is ended, also when this program is interrupted. It takes about a minute and a half; the machine should have nothing else to do.
";

/// What is to be measured, and with what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    /// How many services stand beside each other.
    pub(crate) services: usize,
    /// How often one is killed.
    pub(crate) kills: usize,
    /// How long the idle host is watched.
    pub(crate) idle_secs: u64,
    /// Where the figures go.
    pub(crate) json: PathBuf,
    /// The program that is measured.
    pub(crate) hostler: PathBuf,
}

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
            "--services" => options.services = number(&value, 10..=10_000)?,
            "--kills" => options.kills = number(&value, 5..=10_000)?,
            "--idle" => options.idle_secs = number(&value, 1..=600)? as u64,
            "--json" => options.json = PathBuf::from(value),
            _ => return Err(format!("there is no option `{word}`").into()),
        }
    }
    Ok(Asked::Run(options))
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
    Ok(Options { services: 1_000, kills: 100, idle_secs: 20, json, hostler: std::path::absolute(hostler)? })
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
        assert_eq!((options.services, options.kills, options.idle_secs), (1_000, 7, 20));
        assert!(options.json.ends_with("bench.json"));
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!(of("--kills 1"), Err("`1` is no number between 5 and 10000".to_owned()));
        assert_eq!(of("--kill 10"), Err("there is no option `--kill`".to_owned()));
        assert_eq!(of("--kills"), Err("`--kills` is unknown, or has no value".to_owned()));
    }
}
