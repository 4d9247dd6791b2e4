//! From the parser's events to values with places.

use std::collections::HashMap;
use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};

use crate::{Data, Document, Fault, Key, MAX_DEPTH, MOST_VALUES, Node, scalar};

/// Values that anchors, aliases and merge keys may add: a page of aliases can ask for more than any machine holds.
const MOST_COPIES: usize = 200_000;
/// Bytes of text that they may add.
const MOST_COPIED_BYTES: usize = 4 << 20;

/// Reads a text. `own_tags`, such as `!reset`, are told apart from the core schema's and listed with the values that have them.
///
/// # Errors
/// The first thing that is not YAML, or goes beyond a limit.
pub fn parse(text: &str, own_tags: &[&str]) -> Result<Document, Fault> {
    if let Some((at, c)) = text.char_indices().find(|(_, c)| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{85}')) {
        let fault = Fault::new(at..at + c.len_utf8(), format!("this is not YAML: it contains the control character {}", c.escape_unicode()));
        return Err(fault.hint("write it as \"\\x1b\" between double quotes; perhaps this is not the file you meant"));
    }
    let mut builder = Builder::new(text, own_tags);
    let mut parser = Parser::new_from_str(text);
    loop {
        match parser.next_event() {
            None => break,
            Some(Ok((event, span))) => builder.hear(event, span)?,
            Some(Err(error)) => return Err(builder.syntax(&error)),
        }
    }
    let root = builder.root.unwrap_or(Node { span: 0..0, data: Data::Null });
    Ok(Document { root, tagged: builder.tagged })
}

/// A table or a list that is still being written.
struct Open {
    anchor: usize,
    start: usize,
    tag: Option<String>,
    what: OpenData,
}

enum OpenData {
    List(Vec<Node>),
    Table { members: Vec<(Key, Node)>, key: Option<Pending>, merged: Vec<Node> },
}

/// What the next value of a table belongs to.
enum Pending {
    Key(Key),
    Merge,
}

struct Builder<'a> {
    text: &'a str,
    own_tags: &'a [&'a str],
    tagged: Vec<(Range<usize>, String)>,
    /// Byte of each character, when they differ.
    bytes: Option<Vec<usize>>,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    root: Option<Node>,
    documents: usize,
    values: usize,
    copies: usize,
    copied_bytes: usize,
}

