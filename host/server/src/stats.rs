//! What tasks use: measured in one batch per backend, and only while somebody asks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{self, Arc, PoisonError};
use std::time::{Duration, Instant};

use hostler_api::{Failure, ReplicaStats, Shape, Stats, Timestamp, Unmeasured};
use hostler_core::{Run, ServiceName};
use hostler_wasm::words::{Handle, Usage};
use hostler_wasm::{Ability, Call, Plugin};
use tokio::sync::{Mutex, Notify};
use tokio::task::JoinSet;

use crate::clock;
use crate::desk::Desk;
use crate::plugins::Plugins;
use crate::speak;

/// How long one backend may take to measure all its tasks.
const MEASURE: Duration = Duration::from_secs(10);
/// What was measured less long ago is not measured again.
const FRESH: Duration = Duration::from_millis(900);
/// From the first measurement of a life to the second, where somebody waits for its cpu.
const WINDOW: Duration = Duration::from_secs(1);
/// Counters that are further apart say nothing about now.
const STALE: Duration = Duration::from_secs(60);

/// A life that can be measured.
#[derive(Debug, Clone)]
pub(crate) struct Life {
    pub(crate) service: ServiceName,
    pub(crate) replica: u32,
    pub(crate) run: Run,
    backend: String,
    handle: Handle,
    /// Bytes that its spec allows, where its backend does not say.
    pub(crate) memory_limit: Option<u64>,
}

impl Life {
    /// The backend that is asked, and about whose tasks.
    fn asked(&self) -> (&str, &str) {
        (&self.backend, self.service.workspace())
    }
}

/// The lives of these services that run.
///
/// # Errors
/// There is no such service.
pub(crate) fn lives<'a>(desk: &Desk, names: impl IntoIterator<Item = &'a ServiceName>) -> Result<Vec<Life>, Failure> {
    let mut lives = Vec::new();
    for name in names {
        let view = desk.core.service(name.as_str()).ok_or_else(|| speak::not_found(desk, name.as_str()))?;
        let running = view.replicas.iter().filter_map(|part| {
            let run = part.run?;
            let record = desk.handles.get(&run)?;
            Some(Life {
                service: name.clone(),
                replica: part.replica,
                run,
                backend: desk.holders.get(&run)?.clone(),
                handle: record.handle.clone(),
                memory_limit: view.spec.resources.memory_bytes,
            })
        });
        lives.extend(running);
    }
    Ok(lives)
}

/// What was measured of one life.
#[derive(Debug, Clone)]
pub(crate) struct Figures {
    pub(crate) usage: Usage,
    /// Thousandths of one core.
    pub(crate) cpu_millis: Option<u64>,
    /// Thousandths of its limit.
    pub(crate) memory_permille: Option<u64>,
}

#[derive(Debug, Clone)]
struct Sample {
    taken: Instant,
    usage: Usage,
}

/// The last two measurements of a life; cpu is what lies between them.
#[derive(Debug, Clone)]
struct Series {
    before: Option<Sample>,
    last: Sample,
}

/// Remembers the last measurements of each life.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    series: Mutex<BTreeMap<Run, Series>>,
    /// The last measurement of each life, for whoever does not wait.
    latest: sync::Mutex<BTreeMap<Run, Sample>>,
    /// Somebody who does not wait has asked, and is not answered yet.
    glancing: AtomicBool,
    /// Did every engine answer in the last round? Written by whoever has `series`.
    whole: AtomicBool,
    changes: Notify,
}

/// What became of a round of measurements.
pub(crate) struct Measured {
    pub(crate) figures: BTreeMap<Run, Figures>,
    /// By backend and workspace: why it measures nothing.
    trouble: BTreeMap<(String, String), String>,
}

impl Measured {
    /// What was measured of a life.
    pub(crate) fn of(&self, life: &Life) -> Option<&Figures> {
        self.figures.get(&life.run)
    }
}

impl Meter {
    /// Other services may be wanted now, or with other policies.
    pub(crate) fn change(&self) {
        self.changes.notify_one();
    }

    /// Waits for that.
    pub(crate) async fn changed(&self) {
        self.changes.notified().await;
    }

