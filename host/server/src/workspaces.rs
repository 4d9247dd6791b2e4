//! Workspaces and teams: whose services are whose, who may do what there, and how much of the host is theirs.
//!
//! The loop alone changes them (`change`), so that nothing happens between a doubt and what follows from it; everybody else reads the book here.
//! A service says by its name which workspace it is of; what a workspace is stands under `workspaces/NAME`, what a team is under `teams/NAME`.

mod change;
mod doubt;
mod quota;
mod record;
mod told;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use hostler_api::access::Role;
use hostler_core::WorkspaceName;
use hostler_store::Store;
use hostler_wasm::{NetworkPolicies, NetworkRules};
use tokio::sync::watch;

use crate::HostError;
use crate::ledger::{self, LedgerError};

pub(crate) use change::{Estate, no_team};
pub(crate) use doubt::doubt_document;
pub(crate) use quota::{CheckRates, EventRates};
pub(crate) use record::{Record, TeamRecord};
pub(crate) use told::{list, one, team, teams};

/// Where workspaces stand in the books.
const WORKSPACES: &str = "workspaces/";
/// Where teams do.
const TEAMS: &str = "teams/";
/// The most of either.
const MOST: usize = 1_000;

/// A token's role in each workspace that a team gives it one in.
pub(crate) type Rights = BTreeMap<String, Role>;

/// All workspaces and teams.
#[derive(Debug)]
pub(crate) struct Workspaces {
    book: RwLock<Book>,
    /// Counts the times that somebody's rights became fewer.
    losses: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Book {
    workspaces: BTreeMap<WorkspaceName, Arc<Record>>,
    teams: BTreeMap<String, Arc<TeamRecord>>,
    /// What the checks of each may reach; it follows from the first. Nothing of one is what their plugins are granted.
    rules: BTreeMap<String, Option<Arc<NetworkRules>>>,
    /// By the id of a token; it follows from the first two.
    rights: BTreeMap<String, Rights>,
    /// When a token's rights last became fewer.
    lost: BTreeMap<String, u64>,
}

impl Workspaces {
    /// Those that the store knows. `default` is there even if it does not know it.
    pub(crate) fn recall(store: &dyn Store) -> Result<Workspaces, HostError> {
        let mut book = Book::default();
        book.workspaces.insert(WorkspaceName::default(), Arc::new(Record::of_the_host()));
        let read: Result<(), LedgerError> = ledger::each(store, WORKSPACES, |name, record: Record| {
            let name = WorkspaceName::new(name).map_err(|_| "its key is no name of a workspace")?;
            book.workspaces.insert(name, Arc::new(record));
            Ok(())
        });
        read?;
        let read: Result<(), LedgerError> = ledger::each(store, TEAMS, |name, record: TeamRecord| {
            book.teams.insert(name.to_owned(), Arc::new(record));
            Ok(())
        });
        read?;
        book.rights = book.follows();
        book.rules = book.reach();
        Ok(Workspaces { book: RwLock::new(book), losses: watch::Sender::new(0) })
    }

    /// One of them.
    pub(crate) fn get(&self, name: &str) -> Option<Arc<Record>> {
        self.book().workspaces.get(name).cloned()
    }

    /// Each, by name.
    pub(crate) fn each(&self) -> Vec<(WorkspaceName, Arc<Record>)> {
        self.book().workspaces.iter().map(|(name, record)| (name.clone(), Arc::clone(record))).collect()
    }

    /// One of the teams.
    pub(crate) fn team(&self, name: &str) -> Option<Arc<TeamRecord>> {
        self.book().teams.get(name).cloned()
    }

    /// Each of them, by name.
    pub(crate) fn teams(&self) -> Vec<(String, Arc<TeamRecord>)> {
        self.book().teams.iter().map(|(name, record)| (name.clone(), Arc::clone(record))).collect()
    }

    /// What the teams of a token give it.
    pub(crate) fn rights(&self, token: &str) -> Rights {
        self.book().rights.get(token).cloned().unwrap_or_default()
    }

    /// How often rights became fewer so far: what was known before may not hold any more.
    pub(crate) fn losses(&self) -> u64 {
        *self.losses.borrow()
    }

    /// Changes whenever somebody's rights became fewer.
    pub(crate) fn watch_losses(&self) -> watch::Receiver<u64> {
        self.losses.subscribe()
    }

