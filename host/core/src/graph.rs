//! Who starts after whom: layers, orders, and cycles named by their path.
//!
//! Nothing here recurses, so a chain of ten thousand services costs heap, not stack.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};

use crate::spec::{ServiceName, Spec};

/// The dependency graph of a set of services. Edges to services outside the set are left out.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    dependencies: BTreeMap<ServiceName, BTreeSet<ServiceName>>,
    dependents: BTreeMap<ServiceName, BTreeSet<ServiceName>>,
    layers: BTreeMap<ServiceName, usize>,
}

impl Graph {
    /// Builds the graph; optional edges count, because they order starts.
    pub fn new<'a>(specs: impl IntoIterator<Item = &'a Spec>) -> Graph {
        let specs: Vec<&Spec> = specs.into_iter().collect();
        let names: BTreeSet<&ServiceName> = specs.iter().map(|spec| &spec.name).collect();
        let mut graph = Graph::default();
        for spec in &specs {
            graph.dependents.entry(spec.name.clone()).or_default();
            let edges: BTreeSet<ServiceName> =
                spec.dependencies.iter().map(|edge| &edge.service).filter(|name| names.contains(name)).cloned().collect();
            for dependency in &edges {
                graph.dependents.entry(dependency.clone()).or_default().insert(spec.name.clone());
            }
            graph.dependencies.insert(spec.name.clone(), edges);
        }
        graph.layers = graph.find_layers();
        graph
    }

    /// Takes one service out; the layers of the others stay as they are.
    pub(crate) fn remove(&mut self, name: &str) {
        for dependency in self.dependencies.remove(name).unwrap_or_default() {
            if let Some(dependents) = self.dependents.get_mut(&dependency) {
                dependents.remove(name);
            }
        }
        for dependent in self.dependents.remove(name).unwrap_or_default() {
            if let Some(dependencies) = self.dependencies.get_mut(&dependent) {
                dependencies.remove(name);
            }
        }
        self.layers.remove(name);
    }

    /// Whom `name` starts after, directly.
    pub fn dependencies(&self, name: &str) -> impl Iterator<Item = &ServiceName> {
        self.dependencies.get(name).into_iter().flatten()
    }

    /// Who starts after `name`, directly.
    pub fn dependents(&self, name: &str) -> impl Iterator<Item = &ServiceName> {
        self.dependents.get(name).into_iter().flatten()
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

    /// The services of one shortest cycle, each depending on the next and the last on the first; `None` when there is none.
    pub fn cycle(&self) -> Option<Vec<ServiceName>> {
        if self.layers.len() == self.dependencies.len() {
            return None;
        }
        let mut graph: DiGraph<&ServiceName, ()> = DiGraph::new();
        let nodes: BTreeMap<&ServiceName, NodeIndex> = self.dependencies.keys().map(|name| (name, graph.add_node(name))).collect();
        for (name, edges) in &self.dependencies {
            for dependency in edges {
                graph.add_edge(nodes[name], nodes[dependency], ());
            }
        }
        let on_cycle: BTreeSet<&ServiceName> =
            kosaraju_scc(&graph).into_iter().filter(|component| component.len() > 1).min_by_key(Vec::len)?.into_iter().map(|node| graph[node]).collect();
        let first = *on_cycle.first()?;
        self.path_back_to(first, &on_cycle)
    }

    /// Breadth first from `first` over `within`, back to `first`.
    fn path_back_to(&self, first: &ServiceName, within: &BTreeSet<&ServiceName>) -> Option<Vec<ServiceName>> {
        let mut came_from: BTreeMap<&ServiceName, &ServiceName> = BTreeMap::new();
        let mut open: VecDeque<&ServiceName> = VecDeque::from([first]);
        while let Some(name) = open.pop_front() {
            for next in self.dependencies(name.as_str()).filter(|next| within.contains(next)) {
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
    fn find_layers(&self) -> BTreeMap<ServiceName, usize> {
        let mut missing: BTreeMap<&ServiceName, usize> = self.dependencies.iter().map(|(name, edges)| (name, edges.len())).collect();
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
        layers
    }
}

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
                        service: ServiceName::new(edge.trim_end_matches('?')).expect("a name"),
                        optional: edge.ends_with('?'),
                        condition: None,
                        restart: false,
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
    fn a_cycle_is_named_by_its_shortest_path() {
        let specs = specs("a<-b b<-c,d c<-a d<-b e<-a");
        let cycle = Graph::new(&specs).cycle().expect("there are two cycles");
        let names: Vec<&str> = cycle.iter().map(ServiceName::as_str).collect();
        assert!(names == ["b", "d"] || names == ["a", "b", "c"], "{names:?}");
    }

    #[test]
    fn ten_thousand_in_a_chain_cost_no_stack() {
        let mut chain = vec![Spec::new(ServiceName::new("s0").expect("a name"), "process", "{}")];
        for n in 1..10_000 {
            let mut spec = Spec::new(ServiceName::new(&format!("s{n}")).expect("a name"), "process", "{}");
            let service = ServiceName::new(&format!("s{}", n - 1)).expect("a name");
            spec.dependencies.push(Dependency { service, optional: false, condition: None, restart: false });
            chain.push(spec);
        }
        assert_eq!(Graph::new(&chain).layer("s9999"), Some(9_999));
        let service = ServiceName::new("s9999").expect("a name");
        chain[0].dependencies.push(Dependency { service, optional: false, condition: None, restart: false });
        assert_eq!(Graph::new(&chain).cycle().expect("a ring").len(), 10_000);
    }
}
