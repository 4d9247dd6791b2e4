//! Services as answers show them: drawn once, and kept for as long as nothing changes of them, so that whoever reads does not hold up the loop.
//!
//! The loop alone draws, and takes down what it changes before anybody hears of the change: what hangs here is what the loop would draw now.
//! Only what rests is kept. Whatever else is shown hangs on others and on time, and is drawn for each who asks.

mod stencil;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use hostler_api::{Failure, Health, Service, ServiceDetail, ServiceList, Shape};
use hostler_core::{Action, Core, Event, Loads, ServiceName, Span, Spec, Status, Time, Wanted, WorkspaceName};

use crate::clock;
use crate::desk::Desk;
use crate::speak::{self, Past};
use stencil::{Hole, Stencil};

/// What hangs here may show a time of the wall's clock, which somebody may have set since.
const LONGEST: Span = Span::secs(60);
/// The same of what shows shares of watched time.
const WATCHED: Span = Span::secs(1);

/// What answers show.
#[derive(Default)]
pub(crate) struct Board {
    shown: RwLock<Shown>,
    last_event: AtomicU64,
}

#[derive(Default)]
struct Shown {
    /// Every service; with what was drawn of it, where that holds.
    services: BTreeMap<ServiceName, Option<Arc<Drawn>>>,
    /// By workspace; under nothing, of every one.
    whole: BTreeMap<Option<WorkspaceName>, Whole>,
}

/// What is shown of all services of a workspace together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Whole {
    ready: bool,
    composite_health: Health,
}

/// One service, drawn.
pub(crate) struct Drawn {
    pub(crate) spec: Arc<Spec>,
    pub(crate) status: Status,
    pub(crate) health: Health,
    pub(crate) settled: bool,
    line: Stencil,
    detail: OnceLock<Stencil>,
    at: Time,
}

impl Drawn {
    fn holds(&self, now: Time) -> bool {
        now.since(self.at) < LONGEST
    }

    /// The whole of it as JSON, where that was drawn and holds.
    fn detail(&self, now: Time) -> Option<Vec<u8>> {
        let most = if self.spec.checks.is_empty() { LONGEST } else { WATCHED };
        let mut text = Vec::new();
        self.detail.get().filter(|_| now.since(self.at) < most)?.write(now, &mut text);
        Some(text)
    }
}

/// Services, drawn in one moment.
pub(crate) struct Picture {
    /// They are of every workspace: a name says of which.
    pub(crate) is_of_all: bool,
    whole: Whole,
    last_event: u64,
    pub(crate) services: Vec<Arc<Drawn>>,
}

impl Picture {
    /// What a service is called in it; they are in the order of these names.
    pub(crate) fn name<'a>(&self, drawn: &'a Drawn) -> &'a str {
        if self.is_of_all { drawn.spec.name.as_str() } else { drawn.spec.name.local() }
    }

    /// As JSON: the chosen ones of it, as many as `limit`; behind them goes on whoever asks for what comes after the last of them.
    pub(crate) fn list(&self, chosen: &[&Drawn], limit: usize) -> Vec<u8> {
        let page = &chosen[..limit.min(chosen.len())];
        let empty = ServiceList {
            version: Shape,
            settled: chosen.iter().all(|drawn| drawn.settled),
            ready: self.whole.ready,
            composite_health: self.whole.composite_health,
            last_event: self.last_event,
            next: page.last().filter(|_| page.len() < chosen.len()).map(|drawn| self.name(drawn).to_owned()),
            services: Vec::new(),
        };
        let mut text = stencil::json(&empty);
        // The list is the last of it: `…[]}`.
        text.truncate(text.len() - 2);
        text.reserve_exact(page.iter().map(|drawn| drawn.line.most() + 1).sum::<usize>() + 2);
        let now = clock::now();
        for (place, drawn) in page.iter().enumerate() {
            if place > 0 {
                text.push(b',');
            }
            drawn.line.write(now, &mut text);
        }
        text.extend_from_slice(b"]}");
        text
    }
}

impl Board {
    /// These services, every one of the workspace (of all, where there is none) when none is named; nothing where one of them is to be drawn
    /// first, or is not there.
    pub(crate) fn picture(&self, whose: Option<&WorkspaceName>, names: Option<&[ServiceName]>) -> Option<Picture> {
        let now = clock::now();
        // First: a picture may be newer than its number, and never older.
        let last_event = self.last_event.load(Ordering::Acquire);
        let shown = self.read();
        let whole = *shown.whole.get(&whose.cloned())?;
        let held = |drawn: &Option<Arc<Drawn>>| drawn.clone().filter(|drawn| drawn.holds(now));
        let services = match names {
            Some(names) => names.iter().map(|name| held(shown.services.get(name)?)).collect::<Option<Vec<_>>>()?,
            None => {
                let theirs = shown.services.iter().filter(|(name, _)| whose.is_none_or(|workspace| name.workspace() == workspace.as_str()));
                theirs.map(|(_, drawn)| held(drawn)).collect::<Option<Vec<_>>>()?
            }
        };
        Some(Picture { is_of_all: whose.is_none(), whole, last_event, services })
    }

    /// One service in detail, as JSON; nothing where it is to be drawn first, or is not there.
    pub(crate) fn detail(&self, name: &str) -> Option<Vec<u8>> {
        let drawn = self.read().services.get(name)?.clone()?;
        drawn.detail(clock::now())
    }

    /// Notes the number of the newest event.
    pub(crate) fn has_told(&self, last_event: u64) {
        self.last_event.store(last_event, Ordering::Release);
    }

    /// Something beside the core changed of what is shown of this one.
    pub(crate) fn take_down(&self, name: &ServiceName) {
        if let Some(drawn) = self.write().services.get_mut(name) {
            *drawn = None;
        }
    }

