//! Watching services on their way to where they are wanted.
//!
//! The services are the truth, and events only wake: each piece of news makes the picture be looked at again, and what differs from the
//! last picture is a line. So no kind of event has to be understood, and none that is missed is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use hostler_api::{Code, EventItem, EventsQuery, Failure, Health, Service, ServiceList, ServicesQuery, Status, Wanted};

use crate::client::{Client, Document, Lines};
use crate::error::failed;
use crate::out::{Colour, Live, Out, Paint, elapsed, health_colour, status_colour, visible};

/// News that comes within this time of other news is looked at together.
const TOGETHER: Duration = Duration::from_millis(20);
/// … or so late, where a picture takes long.
const SELDOM: Duration = Duration::from_millis(200);
/// The picture is looked at this often even when there is no news,
const AT_LEAST: Duration = Duration::from_secs(1);
/// and this often when nothing is missing but the little time in which a new task without checks proves itself, which is no news.
const PROVING: Duration = Duration::from_millis(50);
/// More names than this are not put into one request: all are asked for instead.
const MANY: usize = 400;

/// How long to wait for the services, and whether at all.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Waiting {
    /// Return once the host has accepted it
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// How long to wait until they are settled
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = hostler_core::Span::parse)]
    pub(crate) timeout: hostler_core::Span,
}

/// What of a service makes a new line when it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    status: Status,
    health: Health,
    pid: Option<u32>,
    cause: Option<String>,
}

/// Shows what changes, from one picture to the next.
#[derive(Debug)]
pub(crate) struct Progress {
    client: Client,
    live: Live,
    paint: Paint,
    started: Instant,
    seen: BTreeMap<String, Seen>,
    width: usize,
    last_event: u64,
    latest: Option<Document>,
    /// How long the last picture took.
    looking: Duration,
    picture: Option<ServiceList>,
    /// With `--json`, of a command that stays: prints the first picture, then each event after it, as they came.
    tells: bool,
}

impl Progress {
    /// From nothing, for a command that stays: every service is news.
    pub(crate) fn from_nothing(client: Client, out: Out) -> Progress {
        let live = Live::new(out);
        Progress {
            client,
            live,
            paint: out.paint,
            started: Instant::now(),
            seen: BTreeMap::new(),
            width: 0,
            last_event: 0,
            latest: None,
            looking: Duration::ZERO,
            picture: None,
            tells: out.json,
        }
    }

    /// From the services as they are now, for a command that ends with one result.
    pub(crate) async fn from_now(client: Client, out: Out) -> Result<Progress, Failure> {
        let list = client.services(&ServicesQuery::default()).await?;
        let mut progress = Progress { tells: false, ..Progress::from_nothing(client, out) };
        progress.last_event = list.last_event;
        progress.seen = list.services.iter().map(|service| (service.name.clone(), Seen::of(service))).collect();
        progress.width = list.services.iter().map(|service| service.name.len()).max().unwrap_or(0);
        Ok(progress)
    }

    /// A line of the command's own among the others.
    pub(crate) fn say(&mut self, text: &str) {
        self.live.line(text);
    }

    /// The latest picture as the host sent it.
    pub(crate) fn latest(&self) -> Option<&Document> {
        self.latest.as_ref()
    }

    /// The same, read.
    pub(crate) fn picture(&self) -> Option<&ServiceList> {
        self.picture.as_ref()
    }

    /// Takes the bottom line away: what follows is not of this.
    pub(crate) fn quiet(&mut self) {
        self.live.bottom("");
    }

