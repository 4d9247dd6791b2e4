//! What a guest answers: the host goes on with it only when it is what the contract allows, and never in another shape than it says.

use arbitrary::{Arbitrary, Result, Unstructured};
use hostler_core::Fault as Heard;
use hostler_wasm::door::{Answer, failed, hear};
use hostler_wasm::words::{
    Chunk, Endpoint, Engine, ExecOutput, Exit, Fault, Found, Handle, LogLine, Origin, Page, Phase, Problem, Report, Retry, Status, Verdict,
};
use hostler_wasm::{CallError, NextMove};

/// The limits of the contract, said a second time on purpose.
const TEXT: usize = 4 << 10;
const ENTRIES: usize = 256;
const HANDLE: usize = 4 << 10;
const PAGE: usize = 10_000;

pub(crate) fn answers(data: &[u8]) {
    let mut from = Unstructured::new(data);
    for _ in 0..4 {
        if from.is_empty() {
            return;
        }
        let Ok(answer) = answer(&mut from) else { return };
        let fits = fits(&answer);
        match hear(answer.clone()) {
            Ok(heard) => {
                assert!(fits, "the contract forbids this, and it was taken: {answer:?}");
                assert!(self::fits(&heard), "it was made worse");
                goes_on(&heard);
            }
            Err(why) => {
                assert!(!fits, "the contract allows this, and it was refused: {why}");
                assert!(!why.is_empty() && why.len() < 300, "the reason is as long as the lie");
            }
        }
    }
}

/// Is it what the contract allows? What is only too long to be read is cut, and so allowed.
fn fits(answer: &Answer) -> bool {
    match answer {
        Answer::Engine(engine) => engine.message.len() <= TEXT && pairs(&engine.attributes),
        Answer::Handle(handle) => handle.state.len() <= HANDLE,
        Answer::Statuses(statuses, asked) => statuses.len() == *asked && statuses.iter().all(status),
        Answer::Replicas(statuses) => statuses.len() <= PAGE && statuses.iter().all(status),
        Answer::Page(page) => page.items.len() <= PAGE && page.next.iter().all(|next| next.len() <= TEXT) && page.items.iter().all(found),
        Answer::Chunk(chunk, asked) => {
            let bytes: usize = chunk.lines.iter().map(|line| line.bytes.len()).sum();
            chunk.next.len() <= TEXT && bytes <= *asked as usize + (1 << 20)
        }
        Answer::Output(output) => exit(&output.exit) && output.out.len().max(output.err.len()) <= 16 << 20,
        Answer::Signals(names) => names.len() <= ENTRIES && names.iter().all(|name| name.len() <= TEXT),
        Answer::Description(texts, versions, needs) => {
            texts.iter().all(|text| text.len() <= TEXT) && versions.len() <= 1_024 && needs.len() <= 64 && pairs(needs)
        }
        Answer::Report(report) => pairs(&report.details),
        Answer::Problems(_) | Answer::Fault(_) => true,
    }
}

fn pairs(pairs: &[(String, String)]) -> bool {
    pairs.len() <= ENTRIES && pairs.iter().all(|(key, value)| key.len().max(value.len()) <= TEXT)
}

fn found(found: &Found) -> bool {
    let digest = found.spec_digest.as_ref().is_none_or(|digest| digest.len() <= TEXT);
    found.id.len() <= TEXT && digest && found.handle.state.len() <= HANDLE && status(&found.status)
}

fn status(status: &Status) -> bool {
    let texts = |one: &Endpoint| [one.name.len(), one.host.len(), one.protocol.len()];
    let endpoints: usize = status.endpoints.iter().flat_map(texts).sum();
    let attributes: usize = status.attributes.iter().map(|(key, value)| key.len() + value.len()).sum();
    let phase = match &status.phase {
        Phase::Exited(exit) => self::exit(exit),
        Phase::Unknown(why) => why.len() <= TEXT,
        Phase::Pending | Phase::Running | Phase::Stopping | Phase::Gone => true,
    };
    let endpoints_fit = status.endpoints.len() <= ENTRIES && status.endpoints.iter().flat_map(texts).all(|length| length <= TEXT);
    phase && endpoints_fit && pairs(&status.attributes) && endpoints + attributes <= 64 << 10
}

fn exit(exit: &Exit) -> bool {
    exit.signal.iter().chain(&exit.reason).all(|text| text.len() <= TEXT)
}

/// What the host makes of it next.
fn goes_on(heard: &Answer) {
    match heard {
        Answer::Statuses(statuses, _) | Answer::Replicas(statuses) => statuses.iter().for_each(believed),
        Answer::Page(page) => {
            page.items.iter().for_each(|found| believed(&found.status));
            let ours = |id: &str| !id.is_empty() && id.len() <= 63 && !id.contains(|c: char| !matches!(c, 'a'..='z' | '0'..='9' | '-'));
            assert!(page.items.iter().all(|found| ours(&found.id)), "an id that no host mints");
        }
        Answer::Report(report) => assert!(report.message.len() <= TEXT),
        Answer::Problems(problems) => shortened(problems),
        Answer::Fault(fault) => {
            if let Fault::Invalid(problems) = fault {
                shortened(problems);
            }
            for changes in [false, true] {
                told(&failed(fault.clone(), changes), fault);
            }
        }
        Answer::Engine(_) | Answer::Handle(_) | Answer::Chunk(..) | Answer::Output(_) | Answer::Signals(_) | Answer::Description(..) => {}
    }
}

