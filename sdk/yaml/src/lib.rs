//! YAML 1.2, with every value's place: one document, anchors and merge keys within a budget, and only the core schema's tags.
//!
//! Service files and Compose files are read by this; what they mean is said elsewhere.
//!
//! ```
//! let document = hostler_yaml::parse("ports: &p [80]\nmore: *p\n", &[]).expect("good YAML");
//! let hostler_yaml::Data::Table(members) = document.root.data else { panic!("a table") };
//! assert_eq!((members[1].0.text.as_str(), members[1].0.span.clone()), ("more", 15..19));
//!
//! let fault = hostler_yaml::parse("a: *nobody\n", &[]).expect_err("no such anchor");
//! assert_eq!(fault.span.start, 3);
//! ```

mod builder;
mod scalar;

use std::ops::Range;

use serde_json::Number;

pub use builder::parse;

/// Tables and lists within each other.
pub const MAX_DEPTH: usize = 64;

/// Values that one document may have: each one costs its place in memory too.
pub const MOST_VALUES: usize = 2_000_000;

/// One value and the bytes it was written in.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its bytes in the text; of what an alias stands for, the bytes at the anchor.
    pub span: Range<usize>,
    /// What it is.
    pub data: Data,
}

/// What a value is.
#[derive(Debug, Clone)]
pub enum Data {
    /// Nothing.
    Null,
    /// `true` or `false`.
    Flag(bool),
    /// A number that is finite.
    Number(Number),
    /// A text.
    Text(String),
    /// Values in their order.
    List(Vec<Node>),
    /// Members in their order; a key that is written twice is there twice.
    Table(Vec<(Key, Node)>),
}

/// One key and the bytes it was written in.
#[derive(Debug, Clone)]
pub struct Key {
    /// Its bytes in the text.
    pub span: Range<usize>,
    /// What it says.
    pub text: String,
}

impl Node {
    /// The member of a table.
    pub fn member_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.members_mut().iter_mut().find(|(found, _)| found.text == key).map(|(_, node)| node)
    }

    /// The members of a table; none of anything else.
    pub fn members_mut(&mut self) -> &mut [(Key, Node)] {
        match &mut self.data {
            Data::Table(members) => members,
            Data::Null | Data::Flag(_) | Data::Number(_) | Data::Text(_) | Data::List(_) => &mut [],
        }
    }
}

/// A text that was read.
#[derive(Debug, Clone)]
pub struct Document {
    /// All of it; nothing written at all is `Null`.
    pub root: Node,
    /// Values with one of the reader's own tags: their bytes, and the tag.
    pub tagged: Vec<(Range<usize>, String)>,
}

/// Why a text is no document: what, where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The bytes that it is about.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
}

impl Fault {
    fn new(span: Range<usize>, message: impl Into<String>) -> Fault {
        Fault { span, message: message.into(), hint: None }
    }

    fn hint(mut self, hint: impl Into<String>) -> Fault {
        self.hint = Some(hint.into());
        self
    }
}
