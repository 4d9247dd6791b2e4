//! The documents' APIs: other words for what the native one does, for clients that were written from them.

use axum::body::Body;
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use hostler_api::documents::fastapi::Mistake;
use hostler_api::{Failure, routes};
use serde::Serialize;

use super::answer::document;
use super::table::Table;

mod fog;
mod images;
mod kyozo;
mod words;

pub(super) use fog::told_again;
pub(super) use words::Words;

pub(super) fn routes(table: Table) -> Table {
    kyozo::routes(images::routes(fog::routes(table)))
}

/// An answer that says no, in the words of its document.
struct No(Box<Response<Body>>);

impl IntoResponse for No {
    fn into_response(self) -> Response<Body> {
        *self.0
    }
}

/// An answer of either kind.
type Told = Result<Response<Body>, No>;

fn no<T: Serialize>(status: StatusCode, value: &T) -> No {
    No(Box::new(document(status, routes::JSON, value)))
}

/// What is told when a request was carried out.
fn done<T: Serialize>(value: &T) -> Told {
    Ok(document(StatusCode::OK, routes::JSON, value))
}

/// The status that a failure travels with everywhere.
fn status(failure: &Failure) -> StatusCode {
    StatusCode::from_u16(failure.code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// What and, where that is known, what to do about it.
fn sentence(failure: &Failure) -> String {
    let first = failure.problems.first().map(|problem| format!(": {}: {}", problem.at, problem.message));
    let hint = failure.hint.as_ref().map(|hint| format!("; {hint}"));
    format!("{}{}{}", failure.message, first.unwrap_or_default(), hint.unwrap_or_default())
}

/// In one sentence, what is wrong with a request.
fn first(mistakes: &[Mistake]) -> String {
    let place = |mistake: &Mistake| {
        let keys = mistake.loc.iter().map(|key| key.as_str().map_or_else(|| key.to_string(), str::to_owned));
        keys.collect::<Vec<_>>().join(".")
    };
    mistakes.first().map_or_else(|| "the request makes no sense".to_owned(), |mistake| format!("{}: {}", place(mistake), mistake.msg))
}
