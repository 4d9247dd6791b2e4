//! `hostler explain`

use hostler_api::{Explanation, Health, NextStep, routes};

use crate::context::Context;
use crate::error::Error;
use crate::out::{Colour, Paint, elapsed, health_colour, status_colour, visible};

/// Say why a service is as it is, and what happens next.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which service
    #[arg(value_name = "SERVICE")]
    service: String,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    let document = context.client()?.get(&routes::of(routes::EXPLAIN, &args.service)).await?;
    if context.out.json {
        return context.out.document(document.bytes());
    }
    context.out.line(text(&document.read()?, context.out.paint))
}

fn text(explanation: &Explanation, paint: Paint) -> String {
    let status = paint.of(status_colour(explanation.status), explanation.status.as_str());
    let mut text = format!("{} is {status}", paint.of(Colour::Bold, &explanation.service));
    if explanation.health != Health::Unknown {
        text.push_str(&format!(", {}", paint.of(health_colour(explanation.health), explanation.health.as_str())));
    }
    text.push_str(&chain(&explanation.because));
    text.push_str(&format!("\n  next: {}", explanation.next.as_ref().map_or_else(|| "nothing by itself".to_owned(), next_text)));
    if let Some(scaling) = &explanation.scaling {
        text.push_str(&format!("\n  scaling: {}", visible(scaling)));
    }
    if let Some(hint) = &explanation.hint {
        text.push_str(&format!("\n  {} {}", paint.of(Colour::Cyan, "hint:"), visible(hint)));
    }
    text
}

/// Each sentence is explained by the one below it.
pub(crate) fn chain(because: &[String]) -> String {
    let lines = because.iter().enumerate().map(|(depth, sentence)| format!("\n  {}because {}", "  ".repeat(depth), visible(sentence)));
    lines.collect()
}

/// `restart in 2.0s`.
pub(crate) fn next_text(next: &NextStep) -> String {
    let what = visible(&next.what);
    next.in_ms.map_or_else(|| what.to_string(), |ms| format!("{what} in {}", elapsed(ms)))
}

#[cfg(test)]
mod tests {
    use hostler_api::{Shape, Status, Wanted};

    use super::*;

    #[test]
    fn the_chain_goes_down_to_its_root_and_ends_with_what_comes() {
        let explanation = Explanation {
            version: Shape,
            service: "api".to_owned(),
            wanted: Wanted::Running,
            status: Status::Pending,
            health: Health::Unknown,
            because: vec!["it waits for db".to_owned(), "db restarts after exit 1".to_owned()],
            next: Some(NextStep { what: "restart of db".to_owned(), at: None, in_ms: Some(3_400) }),
            scaling: None,
            hint: None,
        };
        let expected = "api is pending\n  because it waits for db\n    because db restarts after exit 1\n  next: restart of db in 3.4s";
        assert_eq!(text(&explanation, Paint::new(false)), expected);
        let stuck = Explanation { next: None, hint: Some("hostler restart --force db".to_owned()), because: Vec::new(), ..explanation };
        assert_eq!(text(&stuck, Paint::new(false)), "api is pending\n  next: nothing by itself\n  hint: hostler restart --force db");
    }
}