    /// Watches these services (all when empty) until `done`, or until the deadline; answers the last picture either way.
    ///
    /// `bottom` is added to the terminal's bottom line.
    pub(crate) async fn until(
        &mut self,
        names: &[String],
        deadline: Option<Instant>,
        bottom: &str,
        mut done: impl FnMut(&ServiceList) -> bool,
    ) -> Result<ServiceList, Failure> {
        let mut list = self.look(names, bottom).await?;
        let mut news = self.news().await?;
        loop {
            if done(&list) || deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(list);
            }
            let proving = !list.settled && list.services.iter().all(|service| service.status.is_settled());
            let longest = if proving { PROVING } else { AT_LEAST };
            let wait = deadline.map_or(longest, |deadline| deadline.saturating_duration_since(Instant::now()).min(longest));
            self.hear(&mut news, wait).await?;
            list = self.look(names, bottom).await?;
        }
    }

    /// Says what happens to services from now on, as it is told, until the host ends.
    ///
    /// For a host on its last way: when the news of the last stop is there, nobody answers for a picture any more.
    pub(crate) async fn last_words(&mut self) -> Result<(), Failure> {
        let mut news = self.news().await?;
        self.live.bottom("");
        while let Some(line) = news.line().await? {
            let event = match self.told(&line)? {
                EventItem::Event(event) => event,
                EventItem::Gap { .. } | EventItem::Cursor { .. } => continue,
                EventItem::Cut { .. } => {
                    news = self.news().await?;
                    continue;
                }
                EventItem::Error { message, .. } => return Err(crate::error::failed(message)),
            };
            let Some(service) = &event.service else { continue };
            let name = event.replica.filter(|replica| *replica > 0).map_or_else(|| service.clone(), |replica| format!("{service}/{replica}"));
            let kind = self.paint.of(Colour::Yellow, &event.kind);
            let message = visible(&event.message);
            let message = self.paint.of(Colour::Dim, &message);
            self.live.line(&format!("{:>7}  {name:<width$}  {kind}  {message}", elapsed(self.age_ms()), width = self.width));
        }
        Ok(())
    }

    /// What happened since the last event that was heard of, and goes on to happen.
    async fn news(&self) -> Result<Lines, Failure> {
        let query = EventsQuery { after: Some(self.last_event), follow: true, ..EventsQuery::default() };
        self.client.stream(&query.path()).await
    }

    /// Waits for one piece of news and those close behind it, or for as long as `wait`.
    async fn hear(&mut self, news: &mut Lines, wait: Duration) -> Result<(), Failure> {
        let Ok(first) = tokio::time::timeout(wait, news.line()).await else { return Ok(()) };
        let Some(line) = first? else {
            // The host ends its streams when it shuts down; what is left to see is seen by looking.
            tokio::time::sleep(wait.min(TOGETHER)).await;
            return Ok(());
        };
        if self.tell(&line)? {
            *news = self.news().await?;
        }
        // A picture of thousands costs the host time that it has better uses for.
        let until = tokio::time::Instant::now() + TOGETHER.max((self.looking * 4).min(SELDOM));
        while let Ok(line) = tokio::time::timeout_at(until, news.line()).await {
            let Some(line) = line? else { break };
            if self.tell(&line)? {
                *news = self.news().await?;
            }
        }
        Ok(())
    }

    /// What only wakes need not be understood. True when this reader was too slow, and has to come again.
    fn tell(&mut self, line: &[u8]) -> Result<bool, Failure> {
        Ok(self.tells && matches!(self.told(line)?, EventItem::Cut { .. }))
    }

    /// One piece of news.
    fn told(&mut self, line: &[u8]) -> Result<EventItem, Failure> {
        let item: EventItem =
            serde_json::from_slice(line).map_err(|error| failed(format!("the host sent an event that is not understood: {error}")))?;
        match &item {
            EventItem::Event(event) => self.last_event = event.seq,
            EventItem::Gap { next, .. } => self.last_event = next.saturating_sub(1),
            EventItem::Cut { after, .. } | EventItem::Cursor { after, .. } => self.last_event = *after,
            EventItem::Error { .. } => {}
        }
        if self.tells && !matches!(item, EventItem::Cut { .. }) {
            self.live.document(line);
        }
        Ok(item)
    }

    /// Takes a new picture, and shows what is new in it.
    async fn look(&mut self, names: &[String], bottom: &str) -> Result<ServiceList, Failure> {
        let began = Instant::now();
        let asked = (1..=MANY).contains(&names.len());
        let query = ServicesQuery { names: asked.then(|| names.join(",")), ..ServicesQuery::default() };
        let document = self.client.get(&query.path()).await?;
        let mut list: ServiceList = document.read()?;
        if names.len() > MANY {
            let names: BTreeSet<&String> = names.iter().collect();
            list.services.retain(|service| names.contains(&service.name));
            list.settled = list.services.iter().all(|service| service.settled);
        }
        let is_first = self.latest.is_none();
        if self.tells && is_first {
            self.live.document(document.bytes());
        }
        // What is told goes on from the first picture, whatever later ones know already.
        if !self.tells || is_first {
            self.last_event = list.last_event;
        }
        self.latest = Some(document);
        self.picture = Some(list.clone());
        self.show(&list, names.is_empty(), bottom);
        self.looking = began.elapsed();
        Ok(list)
    }

    fn show(&mut self, list: &ServiceList, is_everybody: bool, bottom: &str) {
        self.width = list.services.iter().map(|service| service.name.len()).max().unwrap_or(0).max(self.width);
        for service in &list.services {
            let now = Seen::of(service);
            let before = self.seen.insert(service.name.clone(), now.clone());
            if before.as_ref() != Some(&now) && worth_a_line(before.as_ref(), &now) {
                let line = self.line_of(service, before.as_ref());
                self.live.line(&line);
            }
        }
        if is_everybody {
            self.show_gone(list);
        }
        self.live.bottom(&format!("{} · {}{bottom}", summary(list), elapsed(self.age_ms())));
    }

    /// Who was in an earlier picture, and is not in this one.
    fn show_gone(&mut self, list: &ServiceList) {
        let there: BTreeSet<&str> = list.services.iter().map(|service| service.name.as_str()).collect();
        let gone: Vec<String> = self.seen.keys().filter(|name| !there.contains(name.as_str())).cloned().collect();
        for name in gone {
            self.seen.remove(&name);
            let what = self.paint.of(Colour::Dim, "gone");
            self.live.line(&format!("{:>7}  {name:<width$}  {what}", elapsed(self.age_ms()), width = self.width));
        }
    }

    fn line_of(&self, service: &Service, before: Option<&Seen>) -> String {
        let status = self.paint.of(status_colour(service.status), service.status.as_str());
        let mut text = format!("{:>7}  {:<width$}  {status}", elapsed(self.age_ms()), service.name, width = self.width);
        if service.status == Status::Running && service.health != Health::Unknown {
            text.push_str(&format!(", {}", self.paint.of(health_colour(service.health), service.health.as_str())));
        }
        if let Some(detail) = detail(service, before) {
            text.push_str(&format!("  {}", self.paint.of(Colour::Dim, &visible(&detail))));
        }
        text
    }

    fn age_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Seen {
    fn of(service: &Service) -> Seen {
        // Of what runs, the cause changes without anything to say.
        let cause = service.cause.clone().filter(|_| !matches!(service.status, Status::Running | Status::Completed));
        Seen { status: service.status, health: service.health, pid: service.pid, cause }
    }
}

