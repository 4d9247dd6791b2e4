//! What was done, and how often what was looked at.

use std::fmt;

/// The figures of one torture.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// What was not as promised; empty when all went well.
    pub broken: Vec<String>,
    /// Rows of the table: what, and how often.
    pub(crate) rows: Vec<(String, u64)>,
}

impl Report {
    pub(crate) fn row(&mut self, what: &str, count: u64) {
        self.rows.push((what.to_owned(), count));
    }

    /// Was every promise kept?
    pub fn is_good(&self) -> bool {
        self.broken.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, count) in &self.rows {
            writeln!(f, "  {what:<58} {count:>9}")?;
        }
        for broken in &self.broken {
            writeln!(f, "  BROKEN: {broken}")?;
        }
        write!(f, "  {:<58} {:>9}", "promises broken", self.broken.len())
    }
}
