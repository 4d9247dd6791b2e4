//! What a reader hears, as it is written: lines, or server-sent events.

use std::time::Duration;

use bytes::Bytes;
use hostler_api::{EventItem, Shape};
use serde_json::json;

use super::reader::Step;
use crate::feed::{Form, json};

/// When a browser asks again after an end.
const AGAIN: Duration = Duration::from_secs(1);

/// The first words of server-sent events.
pub(super) fn greeting() -> Bytes {
    format!("retry: {}\n\n", AGAIN.as_millis()).into()
}

/// A step in this form; nothing when it has no words for it.
pub(super) fn written(step: &Step, form: Form) -> Option<Bytes> {
    if let Step::Events(batch, places) = step {
        return Some(batch.written(places, form));
    }
    match form {
        Form::Line => item(step).map(|item| (json(&item) + "\n").into()),
        Form::Frame => Some(frame(step).into()),
    }
}

/// What is no event, as a document.
pub(super) fn item(step: &Step) -> Option<EventItem> {
    match step {
        Step::Events(..) | Step::Quiet(_) => None,
        Step::Gap(next) => Some(EventItem::Gap { version: Shape, next: *next }),
        Step::Cursor(after) => Some(EventItem::Cursor { version: Shape, after: *after }),
        Step::Cut(after) => Some(EventItem::Cut { version: Shape, after: *after }),
        Step::Failed(failure) => Some(EventItem::Error { version: Shape, message: failure.message.clone() }),
    }
}

fn frame(step: &Step) -> String {
    let (name, cursor) = match step {
        // A comment. Its cursor moves on whoever passes over much; a frame without data is no event.
        Step::Events(..) | Step::Quiet(0) => return ":\n\n".to_owned(),
        Step::Quiet(after) => return format!(":\nid: {after}\n\n"),
        Step::Gap(next) => ("gap", Some(next.saturating_sub(1))),
        Step::Cursor(after) => ("cursor", Some(*after)),
        Step::Cut(after) => ("cut", Some(*after)),
        // `error` is what a browser calls the end of a connection.
        Step::Failed(_) => ("failed", None),
    };
    let id = cursor.filter(|cursor| *cursor > 0).map(|cursor| format!("id: {cursor}\n")).unwrap_or_default();
    format!("{id}event: {name}\ndata: {}\n\n", item(step).map_or_else(|| json!(null).to_string(), |item| json(&item)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_event_moves_the_cursor_to_where_it_goes_on() {
        let frame = |step: Step| frame(&step);
        assert_eq!(frame(Step::Gap(9)), "id: 8\nevent: gap\ndata: {\"type\":\"gap\",\"version\":1,\"next\":9}\n\n");
        assert_eq!(frame(Step::Cut(9)), "id: 9\nevent: cut\ndata: {\"type\":\"cut\",\"version\":1,\"after\":9}\n\n");
        assert_eq!((frame(Step::Quiet(0)), frame(Step::Quiet(3))), (":\n\n".to_owned(), ":\nid: 3\n\n".to_owned()));
    }
}
