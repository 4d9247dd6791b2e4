//! What the files say: values with their places, across files.

use std::collections::HashMap;

use hostler_yaml::Node;

/// Where something was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Place {
    /// Index of the file.
    pub(crate) file: usize,
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// One value.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) place: Place,
    pub(crate) mark: Mark,
    pub(crate) data: Data,
}

/// What Compose's own tags say about merging.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    None,
    /// `!reset`: as if it had never been written.
    Reset,
    /// `!override`: in place of what was there.
    Override,
}

/// The tags that [`Mark`] stands for.
pub(crate) const TAGS: [&str; 2] = ["!reset", "!override"];

/// What a value is; numbers and flags as they were written.
#[derive(Debug, Clone)]
pub(crate) enum Data {
    Null,
    Flag(bool, String),
    Number(String),
    Text(String),
    List(Vec<Item>),
    Table(Vec<(Key, Item)>),
}

/// One key.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) place: Place,
    pub(crate) text: String,
}

impl Item {
    pub(crate) fn new(place: Place, data: Data) -> Item {
        Item { place, mark: Mark::None, data }
    }

    /// The member of a table.
    pub(crate) fn member(&self, key: &str) -> Option<&Item> {
        self.members().iter().find(|(found, _)| found.text == key).map(|(_, item)| item)
    }

    /// The members of a table; none of anything else.
    pub(crate) fn members(&self) -> &[(Key, Item)] {
        match &self.data {
            Data::Table(members) => members,
            Data::Null | Data::Flag(..) | Data::Number(_) | Data::Text(_) | Data::List(_) => &[],
        }
    }

    /// What a word, a number or a flag says.
    pub(crate) fn word(&self) -> Option<&str> {
        match &self.data {
            Data::Flag(_, text) | Data::Number(text) | Data::Text(text) => Some(text),
            Data::Null | Data::List(_) | Data::Table(_) => None,
        }
    }

    /// How many values there are in it.
    pub(crate) fn size(&self) -> usize {
        match &self.data {
            Data::Null | Data::Flag(..) | Data::Number(_) | Data::Text(_) => 1,
            Data::List(items) => 1 + items.iter().map(Item::size).sum::<usize>(),
            Data::Table(members) => 1 + members.iter().map(|(_, item)| item.size()).sum::<usize>(),
        }
    }
}

/// Lines and columns of one text.
pub(crate) struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
    file: usize,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(text: &'a str, file: usize) -> Lines<'a> {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Lines { text, starts, file }
    }

    /// The place of a byte.
    pub(crate) fn place(&self, at: usize) -> Place {
        let line = self.starts.partition_point(|start| *start <= at) - 1;
        // A line without an end is shown by its beginning: counting it for each of its values would take for ever.
        let before = self.text.get(self.starts[line]..at).filter(|before| before.len() < 4_096);
        let column = before.map_or(1, |before| before.chars().count() + 1);
        Place { file: self.file, line: number(line + 1), column: number(column) }
    }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// What the reader of YAML found, with places across files. A key that is written twice is told to `twice`, and the first one stays.
pub(crate) fn plant(node: Node, tagged: &HashMap<(usize, usize), String>, lines: &Lines<'_>, twice: &mut dyn FnMut(Place, &str)) -> Item {
    let place = lines.place(node.span.start);
    let mark = match tagged.get(&(node.span.start, node.span.end)).map(String::as_str) {
        Some("!reset") => Mark::Reset,
        Some("!override") => Mark::Override,
        _ => Mark::None,
    };
    let written = lines.text.get(node.span.clone()).unwrap_or_default().trim().to_owned();
    let data = match node.data {
        hostler_yaml::Data::Null => Data::Null,
        hostler_yaml::Data::Flag(flag) => Data::Flag(flag, if flag { "true" } else { "false" }.to_owned()),
        // By hand: `3.10` is what was meant, and not 3.1.
        hostler_yaml::Data::Number(number) if written.is_empty() || written.starts_with(['!', '&']) => Data::Number(number.to_string()),
        hostler_yaml::Data::Number(_) => Data::Number(written),
        hostler_yaml::Data::Text(text) => Data::Text(text),
        hostler_yaml::Data::List(items) => Data::List(items.into_iter().map(|item| plant(item, tagged, lines, twice)).collect()),
        hostler_yaml::Data::Table(members) => {
            let mut seen = std::collections::HashSet::new();
            let mut kept = Vec::with_capacity(members.len());
            for (key, item) in members {
                let place = lines.place(key.span.start);
                if seen.insert(key.text.clone()) {
                    kept.push((Key { place, text: key.text }, plant(item, tagged, lines, twice)));
                } else {
                    twice(place, &key.text);
                }
            }
            Data::Table(kept)
        }
    };
    Item { place, mark, data }
}