impl<'a> Builder<'a> {
    fn new(text: &'a str, own_tags: &'a [&'a str]) -> Builder<'a> {
        let bytes = (!text.is_ascii()).then(|| text.char_indices().map(|(byte, _)| byte).collect());
        let (open, anchors) = (Vec::new(), HashMap::new());
        Builder { text, own_tags, tagged: Vec::new(), bytes, open, anchors, root: None, documents: 0, values: 0, copies: 0, copied_bytes: 0 }
    }

    /// The parser counts characters.
    fn byte(&self, character: usize) -> usize {
        match &self.bytes {
            Some(bytes) => bytes.get(character).copied().unwrap_or(self.text.len()),
            None => character.min(self.text.len()),
        }
    }

    fn range(&self, span: Span) -> Range<usize> {
        let start = self.byte(span.start.index());
        let end = self.byte(span.end.index()).max(start);
        start..start + self.text[start..end].trim_end().len()
    }

    fn hear(&mut self, event: Event<'_>, span: Span) -> Result<(), Fault> {
        let range = self.range(span);
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(Fault::new(range, "a second document begins here").hint("keep one document per file"));
                }
                Ok(())
            }
            Event::Alias(anchor) => self.alias(anchor, range),
            Event::Scalar(text, style, anchor, tag) => {
                let own = self.own_tag(tag.as_deref());
                let tag = if own.is_some() { None } else { known_tag(tag.as_deref(), &range)? };
                let data = match self.open.last_mut() {
                    Some(Open { what: OpenData::Table { key: key @ None, .. }, .. }) => {
                        if style == ScalarStyle::Plain && text == "<<" {
                            *key = Some(Pending::Merge);
                            return Ok(());
                        }
                        Data::Text(text.into_owned())
                    }
                    _ => scalar::resolve(&text, style, tag).map_err(|why| Fault::new(range.clone(), why).hint("put it in quotes if it is a text"))?,
                };
                self.tagged.extend(own.map(|tag| (range.clone(), tag)));
                self.remember_and_attach(anchor, Node { span: range, data })
            }
            Event::SequenceStart(anchor, tag) => {
                let own = self.checked_tag(tag.as_deref(), &range)?;
                self.begin(anchor, range, own, OpenData::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                let own = self.checked_tag(tag.as_deref(), &range)?;
                self.begin(anchor, range, own, OpenData::Table { members: Vec::new(), key: None, merged: Vec::new() })
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(range),
        }
    }

    /// The tag, when it is one of the reader's own.
    fn own_tag(&self, tag: Option<&Tag>) -> Option<String> {
        tag.map(Tag::to_string).filter(|tag| self.own_tags.contains(&tag.as_str()))
    }

    /// The same of a table or a list, on which any other tag must be the core schema's.
    fn checked_tag(&self, tag: Option<&Tag>, range: &Range<usize>) -> Result<Option<String>, Fault> {
        let own = self.own_tag(tag);
        if own.is_none() {
            known_tag(tag, range)?;
        }
        Ok(own)
    }

    fn awaits_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { what: OpenData::Table { key: None, .. }, .. }))
    }

    fn begin(&mut self, anchor: usize, range: Range<usize>, tag: Option<String>, what: OpenData) -> Result<(), Fault> {
        if self.open.len() >= MAX_DEPTH {
            return Err(too_deep(range));
        }
        if self.awaits_key() {
            return Err(Fault::new(range, "a key is a table or a list").hint("a key must be a text"));
        }
        self.open.push(Open { anchor, start: range.start, tag, what });
        Ok(())
    }

    fn end(&mut self, range: Range<usize>) -> Result<(), Fault> {
        let open = self.open.pop().expect("the parser ends only what it has begun");
        let span = open.start..range.end.max(open.start);
        self.tagged.extend(open.tag.map(|tag| (span.clone(), tag)));
        let data = match open.what {
            OpenData::List(items) => Data::List(items),
            OpenData::Table { members, merged, .. } => Data::Table(self.merge(members, merged, &span)?),
        };
        self.remember_and_attach(open.anchor, Node { span, data })
    }

    /// What is written in the table itself wins, then the earlier of the merged ones.
    fn merge(&mut self, mut members: Vec<(Key, Node)>, merged: Vec<Node>, span: &Range<usize>) -> Result<Vec<(Key, Node)>, Fault> {
        let mut sources = Vec::new();
        for node in merged {
            let at = node.span.clone();
            match node.data {
                Data::Table(_) => sources.push(node),
                Data::List(items) if items.iter().all(|item| matches!(item.data, Data::Table(_))) => sources.extend(items),
                _ => {
                    return Err(Fault::new(at, "`<<` merges tables only").hint("write `<<: *anchor` of a table, or a list of them"));
                }
            }
        }
        if sources.is_empty() {
            return Ok(members);
        }
        let mut known: std::collections::HashSet<String> = members.iter().map(|(key, _)| key.text.clone()).collect();
        for source in sources {
            let Data::Table(inherited) = source.data else { continue };
            for (key, node) in inherited {
                self.pay(&node, span)?;
                if known.insert(key.text.clone()) {
                    members.push((key, node));
                }
            }
        }
        Ok(members)
    }

    fn alias(&mut self, anchor: usize, range: Range<usize>) -> Result<(), Fault> {
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(Fault::new(range, "this alias stands inside of what it stands for").hint("an anchor can be used behind its end only"));
        };
        let height = height(node);
        if self.open.len() + height > MAX_DEPTH {
            return Err(too_deep(range));
        }
        // Priced before it is made.
        let price = price(node);
        self.charge(price, &range)?;
        let node = self.anchors.get(&anchor).cloned().expect("it was there a moment ago");
        self.attach(node)
    }

    fn remember_and_attach(&mut self, anchor: usize, node: Node) -> Result<(), Fault> {
        if anchor != 0 {
            self.pay(&node, &node.span.clone())?;
            self.anchors.insert(anchor, node.clone());
        }
        self.attach(node)
    }

    fn attach(&mut self, node: Node) -> Result<(), Fault> {
        self.values += 1;
        if self.values > MOST_VALUES {
            return Err(Fault::new(node.span, format!("the document has more than {MOST_VALUES} values")));
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut open.what {
            OpenData::List(items) => items.push(node),
            OpenData::Table { members, key, merged } => match key.take() {
                None => *key = Some(Pending::Key(key_of(node)?)),
                Some(Pending::Merge) => merged.push(node),
                Some(Pending::Key(key)) => members.push((key, node)),
            },
        }
        Ok(())
    }

    fn pay(&mut self, node: &Node, at: &Range<usize>) -> Result<(), Fault> {
        self.charge(price(node), at)
    }

    fn charge(&mut self, (values, bytes): (usize, usize), at: &Range<usize>) -> Result<(), Fault> {
        self.copies += values;
        self.copied_bytes += bytes;
        if self.copies > MOST_COPIES || self.copied_bytes > MOST_COPIED_BYTES {
            let message = format!("anchors and aliases stand for more than {MOST_COPIES} values or {} MiB of text", MOST_COPIED_BYTES >> 20);
            return Err(Fault::new(at.clone(), message).hint("write what is meant without them"));
        }
        Ok(())
    }

    fn syntax(&self, error: &ScanError) -> Fault {
        let at = self.byte(error.marker().index());
        let info = error.info();
        if info.contains("recursion limit") {
            too_deep(at..at)
        } else if info.contains("tab") || self.line_is_indented_by_a_tab(at) {
            Fault::new(at..at, format!("this is not YAML: {info}")).hint("indent with spaces; YAML does not allow tabs there")
        } else if info.contains("unknown anchor") {
            Fault::new(at..at, "this alias names an anchor that is not above it")
                .hint("an anchor is written &NAME before a value, and used as *NAME behind it")
        } else {
            Fault::new(at..at, format!("this is not YAML: {info}"))
        }
    }

    fn line_is_indented_by_a_tab(&self, at: usize) -> bool {
        let start = self.text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        self.text[start..].chars().take_while(|c| c.is_whitespace() && *c != '\n').any(|c| c == '\t')
    }
}

