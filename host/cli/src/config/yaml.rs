//! YAML, whose reader is a room of its own.

use hostler_core::Problem;

use super::node::Node;
use super::problems::Finding;

/// Reads a text; what is not YAML is reported, and then there is no document. Nothing written at all is `Null`.
pub(crate) fn parse(text: &str, findings: &mut Vec<Finding>) -> Option<Node> {
    match hostler_yaml::parse(text, &[]) {
        Ok(document) => Some(document.root),
        Err(fault) => {
            findings.push(Finding::at(fault.span, Problem { at: String::new(), message: fault.message, hint: fault.hint }));
            None
        }
    }
}
