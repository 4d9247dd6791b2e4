//! The dependency graph, drawn: as text in layers, for Graphviz, and for Mermaid.

use std::collections::BTreeMap;

use hostler_api::{Edge, Graph, GraphNode};
use hostler_core::Condition;

/// Layer by layer, first started first; `<-` names what must be there, `[optional: …]` what only orders.
pub(crate) fn text(graph: &Graph) -> String {
    let mut text = format!("Service Dependency Graph:\n{}\n", "=".repeat(50));
    for (layer, names) in graph.layers.iter().enumerate() {
        text.push_str(&format!("\nLayer {layer} (Startup Priority):\n"));
        for name in names {
            let edges = graph.services.get(name).map_or_else(String::new, edges_text);
            text.push_str(&format!("  • {name}{edges}\n"));
        }
    }
    text
}

fn edges_text(node: &GraphNode) -> String {
    let names = |optional: bool| -> Vec<&str> {
        node.dependencies.iter().filter(|edge| edge.optional == optional).map(|edge| edge.service.as_str()).collect()
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

/// Graphviz: an arrow goes from a service to what it needs; dashed is optional.
pub(crate) fn dot(graph: &Graph) -> String {
    let mut text = "digraph hostler {\n  rankdir = BT;\n  node [shape = box, style = rounded];\n".to_owned();
    for names in &graph.layers {
        let names: Vec<String> = names.iter().map(|name| format!("{name:?};")).collect();
        text.push_str(&format!("  {{ rank = same; {} }}\n", names.join(" ")));
    }
    for (name, edge) in edges(graph) {
        let mut attributes: Vec<String> = edge.condition.map(|condition| format!("label = {:?}", word(condition))).into_iter().collect();
        if edge.optional {
            attributes.push("style = dashed".to_owned());
        }
        let attributes = if attributes.is_empty() { String::new() } else { format!(" [{}]", attributes.join(", ")) };
        text.push_str(&format!("  {name:?} -> {:?}{attributes};\n", edge.service));
    }
    text.push_str("}\n");
    text
}

/// Mermaid: the same; its nodes have numbers, because some names (`end`) are words of its own.
pub(crate) fn mermaid(graph: &Graph) -> String {
    let numbers: BTreeMap<&str, usize> = graph.services.keys().enumerate().map(|(number, name)| (name.as_str(), number)).collect();
    let mut text = "flowchart BT\n".to_owned();
    for (name, number) in &numbers {
        text.push_str(&format!("  n{number}[\"{name}\"]\n"));
    }
    for (name, edge) in edges(graph) {
        let Some(to) = numbers.get(edge.service.as_str()) else { continue };
        let arrow = if edge.optional { "-.->" } else { "-->" };
        let label = edge.condition.map_or_else(String::new, |condition| format!("|{}|", word(condition)));
        text.push_str(&format!("  n{} {arrow}{label} n{to}\n", numbers[name]));
    }
    text
}

fn edges(graph: &Graph) -> impl Iterator<Item = (&str, &Edge)> {
    graph.services.iter().flat_map(|(name, node)| node.dependencies.iter().map(move |edge| (name.as_str(), edge)))
}

fn word(condition: Condition) -> &'static str {
    match condition {
        Condition::Started => "started",
        Condition::Healthy => "healthy",
        Condition::Completed => "completed",
    }
}

#[cfg(test)]
mod tests {
    use hostler_core::{Dependency, ServiceName, Spec};

    use super::*;

    fn graph(text: &str) -> Graph {
        let name = |text: &str| ServiceName::new(text).expect("a name");
        let edge = |text: &str| Dependency {
            optional: text.ends_with('?'),
            condition: text.ends_with('!').then_some(Condition::Healthy),
            ..Dependency::on(name(text.trim_end_matches(['?', '!'])))
        };
        let specs: Vec<Spec> = text
            .split_whitespace()
            .map(|part| {
                let (service, edges) = part.split_once("<-").unwrap_or((part, ""));
                let mut spec = Spec::new(name(service), "process", "{}");
                spec.dependencies = edges.split(',').filter(|edge| !edge.is_empty()).map(edge).collect();
                spec
            })
            .collect();
        Graph::of(&specs)
    }

    #[test]
    fn text_is_the_layered_picture() {
        let expected = "Service Dependency Graph:\n==================================================\n\
                        \nLayer 0 (Startup Priority):\n  • dao\n\
                        \nLayer 1 (Startup Priority):\n  • edge [optional: dao]\n  • scheduler <- dao\n\
                        \nLayer 2 (Startup Priority):\n  • vpn <- edge, scheduler [optional: dao]\n";
        assert_eq!(text(&graph("dao edge<-dao? scheduler<-dao vpn<-edge,scheduler,dao?")), expected);
    }

    #[test]
    fn dot_has_ranks_and_dashed_edges() {
        let expected = "digraph hostler {\n  rankdir = BT;\n  node [shape = box, style = rounded];\n\
                        \x20 { rank = same; \"db\"; }\n  { rank = same; \"api\"; \"web\"; }\n\
                        \x20 \"api\" -> \"db\" [label = \"healthy\"];\n  \"web\" -> \"db\" [style = dashed];\n}\n";
        assert_eq!(dot(&graph("db api<-db! web<-db?")), expected);
    }

    #[test]
    fn mermaid_names_no_node_after_its_own_words() {
        let expected = "flowchart BT\n  n0[\"db\"]\n  n1[\"end\"]\n  n2[\"web\"]\n  n1 -->|healthy| n0\n  n2 -.-> n1\n";
        assert_eq!(mermaid(&graph("db end<-db! web<-end?")), expected);
    }
}
