//! Colours, or none.

use std::borrow::Cow;

use hostler_api::{Health, Status};

/// What a colour says, in the terminal's own palette.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colour {
    Plain,
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
    Blue,
    Magenta,
    Cyan,
}

impl Colour {
    fn code(self) -> &'static str {
        match self {
            Colour::Plain => "",
            Colour::Bold => "1",
            Colour::Dim => "2",
            Colour::Red => "31",
            Colour::Green => "32",
            Colour::Yellow => "33",
            Colour::Blue => "34",
            Colour::Magenta => "35",
            Colour::Cyan => "36",
        }
    }
}

/// Colours where they are wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint(bool);

impl Paint {
    /// On or off.
    pub(crate) fn new(on: bool) -> Paint {
        Paint(on)
    }

    /// The text in a colour.
    pub(crate) fn of<'a>(self, colour: Colour, text: &'a str) -> Cow<'a, str> {
        if !self.0 || colour == Colour::Plain || text.is_empty() {
            return Cow::Borrowed(text);
        }
        Cow::Owned(format!("\x1b[{}m{text}\x1b[0m", colour.code()))
    }
}

/// Green is as it should be, yellow is on the way, red needs a person, dim is at rest.
pub(crate) fn status_colour(status: Status) -> Colour {
    match status {
        Status::Running | Status::Completed => Colour::Green,
        Status::Pending | Status::Starting | Status::Stopping | Status::Scaling | Status::Unknown => Colour::Yellow,
        Status::Unhealthy | Status::Failed | Status::NotFound => Colour::Red,
        Status::Disabled | Status::Stopped => Colour::Dim,
    }
}

/// The same of health.
pub(crate) fn health_colour(health: Health) -> Colour {
    match health {
        Health::Healthy => Colour::Green,
        Health::Degraded => Colour::Yellow,
        Health::Unhealthy => Colour::Red,
        Health::Unknown => Colour::Dim,
    }
}
