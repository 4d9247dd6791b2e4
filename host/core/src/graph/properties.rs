//! The graph beside a model that is too slow and too simple to be wrong: reachability over a matrix.

use std::collections::BTreeSet;

use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop, proptest};
use proptest::test_runner::RngSeed;

use super::Graph;
use crate::spec::{Dependency, ServiceName, Spec};

/// Services are numbers; some edges lead to services that nobody has.
const NODES: usize = 9;

type Edges = Vec<BTreeSet<usize>>;

/// Edges of every service, and which of them are there; sparse ones have few cycles, dense ones many.
fn edges() -> impl Strategy<Value = (Edges, BTreeSet<usize>)> {
    let some = |most: usize| prop::collection::vec(prop::collection::btree_set(0..NODES, 0..=most), NODES);
    let downwards = some(4).prop_map(|mut edges| {
        edges.iter_mut().enumerate().for_each(|(node, edges)| edges.retain(|to| *to < node));
        edges
    });
    let few = prop::collection::vec(prop::collection::btree_set(0..NODES, 0..=1), NODES);
    (proptest::prop_oneof![downwards, few, some(2), some(4)], prop::collection::btree_set(0..NODES, 0..=NODES))
}

/// New edges, or nothing for a service that goes.
fn change() -> impl Strategy<Value = Option<BTreeSet<usize>>> {
    let edges = || prop::collection::btree_set(0..NODES, 0..=3).prop_map(Some);
    proptest::prop_oneof![edges(), edges(), Just(None)]
}

fn name(node: usize) -> ServiceName {
    ServiceName::new(&format!("s{node}")).expect("a name")
}

fn number(name: &ServiceName) -> usize {
    name.as_str()[1..].parse().expect("a number")
}

fn spec(node: usize, edges: &BTreeSet<usize>) -> Spec {
    let mut spec = Spec::new(name(node), "process", "{}");
    let edge = |to: &usize| Dependency { optional: (node + to).is_multiple_of(2), ..Dependency::on(name(*to)) };
    spec.dependencies = edges.iter().map(edge).collect();
    spec
}

fn specs(edges: &Edges, there: &BTreeSet<usize>) -> Vec<Spec> {
    there.iter().map(|node| spec(*node, &edges[*node])).collect()
}

/// What follows from edges alone.
struct Model {
    edges: [[bool; NODES]; NODES],
    /// Is there a way of at least one edge?
    reaches: [[bool; NODES]; NODES],
    there: BTreeSet<usize>,
}

impl Model {
    fn new(all: &Edges, there: &BTreeSet<usize>) -> Model {
        let mut edges = [[false; NODES]; NODES];
        for from in there {
            for to in all[*from].intersection(there) {
                edges[*from][*to] = true;
            }
        }
        let mut reaches = edges;
        for over in 0..NODES {
            for from in 0..NODES {
                for to in 0..NODES {
                    reaches[from][to] |= reaches[from][over] && reaches[over][to];
                }
            }
        }
        Model { edges, reaches, there: there.clone() }
    }

    /// The longest way down; none for what is on or behind a cycle.
    fn layer(&self, node: usize) -> Option<usize> {
        let on_cycle = |node: usize| self.reaches[node][node];
        if !self.there.contains(&node) || on_cycle(node) || (0..NODES).any(|below| self.reaches[node][below] && on_cycle(below)) {
            return None;
        }
        let below = (0..NODES).filter(|below| self.edges[node][*below]).filter_map(|below| self.layer(below));
        Some(below.max().map_or(0, |below| below + 1))
    }

    /// Those that reach each other, the node among them.
    fn group(&self, node: usize) -> BTreeSet<usize> {
        (0..NODES).filter(|other| *other == node || (self.reaches[node][*other] && self.reaches[*other][node])).collect()
    }

    /// The number of edges on the shortest way from a node back to it.
    fn shortest_way_back(&self, node: usize) -> usize {
        let mut reached = BTreeSet::from([node]);
        for steps in 1..=NODES {
            reached = reached.iter().flat_map(|from| (0..NODES).filter(|to| self.edges[*from][*to])).collect();
            if reached.contains(&node) {
                return steps;
            }
        }
        panic!("{node} is on no cycle")
    }
}

