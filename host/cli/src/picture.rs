//! The dependency graph, drawn for Graphviz and for Mermaid.

use std::collections::BTreeMap;

use hostler_api::{Edge, Graph};
use hostler_core::Condition;

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