/// What has just appeared and is at rest is no progress.
fn worth_a_line(before: Option<&Seen>, now: &Seen) -> bool {
    before.is_some() || !matches!(now.status, Status::Stopped | Status::Disabled)
}

fn detail(service: &Service, before: Option<&Seen>) -> Option<String> {
    match service.status {
        Status::Running => {
            let pid = service.pid.map(|pid| format!("pid {pid}"));
            let again = before.is_some_and(|before| before.pid.is_some() && before.pid != service.pid);
            let again = again.then(|| format!("restart {}", service.restart_count)).filter(|_| service.restart_count > 0);
            let parts: Vec<String> = [pid, again].into_iter().flatten().collect();
            (!parts.is_empty()).then(|| parts.join(", "))
        }
        Status::Completed => None,
        Status::NotFound
        | Status::Disabled
        | Status::Pending
        | Status::Starting
        | Status::Unhealthy
        | Status::Stopping
        | Status::Stopped
        | Status::Failed
        | Status::Scaling
        | Status::Unknown => service.cause.as_deref().map(|cause| beside(service.status, cause).to_owned()),
    }
}

/// `3 running · 1 pending`.
pub(crate) fn summary(list: &ServiceList) -> String {
    let mut counts: BTreeMap<Status, usize> = BTreeMap::new();
    for service in &list.services {
        *counts.entry(service.status).or_default() += 1;
    }
    let parts: Vec<String> = counts.iter().map(|(status, count)| format!("{count} {}", status.as_str())).collect();
    if parts.is_empty() { "no services".to_owned() } else { parts.join(" · ") }
}

/// What is not as it is wanted, as the failure that a command ends with.
pub(crate) fn shortfall(list: &ServiceList, waited: Duration) -> Option<Failure> {
    let short: Vec<&Service> = list.services.iter().filter(|service| !is_as_wanted(service)).collect();
    let first = short.first()?;
    let told: Vec<String> = short.iter().take(10).map(|service| told(service)).collect();
    let more = short.len().saturating_sub(told.len());
    let more = if more == 0 { String::new() } else { format!("; and {more} more") };
    let what = format!("{}{more}", told.join("; "));
    let failure = if short.iter().any(|service| !service.settled) {
        Failure::new(Code::Timeout, format!("not settled after {}: {what}", elapsed(u64::try_from(waited.as_millis()).unwrap_or(u64::MAX))))
    } else {
        failed(what)
    };
    Some(failure.hint(format!("`hostler explain {0}` says why, `hostler logs {0}` what it wrote", first.name)))
}

fn told(service: &Service) -> String {
    let why = service.cause.as_deref().or(service.last_error.as_deref());
    let why = why.map_or_else(String::new, |why| format!(": {}", beside(service.status, why)));
    format!("{} is {}{why}", service.name, service.status.as_str())
}

/// A cause as it reads beside its status, without saying the status again.
pub(crate) fn beside(status: Status, cause: &str) -> &str {
    cause.strip_prefix(status.as_str()).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(cause)
}

/// Is it up when it is to be up, and down when it is to be down?
pub(crate) fn is_as_wanted(service: &Service) -> bool {
    match service.wanted {
        Wanted::Running if !service.enabled => true,
        Wanted::Running if service.replicas.wanted == 0 => service.settled && service.status == Status::Stopped,
        Wanted::Running => service.settled && matches!(service.status, Status::Running | Status::Completed | Status::Disabled),
        Wanted::Stopped | Wanted::Removed => {
            matches!(service.status, Status::Stopped | Status::Completed | Status::Disabled | Status::Failed | Status::NotFound)
        }
    }
}

#[cfg(test)]
mod tests;