fn believed(status: &Status) {
    use hostler_core::Phase as Believed;
    match (hostler_server::door::phase(status), &status.phase) {
        (Believed::Exited(believed), Phase::Exited(said)) => {
            assert_eq!((believed.code, believed.is_success()), (said.code, said.code == Some(0)), "no exit code is made up");
            assert!(!believed.to_string().is_empty());
        }
        (Believed::Unknown(believed), Phase::Unknown(said)) => assert_eq!(&believed, said),
        (Believed::Pending, Phase::Pending)
        | (Believed::Running, Phase::Running)
        | (Believed::Stopping, Phase::Stopping)
        | (Believed::Gone, Phase::Gone) => {}
        (believed, said) => panic!("{said:?} is heard as {believed:?}"),
    }
}

fn shortened(problems: &[Problem]) {
    assert!(problems.len() <= ENTRIES);
    for problem in problems {
        assert!(problem.at.len().max(problem.message.len()).max(problem.hint.as_ref().map_or(0, String::len)) <= TEXT);
    }
}

/// The sentence that people read, and what the core does about it.
fn told(error: &CallError, fault: &Fault) {
    let brief = error.brief();
    assert!(brief.len() <= TEXT + '…'.len_utf8(), "{} bytes", brief.len());
    assert!(!brief.contains(|c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')), "{brief:?}");
    let heard = hostler_server::door::fault(error);
    // who is unavailable is said by whoever tells it
    let words = if matches!(heard, Heard::Unavailable { .. }) { brief.strip_prefix("unavailable: ").unwrap_or(&brief) } else { &brief };
    assert_eq!(heard.message(), words);
    let fitting = match (&heard, error.next_move()) {
        (Heard::Unavailable { .. }, NextMove::Retry { .. }) => matches!(fault, Fault::Unavailable(_)),
        (Heard::Interrupted(_), NextMove::Look) => matches!(fault, Fault::Interrupted(_)),
        (Heard::Failed(_), NextMove::Fail | NextMove::Gone) => matches!(fault, Fault::Other(_) | Fault::Gone),
        (Heard::Denied(_), NextMove::Report) => matches!(fault, Fault::Denied(_)),
        (Heard::Unsupported(_), NextMove::Report) => matches!(fault, Fault::Unsupported(_)),
        (Heard::Invalid(_), NextMove::Report) => matches!(fault, Fault::Invalid(_) | Fault::Conflict(_)),
        _ => false,
    };
    assert!(fitting, "{fault:?} is heard as {heard:?}");
}

fn answer(from: &mut Unstructured<'_>) -> Result<Answer> {
    Ok(match from.int_in_range(0..=11)? {
        0 => Answer::Engine(Engine {
            ready: bool::arbitrary(from)?,
            reachable: bool::arbitrary(from)?,
            message: text(from)?,
            attributes: many_pairs(from)?,
        }),
        1 => Answer::Handle(handle(from)?),
        2 => {
            let statuses = several(from, a_status)?;
            let asked = if bool::arbitrary(from)? { statuses.len() } else { usize::from(u8::arbitrary(from)?) };
            Answer::Statuses(statuses, asked)
        }
        3 => Answer::Replicas(several(from, a_status)?),
        4 => {
            let mut page = Page { items: several(from, a_found)?, next: optional(from, text)? };
            // A page may be long only of small things.
            if let (254, Some(first)) = (u8::arbitrary(from)?, page.items.first().filter(|first| first.handle.state.len() < 64).cloned()) {
                page.items.resize(from.int_in_range(9_990..=10_010)?, Found { status: small(), ..first });
            }
            Answer::Page(page)
        }
        5 => {
            let lines = several(from, a_line)?;
            Answer::Chunk(Chunk { lines, next: text(from)?, gap: bool::arbitrary(from)? }, u32::arbitrary(from)?)
        }
        6 => {
            let output = ExecOutput { exit: an_exit(from)?, out: bytes(from)?, err: bytes(from)?, truncated: bool::arbitrary(from)? };
            Answer::Output(output)
        }
        7 => Answer::Signals(many(from, text)?),
        8 => Answer::Report(Report {
            verdict: *from.choose(&[Verdict::Pass, Verdict::Warn, Verdict::Fail, Verdict::Unknown])?,
            message: text(from)?,
            details: many_pairs(from)?,
        }),
        9 => Answer::Problems(many(from, a_problem)?),
        10 => {
            let versions = vec![1; from.int_in_range(0..=1_030)?];
            Answer::Description([text(from)?, text(from)?, text(from)?], versions, many_pairs(from)?)
        }
        _ => Answer::Fault(a_fault(from)?),
    })
}

/// Short and strange, or long and plain: as long as a limit, or a little longer.
fn text(from: &mut Unstructured<'_>) -> Result<String> {
    let length = match from.int_in_range(0..=15)? {
        0 => TEXT - 1,
        1 => TEXT,
        2 => TEXT + 1,
        3 => 3 * TEXT,
        _ => return String::arbitrary(from),
    };
    let letter = char::arbitrary(from)?;
    Ok(std::iter::repeat_n(letter, length.div_ceil(letter.len_utf8())).collect())
}

fn bytes(from: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    Ok(match u8::arbitrary(from)? {
        254 => vec![b'x'; (16 << 20) + from.int_in_range(0..=1)?],
        255 => vec![b'x'; (1 << 20) + from.int_in_range(0..=1)?],
        _ => Vec::arbitrary(from)?,
    })
}

fn several<T>(from: &mut Unstructured<'_>, one: fn(&mut Unstructured<'_>) -> Result<T>) -> Result<Vec<T>> {
    (0..from.int_in_range(0..=4)?).map(|_| one(from)).collect()
}

/// A few, or as many copies as a limit allows, or more.
fn many<T: Clone>(from: &mut Unstructured<'_>, one: fn(&mut Unstructured<'_>) -> Result<T>) -> Result<Vec<T>> {
    let mut some = several(from, one)?;
    if let (0, Some(last)) = (from.int_in_range(0..=7)?, some.last().cloned()) {
        some.resize(from.int_in_range(60..=260)?, last);
    }
    Ok(some)
}

