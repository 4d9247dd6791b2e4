//! Silences: alerts that nobody is told of for a while. What still fires when one ends is told then.

use std::collections::BTreeMap;
use std::sync::Arc;

use hostler_api::{Code, Failure, Shape, Silence, SilenceList, SilenceRequest, Silenced, Timestamp};
use hostler_core::{AlertKey, Severity, Subject, WorkspaceName, pattern};
use hostler_store::{Store, Txn};
use rustix::rand::{GetRandomFlags, getrandom};
use serde::{Deserialize, Serialize};

use super::Alerting;
use crate::clock;
use crate::http::write;
use crate::ledger::{self, LedgerError};

const PREFIX: &str = "silences/";
/// Silences of one workspace at the same time.
const MOST: usize = 1_000;
/// The longest silence: a year.
const LONGEST_MS: u64 = 366 * 86_400_000;
/// The longest pattern, and the longest comment.
const PATTERN_BYTES: usize = 128;
const COMMENT_BYTES: usize = 1_000;

/// One silence, as it stands in the books.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    workspace: WorkspaceName,
    rule: Option<String>,
    service: Option<String>,
    severity: Option<Severity>,
    from: u64,
    until: u64,
    created_by: String,
    comment: String,
}

pub(super) fn recall(store: &dyn Store) -> Result<BTreeMap<String, Record>, LedgerError> {
    let mut silences = BTreeMap::new();
    ledger::each(store, PREFIX, |id, record: Record| {
        silences.insert(id.to_owned(), record);
        Ok(())
    })?;
    Ok(silences)
}

impl Record {
    fn read(request: SilenceRequest, workspace: &WorkspaceName, by: &str, now: u64) -> Result<Record, Failure> {
        let invalid = |message: &str, hint: &str| Err(Failure::new(Code::Invalid, message.to_owned()).hint(hint.to_owned()));
        let SilenceRequest { rule, service, severity, from, for_ms, until, comment } = request;
        let from = from.map_or(now, |from| from.0.max(now));
        let until = match (for_ms, until) {
            (Some(_), Some(_)) => return invalid("`for_ms` and `until` both say when it ends", "keep one of the two"),
            (Some(length), None) => from.saturating_add(length),
            (None, Some(until)) => until.0,
            (None, None) => return invalid("nothing says when it ends", "say `for_ms`, such as 3600000 for an hour, or `until`"),
        };
        if until <= from {
            return invalid("it would be over before it begins", "`until` must lie behind `from` and behind now");
        }
        if until - from > LONGEST_MS {
            return invalid("it is longer than a year", "what nobody is to be told of for so long needs no rule");
        }
        if [&rule, &service].into_iter().flatten().any(|text| text.is_empty() || text.len() > PATTERN_BYTES) {
            return invalid("a pattern is empty, or longer than 128 bytes", "leave it out for everything");
        }
        if rule.is_none() && service.is_none() && severity.is_none() {
            return invalid("it names neither rule, service nor severity", "`rule`: `*` is every rule");
        }
        if comment.len() > COMMENT_BYTES {
            return invalid("the comment is longer than 1,000 bytes", "say it in fewer words");
        }
        Ok(Record { workspace: workspace.clone(), rule, service, severity, from, until, created_by: by.to_owned(), comment })
    }

    pub(super) fn is_of(&self, workspace: &WorkspaceName) -> bool {
        self.workspace == *workspace
    }

    pub(super) fn is_in_force(&self, now: u64) -> bool {
        (self.from..self.until).contains(&now)
    }

    pub(super) fn is_about(&self, key: &AlertKey, severity: Severity) -> bool {
        let (workspace, name) = match &key.subject {
            Subject::Service(name) => (name.workspace(), Some(name.local())),
            // Plugins are the host's, as is its own workspace.
            Subject::Plugin(_) => (WorkspaceName::DEFAULT, None),
        };
        self.workspace.as_str() == workspace
            && self.rule.as_ref().is_none_or(|rule| pattern::matches(rule, &key.rule))
            && self.service.as_ref().is_none_or(|service| name.is_some_and(|name| pattern::matches(service, name)))
            && self.severity.is_none_or(|most| severity <= most)
    }

    fn told(&self, id: &str, now: u64) -> Silence {
        Silence {
            id: id.to_owned(),
            rule: self.rule.clone(),
            service: self.service.clone(),
            severity: self.severity,
            from: Timestamp(self.from),
            until: Timestamp(self.until),
            created_by: self.created_by.clone(),
            comment: self.comment.clone(),
            active: self.is_in_force(now),
        }
    }
}

impl Alerting {
    /// Those of a workspace that are not over.
    pub(crate) fn silences(&self, workspace: &WorkspaceName) -> SilenceList {
        let now = clock::wall_ms();
        let book = self.book();
        let own = book.silences.iter().filter(|(_, record)| record.until > now && record.workspace == *workspace);
        let mut silences: Vec<Silence> = own.map(|(id, record)| record.told(id, now)).collect();
        silences.sort_by_key(|silence| (silence.until, silence.id.clone()));
        SilenceList { version: Shape, silences }
    }

