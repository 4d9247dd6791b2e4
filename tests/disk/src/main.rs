//! `hostler-disk --images N --seed S`: as many power cuts as one has patience for.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Instant, SystemTime};

use hostler_disk::{cut_everywhere, live, scratch};

/// How many images are made of one life: a new life has other writes in another order.
const OF_ONE_LIFE: usize = 2500;
const USAGE: &str = "usage: hostler-disk [--images N] [--seed S] [--keep DIRECTORY]";

struct Wish {
    images: usize,
    seed: u64,
    keep: PathBuf,
}

fn main() -> ExitCode {
    match wish().and_then(run) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn wish() -> Result<Wish, String> {
    let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_err(|error| error.to_string())?;
    let mut wish = Wish { images: 10_000, seed: clock.as_secs(), keep: std::env::temp_dir().join("hostler-disk") };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or(USAGE)?;
        let number = |error| format!("{name} {value}: {error}");
        match name.as_str() {
            "--images" => wish.images = value.parse().map_err(number)?,
            "--seed" => wish.seed = value.parse().map_err(number)?,
            "--keep" => wish.keep = value.into(),
            _ => return Err(USAGE.to_owned()),
        }
    }
    Ok(wish)
}

/// Whether every promise was kept.
fn run(Wish { images, seed, keep }: Wish) -> Result<bool, String> {
    let begun = Instant::now();
    let mut made = 0;
    println!("seed {seed}");
    for life in 0.. {
        let place = scratch().map_err(|error| error.to_string())?;
        let (trace, history) = live(place.path(), seed + life)?;
        let report = cut_everywhere(&trace, &history, OF_ONE_LIFE.min(images - made), seed + life, Some(&keep));
        made += report.images;
        println!("life {life}: {} operations, {} commits; {made} images, {:.0} s", trace.len(), history.revision(), begun.elapsed().as_secs_f64());
        for failure in &report.failures {
            let kept = failure.kept.as_ref().map(|kept| format!(" ({})", kept.display())).unwrap_or_default();
            println!("cut before operation {}: {}{kept}", failure.at, failure.reason);
        }
        if !report.failures.is_empty() || made >= images {
            return Ok(report.failures.is_empty());
        }
    }
    Ok(true)
}
