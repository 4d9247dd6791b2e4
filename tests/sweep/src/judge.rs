//! What must hold after somebody died and is back.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use hostler_e2e::{Value, alive, started};
use hostler_torture::reader::lines;
use hostler_torture::service::PAGES;
use hostler_torture::witness::Heard;

use crate::site::{SERVICES, Site};

/// What was promised, and what is known from before.
#[derive(Debug)]
pub(crate) struct Wants {
    /// The configuration that was acknowledged; none where nobody answered.
    pub(crate) mark: Option<u64>,
    /// Is `toggle` to run? None where nobody answered.
    pub(crate) toggle: Option<bool>,
    /// The run of `again` is later than this.
    pub(crate) again_after: u64,
    /// Does `crash` crash, or is it stopped?
    pub(crate) crashes: bool,
    /// A life of `again` was ended while nobody looked.
    pub(crate) lost: bool,
    /// Lives of `again` before a restart that is done once.
    pub(crate) begun_before: usize,
    /// How many such restarts there are.
    pub(crate) asked: usize,
    /// How often the keeper died.
    pub(crate) keeper_deaths: usize,
    /// Events that were told before.
    pub(crate) told: Vec<Value>,
    /// Who lived before: the pid, when it was started, and the run.
    lived: BTreeMap<&'static str, (u32, Option<u64>, u64)>,
}

/// Nobody does anything to these, so they are to be the same processes all the time.
const UNTOUCHED: [&str; 1] = ["steady"];

impl Wants {
    /// Everything that the first configuration says.
    pub(crate) fn first() -> Wants {
        Wants {
            mark: Some(1),
            toggle: Some(true),
            again_after: 0,
            crashes: true,
            lost: false,
            begun_before: 0,
            asked: 0,
            keeper_deaths: 0,
            told: Vec::new(),
            lived: BTreeMap::new(),
        }
    }

    /// Notes who lives.
    pub(crate) fn note(&mut self, site: &Site) {
        for name in UNTOUCHED {
            if let Some(life) = site.lives(name).pop() {
                self.lived.insert(name, (life.pid, started(life.pid), life.run));
            }
        }
    }

    /// Waits until what was acknowledged holds.
    #[track_caller]
    pub(crate) fn until_kept(&self, site: &Site) {
        site.until("what was acknowledged holds", |site| self.kept(site));
    }

    /// Waits until every operation is done, and `again` was restarted as often as that was asked for.
    #[track_caller]
    pub(crate) fn until_done_once(&self, site: &Site) {
        site.until("what was put off is done, once", |site| {
            let list = site.yard.get("/operations").ok_or("the host does not answer")?;
            let undone = list["operations"].as_array().into_iter().flatten().find(|operation| operation["status"] != "succeeded");
            let lives = site.lives("again").len();
            let wanted = self.begun_before + self.asked;
            assert!(lives <= wanted, "`again` was restarted twice: {lives} lives, and {wanted} are right");
            match undone {
                Some(operation) => Err(operation.to_string()),
                None if lives < wanted => Err(format!("{lives} lives of {wanted}")),
                None => Ok(()),
            }
        });
    }

    fn kept(&self, site: &Site) -> Result<(), String> {
        let list = site.services()?;
        let of = |name: &str| list.iter().find(|service| service["name"] == name);
        if list.is_empty() && self.lived.is_empty() && site.lives("steady").is_empty() {
            // The very first host died before anything was applied.
            return Ok(());
        }
        let runs = |name: &str, status: &str| match of(name) {
            Some(service) if service["status"] == status => Ok(()),
            other => Err(format!("{name} is to be {status}, and is {other:?}")),
        };
        ["steady", "door", "again", "changed"].iter().try_for_each(|name| runs(name, "running"))?;
        runs("once", "completed")?;
        if let Some(on) = self.toggle {
            runs("toggle", if on { "running" } else { "stopped" })?;
        }
        if !self.crashes {
            runs("crash", "stopped")?;
        }
        for name in ["steady", "door", "again", "changed"] {
            let (said, life) = (of(name).and_then(|service| service["pid"].as_u64()), site.lives(name).pop());
            let lives = life.as_ref().is_some_and(|life| said == Some(u64::from(life.pid)) && alive(life.pid));
            if !lives {
                return Err(format!("{name} is told to be process {said:?}; its last life is {life:?}"));
            }
        }
        if site.lives("again").pop().is_none_or(|life| life.run <= self.again_after) {
            return Err(format!("a restart of `again` after run {} was acknowledged; its lives are {:?}", self.again_after, site.lives("again")));
        }
        if let Some(mark) = self.mark {
            let said = site.lives("changed").pop().map(|life| life.mark);
            if said != Some(mark.to_string()) {
                return Err(format!("configuration {mark} was acknowledged; `changed` runs with {said:?}"));
            }
            if of("sometimes").is_some() != (mark % 2 == 1) {
                return Err(format!("configuration {mark} was acknowledged; `sometimes` is {:?}", of("sometimes")));
            }
        }
        Ok(())
    }

