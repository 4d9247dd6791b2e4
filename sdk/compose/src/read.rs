//! One value with the keys that lead to it, taken apart with an eye on its shape.

use crate::import::Import;
use crate::template::Template;
use crate::tree::{Data, Item, Key, Place};
use crate::words;

/// A value and the way to it.
#[derive(Debug, Clone)]
pub(crate) struct Spot<'i> {
    pub(crate) item: &'i Item,
    /// Where people look: the key, where it has one.
    pub(crate) place: Place,
    /// `services.web.ports`
    pub(crate) key: String,
}

impl<'i> Spot<'i> {
    /// The member of a table.
    pub(crate) fn of(key: &Key, item: &'i Item, above: &str) -> Spot<'i> {
        let below = if above.is_empty() { key.text.clone() } else { format!("{above}.{}", key.text) };
        Spot { item, place: key.place, key: below }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self.item.data, Data::Null)
    }

    /// Is it a table?
    pub(crate) fn is_table(&self) -> bool {
        matches!(self.item.data, Data::Table(_))
    }

    pub(crate) fn member(&self, name: &str) -> Option<Spot<'i>> {
        let found = self.item.members().iter().find(|(key, _)| key.text == name)?;
        Some(Spot::of(&found.0, &found.1, &self.key))
    }

    /// Says that it should be something else.
    pub(crate) fn wrong(&self, import: &mut Import<'_>, should: &str, hint: &str) {
        let is = match &self.item.data {
            Data::Null => "nothing",
            Data::Flag(..) => "true or false",
            Data::Number(_) => "a number",
            Data::Text(_) => "a text",
            Data::List(_) => "a list",
            Data::Table(_) => "a table",
        };
        import.mistake(self.place, &self.key, format!("this must be {should}, and is {is}"), hint);
    }

    /// Says what is wrong with it.
    pub(crate) fn mistake(&self, import: &mut Import<'_>, message: impl AsRef<str>, hint: impl AsRef<str>) {
        import.mistake(self.place, &self.key, message, hint);
    }

    /// Says what could not be carried of it.
    pub(crate) fn note(&self, import: &mut Import<'_>, message: impl AsRef<str>, hint: impl AsRef<str>) {
        import.note(self.place, &self.key, message, hint);
    }

    /// The members of a table; nothing written is an empty one.
    pub(crate) fn members(&self, import: &mut Import<'_>) -> Vec<Spot<'i>> {
        match &self.item.data {
            Data::Table(members) => members.iter().map(|(key, item)| Spot::of(key, item, &self.key)).collect(),
            Data::Null => Vec::new(),
            Data::Flag(..) | Data::Number(_) | Data::Text(_) | Data::List(_) => {
                self.wrong(import, "a table", "write `key: value` lines");
                Vec::new()
            }
        }
    }

    /// The last key on the way.
    pub(crate) fn name(&self, above: &Spot<'_>) -> String {
        let below = self.key.strip_prefix(above.key.as_str()).unwrap_or(&self.key);
        below.strip_prefix('.').filter(|_| !above.key.is_empty()).unwrap_or(below).to_owned()
    }

    /// The items of a list, or the one value in its place.
    pub(crate) fn items(&self) -> Vec<Spot<'i>> {
        match &self.item.data {
            Data::List(items) => {
                let one = |(index, item): (usize, &'i Item)| Spot { item, place: item.place, key: format!("{}[{index}]", self.key) };
                items.iter().enumerate().map(one).collect()
            }
            Data::Null => Vec::new(),
            Data::Flag(..) | Data::Number(_) | Data::Text(_) | Data::Table(_) => vec![self.clone()],
        }
    }

    /// A text with its variables.
    pub(crate) fn template(&self, import: &mut Import<'_>) -> Option<Template> {
        match self.item.word() {
            Some(text) => Some(import.template(self.item.place, &self.key, text)),
            None => {
                self.wrong(import, "a text", "write it in quotes");
                None
            }
        }
    }

    /// A text as the service file has it.
    pub(crate) fn text(&self, import: &mut Import<'_>) -> Option<String> {
        let template = self.template(import)?;
        Some(import.write(self.item.place, &self.key, &template))
    }

    /// A word whose value of today counts.
    pub(crate) fn word(&self, import: &mut Import<'_>) -> Option<String> {
        match self.item.word() {
            Some(text) => import.decide(self.item.place, &self.key, text),
            None => {
                self.wrong(import, "a word", "write it in quotes");
                None
            }
        }
    }

    /// A word that `read` understands.
    pub(crate) fn read<T>(&self, import: &mut Import<'_>, read: impl Fn(&str) -> Option<T>, should: &str, hint: &str) -> Option<T> {
        let before = import.mistakes();
        let word = self.word(import)?;
        let value = read(&word);
        if value.is_none() && import.mistakes() == before {
            self.mistake(import, format!("this is not {should}"), hint);
        }
        value
    }

    pub(crate) fn flag(&self, import: &mut Import<'_>) -> Option<bool> {
        self.read(import, words::flag, "true or false", "write true or false")
    }

    pub(crate) fn number(&self, import: &mut Import<'_>) -> Option<i64> {
        self.read(import, |text| text.trim().parse().ok(), "a whole number", "write it without a unit")
    }

    pub(crate) fn millis(&self, import: &mut Import<'_>) -> Option<u64> {
        self.read(import, words::millis, "a length of time", "write 30s, 1m30s or 500ms")
    }

    pub(crate) fn bytes(&self, import: &mut Import<'_>) -> Option<u64> {
        self.read(import, words::bytes, "a size", "write 512m, 1g or a number of bytes")
    }

    /// Texts: a list of them, or one.
    pub(crate) fn texts(&self, import: &mut Import<'_>) -> Vec<String> {
        self.items().iter().filter_map(|spot| spot.text(import)).collect()
    }

    /// `NAME=VALUE` lines, or a table: names with what they are; absent where only the name stands there.
    pub(crate) fn pairs(&self, import: &mut Import<'_>, between: &[char]) -> Vec<(String, Option<Template>, Spot<'i>)> {
        if self.is_table() {
            let members = self.members(import);
            let one = |spot: Spot<'i>| {
                let value = if spot.is_null() { None } else { Some(spot.template(import)?) };
                Some((spot.name(self), value, spot))
            };
            return members.into_iter().filter_map(one).collect();
        }
        let mut pairs = Vec::new();
        for spot in self.items() {
            let Some(text) = spot.item.word() else {
                spot.wrong(import, "a text NAME=VALUE", "write `- NAME=VALUE`, or a table");
                continue;
            };
            // Variables may stand in the name too, where it is one word.
            let (name, value) = match text.find(between) {
                Some(at) => (&text[..at], Some(&text[at + 1..])),
                None => (text, None),
            };
            let Some(name) = import.decide(spot.place, &spot.key, name) else { continue };
            let value = value.map(|value| import.template(spot.item.place, &spot.key, value));
            pairs.push((name, value, spot));
        }
        pairs
    }
}

