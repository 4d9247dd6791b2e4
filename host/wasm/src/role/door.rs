//! A door for `tests/fuzz`: what the host makes of an answer, whoever gave it. Nobody else goes through it.

use std::net::IpAddr;

use serde_json::Value;

use super::honest;
use crate::error::{CallError, Failure};
use crate::grant::url::{Destination, Urls};
use crate::grant::{HttpGrant, Private};
use crate::schema::Schema;
use crate::words::{Chunk, Engine, ExecOutput, Fault, Found, Handle, Page, Problem, Report, Status};

/// What a guest may answer, with what it was asked where that matters.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// To `fingerprint`.
    Engine(Engine),
    /// To `start` and `migrate`.
    Handle(Handle),
    /// To `inspect`, and how many handles were asked for.
    Statuses(Vec<Status>, usize),
    /// To `replicas`.
    Replicas(Vec<Status>),
    /// To `list`.
    Page(Page),
    /// To `logs.read`, and how many bytes were asked for.
    Chunk(Chunk, u32),
    /// To `exec.run`.
    Output(ExecOutput),
    /// To `signals.supported`.
    Signals(Vec<String>),
    /// To `check`.
    Report(Report),
    /// To `validate`.
    Problems(Vec<Problem>),
    /// To `describe`: name, version and summary, handle versions, needs.
    Description([String; 3], Vec<u32>, Vec<(String, String)>),
    /// To anything.
    Fault(Fault),
}

/// The answer as the host goes on with it, or what is wrong with it.
///
/// # Errors
/// The contract does not allow it.
pub fn hear(answer: Answer) -> Result<Answer, String> {
    match &answer {
        Answer::Engine(engine) => honest::engine(engine)?,
        Answer::Handle(handle) => honest::handle(handle)?,
        Answer::Statuses(statuses, asked) => honest::statuses(statuses, *asked)?,
        Answer::Replicas(statuses) => honest::replicas(statuses)?,
        Answer::Page(page) => honest::page(page)?,
        Answer::Chunk(chunk, max_bytes) => honest::chunk(chunk, *max_bytes)?,
        Answer::Output(output) => honest::output(output)?,
        Answer::Signals(names) => honest::signals(names)?,
        Answer::Description(texts, versions, needs) => honest::description(&texts.each_ref().map(String::as_str), versions, needs)?,
        Answer::Report(_) | Answer::Problems(_) | Answer::Fault(_) => {}
    }
    Ok(match answer {
        Answer::Report(report) => Answer::Report(honest::report(report)?),
        Answer::Problems(problems) => Answer::Problems(honest::shorten_problems(problems)),
        Answer::Fault(fault) => Answer::Fault(honest::shorten_fault(fault)),
        Answer::Page(mut page) => {
            page.items.retain(|item: &Found| honest::is_task_id(&item.id));
            Answer::Page(page)
        }
        other => other,
    })
}

/// A call that failed with this fault.
pub fn failed(fault: Fault, changes: bool) -> CallError {
    CallError { plugin: "guest".to_owned(), function: "backend.start", changes, why: Failure::Fault(fault) }
}

/// What a plugin's schema says of a document, and the document with its defaults.
///
/// # Errors
/// It is no schema.
pub fn judged(schema: &Value, value: &Value) -> Result<(Vec<Problem>, Value), String> {
    let schema = Schema::compile(schema.clone())?;
    Ok((schema.problems(value), schema.with_defaults(value)))
}

/// Does a grant of this URL prefix admit a request to this URL, and which of these addresses then?
///
/// # Errors
/// One of them is no such thing.
pub fn admitted(prefix: &str, url: &str, addresses: &[IpAddr]) -> Result<Option<Vec<IpAddr>>, String> {
    let grant = HttpGrant { hosts: vec![prefix.to_owned()], private: Private::Deny, ..HttpGrant::default() };
    let urls = Urls::settle(&grant)?;
    let (scheme, rest) = url.split_once("://").ok_or("it has no scheme")?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let to = Destination::parse(scheme == "https", authority)?;
    let admission = urls.admit("GET", &to, path).ok();
    Ok(admission.map(|admission| addresses.iter().copied().filter(|address| admission.admits(*address)).collect()))
}