    /// Everything that must hold when all have come to rest.
    ///
    /// # Panics
    /// When something does not.
    pub(crate) fn judge(&self, site: &Site) {
        self.judge_untouched(site);
        self.judge_view(site);
        self.judge_log(site);
        if site.more == "pages" {
            self.judge_pages(site);
        }
        // Now its ends can be counted.
        if self.crashes {
            site.run("stop crash").ok();
        }
        self.judge_lives(site);
        self.judge_ends(site);
    }

    /// Who was not touched is the same process, of the same run, and knows nothing of where others are to die.
    fn judge_untouched(&self, site: &Site) {
        for name in UNTOUCHED {
            let lives = site.lives(name);
            assert_eq!(lives.len(), 1, "{name} was not touched; its lives are {lives:?}");
            let life = &lives[0];
            if let Some(before) = self.lived.get(name) {
                assert_eq!(
                    (life.pid, started(life.pid), life.run),
                    *before,
                    "the process of {name}, when it began, and its run; before it was the right"
                );
            }
            let detail = site.yard.detail(name);
            assert_eq!(detail["replicas"][0]["run"], life.run, "the run of {name}, told and by its own account: {detail}");
            let environment = fs::read(format!("/proc/{}/environ", life.pid)).expect("it runs");
            assert!(!String::from_utf8_lossy(&environment).contains("HOSTLER_FAILPOINT"), "{name} is told where to die");
        }
    }

    /// The operator's view comes to say what the host says, and nothing of services that are gone.
    fn judge_view(&self, site: &Site) {
        site.until("the view for operators shows what is", |site| {
            let dir = site.yard.state().join("services");
            for service in site.services()? {
                let name = service["name"].as_str().unwrap_or_default();
                let pid = fs::read_to_string(dir.join(name).join("pid")).ok().and_then(|text| text.trim().parse().ok());
                let crashes = ["crash", "litter", "broken"].contains(&name);
                if !crashes && pid != service["pid"].as_u64() {
                    return Err(format!("{name} shows pid {pid:?}, and is {}", service["pid"]));
                }
            }
            let sometimes = dir.join("sometimes").exists();
            if self.mark.is_some_and(|mark| sometimes != (mark % 2 == 1)) { Err(format!("`sometimes` is shown: {sometimes}")) } else { Ok(()) }
        });
    }

    /// No line of a log is missing, none comes twice but a batch for each death of the keeper, and it goes on.
    fn judge_log(&self, site: &Site) {
        let read = |site: &Site, name: &str| {
            let items = lines(&site.yard, &format!("/services/{name}/logs?tail=1000000"));
            let mut heard = Heard::default();
            heard.keeper_kills = vec![0; self.keeper_deaths];
            heard.page(name, &items);
            assert_eq!(heard.broken, Vec::<String>::new(), "the log of {name}");
            items.len()
        };
        for name in ["toggle", "again", "changed"] {
            read(site, name);
        }
        let first = read(site, "steady");
        site.until("the log of steady goes on", |site| if read(site, "steady") > first { Ok(()) } else { Err(format!("it has {first} lines")) });
    }