    /// Nobody has looked for a while: what hangs here is only in the way.
    pub(crate) fn take_all_down(&self) {
        self.write().services.values_mut().for_each(|drawn| *drawn = None);
    }

    fn change(&self, core: &Core, changed: BTreeSet<ServiceName>) {
        let mut shown = self.write();
        shown.whole.clear();
        for name in changed {
            if core.spec(name.as_str()).is_some() {
                shown.services.insert(name, None);
            } else {
                shown.services.remove(&name);
            }
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Shown> {
        self.shown.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Shown> {
        self.shown.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The core, with the board that shows it: whoever changes it takes down what that changes.
pub(crate) struct Observed {
    core: Core,
    board: Arc<Board>,
}

impl Observed {
    pub(crate) fn new(mut core: Core, board: Arc<Board>) -> Observed {
        core.take_changed();
        board.change(&core, core.names().cloned().collect());
        Observed { core, board }
    }

    /// As [`Core::handle`].
    pub(crate) fn handle(&mut self, now: Time, event: Event) {
        self.core.handle(now, event);
        let changed = self.core.take_changed();
        self.board.change(&self.core, changed);
    }

    /// As [`Core::poll_action`].
    pub(crate) fn poll_action(&mut self) -> Option<Action> {
        self.core.poll_action()
    }

    /// As [`Core::set_max_parallel`].
    pub(crate) fn set_max_parallel(&mut self, starts: u32) {
        self.core.set_max_parallel(starts);
    }

    /// As [`Core::weigh`]. Nothing of it is shown here: loads are only in explanations.
    pub(crate) fn weigh(&mut self, now: Time, name: &str, loads: &Loads) -> Option<Wanted> {
        self.core.weigh(now, name, loads)
    }

    /// What shows it.
    pub(crate) fn board(&self) -> &Board {
        &self.board
    }
}

impl Deref for Observed {
    type Target = Core;

    fn deref(&self) -> &Core {
        &self.core
    }
}

impl Desk {
    /// The same as [`Board::picture`], with what is missing there drawn.
    pub(crate) fn picture(&self, whose: Option<&WorkspaceName>, names: Option<&[ServiceName]>) -> Result<Picture, Failure> {
        let workspace = whose.map(WorkspaceName::as_str);
        let whole = Whole { ready: speak::is_ready_in(self, workspace), composite_health: self.core.composite_health_in(workspace) };
        self.core.board().write().whole.insert(whose.cloned(), whole);
        let services = match names {
            Some(names) => names.iter().map(|name| self.drawn(name.as_str())).collect::<Result<_, _>>()?,
            None => speak::names(self, whose).map(|name| self.drawn(name.as_str())).collect::<Result<_, _>>()?,
        };
        Ok(Picture { is_of_all: whose.is_none(), whole, last_event: self.last_event, services })
    }

    /// The same as [`Board::detail`], drawn where it is missing.
    pub(crate) fn detail(&self, name: &str) -> Result<Vec<u8>, Failure> {
        let now = clock::now();
        let drawn = self.drawn(name)?;
        if let Some(text) = drawn.detail(now) {
            return Ok(text);
        }
        let detail = speak::detail(self, name, Past::Told).ok_or_else(|| speak::not_found(self, name))?;
        let (stencil, _) = draw_detail(detail, now);
        let mut text = Vec::new();
        stencil.write(now, &mut text);
        // One that is there already is too old.
        if drawn.detail.set(stencil).is_err() {
            self.core.board().take_down(&drawn.spec.name);
        }
        Ok(text)
    }

    fn drawn(&self, name: &str) -> Result<Arc<Drawn>, Failure> {
        let now = clock::now();
        if let Some(drawn) = self.core.board().read().services.get(name).and_then(Option::as_ref).filter(|drawn| drawn.holds(now)) {
            return Ok(Arc::clone(drawn));
        }
        let missing = || speak::not_found(self, name);
        let view = self.core.service(name).ok_or_else(missing)?;
        let spec = Arc::clone(self.core.spec(name).ok_or_else(missing)?);
        let (status, health, rests) = (view.status, view.health, self.core.rests(&view));
        let service = speak::service(self, &view);
        let settled = service.settled;
        let (line, is_whole) = draw_line(service, now);
        let drawn = Arc::new(Drawn { spec, status, health, settled, line, detail: OnceLock::new(), at: now });
        if rests && is_whole {
            self.core.board().write().services.insert(drawn.spec.name.clone(), Some(Arc::clone(&drawn)));
        }
        Ok(drawn)
    }
}

/// Draws a line; false where what time changes of it could not be left open.
fn draw_line(mut service: Service, now: Time) -> (Stencil, bool) {
    let holes = since(&mut service.uptime_ms, now).into_iter().collect();
    Stencil::cut(stencil::json(&service), holes)
}

fn draw_detail(mut detail: ServiceDetail, now: Time) -> (Stencil, bool) {
    let up = since(&mut detail.service.uptime_ms, now).into_iter();
    let mut holes: Vec<Hole> = up.chain(detail.replicas.iter_mut().filter_map(|part| since(&mut part.uptime_ms, now))).collect();
    holes.extend(detail.checks.iter_mut().filter_map(|check| {
        let in_ms = check.next_in_ms.replace(0)?;
        Some(Hole::Until(now + Span(in_ms)))
    }));
    Stencil::cut(stencil::json(&detail), holes)
}

/// How long something has been so is left open.
fn since(uptime_ms: &mut Option<u64>, now: Time) -> Option<Hole> {
    let up = uptime_ms.replace(0)?;
    Some(Hole::Since(Time(now.0.saturating_sub(up))))
}
