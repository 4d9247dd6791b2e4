//! What the edges of each service say now, kept up to date with what is behind them: a service with ten thousand dependencies hears of
//! one at a time, and is not searched through for each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::machine::Core;
use crate::registry::{Outlook, Service, keeps_down, waits};
use crate::spec::{Dependency, ServiceName, Spec};

/// What the edges of one service say, each by its place among the dependencies of its spec.
///
/// Which dependency's restart a life still has to follow stands beside that life, in its slot.
#[derive(Debug, Clone, Default)]
pub(crate) struct Edges {
    places: BTreeMap<ServiceName, usize>,
    /// They keep it from running.
    down: BTreeSet<usize>,
    /// They keep it from starting.
    waiting: BTreeSet<usize>,
    /// They are about to be restarted, and take it along.
    pub(crate) pulling: BTreeSet<usize>,
}

/// What an edge can see of the service behind it.
pub(crate) struct Behind {
    pub(crate) outlook: Outlook,
    pub(crate) spec: Arc<Spec>,
}

impl Service {
    pub(crate) fn depends_on(&self, name: &ServiceName) -> bool {
        self.edges.places.contains_key(name)
    }

    /// The first edge that keeps it from running.
    pub(crate) fn kept_down_by(&self) -> Option<&Dependency> {
        self.spec.dependencies.get(*self.edges.down.first()?)
    }

    /// The first edge that keeps it from starting.
    pub(crate) fn waiting_at(&self) -> Option<&Dependency> {
        self.spec.dependencies.get(*self.edges.waiting.first()?)
    }

    pub(crate) fn behind(&self) -> Behind {
        Behind { outlook: self.outlook.clone(), spec: Arc::clone(&self.spec) }
    }

    fn renew_edge(&mut self, name: &ServiceName, behind: Option<&Behind>) {
        let Some(place) = self.edges.places.get(name).copied() else { return };
        let Some(edge) = self.spec.dependencies.get(place) else { return };
        let outlook = behind.map(|behind| &behind.outlook);
        mark(&mut self.edges.down, place, outlook.is_some_and(|outlook| keeps_down(edge, outlook).is_some()));
        mark(&mut self.edges.waiting, place, waits(edge, behind).is_some());
        mark(&mut self.edges.pulling, place, edge.restart && outlook.is_some_and(|outlook| outlook.renewing));
        if !edge.restart {
            return;
        }
        for slot in self.slots.values_mut() {
            let known = slot.state.life().and_then(|life| life.follows.get(name));
            let outdated = known.zip(outlook).is_some_and(|(known, outlook)| outlook.runs.0 > *known);
            mark(&mut slot.outdated, place, outdated);
        }
    }
}

fn mark(set: &mut BTreeSet<usize>, place: usize, holds: bool) {
    if holds {
        set.insert(place);
    } else {
        set.remove(&place);
    }
}

impl Core {
    /// Looks at all edges of a service anew: it is new, or depends on others now.
    pub(crate) fn renew_edges_of(&mut self, name: &ServiceName) {
        let Some(service) = self.services.get_mut(name) else { return };
        let spec = Arc::clone(&service.spec);
        let places = spec.dependencies.iter().enumerate().map(|(place, edge)| (edge.service.clone(), place)).collect();
        service.edges = Edges { places, ..Edges::default() };
        service.slots.values_mut().for_each(|slot| slot.outdated.clear());
        for edge in &spec.dependencies {
            let behind = self.services.get(&edge.service).map(Service::behind);
            if let Some(service) = self.services.get_mut(name) {
                service.renew_edge(&edge.service, behind.as_ref());
            }
        }
    }

    /// Looks at the edges that lead to a service anew: it came, changed or went.
    pub(crate) fn renew_edges_to(&mut self, name: &ServiceName) {
        let behind = self.services.get(name).map(Service::behind);
        for dependent in self.graph.dependents(name.as_str()) {
            if let Some(service) = self.services.get_mut(dependent) {
                service.renew_edge(name, behind.as_ref());
            }
        }
    }
}
