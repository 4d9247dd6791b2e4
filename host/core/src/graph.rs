//! Who starts after whom: layers, orders, and cycles named by their path.
//!
//! Nothing here recurses, so a chain of ten thousand services costs heap, not stack.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;

use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};

use crate::spec::{ServiceName, Spec};

/// The dependency graph of a set of services. Edges to services outside the set are kept, and followed once these are there.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    dependencies: BTreeMap<ServiceName, BTreeSet<ServiceName>>,
    dependents: BTreeMap<ServiceName, BTreeSet<ServiceName>>,
    layers: BTreeMap<ServiceName, usize>,
    /// A service was taken out that others start after.
    stale: bool,
}

impl Graph {
    /// Builds the graph; optional edges count, because they order starts.
    pub fn new<'a>(specs: impl IntoIterator<Item = &'a Spec>) -> Graph {
        let mut graph = Graph::default();
        for spec in specs {
            graph.set_edges(spec);
        }
        graph.find_layers();
        graph
    }

    /// Takes a service in, or its new edges; says whether [`find_layers`](Graph::find_layers) must follow. It need not for an
    /// unchanged service, nor for a new one that nobody starts after.
    pub(crate) fn set(&mut self, spec: &Spec) -> bool {
        let name = spec.name.as_str();
        let new = !self.dependencies.contains_key(name);
        if !self.set_edges(spec) {
            return false;
        }
        if self.stale || !new || self.dependents.contains_key(name) {
            return true;
        }
        let below: Option<Vec<usize>> = self.dependencies(name).map(|dependency| self.layer(dependency.as_str())).collect();
        if let Some(below) = below {
            self.layers.insert(spec.name.clone(), below.into_iter().max().map_or(0, |layer| layer + 1));
        }
        false
    }

    fn set_edges(&mut self, spec: &Spec) -> bool {
        let edges: BTreeSet<ServiceName> = spec.dependencies.iter().map(|edge| edge.service.clone()).collect();
        if self.dependencies.get(&spec.name) == Some(&edges) {
            return false;
        }
        self.remove_edges(spec.name.as_str());
        for dependency in &edges {
            self.dependents.entry(dependency.clone()).or_default().insert(spec.name.clone());
        }
        self.dependencies.insert(spec.name.clone(), edges);
        true
    }

    fn remove_edges(&mut self, name: &str) {
        for dependency in self.dependencies.remove(name).unwrap_or_default() {
            if let Some(dependents) = self.dependents.get_mut(&dependency) {
                dependents.remove(name);
                if dependents.is_empty() {
                    self.dependents.remove(&dependency);
                }
            }
        }
    }

    /// Takes one service out; the layers of those above it are found anew with the next that is set.
    pub(crate) fn remove(&mut self, name: &str) {
        self.remove_edges(name);
        self.stale |= self.dependents.contains_key(name);
        self.layers.remove(name);
    }

    /// Whom `name` starts after, directly.
    pub fn dependencies(&self, name: &str) -> impl Iterator<Item = &ServiceName> {
        let edges = self.dependencies.get(name).into_iter().flatten();
        edges.filter(|dependency| self.dependencies.contains_key(*dependency))
    }

    /// Who starts after `name`, directly.
    pub fn dependents(&self, name: &str) -> impl Iterator<Item = &ServiceName> {
        self.dependents.get(name).into_iter().flatten()
    }

    /// The same, beginning with those behind `after` and going round.
    pub(crate) fn dependents_from<'a>(&'a self, name: &str, after: Option<&'a ServiceName>) -> impl Iterator<Item = &'a ServiceName> {
        let all = self.dependents.get(name);
        let first = after.map_or(Bound::Unbounded, Bound::Excluded);
        let behind = all.into_iter().flat_map(move |all| all.range::<ServiceName, _>((first, Bound::Unbounded)));
        let before = all.zip(after).into_iter().flat_map(|(all, after)| all.range::<ServiceName, _>(..=after));
        behind.chain(before)
    }

    /// How many starts away from the first: 0 for a service without dependencies. `None` on a cycle or when unknown.
    pub fn layer(&self, name: &str) -> Option<usize> {
        self.layers.get(name).copied()
    }

    /// The services of each layer, first started first; those on or behind a cycle are left out.
    pub fn layers(&self) -> Vec<Vec<ServiceName>> {
        let mut layers: Vec<Vec<ServiceName>> = Vec::new();
        for (name, layer) in &self.layers {
            if layers.len() <= *layer {
                layers.resize(layer + 1, Vec::new());
            }
            layers[*layer].push(name.clone());
        }
        layers.retain(|layer| !layer.is_empty());
        layers
    }

    /// Layer by layer, by name within one.
    pub fn start_order(&self) -> Vec<ServiceName> {
        self.layers().into_iter().flatten().collect()
    }

    /// `roots` and everything they depend on, directly or not, following only the edges that `follow` accepts.
    pub fn with_dependencies(
        &self,
        roots: impl IntoIterator<Item = ServiceName>,
        mut follow: impl FnMut(&ServiceName, &ServiceName) -> bool,
    ) -> BTreeSet<ServiceName> {
        let mut found: BTreeSet<ServiceName> = BTreeSet::new();
        let mut open: Vec<ServiceName> = roots.into_iter().collect();
        while let Some(name) = open.pop() {
            if !found.insert(name.clone()) {
                continue;
            }
            open.extend(self.dependencies(name.as_str()).filter(|dependency| follow(&name, dependency)).cloned());
        }
        found
    }

    /// The services of one cycle, each depending on the next and the last on the first; `None` when there is none, or only services that
    /// depend on themselves.
    ///
    /// Of the smallest group of services that all depend on each other, it is the shortest way from the first by name back to it.
    pub fn cycle(&self) -> Option<Vec<ServiceName>> {
        if self.layers.len() == self.dependencies.len() {
            return None;
        }
        let mut graph: DiGraph<&ServiceName, ()> = DiGraph::new();
        let nodes: BTreeMap<&ServiceName, NodeIndex> = self.dependencies.keys().map(|name| (name, graph.add_node(name))).collect();
        for name in self.dependencies.keys() {
            for dependency in self.dependencies(name.as_str()) {
                graph.add_edge(nodes[name], nodes[dependency], ());
            }
        }
        let on_cycle: BTreeSet<&ServiceName> = kosaraju_scc(&graph)
            .into_iter()
            .filter(|component| component.len() > 1)
            .min_by_key(Vec::len)?
            .into_iter()
            .map(|node| graph[node])
            .collect();
        let first = *on_cycle.first()?;
        self.path_back_to(first, &on_cycle)
    }

    /// Breadth first from `first` over `within`, back to `first`.
    fn path_back_to(&self, first: &ServiceName, within: &BTreeSet<&ServiceName>) -> Option<Vec<ServiceName>> {
        let mut came_from: BTreeMap<&ServiceName, &ServiceName> = BTreeMap::new();
        let mut open: VecDeque<&ServiceName> = VecDeque::from([first]);
        while let Some(name) = open.pop_front() {
            // An edge to itself is another mistake, and told as that.
            for next in self.dependencies(name.as_str()).filter(|next| within.contains(next) && *next != name) {
                if next == first {
                    let mut path = vec![name.clone()];
                    let mut at = name;
                    while let Some(previous) = came_from.get(at) {
                        path.push((*previous).clone());
                        at = previous;
                    }
                    path.reverse();
                    return Some(path);
                }
                if !came_from.contains_key(next) {
                    came_from.insert(next, name);
                    open.push_back(next);
                }
            }
        }
        None
    }

    /// Kahn's algorithm: what is left over is on or behind a cycle.
    pub(crate) fn find_layers(&mut self) {
        let mut missing: BTreeMap<&ServiceName, usize> =
            self.dependencies.keys().map(|name| (name, self.dependencies(name.as_str()).count())).collect();
        let mut layers: BTreeMap<ServiceName, usize> = BTreeMap::new();
        let mut open: VecDeque<(&ServiceName, usize)> = missing.iter().filter(|(_, count)| **count == 0).map(|(name, _)| (*name, 0)).collect();
        while let Some((name, layer)) = open.pop_front() {
            layers.insert(name.clone(), layer);
            for dependent in self.dependents(name.as_str()) {
                let count = missing.get_mut(dependent).expect("every dependent is a node of the graph");
                *count -= 1;
                if *count == 0 {
                    // Breadth first: the last dependency to be reached is the one in the highest layer.
                    open.push_back((dependent, layer + 1));
                }
            }
        }
        self.layers = layers;
        self.stale = false;
    }
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Dependency;

    fn specs(text: &str) -> Vec<Spec> {
        text.split_whitespace()
            .map(|part| {
                let (name, edges) = part.split_once("<-").unwrap_or((part, ""));
                let mut spec = Spec::new(ServiceName::new(name).expect("a name"), "process", "{}");
                spec.dependencies = edges
                    .split(',')
                    .filter(|edge| !edge.is_empty())
                    .map(|edge| Dependency {
                        optional: edge.ends_with('?'),
                        ..Dependency::on(ServiceName::new(edge.trim_end_matches('?')).expect("a name"))
                    })
                    .collect();
                spec
            })
            .collect()
    }

    fn shown(graph: &Graph) -> String {
        let layers: Vec<String> = graph.layers().iter().map(|layer| layer.iter().map(ServiceName::as_str).collect::<Vec<_>>().join(",")).collect();
        layers.join(" | ")
    }

    #[test]
    fn layers_follow_the_longest_path() {
        let specs = specs("dao edge<-dao? scheduler<-dao? harvest<-edge onion<-fog fog<-harvest? vpn<-fog,onion betanet<-onion?,p2p? p2p<-fog?");
        assert_eq!(shown(&Graph::new(&specs)), "dao | edge,scheduler | harvest | fog | onion,p2p | betanet,vpn");
    }

    #[test]
    fn a_cycle_is_the_shortest_way_back_to_the_first_of_the_smallest_group() {
        let shown = |text| Graph::new(&specs(text)).cycle().map(|cycle| cycle.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
        assert_eq!(shown("a<-b b<-c,d c<-a d<-b e<-a").as_deref(), Some("a b c"));
        assert_eq!(shown("a<-b b<-c c<-a x<-y y<-x").as_deref(), Some("x y"));
        assert_eq!(shown("a<-a b<-a"), None);
        assert_eq!(shown("a<-a,b b<-a").as_deref(), Some("a b"));
    }

    #[test]
    fn ten_thousand_in_a_chain_cost_no_stack() {
        let mut chain = vec![Spec::new(ServiceName::new("s0").expect("a name"), "process", "{}")];
        for n in 1..10_000 {
            let mut spec = Spec::new(ServiceName::new(&format!("s{n}")).expect("a name"), "process", "{}");
            let service = ServiceName::new(&format!("s{}", n - 1)).expect("a name");
            spec.dependencies.push(Dependency::on(service));
            chain.push(spec);
        }
        assert_eq!(Graph::new(&chain).layer("s9999"), Some(9_999));
        let service = ServiceName::new("s9999").expect("a name");
        chain[0].dependencies.push(Dependency::on(service));
        assert_eq!(Graph::new(&chain).cycle().expect("a ring").len(), 10_000);
    }
}