    /// Has this token lost a right since then?
    pub(crate) fn has_lost(&self, token: &str, since: u64) -> bool {
        self.book().lost.get(token).is_some_and(|at| *at > since)
    }

    /// These tokens have fewer rights than they had.
    pub(crate) fn lose(&self, tokens: Vec<String>) {
        if tokens.is_empty() {
            return;
        }
        let now = self.losses() + 1;
        let mut book = self.book.write().unwrap_or_else(PoisonError::into_inner);
        book.lost.extend(tokens.into_iter().map(|token| (token, now)));
        drop(book);
        self.losses.send_replace(now);
    }

    /// What was committed is known from now on.
    fn put(&self, name: WorkspaceName, record: Option<Record>) {
        self.change(|book| match record {
            Some(record) => drop(book.workspaces.insert(name, Arc::new(record))),
            None => drop(book.workspaces.remove(&name)),
        });
    }

    fn put_team(&self, name: String, record: Option<TeamRecord>) {
        self.change(|book| match record {
            Some(record) => drop(book.teams.insert(name, Arc::new(record))),
            None => drop(book.teams.remove(&name)),
        });
    }

    fn change(&self, change: impl FnOnce(&mut Book)) {
        let mut book = self.book.write().unwrap_or_else(PoisonError::into_inner);
        change(&mut book);
        let (after, rules) = (book.follows(), book.reach());
        book.rules = rules;
        let before = std::mem::replace(&mut book.rights, after);
        let fewer = |(token, rights): &(&String, &Rights)| {
            let now = book.rights.get(*token);
            rights.iter().any(|(workspace, role)| now.and_then(|now| now.get(workspace)) < Some(role))
        };
        let lost: Vec<String> = before.iter().filter(fewer).map(|(token, _)| token.clone()).collect();
        drop(book);
        self.lose(lost);
    }

    fn book(&self) -> RwLockReadGuard<'_, Book> {
        self.book.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of a workspace that is not there, calls that are still under way reach what is public.
impl NetworkPolicies for Workspaces {
    fn rules(&self, workspace: &str) -> Option<Arc<NetworkRules>> {
        self.book().rules.get(workspace).cloned().unwrap_or_else(|| Some(Arc::new(NetworkRules::strict())))
    }
}

impl Book {
    fn reach(&self) -> BTreeMap<String, Option<Arc<NetworkRules>>> {
        // What an earlier version of the host took and this one does not is no reason to reach more.
        let rules = |name: &WorkspaceName, record: &Record| record.rules(name.as_str()).unwrap_or_else(|_| Some(NetworkRules::strict()));
        self.workspaces.iter().map(|(name, record)| (name.to_string(), rules(name, record).map(Arc::new))).collect()
    }

    fn follows(&self) -> BTreeMap<String, Rights> {
        let mut rights: BTreeMap<String, Rights> = BTreeMap::new();
        for (workspace, record) in &self.workspaces {
            let Some(team) = record.team.as_ref().and_then(|team| self.teams.get(team)) else { continue };
            for (token, role) in &team.members {
                rights.entry(token.clone()).or_default().insert(workspace.to_string(), *role);
            }
        }
        rights
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_leaves_a_team_has_lost_something_and_who_joins_has_not() {
        let all = Workspaces::recall(&hostler_store::Memory::new()).expect("an empty store is good");
        let acme = WorkspaceName::new("acme").expect("a name");
        let team = |members: &[(&str, Role)]| TeamRecord {
            created_at: 0,
            created_by: String::new(),
            members: members.iter().map(|(token, role)| ((*token).to_owned(), *role)).collect(),
        };
        all.put_team("ours".to_owned(), Some(team(&[("a", Role::Admin), ("b", Role::Viewer)])));
        all.put(acme.clone(), Some(Record { team: Some("ours".to_owned()), ..Record::of_the_host() }));
        assert_eq!((all.rights("a").get("acme"), all.rights("c").get("acme")), (Some(&Role::Admin), None));
        assert_eq!(all.losses(), 0);
        all.put_team("ours".to_owned(), Some(team(&[("a", Role::Operator), ("c", Role::Viewer)])));
        assert!(all.has_lost("a", 0) && all.has_lost("b", 0) && !all.has_lost("c", 0));
        let since = all.losses();
        assert!(!all.has_lost("a", since));
        all.put(acme, None);
        assert!(all.has_lost("a", since) && all.has_lost("c", since) && !all.has_lost("b", since));
        assert!(all.rights("a").is_empty() && all.get("default").is_some());
    }
}