/// A table whose keys are taken one by one, so that what is left is known.
pub(crate) struct Taking<'i> {
    above: Spot<'i>,
    left: Vec<Spot<'i>>,
}

impl<'i> Taking<'i> {
    pub(crate) fn new(spot: &Spot<'i>, import: &mut Import<'_>) -> Taking<'i> {
        Taking { above: spot.clone(), left: spot.members(import) }
    }

    /// The table itself.
    pub(crate) fn above(&self) -> &Spot<'i> {
        &self.above
    }

    /// The member of this key; none when nothing is written there.
    pub(crate) fn take(&mut self, key: &str) -> Option<Spot<'i>> {
        let index = self.left.iter().position(|spot| spot.name(&self.above) == key)?;
        Some(self.left.remove(index)).filter(|spot| !spot.is_null())
    }

    /// Takes what means nothing here.
    pub(crate) fn skip(&mut self, keys: &[&str]) {
        keys.iter().for_each(|key| drop(self.take(key)));
    }

    /// What nobody took, with its name; extensions (`x-…`) and empty values are nobody's business.
    pub(crate) fn rest(self) -> Vec<(String, Spot<'i>)> {
        let above = self.above;
        let named = self.left.into_iter().map(|spot| (spot.name(&above), spot));
        named.filter(|(name, spot)| !name.starts_with("x-") && !spot.is_null()).collect()
    }
}