    /// The log that is longer than is kept: what is kept of it has no gap.
    fn judge_pages(&self, site: &Site) {
        let logs = site.yard.state().join("keeper/logs");
        let named = |dir: &std::path::Path| fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect::<Vec<_>>();
        let numbers = || {
            let dir = named(&logs).into_iter().find(|dir| dir.to_string_lossy().contains("pages"))?;
            let mut segments = named(&dir);
            segments.sort();
            assert!(segments.len() <= 6, "more of the log is kept than five files, and one that was to be removed: {segments:?}");
            let text: String = segments.iter().map(|segment| fs::read_to_string(segment).unwrap_or_default()).collect();
            Some(text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')?.rsplit(' ').next()?.parse::<u64>().ok()).collect::<Vec<_>>())
        };
        site.until("all pages are in the log", |_| {
            let last = numbers().and_then(|numbers| numbers.last().copied());
            if last == Some(PAGES) { Ok(()) } else { Err(format!("the last is {last:?}")) }
        });
        let numbers = numbers().expect("they were just read");
        let jumps: Vec<_> = numbers.windows(2).filter(|pair| pair[1] != pair[0] + 1).collect();
        let repeats = jumps.iter().filter(|pair| pair[1] <= pair[0]).count();
        assert!(jumps.len() == repeats && repeats <= self.keeper_deaths, "the log of pages jumps: {jumps:?}");
    }

    /// No two lives at once (which they say themselves), and no number twice, whoever it was given to.
    fn judge_lives(&self, site: &Site) {
        let mut runs = BTreeMap::new();
        for name in SERVICES {
            for life in site.lives(name) {
                if let Some(other) = runs.insert(life.run, name) {
                    panic!("run {} was given to {other} and to {name}", life.run);
                }
            }
        }
        let once = site.lives("once");
        let unseen = once.len() == 2 && self.keeper_deaths > 0;
        assert!(once.len() == 1 || unseen, "a one-shot whose end was seen ran again: {once:?}");
    }

    /// Events have numbers without gaps, none of those told before is lost, and each end is told and counted once.
    fn judge_ends(&self, site: &Site) {
        let now = events(site);
        assert_eq!(now.iter().take(self.told.len()).collect::<Vec<_>>(), self.told.iter().collect::<Vec<_>>(), "events that were told before");
        let (mut heard, mut last) = (Heard::default(), 0);
        now.iter().for_each(|event| heard.event(event, &mut last, true));
        assert_eq!(heard.broken, Vec::<String>::new(), "the events");
        let of = |name: &str, kind: &str| now.iter().filter(|event| event["service"] == name && event["kind"] == kind).collect::<Vec<_>>();
        let stopped = |name: &str, run: u64| of(name, "stopped").iter().any(|event| event["run"] == run);
        for name in ["crash", "once"] {
            for life in site.lives(name) {
                let told = heard.ends.get(&(name.to_owned(), life.run));
                let Some((code, _)) = life.ended else { continue };
                if told.is_none() && stopped(name, life.run) {
                    // It was about to end when the stop came.
                    continue;
                }
                let told = told.unwrap_or_else(|| panic!("{name}: run {} ended with {code}, and that is not told", life.run));
                let known = told.ends_with(&format!("exited with code {code}")) || (code == 0 && told == "ran to success");
                let unseen = self.keeper_deaths > 0
                    && ["nobody saw", "the keeper was lost while it was being started"].iter().any(|words| told.contains(words));
                assert!(known || unseen, "{name}: run {} ended with {code}, and is told as: {told}", life.run);
            }
        }
        for name in ["steady", "toggle", "changed", "again", "crash"] {
            let lives = site.lives(name);
            // One that is stopped at once does not get to say that it began.
            let started = of(name, "started").into_iter().filter_map(|event| event["run"].as_u64());
            let began: BTreeSet<u64> = lives.iter().map(|life| life.run).chain(started).collect();
            let ended: BTreeSet<u64> = heard.ends.keys().filter(|(service, _)| service == name).map(|(_, run)| *run).collect();
            let real = match name {
                "crash" => lives.iter().filter(|life| life.ended.is_some() && !stopped(name, life.run)).count(),
                "again" => usize::from(self.lost),
                _ => 0,
            };
            // A start that its keeper's death cut off counts, and is told as an end or as a start that failed. One that met no keeper is
            // taken up by the next life, under the same count; the last one found none.
            let away = |event: &Value| event["message"].as_str().is_some_and(|message| message.starts_with("backend process unavailable"));
            let taken_up = |event: &Value| away(event) && began.last().is_some_and(|last| event["run"].as_u64() < Some(*last));
            let failed = of(name, "start-failed").into_iter().filter(|event| !taken_up(event));
            let failed: BTreeSet<u64> = failed.filter_map(|event| event["run"].as_u64()).collect();
            let ended_unborn = ended.difference(&began).count();
            let unborn = ended.union(&failed).filter(|run| !began.contains(run)).count();
            assert!(ended.len() == real + ended_unborn, "{name} ended {real} times by itself; told are {ended:?} of {began:?}");
            assert!(unborn <= self.keeper_deaths, "{name} was started in vain {unborn} times: {ended:?} and {failed:?}, of {began:?}");
            let service = site.yard.service(name);
            // One that was stopped by hand and started again was not restarted; whoever else began again was.
            let restarts = if name == "toggle" { 0 } else { (began.len() - 1 + unborn) as u64 };
            assert_eq!(service["restart_count"], restarts, "restarts of {name}; it has had these lives: {lives:?}");
        }
    }

    /// After a `down` that was committed: nothing is wanted, and nobody lives.
    pub(crate) fn judge_down(&self, site: &Site) {
        site.until("nobody lives that was taken down", |site| {
            let list = site.services()?;
            let living: Vec<_> = SERVICES.iter().filter(|name| site.lives(name).last().is_some_and(|life| alive(life.pid))).collect();
            if list.is_empty() && living.is_empty() { Ok(()) } else { Err(format!("{living:?} live; the host has {list:?}")) }
        });
        self.judge_lives(site);
        let (mut heard, mut last) = (Heard::default(), 0);
        events(site).iter().for_each(|event| heard.event(event, &mut last, true));
        assert_eq!(heard.broken, Vec::<String>::new(), "the events");
    }
}

/// All events that the host has.
pub(crate) fn events(site: &Site) -> Vec<Value> {
    let mut all: Vec<Value> = Vec::new();
    loop {
        let last = all.last().and_then(|event| event["seq"].as_u64()).unwrap_or_default();
        let more = lines(&site.yard, &format!("/events?after={last}&limit=1000"));
        if more.is_empty() {
            return all;
        }
        all.extend(more);
    }
}