fn key_of(node: Node) -> Result<Key, Fault> {
    match node.data {
        Data::Text(text) => Ok(Key { span: node.span, text }),
        Data::Null | Data::Flag(_) | Data::Number(_) | Data::List(_) | Data::Table(_) => {
            Err(Fault::new(node.span, "an alias stands for a key here, and not for a text").hint("write the key out"))
        }
    }
}

/// Values and bytes of text in a node.
fn price(node: &Node) -> (usize, usize) {
    match &node.data {
        Data::Null | Data::Flag(_) | Data::Number(_) => (1, 0),
        Data::Text(text) => (1, text.len()),
        Data::List(items) => items.iter().map(price).fold((1, 0), |sum, item| (sum.0 + item.0, sum.1 + item.1)),
        Data::Table(members) => {
            members.iter().map(|(key, node)| (price(node), key.text.len())).fold((1, 0), |sum, (item, key)| (sum.0 + item.0, sum.1 + item.1 + key))
        }
    }
}

/// Tables and lists within each other.
fn height(node: &Node) -> usize {
    match &node.data {
        Data::Null | Data::Flag(_) | Data::Number(_) | Data::Text(_) => 0,
        Data::List(items) => 1 + items.iter().map(height).max().unwrap_or(0),
        Data::Table(members) => 1 + members.iter().map(|(_, node)| height(node)).max().unwrap_or(0),
    }
}

fn too_deep(at: Range<usize>) -> Fault {
    Fault::new(at, format!("tables and lists are nested more than {MAX_DEPTH} deep"))
}

/// The name of a tag of the core schema.
fn known_tag<'t>(tag: Option<&'t Tag>, at: &Range<usize>) -> Result<Option<&'t str>, Fault> {
    let Some(tag) = tag else { return Ok(None) };
    if tag.handle.is_empty() && tag.suffix == "!" || tag.handle == "!" && tag.suffix.is_empty() {
        return Ok(Some("str"));
    }
    if tag.is_yaml_core_schema() && ["str", "int", "float", "bool", "null", "map", "seq"].contains(&tag.suffix.as_str()) {
        return Ok(Some(&tag.suffix));
    }
    let written = if tag.is_yaml_core_schema() { format!("!!{}", tag.suffix) } else { tag.to_string() };
    let fault = Fault::new(at.clone(), format!("the tag `{written}` is not known here"))
        .hint("remove it; only !!str, !!int, !!float, !!bool, !!null, !!map and !!seq are");
    Err(fault)
}
