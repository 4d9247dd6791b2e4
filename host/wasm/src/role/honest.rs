//! What an answer must look like before the host believes it.

use crate::limits::{MAX_ENTRIES, MAX_HANDLE_BYTES, MAX_JSON_BYTES, MAX_STATUS_BYTES, MAX_TEXT_BYTES};
use crate::words::{Endpoint, Exit, Fault, Found, Handle, Phase, Problem, Status};

/// What is wrong with an answer.
pub(super) type Lie = String;

pub(super) fn text(what: &str, text: &str) -> Result<(), Lie> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(format!("{what} of {} bytes, at most {MAX_TEXT_BYTES} are allowed", text.len()));
    }
    Ok(())
}

pub(super) fn count(what: &str, count: usize, most: usize) -> Result<(), Lie> {
    if count > most {
        return Err(format!("{count} {what}, at most {most} are allowed"));
    }
    Ok(())
}

/// One answer per question.
pub(super) fn same_number(what: &str, answers: usize, questions: usize) -> Result<(), Lie> {
    if answers != questions {
        return Err(format!("{answers} {what} for {questions} handles"));
    }
    Ok(())
}

/// Documents the host itself hands over.
pub(super) fn json(text: &str) -> Result<(), Lie> {
    if text.len() > MAX_JSON_BYTES {
        return Err(format!("settings of {} bytes, at most {MAX_JSON_BYTES} are allowed", text.len()));
    }
    Ok(())
}

pub(super) fn pairs(what: &str, pairs: &[(String, String)]) -> Result<(), Lie> {
    count(what, pairs.len(), MAX_ENTRIES)?;
    pairs.iter().try_for_each(|(key, value)| text(what, key).and_then(|()| text(what, value)))
}

pub(super) fn handle(handle: &Handle) -> Result<(), Lie> {
    if handle.state.len() > MAX_HANDLE_BYTES {
        return Err(format!("a handle of {} bytes, at most {MAX_HANDLE_BYTES} are allowed", handle.state.len()));
    }
    Ok(())
}

pub(super) fn status(status: &Status) -> Result<(), Lie> {
    match &status.phase {
        Phase::Exited(exit) => self::exit(exit)?,
        Phase::Unknown(why) => text("a reason", why)?,
        Phase::Pending | Phase::Running | Phase::Stopping | Phase::Gone => {}
    }
    count("endpoints", status.endpoints.len(), MAX_ENTRIES)?;
    status.endpoints.iter().try_for_each(endpoint)?;
    pairs("attributes", &status.attributes)?;
    count("bytes of endpoints and attributes", status_bytes(status), MAX_STATUS_BYTES)
}

/// The texts of a status that its host keeps.
fn status_bytes(status: &Status) -> usize {
    let endpoints = status.endpoints.iter().map(|endpoint| endpoint.name.len() + endpoint.host.len() + endpoint.protocol.len());
    let attributes = status.attributes.iter().map(|(key, value)| key.len() + value.len());
    endpoints.chain(attributes).sum()
}

/// About what one entry of a list costs the host.
pub(super) fn found_bytes(found: &Found) -> usize {
    let texts = found.id.len() + found.spec_digest.as_ref().map_or(0, String::len) + found.handle.state.len();
    size_of::<Found>() + texts + status_bytes(&found.status)
}

pub(super) fn exit(exit: &Exit) -> Result<(), Lie> {
    exit.signal.iter().chain(&exit.reason).try_for_each(|words| text("an exit's text", words))
}

fn endpoint(endpoint: &Endpoint) -> Result<(), Lie> {
    [&endpoint.name, &endpoint.host, &endpoint.protocol].into_iter().try_for_each(|words| text("an endpoint's text", words))
}

/// Problems and faults are for people: what is too long is cut, not refused, because it already says that something is wrong.
pub(super) fn shorten_fault(fault: Fault) -> Fault {
    match fault {
        Fault::Invalid(problems) => Fault::Invalid(shorten_problems(problems)),
        Fault::Unavailable(mut retry) => {
            retry.message = shorten(retry.message);
            Fault::Unavailable(retry)
        }
        Fault::Interrupted(text) => Fault::Interrupted(shorten(text)),
        Fault::Conflict(text) => Fault::Conflict(shorten(text)),
        Fault::Denied(text) => Fault::Denied(shorten(text)),
        Fault::Gone => Fault::Gone,
        Fault::Unsupported(text) => Fault::Unsupported(shorten(text)),
        Fault::Other(text) => Fault::Other(shorten(text)),
    }
}

pub(super) fn shorten_problems(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.truncate(MAX_ENTRIES);
    for problem in &mut problems {
        problem.at = shorten(std::mem::take(&mut problem.at));
        problem.message = shorten(std::mem::take(&mut problem.message));
        problem.hint = problem.hint.take().map(shorten);
    }
    problems
}

pub(super) fn shorten(mut text: String) -> String {
    if text.len() > MAX_TEXT_BYTES {
        text.truncate(text.floor_char_boundary(MAX_TEXT_BYTES - '…'.len_utf8()));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_faults_are_cut_and_long_handles_refused() {
        let Fault::Other(text) = shorten_fault(Fault::Other("é".repeat(MAX_TEXT_BYTES))) else { panic!("another fault") };
        assert!(text.len() <= MAX_TEXT_BYTES && text.ends_with('…'));
        assert!(handle(&Handle { version: 1, state: vec![0; MAX_HANDLE_BYTES] }).is_ok());
        assert!(handle(&Handle { version: 1, state: vec![0; MAX_HANDLE_BYTES + 1] }).is_err());
        assert!(same_number("statuses", 1, 2).is_err());
    }

    #[test]
    fn a_status_that_would_fill_the_host_is_refused() {
        let with = |attributes: usize| Status {
            phase: Phase::Running,
            started_at: None,
            endpoints: Vec::new(),
            attributes: vec![("key".to_owned(), "v".repeat(MAX_TEXT_BYTES)); attributes],
        };
        assert!(status(&with(15)).is_ok());
        assert!(status(&with(16)).is_err_and(|lie| lie.contains("bytes of endpoints and attributes")));
    }
}
