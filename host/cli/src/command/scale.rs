//! `hostler scale`

use std::collections::BTreeMap;

use hostler_api::{ScaleRequest, routes};

use crate::context::Context;
use crate::error::{Error, usage};
use crate::progress::Waiting;

/// Change how many replicas of services there are, within the bounds of their configuration.
///
/// The number holds until another one is asked for, or the configuration says another one; a restart of the host or the same file again
/// takes nothing back. Fewer: the least well go first, then the newest.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// One service and its number, or several as SERVICE=N
    #[arg(value_name = "SERVICE N|SERVICE=N", required = true)]
    words: Vec<String>,
    #[command(flatten)]
    waiting: Waiting,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    let request = ScaleRequest { services: counts(&args.words)?, wait_ms: None };
    super::act(context, routes::SCALE, &request, &args.waiting).await
}

fn counts(words: &[String]) -> Result<BTreeMap<String, u32>, Error> {
    if let [name, number] = words
        && !words.iter().any(|word| word.contains('='))
    {
        return Ok([(name.clone(), count(name, number)?)].into());
    }
    let mut counts = BTreeMap::new();
    for word in words {
        let Some((name, number)) = word.split_once('=') else {
            return Err(usage(format!("`{word}` names no number of replicas"))
                .hint("write `hostler scale web 3`, or `hostler scale web=3 api=2`")
                .into());
        };
        if counts.insert(name.to_owned(), count(name, number)?).is_some() {
            return Err(usage(format!("`{name}` is named twice")).into());
        }
    }
    Ok(counts)
}

fn count(name: &str, number: &str) -> Result<u32, Error> {
    number.parse().map_err(|_| usage(format!("`{number}` is no number of replicas of `{name}`")).hint("write a whole number, such as 3").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Vec<(String, u32)>, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        counts(&words).map(|counts| counts.into_iter().collect()).map_err(|error| match error {
            Error::Failure(failure) => failure.message,
            other => format!("{other:?}"),
        })
    }

    #[test]
    fn one_or_several_are_named_with_their_numbers() {
        let counts = |pairs: &[(&str, u32)]| Ok(pairs.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect());
        assert_eq!(read("web 3"), counts(&[("web", 3)]));
        assert_eq!(read("web=3 api=0"), counts(&[("api", 0), ("web", 3)]));
        assert_eq!(read("web"), Err("`web` names no number of replicas".to_owned()));
        assert_eq!(read("web=3 api"), Err("`api` names no number of replicas".to_owned()));
        assert_eq!(read("web=3 web=4"), Err("`web` is named twice".to_owned()));
        assert_eq!(read("web many"), Err("`many` is no number of replicas of `web`".to_owned()));
        assert_eq!(read("web=-1"), Err("`-1` is no number of replicas of `web`".to_owned()));
    }
}