fn agrees(graph: &Graph, model: &Model) {
    for node in 0..NODES {
        let here = name(node);
        assert_eq!(graph.layer(here.as_str()), model.layer(node), "the layer of {here}");
        if model.there.contains(&node) {
            let down: BTreeSet<usize> = graph.dependencies(here.as_str()).map(number).collect();
            assert_eq!(down, (0..NODES).filter(|to| model.edges[node][*to]).collect(), "whom {here} starts after");
        }
        let up: BTreeSet<usize> = graph.dependents(here.as_str()).map(number).collect();
        let expected = |from: &usize| if model.there.contains(&node) { model.edges[*from][node] } else { up.contains(from) };
        assert_eq!(up, (0..NODES).filter(expected).collect(), "who starts after {here}");
    }
    // every layer has somebody, and nobody stands higher than it must: the model's layer is the longest way
    let order: Vec<usize> = graph.start_order().iter().map(number).collect();
    assert_eq!(order.iter().copied().collect::<BTreeSet<_>>(), model.there.iter().copied().filter(|node| model.layer(*node).is_some()).collect());
    for (place, node) in order.iter().enumerate() {
        assert!(order[place..].iter().all(|later| !model.edges[*node][*later]), "{node} starts before what it needs: {order:?}");
    }
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, rng_seed: RngSeed::Fixed(17), failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(4_000))]

    #[test]
    fn layers_are_the_longest_ways_whatever_the_order_of_services((edges, there) in edges(), turn in 0..NODES) {
        let model = Model::new(&edges, &there);
        let mut specs = specs(&edges, &there);
        let graph = Graph::new(&specs);
        agrees(&graph, &model);
        specs.reverse();
        let turn = turn.min(specs.len());
        specs.rotate_left(turn);
        let turned = Graph::new(&specs);
        assert_eq!((turned.layers(), turned.cycle()), (graph.layers(), graph.cycle()));
    }

    #[test]
    fn a_cycle_is_named_when_there_is_one_and_it_is_one((edges, there) in edges()) {
        let model = Model::new(&edges, &there);
        let groups: BTreeSet<BTreeSet<usize>> = there.iter().map(|node| model.group(*node)).filter(|group| group.len() > 1).collect();
        let found = Graph::new(&specs(&edges, &there)).cycle().map(|names| names.iter().map(number).collect::<Vec<_>>());
        let Some(cycle) = found else {
            assert!(groups.is_empty(), "nobody named {groups:?}");
            return Ok(());
        };
        let group = model.group(cycle[0]);
        assert_eq!(Some(group.len()), groups.iter().map(BTreeSet::len).min(), "of a smallest group");
        assert_eq!(Some(&cycle[0]), group.first(), "from its first by name");
        for (at, node) in cycle.iter().enumerate() {
            assert!(model.edges[*node][cycle[(at + 1) % cycle.len()]], "{node} needs no next one in {cycle:?}");
        }
        assert_eq!(cycle.iter().collect::<BTreeSet<_>>().len(), cycle.len(), "nobody comes twice");
        let within: Edges = (0..NODES).map(|node| edges[node].intersection(&group).copied().collect()).collect();
        // An edge to itself is told elsewhere, and is no cycle of several.
        let within = within.into_iter().enumerate().map(|(node, mut edges)| { edges.remove(&node); edges }).collect();
        assert_eq!(cycle.len(), Model::new(&within, &group).shortest_way_back(cycle[0]), "{cycle:?} is not the shortest");
    }

    #[test]
    fn a_graph_that_was_changed_is_one_that_was_built(
        changes in prop::collection::vec((0..NODES, change(), any::<bool>()), 1..25),
    ) {
        let (mut graph, mut edges, mut there) = (Graph::default(), vec![BTreeSet::new(); NODES], BTreeSet::new());
        for (node, change, upwards) in changes {
            match change {
                Some(mut to) => {
                    if !upwards {
                        to.retain(|to| *to < node);
                    }
                    edges[node] = to;
                    there.insert(node);
                    if graph.set(&spec(node, &edges[node])) {
                        graph.find_layers();
                    }
                }
                None => {
                    there.remove(&node);
                    graph.remove(name(node).as_str());
                }
            }
            if !graph.stale {
                agrees(&graph, &Model::new(&edges, &there));
            }
        }
        graph.find_layers();
        agrees(&graph, &Model::new(&edges, &there));
    }

    #[test]
    fn what_is_pulled_along_is_what_can_be_reached((edges, there) in edges(), roots in prop::collection::btree_set(0..NODES, 0..3), from in 0..NODES) {
        let model = Model::new(&edges, &there);
        let graph = Graph::new(&specs(&edges, &there));
        let roots: BTreeSet<usize> = roots.intersection(&there).copied().collect();
        let pulled: BTreeSet<usize> = graph.with_dependencies(roots.iter().map(|node| name(*node)), |_, _| true).iter().map(number).collect();
        assert_eq!(pulled, (0..NODES).filter(|node| roots.contains(node) || roots.iter().any(|root| model.reaches[*root][*node])).collect());
        for node in &there {
            let here = name(*node);
            let all: Vec<usize> = graph.dependents(here.as_str()).map(number).collect();
            let after = name(from);
            let mut round: Vec<usize> = graph.dependents_from(here.as_str(), Some(&after)).map(number).collect();
            assert!(round.windows(2).filter(|pair| pair[0] > pair[1]).count() <= 1 && round.first().is_none_or(|first| *first > from || all.iter().all(|node| *node <= from)));
            round.sort_unstable();
            assert_eq!(round, all, "each once, beginning behind s{from}");
        }
    }

    #[test]
    fn a_ring_of_any_length_is_the_cycle(length in 2..200_usize, node in any::<prop::sample::Index>()) {
        let ring: Vec<Spec> = (0..length)
            .map(|node| {
                let mut spec = Spec::new(ServiceName::new(&format!("n{node:04}")).expect("a name"), "p", "{}");
                let service = ServiceName::new(&format!("n{:04}", (node + 1) % length)).expect("a name");
                spec.dependencies.push(Dependency::on(service));
                spec
            })
            .collect();
        let graph = Graph::new(&ring);
        assert_eq!(graph.cycle().map(|cycle| cycle.len()), Some(length));
        assert!(graph.layer(ring[node.index(length)].name.as_str()).is_none() && graph.layers().is_empty());
    }
}
