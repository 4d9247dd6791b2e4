//! What is said of one route.

use schemars::generate::SchemaGenerator;
use schemars::{JsonSchema, Schema};

use crate::documents::kyozo::MEDIA;
use crate::failure::Code;
use crate::routes::{self, Method};
use crate::wire::OperationOptions;

/// How the schema of a type is made.
pub(super) type Make = fn(&mut SchemaGenerator) -> Schema;

/// What is said of a route beside who may ask it.
pub(super) struct Operation {
    pub(super) method: Method,
    pub(super) path: &'static str,
    /// The pattern that is routed, where that takes several paths.
    pub(super) route: &'static str,
    /// In whose words it answers.
    pub(super) words: Words,
    /// `operationId`, for generated clients.
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    pub(super) query: Option<Make>,
    /// Members of the query's type that this route does not take.
    pub(super) without: &'static [&'static str],
    pub(super) takes: Option<Make>,
    pub(super) gives: Gives,
    /// Of an answer that says yes.
    pub(super) status: &'static str,
    /// What an answer that says no may be beside.
    pub(super) refuses: Option<Make>,
    /// Has what it is about a version, in `ETag`?
    pub(super) tagged: bool,
    /// May it be demanded that this is so, with `If-Match` and `If-None-Match`?
    pub(super) conditional: bool,
    /// May it be put off?
    pub(super) later: Later,
    /// How it may fail, beside what every route may.
    pub(super) fails: &'static [Code],
}

/// Whose words an answer has, also one that says no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Words {
    /// Ours.
    Native,
    /// `/api/orchestration/*`.
    Orchestration,
    /// `/start/container`, `/images*`, `/containers*`.
    Images,
    /// `/api/v1/service_instances*` and its like.
    Instances,
}

impl Words {
    pub(super) const ALL: [Words; 4] = [Words::Native, Words::Orchestration, Words::Images, Words::Instances];

    /// Its tag, and what is told of that.
    pub(super) fn tag(self) -> (&'static str, &'static str) {
        match self {
            Words::Native => ("native", "Everything that a host does"),
            Words::Orchestration => ("orchestration", "The same for clients of the document \"Service Orchestration System\": `/api/orchestration`"),
            Words::Images => ("images", "The same for clients of the document \"FastAPI orchestrator\": images as replica sets"),
            Words::Instances => ("service-instances", "The same for clients of the document of service instances, in JSON:API's form"),
        }
    }

    /// What its documents are, in each of the media types that they have.
    pub(super) fn media(self) -> &'static [&'static str] {
        match self {
            Words::Instances => &[MEDIA, routes::JSON],
            _ => &[routes::JSON],
        }
    }
}

/// Is the answer an operation, 202, that is looked at later?
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Later {
    /// Never.
    Never,
    /// When it is asked for.
    Asked,
    /// Always.
    Always,
}

/// What an answer that says yes is.
pub(super) enum Gives {
    /// One document.
    Document(Make),
    /// One document per line, as they come.
    Lines(Make),
    /// The same, or server-sent events.
    Events(Make),
    /// Text of a media type.
    Text(&'static str),
    /// Bytes of a media type.
    Bytes(&'static str),
    /// Messages of a WebSocket.
    Socket(Make),
    /// A document of another making.
    Json,
    /// One document, or as many as come where that is asked for, each in a line.
    Followed(Make),
    /// Nothing but the status.
    Nothing,
    /// No: it is not built.
    NotBuilt,
}

pub(super) fn make<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

impl Operation {
    pub(super) const fn new(method: Method, path: &'static str, id: &'static str, summary: &'static str) -> Operation {
        Operation {
            method,
            path,
            route: path,
            words: Words::Native,
            id,
            summary,
            query: None,
            without: &[],
            takes: None,
            gives: Gives::Json,
            status: "200",
            refuses: None,
            tagged: false,
            conditional: false,
            later: Later::Never,
            fails: &[],
        }
    }

    pub(super) const fn get(path: &'static str, id: &'static str, summary: &'static str) -> Operation {
        Operation::new(Method::Get, path, id, summary)
    }

    pub(super) const fn post(path: &'static str, id: &'static str, summary: &'static str) -> Operation {
        Operation::new(Method::Post, path, id, summary)
    }

    pub(super) const fn delete(path: &'static str, id: &'static str, summary: &'static str) -> Operation {
        Operation::new(Method::Delete, path, id, summary)
    }

    pub(super) const fn put(path: &'static str, id: &'static str, summary: &'static str) -> Operation {
        Operation::new(Method::Put, path, id, summary)
    }

    pub(super) const fn patch(path: &'static str, id: &'static str, summary: &'static str) -> Operation {
        Operation::new(Method::Patch, path, id, summary)
    }

    pub(super) const fn asks<T: JsonSchema>(mut self) -> Operation {
        self.query = Some(make::<T>);
        self
    }

    pub(super) const fn takes<T: JsonSchema>(mut self) -> Operation {
        self.takes = Some(make::<T>);
        self
    }

    pub(super) const fn gives<T: JsonSchema>(mut self) -> Operation {
        self.gives = Gives::Document(make::<T>);
        self
    }

    pub(super) const fn lines<T: JsonSchema>(mut self) -> Operation {
        self.gives = Gives::Lines(make::<T>);
        self
    }

    pub(super) const fn events<T: JsonSchema>(mut self) -> Operation {
        self.gives = Gives::Events(make::<T>);
        self
    }

    pub(super) const fn text(mut self, media: &'static str) -> Operation {
        self.gives = Gives::Text(media);
        self
    }

    pub(super) const fn bytes(mut self, media: &'static str) -> Operation {
        self.gives = Gives::Bytes(media);
        self
    }

    pub(super) const fn socket<T: JsonSchema>(mut self) -> Operation {
        (self.gives, self.status) = (Gives::Socket(make::<T>), "101");
        self
    }

    /// It may be put off.
    pub(super) const fn or_later(mut self) -> Operation {
        self.later = Later::Asked;
        self.query = Some(make::<OperationOptions>);
        self
    }

    /// It always is an operation.
    pub(super) const fn always_later(mut self) -> Operation {
        self.later = Later::Always;
        self.query = Some(make::<OperationOptions>);
        self.without = &["async"];
        self
    }

    pub(super) const fn fails(mut self, codes: &'static [Code]) -> Operation {
        self.fails = codes;
        self
    }

    /// The query has these not.
    pub(super) const fn without(mut self, names: &'static [&'static str]) -> Operation {
        self.without = names;
        self
    }

    pub(super) const fn tagged(mut self) -> Operation {
        self.tagged = true;
        self
    }

    pub(super) const fn conditional(mut self) -> Operation {
        self.conditional = true;
        self
    }

    pub(super) const fn of(mut self, words: Words) -> Operation {
        self.words = words;
        self
    }

    pub(super) const fn routed(mut self, route: &'static str) -> Operation {
        self.route = route;
        self
    }

    pub(super) const fn status(mut self, status: &'static str) -> Operation {
        self.status = status;
        self
    }

    pub(super) const fn refuses<T: JsonSchema>(mut self) -> Operation {
        self.refuses = Some(make::<T>);
        self
    }

    pub(super) const fn followed<T: JsonSchema>(mut self) -> Operation {
        self.gives = Gives::Followed(make::<T>);
        self
    }

    pub(super) const fn nothing(mut self) -> Operation {
        (self.gives, self.status) = (Gives::Nothing, "204");
        self
    }

    pub(super) const fn not_built(mut self) -> Operation {
        (self.gives, self.status) = (Gives::NotBuilt, "501");
        self
    }
}
