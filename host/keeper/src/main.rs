//! The keeper on its own: `hostler-keeper --dir DIR`. The product's binary is `hostler keeper`, which does the same.

use std::process::ExitCode;

use hostler_keeper::keeper::{Options, run};

const USAGE: &str = "usage: hostler-keeper --dir DIR [--log-segment-bytes N] [--log-segments N] [--no-cgroups]";

fn main() -> ExitCode {
    let options = match parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("hostler-keeper: {error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(options) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hostler-keeper: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut dir = None;
    let mut options = Options::new("");
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
        match arg.as_str() {
            // as `ensure` starts every binary
            "keeper" => {}
            "--dir" => dir = Some(value()?),
            "--log-segment-bytes" => options.log_segment_bytes = number(&value()?)?,
            "--log-segments" => options.log_segments = number(&value()?)?,
            "--no-cgroups" => options.cgroups = false,
            other => return Err(format!("unknown argument {other:?}")),
        }
    }
    options.dir = dir.ok_or("--dir is missing")?.into();
    Ok(options)
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text:?} is no number"))
}
