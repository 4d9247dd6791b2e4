//! Who starts after whom.

use std::collections::BTreeMap;

use hostler_core::{Condition, Dependency, ServiceName, Spec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Shape, schema};

/// `GET /graph`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Graph {
    /// Version of this shape.
    pub version: Shape,
    /// Layer by layer, by name within one.
    pub start_order: Vec<String>,
    /// The reverse: the order in which everything stops when everything runs.
    pub stop_order: Vec<String>,
    /// Services that may start together.
    pub layers: Vec<Vec<String>>,
    /// By name.
    pub services: BTreeMap<String, GraphNode>,
}

/// One service's place in it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct GraphNode {
    /// After whom it starts.
    pub dependencies: Vec<Edge>,
    /// Who starts after it.
    pub dependents: Vec<String>,
    /// How many starts away from the first; absent on or behind a cycle.
    pub layer: Option<usize>,
}

/// One edge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Edge {
    /// Whom it needs.
    pub service: String,
    /// Orders, and never blocks.
    pub optional: bool,
    /// What must hold; absent is the default of what the dependency is.
    #[schemars(with = "Option<schema::Condition>")]
    pub condition: Option<Condition>,
    /// A new run of the dependency restarts the dependent too.
    pub restart: bool,
}

impl Graph {
    /// The graph of a set of services; edges to services outside the set are left out.
    pub fn of<'a>(specs: impl IntoIterator<Item = &'a Spec>) -> Graph {
        let specs: Vec<&Spec> = specs.into_iter().collect();
        let graph = hostler_core::Graph::new(specs.iter().copied());
        let layers: Vec<Vec<String>> = graph.layers().iter().map(names).collect();
        let start_order: Vec<String> = layers.iter().flatten().cloned().collect();
        let stop_order = start_order.iter().rev().cloned().collect();
        let services = specs.iter().map(|spec| (spec.name.to_string(), node(spec, &graph))).collect();
        Graph { version: Shape, start_order, stop_order, layers, services }
    }

    /// As a text, layer by layer, first started first: `<-` names what must be there, `[optional: …]` what only orders, each by name.
    pub fn picture(&self) -> String {
        let mut text = format!("Service Dependency Graph:\n{}\n", "=".repeat(50));
        for (layer, names) in self.layers.iter().enumerate() {
            text.push_str(&format!("\nLayer {layer} (Startup Priority):\n"));
            for name in names {
                let edges = self.services.get(name).map_or_else(String::new, edges_text);
                text.push_str(&format!("  • {name}{edges}\n"));
            }
        }
        text
    }
}

fn edges_text(node: &GraphNode) -> String {
    let names = |optional: bool| -> Vec<&str> {
        let mut names: Vec<&str> = node.dependencies.iter().filter(|edge| edge.optional == optional).map(|edge| edge.service.as_str()).collect();
        names.sort_unstable();
        names
    };
    let (required, optional) = (names(false), names(true));
    let mut text = String::new();
    if !required.is_empty() {
        text.push_str(&format!(" <- {}", required.join(", ")));
    }
    if !optional.is_empty() {
        text.push_str(&format!(" [optional: {}]", optional.join(", ")));
    }
    text
}

fn node(spec: &Spec, graph: &hostler_core::Graph) -> GraphNode {
    let name = spec.name.as_str();
    let known = |edge: &&Dependency| graph.dependencies(name).any(|dependency| *dependency == edge.service);
    GraphNode {
        dependencies: spec.dependencies.iter().filter(known).map(Edge::from).collect(),
        dependents: names(graph.dependents(name)),
        layer: graph.layer(name),
    }
}

impl From<&Dependency> for Edge {
    fn from(edge: &Dependency) -> Edge {
        Edge { service: edge.service.to_string(), optional: edge.optional, condition: edge.condition, restart: edge.restart }
    }
}

fn names<'a>(names: impl IntoIterator<Item = &'a ServiceName>) -> Vec<String> {
    names.into_iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(text: &str, dependencies: &[(&str, bool)]) -> Spec {
        let name = |text: &str| ServiceName::new(text).expect("a name");
        let edge = |(service, optional): &(&str, bool)| Dependency { optional: *optional, ..Dependency::on(name(service)) };
        Spec { dependencies: dependencies.iter().map(edge).collect(), ..Spec::new(name(text), "process", "{}") }
    }

    #[test]
    fn orders_and_edges_come_from_the_specs() {
        let graph =
            Graph::of(&[spec("web", &[("api", false)]), spec("api", &[("db", false), ("cache", true), ("elsewhere", false)]), spec("db", &[])]);
        assert_eq!(graph.start_order, ["db", "api", "web"]);
        assert_eq!(graph.stop_order, ["web", "api", "db"]);
        let edges: Vec<&str> = graph.services["api"].dependencies.iter().map(|edge| edge.service.as_str()).collect();
        assert_eq!(edges, ["db"], "only what is in the set");
        assert_eq!(graph.services["db"].dependents, ["api"]);
    }

    #[test]
    fn the_picture_is_layered_and_names_stand_in_their_order() {
        let edges = |names: &'static [&'static str]| -> Vec<(&str, bool)> {
            names.iter().map(|name| (name.trim_end_matches('?'), name.ends_with('?'))).collect()
        };
        let graph = Graph::of(&[
            spec("dao", &[]),
            spec("edge", &edges(&["dao?"])),
            spec("scheduler", &edges(&["dao"])),
            spec("vpn", &edges(&["scheduler", "edge", "dao?"])),
        ]);
        let expected = "Service Dependency Graph:\n==================================================\n\
                        \nLayer 0 (Startup Priority):\n  • dao\n\
                        \nLayer 1 (Startup Priority):\n  • edge [optional: dao]\n  • scheduler <- dao\n\
                        \nLayer 2 (Startup Priority):\n  • vpn <- edge, scheduler [optional: dao]\n";
        assert_eq!(graph.picture(), expected);
    }
}
