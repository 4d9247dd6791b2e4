//! `command` and `entrypoint`: a list of words, or a line that is split as a shell would.

use super::Value;
use crate::import::Import;
use crate::read::Spot;
use crate::tree::Data;
use crate::words::shell_words;

/// The words; an empty list takes away what the image has.
pub(super) fn words(import: &mut Import<'_>, spot: &Spot<'_>) -> Option<Value> {
    if let Data::List(_) = spot.item.data {
        return Some(Value::texts(spot.texts(import)));
    }
    let line = spot.template(import)?;
    let split = match shell_words(&line) {
        Ok(split) => split,
        Err(why) => {
            spot.mistake(import, why, "close it, or write a list of words");
            return None;
        }
    };
    let mut words = Vec::new();
    for word in split {
        if word.as_literal().is_none() && word.resolve(&|name| import.value_of(name)).is_ok_and(|value| value.contains(char::is_whitespace)) {
            let message = "a variable in this line has blanks in it, at which Compose splits; here it stays one word";
            spot.note(import, message, "write the words one by one");
        }
        words.push(import.write(spot.item.place, &spot.key, &word));
    }
    Some(Value::texts(words))
}