    /// Measures these lives, those aside that were measured just now. Several who ask at once share one round.
    pub(crate) async fn measure(&self, plugins: &Arc<Plugins>, lives: &[Life]) -> Measured {
        let mut series = self.series.lock().await;
        series.retain(|_, series| series.last.taken.elapsed() < STALE);
        self.latest().retain(|_, sample| sample.taken.elapsed() < STALE);
        // What a call may reach are the rules of a workspace.
        let mut batches: BTreeMap<(&str, &str), Vec<(Run, Handle)>> = BTreeMap::new();
        for life in lives.iter().filter(|life| series.get(&life.run).is_none_or(|series| series.last.taken.elapsed() >= FRESH)) {
            batches.entry(life.asked()).or_default().push((life.run, life.handle.clone()));
        }
        let mut rounds = JoinSet::new();
        for ((backend, workspace), batch) in batches {
            let (plugins, backend, workspace) = (Arc::clone(plugins), backend.to_owned(), workspace.to_owned());
            rounds.spawn(async move {
                let measured = ask(&plugins, &backend, &workspace, batch).await;
                ((backend, workspace), measured)
            });
        }
        let mut trouble = BTreeMap::new();
        while let Some(done) = rounds.join_next().await {
            match done {
                Ok((_, Ok(samples))) => {
                    self.latest().extend(samples.iter().cloned());
                    samples.into_iter().for_each(|(run, sample)| note(&mut series, run, sample));
                }
                Ok((asked, Err(why))) => drop(trouble.insert(asked, why)),
                Err(error) => tracing::error!(%error, "a measurement broke off"),
            }
        }
        // one that cannot measure at all was not asked
        self.whole.store(trouble.keys().all(|(backend, _)| plugins.get(backend).is_some_and(|plugin| !measures(&plugin))), Ordering::Release);
        let figures = lives.iter().filter_map(|life| Some((life.run, figures(series.get(&life.run)?, life.memory_limit)))).collect();
        Measured { figures, trouble }
    }

    /// What these lives use, for somebody who does not wait longer than this; and whether all engines have said it in time. What came too
    /// late is there the next time.
    pub(crate) async fn glance(self: &Arc<Self>, plugins: &Arc<Plugins>, lives: &[Life], patience: Duration) -> (BTreeMap<Run, Usage>, bool) {
        let in_time = if self.glancing.swap(true, Ordering::AcqRel) {
            // Somebody else's round: it has the lock until it is over.
            tokio::time::timeout(patience, self.series.lock()).await.is_ok()
        } else {
            let (glance, plugins, asked) = (Glance(Arc::clone(self)), Arc::clone(plugins), lives.to_vec());
            // It goes on when it is not waited for any more: each backend has its own deadline.
            let round = tokio::spawn(async move { glance.0.measure(&plugins, &asked).await });
            tokio::time::timeout(patience, round).await.is_ok()
        };
        let complete = in_time && self.whole.load(Ordering::Acquire);
        let latest = self.latest();
        let known = lives.iter().filter_map(|life| Some((life.run, latest.get(&life.run)?)));
        (known.filter(|(_, sample)| sample.taken.elapsed() < STALE).map(|(run, sample)| (run, sample.usage)).collect(), complete)
    }

    fn latest(&self) -> sync::MutexGuard<'_, BTreeMap<Run, Sample>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Measures these lives, and where there is no earlier measurement to compare with, once more a little later.
    pub(crate) async fn measure_twice(&self, plugins: &Arc<Plugins>, lives: &[Life]) -> Measured {
        let measured = self.measure(plugins, lives).await;
        let is_new = |figures: &Figures| figures.cpu_millis.is_none() && figures.usage.cpu_nanos.is_some();
        if !measured.figures.values().any(is_new) {
            return measured;
        }
        tokio::time::sleep(WINDOW).await;
        self.measure(plugins, lives).await
    }
}

/// A round for somebody who does not wait: one at a time.
struct Glance(Arc<Meter>);

impl Drop for Glance {
    fn drop(&mut self) {
        self.0.glancing.store(false, Ordering::Release);
    }
}

fn measures(plugin: &Plugin) -> bool {
    plugin.abilities().contains(&Ability::Stats)
}

async fn ask(plugins: &Plugins, name: &str, workspace: &str, batch: Vec<(Run, Handle)>) -> Result<Vec<(Run, Sample)>, String> {
    let plugin = plugins.get(name).ok_or_else(|| plugins.why_not(name))?;
    let backend = plugin.backend().filter(|_| measures(&plugin));
    let backend = backend.ok_or_else(|| format!("backend `{name}` lacks the ability `{}`", Ability::Stats))?;
    plugins.permit(name, "").map_err(|resting| resting.why)?;
    let (runs, handles): (Vec<Run>, Vec<Handle>) = batch.into_iter().unzip();
    let usages = backend.measure(Call::within(MEASURE).of(workspace), &handles).await.map_err(|error| error.brief())?;
    let taken = Instant::now();
    let samples = runs.into_iter().zip(usages).filter_map(|(run, usage)| Some((run, Sample { taken, usage: usage? })));
    Ok(samples.collect())
}

fn note(series: &mut BTreeMap<Run, Series>, run: Run, sample: Sample) {
    match series.remove(&run) {
        Some(Series { last, .. }) => series.insert(run, Series { before: Some(last), last: sample }),
        None => series.insert(run, Series { before: None, last: sample }),
    };
}

