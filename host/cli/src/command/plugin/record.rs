//! `hostler plugin record`

use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use hostler_api::routes;
use serde_json::Value;

use crate::context::Context;
use crate::error::{Error, failed};
use crate::out::visible;
use crate::signals::Signals;

/// Keep every call of a plugin of the running host, with what it called and what it was answered, for `plugin replay`
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which plugin
    #[arg(value_name = "PLUGIN")]
    name: String,
    /// Where to; a file that is there is replaced
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// How long; Ctrl-C ends it earlier, and what came until then is kept
    #[arg(long = "for", value_name = "TIME", default_value = "30s", value_parser = hostler_core::Span::parse)]
    time: hostler_core::Span,
}

pub(super) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    let path = routes::with(&routes::of(routes::RECORDING, &args.name), &[("for_ms", Some(args.time.0.to_string()))]);
    let mut lines = context.client()?.stream(&path).await?;
    let unwritable = |error: std::io::Error| failed(format!("cannot write the recording: {error}")).at(args.to.display().to_string());
    // what services are given is nobody else's to read, even without its secrets
    let made = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&args.to);
    let mut file = BufWriter::new(made.map_err(unwritable)?);
    let mut kept = Kept::default();
    let mut signals = Signals::new()?;
    loop {
        let line = tokio::select! {
            line = lines.line() => line?,
            () = signals.next() => None,
        };
        let Some(line) = line else { break };
        // whoever looks, or whatever ends this, finds whole lines
        file.write_all(&line).and_then(|()| file.write_all(b"\n")).and_then(|()| file.flush()).map_err(unwritable)?;
        kept.hear(&line);
    }
    kept.tell(&args.to, context)
}

/// What came, for the last words.
#[derive(Default)]
struct Kept {
    lines: usize,
    full: bool,
    not_recorded: Vec<String>,
}

impl Kept {
    fn hear(&mut self, line: &[u8]) {
        self.lines += 1;
        if self.lines == 1 {
            let header: Value = serde_json::from_slice(line).unwrap_or_default();
            let names = header["not_recorded"].as_array().into_iter().flatten();
            self.not_recorded = names.filter_map(|name| name.as_str().map(str::to_owned)).collect();
        }
        self.full |= line == b"{\"full\":true}";
    }

    fn tell(&self, to: &Path, context: &Context) -> Result<(), Error> {
        let calls = self.lines.saturating_sub(1 + usize::from(self.full));
        if context.out.json {
            let document = serde_json::json!({ "version": 1, "calls": calls, "full": self.full, "not_recorded": self.not_recorded, "to": to });
            return context.out.document(document.to_string().as_bytes());
        }
        if !self.not_recorded.is_empty() {
            let names = visible(&self.not_recorded.join(", ")).into_owned();
            context.out.line(format!("not recorded, and left out by `plugin replay`: what {names} answered"))?;
        }
        if self.full {
            context.out.line("it is full: later calls are not in it")?;
        }
        context.out.line(format!("{calls} calls in {}", to.display()))
    }
}
