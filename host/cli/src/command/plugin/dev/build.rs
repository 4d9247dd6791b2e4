//! A build on a thread of its own, which can be ended with all that it started.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hostler_componentize::{BuildError, Guest, Project};
use rustix::process::{Pid, Signal, getpid, kill_process, set_child_subreaper};

/// From one look at a build that is to end to the next.
const EVERY: Duration = Duration::from_millis(20);
/// So long tools have to end by themselves.
const GRACE: Duration = Duration::from_secs(2);

/// The builds of one project, one after the other.
pub(super) struct Builds {
    /// Held by each thread that builds.
    under_way: Arc<()>,
}

impl Builds {
    pub(super) fn new() -> Builds {
        // what a tool leaves behind becomes ours instead of nobody's; where that cannot be, it is found for as long as the tool lives
        let _ = set_child_subreaper(Some(getpid()));
        Builds { under_way: Arc::default() }
    }

    /// Builds to `out`. `say` hears what is going on.
    pub(super) async fn build(&self, project: &Project, out: &Path, say: fn(&str)) -> Result<Guest, BuildError> {
        let (project, out, under_way) = (project.clone(), out.to_owned(), Arc::clone(&self.under_way));
        let building = tokio::task::spawn_blocking(move || {
            let built = project.build(Some(&out), &mut |line| say(line));
            drop(under_way);
            built
        });
        building.await.expect("a build does not panic")
    }

    /// Ends the tools of a build that nobody waits for any more, and waits until the build has noticed.
    pub(super) async fn abandon(&self) {
        let begun = Instant::now();
        loop {
            let tools = descendants(getpid());
            if tools.is_empty() && Arc::strong_count(&self.under_way) == 1 {
                return;
            }
            let signal = if begun.elapsed() < GRACE { Signal::TERM } else { Signal::KILL };
            for tool in tools {
                // it may have ended just now
                let _ = kill_process(tool, signal);
            }
            tokio::time::sleep(EVERY).await;
        }
    }
}

/// Every process below one that has not ended.
fn descendants(of: Pid) -> Vec<Pid> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let living: Vec<(Pid, Pid)> = entries.filter_map(|entry| living(entry.file_name().to_str()?)).collect();
    let mut found = Vec::new();
    let mut next = vec![of];
    while let Some(parent) = next.pop() {
        let children = living.iter().filter(|(_, its_parent)| *its_parent == parent).map(|(pid, _)| *pid);
        next.extend(children.clone());
        found.extend(children);
    }
    found
}

/// A process and its parent; nothing when it has ended, or when this is the name of something else.
fn living(pid: &str) -> Option<(Pid, Pid)> {
    let number = |text: &str| Pid::from_raw(text.parse().ok()?);
    let own = number(pid)?;
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    Some((own, number(fields.next()?)?)).filter(|_| state != "Z" && state != "X")
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_child_and_its_child_are_found() {
        let mut child = Command::new("/bin/sh").args(["-c", "sleep 1000 & echo $!; wait"]).stdout(Stdio::piped()).spawn().expect("there is a shell");
        let mut said = std::io::BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        std::io::BufRead::read_line(&mut said, &mut line).expect("it says one");
        let both = [Pid::from_child(&child), Pid::from_raw(line.trim().parse().expect("a pid")).expect("it is not 0")];
        let found = descendants(getpid());
        assert!(both.iter().all(|pid| found.contains(pid)), "{found:?} has not {both:?}");
        for pid in both {
            kill_process(pid, Signal::KILL).expect("it lives");
        }
        child.wait().expect("it is ours");
        assert!(!descendants(getpid()).contains(&both[0]));
    }
}
