//! Aligned columns, two spaces apart, without lines.

use std::borrow::Cow;

use super::escape::visible;
use super::paint::{Colour, Paint};

/// One value of a table.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    text: String,
    /// In characters.
    width: usize,
    colour: Colour,
}

impl Cell {
    /// Plain text; control characters are escaped.
    pub(crate) fn new(text: impl AsRef<str>) -> Cell {
        Cell::painted(text, Colour::Plain)
    }

    /// The same in a colour.
    pub(crate) fn painted(text: impl AsRef<str>, colour: Colour) -> Cell {
        let text = visible(text.as_ref()).into_owned();
        Cell { width: text.chars().count(), text, colour }
    }

    /// A value that may be absent: then a dash.
    pub(crate) fn maybe(text: Option<impl ToString>) -> Cell {
        text.map_or_else(|| Cell::painted("-", Colour::Dim), |text| Cell::new(text.to_string()))
    }
}

/// Headings and rows.
#[derive(Debug, Default)]
pub(crate) struct Table {
    headings: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// An empty table.
    pub(crate) fn new(headings: &[&'static str]) -> Table {
        Table { headings: headings.to_vec(), rows: Vec::new() }
    }

    /// Adds a row, one cell per heading.
    pub(crate) fn row(&mut self, cells: Vec<Cell>) {
        debug_assert_eq!(cells.len(), self.headings.len(), "one cell per heading");
        self.rows.push(cells);
    }

    /// The text, ending in a newline; the last column is cut to fit `width`.
    pub(crate) fn draw(&self, paint: Paint, width: Option<usize>) -> String {
        let widths: Vec<usize> = self.widths();
        let mut text = String::new();
        let headings: Vec<Cell> = self.headings.iter().map(|heading| Cell::painted(heading, Colour::Dim)).collect();
        for row in std::iter::once(&headings).chain(&self.rows) {
            draw_row(row, &widths, paint, width, &mut text);
        }
        text
    }

    fn widths(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = self.headings.iter().map(|heading| heading.chars().count()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.width);
            }
        }
        widths
    }
}

fn draw_row(row: &[Cell], widths: &[usize], paint: Paint, width: Option<usize>, text: &mut String) {
    // Nothing after the last cell that says something: no line ends in spaces.
    let Some(last) = row.iter().rposition(|cell| !cell.text.is_empty()) else {
        text.push('\n');
        return;
    };
    let mut used = 0;
    for (index, cell) in row.iter().enumerate().take(last + 1) {
        let is_last_column = index + 1 == widths.len();
        let shown = if is_last_column { cut(&cell.text, width.map(|width| width.saturating_sub(used))) } else { Cow::Borrowed(cell.text.as_str()) };
        text.push_str(&paint.of(cell.colour, &shown));
        if index < last {
            text.extend(std::iter::repeat_n(' ', widths[index] - cell.width + 2));
            used += widths[index] + 2;
        }
    }
    text.push('\n');
}

/// At most `width` characters, with an ellipsis where something is missing; never so short that nothing is said.
fn cut(text: &str, width: Option<usize>) -> Cow<'_, str> {
    match width.map(|width| width.max(16)) {
        Some(width) if text.chars().count() > width => text.chars().take(width - 1).chain(['…']).collect(),
        Some(_) | None => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Table {
        let mut table = Table::new(&["NAME", "STATUS", "CAUSE"]);
        table.row(vec![Cell::new("db"), Cell::painted("running", Colour::Green), Cell::new("")]);
        table.row(vec![Cell::new("fog-coordinator"), Cell::new("pending"), Cell::new("waiting for db:\nit is starting")]);
        table.row(vec![Cell::new("x"), Cell::maybe(None::<String>), Cell::new("")]);
        table
    }

    #[test]
    fn columns_stand_below_each_other_and_lines_end_clean() {
        let expected = "NAME             STATUS   CAUSE\n\
                        db               running\n\
                        fog-coordinator  pending  waiting for db:\\nit is starting\n\
                        x                -\n";
        assert_eq!(example().draw(Paint::new(false), None), expected);
    }

    #[test]
    fn a_narrow_terminal_cuts_the_last_column() {
        let drawn = example().draw(Paint::new(false), Some(42));
        assert!(drawn.contains("pending  waiting for db:…\n"), "{drawn}");
        assert!(drawn.lines().all(|line| line.chars().count() <= 42), "{drawn}");
    }

    #[test]
    fn colours_do_not_move_columns() {
        let painted = example().draw(Paint::new(true), None);
        assert!(painted.contains("db               \x1b[32mrunning\x1b[0m\n"), "{painted:?}");
    }
}