fn many_pairs(from: &mut Unstructured<'_>) -> Result<Vec<(String, String)>> {
    many(from, |from| Ok((text(from)?, text(from)?)))
}

fn optional<T>(from: &mut Unstructured<'_>, one: fn(&mut Unstructured<'_>) -> Result<T>) -> Result<Option<T>> {
    if bool::arbitrary(from)? { one(from).map(Some) } else { Ok(None) }
}

fn handle(from: &mut Unstructured<'_>) -> Result<Handle> {
    let state = match from.int_in_range(0..=7)? {
        0 => vec![7; HANDLE],
        1 => vec![7; HANDLE + 1],
        _ => Vec::arbitrary(from)?,
    };
    Ok(Handle { version: u32::arbitrary(from)?, state })
}

fn small() -> Status {
    Status { phase: Phase::Running, started_at: None, endpoints: Vec::new(), attributes: Vec::new() }
}

fn a_status(from: &mut Unstructured<'_>) -> Result<Status> {
    let phase = match from.int_in_range(0..=5)? {
        0 => Phase::Pending,
        1 => Phase::Running,
        2 => Phase::Stopping,
        3 => Phase::Exited(an_exit(from)?),
        4 => Phase::Gone,
        _ => Phase::Unknown(text(from)?),
    };
    let endpoint =
        |from: &mut Unstructured<'_>| Ok(Endpoint { name: text(from)?, host: text(from)?, port: u16::arbitrary(from)?, protocol: text(from)? });
    Ok(Status { phase, started_at: Option::arbitrary(from)?, endpoints: many(from, endpoint)?, attributes: many_pairs(from)? })
}

fn an_exit(from: &mut Unstructured<'_>) -> Result<Exit> {
    Ok(Exit {
        code: Option::arbitrary(from)?,
        signal: optional(from, text)?,
        out_of_memory: bool::arbitrary(from)?,
        at: Option::arbitrary(from)?,
        reason: optional(from, text)?,
    })
}

fn a_found(from: &mut Unstructured<'_>) -> Result<Found> {
    let id = if bool::arbitrary(from)? { "h0-web-0-7".to_owned() } else { text(from)? };
    Ok(Found { id, handle: handle(from)?, status: a_status(from)?, spec_digest: optional(from, text)? })
}

fn a_line(from: &mut Unstructured<'_>) -> Result<LogLine> {
    let origin = if bool::arbitrary(from)? { Origin::Out } else { Origin::Err };
    Ok(LogLine { at: Option::arbitrary(from)?, origin, continued: bool::arbitrary(from)?, bytes: bytes(from)? })
}

fn a_problem(from: &mut Unstructured<'_>) -> Result<Problem> {
    Ok(Problem { at: text(from)?, message: text(from)?, hint: optional(from, text)? })
}

fn a_fault(from: &mut Unstructured<'_>) -> Result<Fault> {
    Ok(match from.int_in_range(0..=7)? {
        0 => Fault::Invalid(many(from, a_problem)?),
        1 => Fault::Unavailable(Retry { message: text(from)?, after: Option::arbitrary(from)? }),
        2 => Fault::Interrupted(text(from)?),
        3 => Fault::Conflict(text(from)?),
        4 => Fault::Denied(text(from)?),
        5 => Fault::Gone,
        6 => Fault::Unsupported(text(from)?),
        _ => Fault::Other(text(from)?),
    })
}
