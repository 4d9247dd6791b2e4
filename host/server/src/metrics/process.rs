//! What the host itself uses, from `/proc`, and what its store takes.

use std::fs;
use std::path::Path;

use hostler_api::metrics::Metric;
use rustix::process::{Resource, getrlimit};

use super::{Page, number};

/// Ticks of `/proc/self/stat` per second: fixed in the kernel's interface to programs.
const USER_HZ: f64 = 100.0;

/// What can be learned without asking anybody. What cannot be read is absent.
pub(crate) fn add_process(page: &mut Page, state_dir: &Path) {
    page.add_known(Metric::ProcessResidentMemoryBytes, &[], resident());
    page.add_known(Metric::ProcessCpuSeconds, &[], cpu_seconds());
    let open = fs::read_dir("/proc/self/fd").ok().map(|files| number(files.count() as u64));
    page.add_known(Metric::ProcessOpenFds, &[], open);
    page.add_known(Metric::ProcessMaxFds, &[], getrlimit(Resource::Nofile).current.map(number));
    let files = ["store.db", "store.db-wal", "store.db-shm"].iter().filter_map(|name| fs::metadata(state_dir.join(name)).ok());
    let sizes: Vec<u64> = files.map(|file| file.len()).collect();
    page.add_known(Metric::StoreBytes, &[], (!sizes.is_empty()).then(|| number(sizes.iter().sum())));
}

fn resident() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(number(line.trim().trim_end_matches("kB").trim().parse().ok()?) * 1_024.0)
}

fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name before it may have blanks and brackets of its own.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11).map_while(|field| field.parse::<f64>().ok());
    Some((fields.next()? + fields.next()?) / USER_HZ)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_can_be_measured_by_itself() {
        let mut page = Page::default();
        add_process(&mut page, Path::new("/nowhere"));
        let text = page.text();
        for metric in [Metric::ProcessResidentMemoryBytes, Metric::ProcessCpuSeconds, Metric::ProcessOpenFds] {
            assert!(text.contains(&format!("\n{} ", metric.name())), "{}: {text}", metric.name());
        }
        assert!(!text.contains(Metric::StoreBytes.name()), "what is not there has no size");
    }
}