fn figures(series: &Series, memory_limit: Option<u64>) -> Figures {
    let usage = series.last.usage;
    let limit = usage.memory_limit_bytes.or(memory_limit).filter(|limit| *limit > 0);
    let permille = |used: u64, of: u64| u64::try_from(u128::from(used) * 1_000 / u128::from(of)).unwrap_or(u64::MAX);
    Figures {
        cpu_millis: series.before.as_ref().and_then(|before| cpu_millis(before, &series.last)),
        memory_permille: usage.memory_bytes.zip(limit).map(|(used, limit)| permille(used, limit)),
        usage,
    }
}

/// What a backend says of when it looked counts, as far as it can be true: its own clock may jump.
fn cpu_millis(before: &Sample, last: &Sample) -> Option<u64> {
    let used = last.usage.cpu_nanos?.checked_sub(before.usage.cpu_nanos?)?;
    let ours = last.taken.saturating_duration_since(before.taken).as_nanos();
    let theirs = u128::from(last.usage.at.saturating_sub(before.usage.at)) * 1_000_000;
    let between = if theirs > ours / 2 && theirs < ours * 2 { theirs } else { ours };
    u64::try_from((u128::from(used) * 1_000).checked_div(between)?).ok()
}

/// The whole picture, for people.
pub(crate) fn told(lives: &[Life], measured: &Measured) -> Stats {
    #[expect(clippy::cast_precision_loss, reason = "shares of machines are far below 2^52")]
    let percent = |permille: u64| permille as f64 / 10.0;
    let mut replicas = Vec::new();
    let mut missing: BTreeSet<(&str, (&str, &str))> = BTreeSet::new();
    for life in lives {
        let Some(figures) = measured.figures.get(&life.run) else {
            missing.insert((life.service.local(), life.asked()));
            continue;
        };
        replicas.push(ReplicaStats {
            service: life.service.local().to_owned(),
            replica: life.replica,
            run: life.run,
            cpu_percent: figures.cpu_millis.map(percent),
            memory_percent: figures.memory_permille.map(percent),
            usage: usage(&figures.usage),
        });
    }
    let reason = |(backend, workspace): (&str, &str)| {
        let why = measured.trouble.get(&(backend.to_owned(), workspace.to_owned())).cloned();
        why.unwrap_or_else(|| format!("backend `{backend}` measured nothing of it"))
    };
    Stats {
        version: Shape,
        at: Timestamp(clock::wall_ms()),
        replicas,
        unmeasured: missing.into_iter().map(|(service, asked)| Unmeasured { service: service.to_owned(), reason: reason(asked) }).collect(),
    }
}

/// What a backend measured, in the words of the wire.
pub(crate) fn usage(usage: &Usage) -> hostler_api::Usage {
    hostler_api::Usage {
        at: Some(Timestamp(usage.at)),
        cpu_nanos: usage.cpu_nanos,
        memory_bytes: usage.memory_bytes,
        memory_limit_bytes: usage.memory_limit_bytes,
        disk_free_bytes: usage.disk_free_bytes,
        network_received_bytes: usage.network_received_bytes,
        network_sent_bytes: usage.network_sent_bytes,
        processes: usage.processes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(taken: Instant, at: u64, cpu_nanos: Option<u64>) -> Sample {
        let usage = Usage {
            at,
            cpu_nanos,
            memory_bytes: Some(300),
            memory_limit_bytes: None,
            disk_free_bytes: None,
            network_received_bytes: None,
            network_sent_bytes: None,
            processes: None,
        };
        Sample { taken, usage }
    }

    #[test]
    fn cpu_is_what_lies_between_two_measurements_of_one_life() {
        let begun = Instant::now();
        let later = begun + Duration::from_secs(2);
        let between = |at, before, last| cpu_millis(&sample(begun, 1_000, before), &sample(later, at, last));
        assert_eq!(between(3_000, Some(5), Some(1_000_000_005)), Some(500));
        assert_eq!(between(2_250, Some(0), Some(1_000_000_000)), Some(800), "the backend's own clock is nearer to what it measured");
        assert_eq!(between(900_000, Some(0), Some(1_000_000_000)), Some(500), "unless it cannot be true");
        assert_eq!(between(3_000, Some(9), Some(5)), None, "a counter that fell is another's");
        assert_eq!(between(3_000, None, Some(5)), None);
        assert_eq!(cpu_millis(&sample(begun, 7, Some(1)), &sample(begun, 7, Some(2))), None, "no time has passed");
    }

    #[test]
    fn memory_is_a_share_of_the_limit_in_force_and_of_none_nothing() {
        let series = Series { before: None, last: sample(Instant::now(), 0, None) };
        assert_eq!(figures(&series, Some(600)).memory_permille, Some(500));
        assert_eq!(figures(&series, None).memory_permille, None);
        assert_eq!(figures(&series, Some(0)).memory_permille, None);
    }
}