    /// Makes one.
    pub(crate) async fn silence(self: &Arc<Self>, request: SilenceRequest, workspace: &WorkspaceName, by: &str) -> Result<Silenced, Failure> {
        let _changing = self.silencing.lock().await;
        let now = clock::wall_ms();
        let record = Record::read(request, workspace, by, now)?;
        let over: Vec<String> = self.book().silences.iter().filter(|(_, record)| record.until <= now).map(|(id, _)| id.clone()).collect();
        let is_theirs = |record: &&Record| record.workspace == *workspace && record.until > now;
        if self.book().silences.values().filter(is_theirs).count() >= MOST {
            let failure = Failure::new(Code::Conflict, format!("workspace `{workspace}` has {MOST} silences, and no more are kept"));
            return Err(failure.hint("end some: `hostler silence ls`"));
        }
        let id = new_id()?;
        let txn = Txn::new().put(key(&id), ledger::to_json(&record));
        let txn = over.iter().fold(txn, |txn, id| txn.delete(key(id)));
        let (silence, alerting) = (record.told(&id, now), Arc::clone(self));
        let known = move || {
            let mut book = alerting.book();
            over.iter().for_each(|id| drop(book.silences.remove(id)));
            book.silences.insert(id, record);
            drop(book);
            alerting.changed.notify_one();
        };
        write(&self.outbox, workspace, txn, known).await?;
        Ok(Silenced { version: Shape, silence })
    }

    /// Ends one; nothing when this workspace has none of this id.
    pub(crate) async fn end_silence(self: &Arc<Self>, id: &str, workspace: &WorkspaceName) -> Result<Option<Silenced>, Failure> {
        let _changing = self.silencing.lock().await;
        let now = clock::wall_ms();
        let known = self.book().silences.get(id).filter(|record| record.workspace == *workspace && record.until > now).cloned();
        let Some(record) = known else { return Ok(None) };
        let (silence, alerting, ended) = (record.told(id, now), Arc::clone(self), id.to_owned());
        let known = move || {
            alerting.book().silences.remove(&ended);
            alerting.changed.notify_one();
        };
        write(&self.outbox, workspace, Txn::new().delete(key(id)), known).await?;
        Ok(Some(Silenced { version: Shape, silence: Silence { active: false, ..silence } }))
    }

    /// When the next silence begins or ends.
    pub(super) fn next_silence_turn(&self) -> Option<u64> {
        let now = clock::wall_ms();
        let book = self.book();
        book.silences.values().flat_map(|record| [record.from, record.until]).filter(|at| *at > now).min()
    }
}

fn key(id: &str) -> String {
    format!("{PREFIX}{id}")
}

/// Takes those of a workspace out of the store.
pub(super) fn without(silences: &BTreeMap<String, Record>, workspace: &WorkspaceName, txn: Txn) -> Txn {
    silences.iter().filter(|(_, record)| record.is_of(workspace)).fold(txn, |txn, (id, _)| txn.delete(key(id)))
}

fn new_id() -> Result<String, Failure> {
    let mut bytes = [0_u8; 5];
    getrandom(&mut bytes, GetRandomFlags::empty())
        .map_err(|error| Failure::new(Code::Internal, format!("the system gives no random numbers: {error}")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use hostler_core::ServiceName;

    use super::*;

    fn record(request: SilenceRequest, workspace: &str) -> Result<Record, String> {
        let workspace = WorkspaceName::new(workspace).expect("a name");
        Record::read(SilenceRequest { for_ms: request.for_ms.or(Some(1_000)), ..request }, &workspace, "me", 10_000)
            .map_err(|failure| failure.message)
    }

    fn about(service: &str) -> AlertKey {
        AlertKey { rule: "unhealthy".to_owned(), subject: Subject::Service(ServiceName::read(service).expect("a name")) }
    }

    #[test]
    fn it_is_about_what_it_names_in_its_own_workspace() {
        let web = || SilenceRequest { service: Some("web-*".to_owned()), ..SilenceRequest::default() };
        let silence = record(web(), "acme").expect("a good one");
        assert!(silence.is_about(&about("acme.web-1"), Severity::Critical));
        for other in ["web-1", "other.web-1", "acme.db"] {
            assert!(!silence.is_about(&about(other), Severity::Critical), "{other}");
        }
        let mild = record(SilenceRequest { severity: Some(Severity::Warning), ..web() }, "default").expect("a good one");
        assert!(mild.is_about(&about("web-1"), Severity::Warning) && !mild.is_about(&about("web-1"), Severity::Critical));
        let all = record(SilenceRequest { rule: Some("*".to_owned()), ..SilenceRequest::default() }, "default").expect("a good one");
        assert!(all.is_about(&AlertKey { rule: "x".to_owned(), subject: Subject::Plugin("docker".to_owned()) }, Severity::Critical));
    }

    #[test]
    fn it_is_in_force_from_its_beginning_and_not_at_its_end() {
        let rule = Some("*".to_owned());
        let silence = record(SilenceRequest { rule, from: Some(Timestamp(20_000)), ..SilenceRequest::default() }, "default").expect("a good one");
        assert_eq!([19_999, 20_000, 20_999, 21_000].map(|now| silence.is_in_force(now)), [false, true, true, false]);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let check = |request: SilenceRequest, expected: &str| {
            let why = Record::read(request, &WorkspaceName::default(), "me", 10_000).expect_err("a bad one").message;
            assert!(why.contains(expected), "{why}");
        };
        let rule = || Some("*".to_owned());
        check(SilenceRequest { rule: rule(), ..SilenceRequest::default() }, "nothing says when it ends");
        check(SilenceRequest { rule: rule(), for_ms: Some(1), until: Some(Timestamp(20_000)), ..SilenceRequest::default() }, "both say");
        check(SilenceRequest { rule: rule(), until: Some(Timestamp(9_000)), ..SilenceRequest::default() }, "over before it begins");
        check(SilenceRequest { rule: rule(), for_ms: Some(u64::MAX), ..SilenceRequest::default() }, "longer than a year");
        check(SilenceRequest { for_ms: Some(1_000), ..SilenceRequest::default() }, "names neither");
        check(SilenceRequest { rule: Some(String::new()), for_ms: Some(1_000), ..SilenceRequest::default() }, "a pattern is empty");
    }
}
