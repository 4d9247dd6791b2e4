//! What an answer must look like before the host believes it.

use crate::limits::{MAX_ENTRIES, MAX_HANDLE_BYTES, MAX_JSON_BYTES, MAX_LINE_BYTES, MAX_OUTPUT_BYTES, MAX_PAGE, MAX_STATUS_BYTES, MAX_TEXT_BYTES};
use crate::words::{Candidate, Chunk, Endpoint, Engine, ExecOutput, Exit, Fault, Found, Handle, Page, Phase, Problem, Report, Status};

/// Most handle versions that a plugin can say it reads.
const MAX_VERSIONS: usize = 1_024;
/// Most things that a plugin can say it needs.
const MAX_NEEDS: usize = 64;

/// What is wrong with an answer.
pub(crate) type Lie = String;

/// Its schemas aside, which are held to their size where they are read.
pub(crate) fn description(texts: &[&str], handle_versions: &[u32], needs: &[(String, String)]) -> Result<(), Lie> {
    texts.iter().try_for_each(|words| text("a description's text", words))?;
    count("handle versions", handle_versions.len(), MAX_VERSIONS)?;
    count("needs", needs.len(), MAX_NEEDS)?;
    pairs("needs", needs)
}

pub(super) fn engine(engine: &Engine) -> Result<(), Lie> {
    text("a message", &engine.message)?;
    pairs("attributes", &engine.attributes)
}

pub(super) fn statuses(statuses: &[Status], asked: usize) -> Result<(), Lie> {
    same_number("statuses", statuses.len(), asked)?;
    statuses.iter().try_for_each(status)
}

pub(super) fn replicas(statuses: &[Status]) -> Result<(), Lie> {
    count("replicas", statuses.len(), MAX_PAGE)?;
    statuses.iter().try_for_each(status)
}

pub(super) fn page(page: &Page) -> Result<(), Lie> {
    count("tasks on one page", page.items.len(), MAX_PAGE)?;
    if page.next.as_ref().is_some_and(|next| next.len() > MAX_TEXT_BYTES) {
        return Err("a cursor that is far too long".to_owned());
    }
    page.items.iter().try_for_each(|item| {
        text("an id", &item.id)?;
        item.spec_digest.iter().try_for_each(|digest| text("a digest", digest))?;
        handle(&item.handle)?;
        status(&item.status)
    })
}

pub(super) fn candidates(candidates: &[Candidate]) -> Result<(), Lie> {
    count("candidates", candidates.len(), MAX_PAGE)?;
    candidates.iter().try_for_each(|candidate| {
        text("a candidate's key", &candidate.key)?;
        text("a candidate's name", &candidate.name)?;
        json(&candidate.settings)?;
        status(&candidate.status)?;
        pairs("facts", &candidate.facts)?;
        candidate.tag.iter().try_for_each(|(owner, id)| text("a tag", owner).and_then(|()| text("a tag", id)))
    })
}

/// Is it an id that a host mints?
pub(super) fn is_task_id(id: &str) -> bool {
    let fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !id.is_empty() && id.len() <= 63 && id.bytes().all(fine)
}

pub(super) fn chunk(chunk: &Chunk, max_bytes: u32) -> Result<(), Lie> {
    text("a cursor", &chunk.next)?;
    let bytes = chunk.lines.iter().map(|line| line.bytes.len()).sum();
    // one line may be longer than what was asked for: it is never cut
    count("bytes of lines", bytes, (max_bytes as usize).saturating_add(MAX_LINE_BYTES))
}

pub(super) fn output(output: &ExecOutput) -> Result<(), Lie> {
    exit(&output.exit)?;
    count("bytes of output", output.out.len().max(output.err.len()), MAX_OUTPUT_BYTES)
}

pub(super) fn signals(names: &[String]) -> Result<(), Lie> {
    count("signals", names.len(), MAX_ENTRIES)?;
    names.iter().try_for_each(|name| text("a signal's name", name))
}

pub(super) fn report(mut report: Report) -> Result<Report, Lie> {
    pairs("details", &report.details)?;
    report.message = shorten(report.message);
    Ok(report)
}

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
