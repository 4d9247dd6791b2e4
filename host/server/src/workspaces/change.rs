//! What becomes of workspaces and teams, in the loop: a workspace that is removed has no services, and one that is made has no leftovers.

use hostler_api::{Code, Failure, WorkspaceChange};
use hostler_core::{Event, ServiceName, WorkspaceName};
use hostler_store::Txn;

use super::{MOST, Record, TEAMS, TeamRecord, WORKSPACES, Workspaces};
use crate::clock;
use crate::desk::Desk;
use crate::drive::Driver;
use crate::ledger;

/// What is asked of workspaces and teams.
pub(crate) enum Estate {
    Make {
        name: WorkspaceName,
        record: Record,
    },
    Alter {
        name: WorkspaceName,
        change: WorkspaceChange,
    },
    Close {
        name: WorkspaceName,
        force: bool,
    },
    MakeTeam {
        name: String,
        record: TeamRecord,
    },
    /// Its members from now on.
    SetTeam {
        name: String,
        record: TeamRecord,
    },
    CloseTeam {
        name: String,
    },
}

impl Driver {
    /// Carries it out; the services that go with it.
    pub(crate) async fn settle_estate(&mut self, asked: Estate) -> Result<Vec<ServiceName>, Failure> {
        self.refuse_when_closing()?;
        match asked {
            Estate::Make { name, record } => self.make_workspace(name, record).await.map(|()| Vec::new()),
            Estate::Alter { name, change } => self.alter_workspace(name, change).await.map(|()| Vec::new()),
            Estate::Close { name, force } => self.close_workspace(name, force).await,
            Estate::MakeTeam { name, record } => {
                let all = &self.desk.workspaces;
                if all.team(&name).is_some() {
                    return Err(Failure::new(Code::Conflict, format!("there is a team `{name}` already")).hint("take another name"));
                }
                if all.teams().len() >= MOST {
                    return Err(too_many("teams"));
                }
                self.put_team(name, record).await
            }
            Estate::SetTeam { name, record } => {
                let before = self.desk.workspaces.team(&name).ok_or_else(|| no_team(&name))?;
                let record = TeamRecord { created_at: before.created_at, created_by: before.created_by.clone(), ..record };
                self.put_team(name, record).await
            }
            Estate::CloseTeam { name } => self.close_team(name).await,
        }
    }

    async fn make_workspace(&mut self, name: WorkspaceName, record: Record) -> Result<(), Failure> {
        let all = &self.desk.workspaces;
        if all.get(name.as_str()).is_some() {
            return Err(Failure::new(Code::Conflict, format!("there is a workspace `{name}` already")).hint("take another name"));
        }
        if all.each().len() >= MOST {
            return Err(too_many("workspaces"));
        }
        // Whoever comes next is not to see them.
        if let Some(left) = services(&self.desk, &name).first() {
            let failure = Failure::new(
                Code::Conflict,
                format!("a workspace `{name}` was removed, and its service `{}` is still on its way down", left.local()),
            );
            return Err(failure.hint("wait until it is gone, and ask again"));
        }
        let record = Record { after: self.desk.last_event, ..record };
        // What ended only after its workspace, such as an alert, goes now.
        let txn = self.without_what_is_of(&name, self.new_generation());
        self.put_workspace(name.clone(), record, txn).await?;
        self.forget_what_is_of(&name);
        Ok(())
    }

    async fn alter_workspace(&mut self, name: WorkspaceName, change: WorkspaceChange) -> Result<(), Failure> {
        let before = self.desk.workspaces.get(name.as_str()).ok_or_else(|| no_workspace(&name))?;
        let WorkspaceChange { team, plugins, settings, quotas, network } = change;
        let record = Record {
            team: team.map_or_else(|| before.team.clone(), |team| Some(team).filter(|team| !team.is_empty())),
            plugins: plugins.unwrap_or_else(|| before.plugins.clone()),
            settings: settings.unwrap_or_else(|| before.settings.clone()),
            quotas: quotas.unwrap_or(before.quotas),
            network: network.unwrap_or_else(|| before.network.clone()),
            ..(*before).clone()
        };
        let txn = self.new_generation();
        self.put_workspace(name, record, txn).await
    }

    async fn put_workspace(&mut self, name: WorkspaceName, record: Record, txn: Txn) -> Result<(), Failure> {
        record.doubt()?;
        record.rules(name.as_str())?;
        if let Some(team) = record.team.as_ref().filter(|team| self.desk.workspaces.team(team).is_none()) {
            return Err(no_team(team));
        }
        self.commit_request(txn.put(format!("{WORKSPACES}{name}"), ledger::to_json(&record))).await?;
        self.desk.workspaces.put(name, Some(record));
        Ok(())
    }

    /// What it has goes with it, in order; nobody can ask for it any more.
    async fn close_workspace(&mut self, name: WorkspaceName, force: bool) -> Result<Vec<ServiceName>, Failure> {
        if name.is_default() {
            return Err(Failure::new(Code::Conflict, "the workspace `default` is the host's own, and stays"));
        }
        if self.desk.workspaces.get(name.as_str()).is_none() {
            return Err(no_workspace(&name));
        }
        let wanted = |service: &ServiceName| service.workspace() == name.as_str() && self.desk.core.wanted(service.as_str()).is_some();
        let order: Vec<ServiceName> = self.desk.core.graph().start_order().into_iter().rev().filter(wanted).collect();
        if !order.is_empty() && !force {
            let failure = Failure::new(Code::Conflict, format!("workspace `{name}` has {} services", order.len()));
            return Err(failure.hint("remove them first, or ask with `force`: then they are stopped and removed with it"));
        }
        let txn = order.iter().fold(self.new_generation(), |txn, service| txn.delete(ledger::wanted_key(service)));
        let txn = self.without_what_is_of(&name, txn);
        self.commit_request(txn.delete(format!("{WORKSPACES}{name}"))).await?;
        self.forget_what_is_of(&name);
        self.desk.event_rates.forget(name.as_str());
        self.desk.check_rates.forget(name.as_str());
        self.desk.workspaces.put(name, None);
        let gone = order.iter().map(|service| (service.clone(), None)).collect();
        self.desk.core.handle(clock::now(), Event::Wanted(gone));
        for service in &order {
            self.desk.written.remove(service);
            self.desk.origins.remove(service);
        }
        Ok(order)
    }

    /// Takes out what bears its name and is no service: whoever is called the same later is to have none of it. Nothing of it is written any more
    /// once there is no such workspace (`Driver::refuse_gone`).
    fn without_what_is_of(&self, name: &WorkspaceName, txn: Txn) -> Txn {
        self.desk.alerting.without(name, self.desk.operations.without(name, txn))
    }

    /// What was taken out is known no more; what of it is under way stops.
    fn forget_what_is_of(&self, name: &WorkspaceName) {
        self.desk.operations.forget(name);
        self.desk.alerting.forget_workspace(name);
    }

    async fn put_team(&mut self, name: String, record: TeamRecord) -> Result<Vec<ServiceName>, Failure> {
        record.doubt()?;
        let txn = self.new_generation().put(format!("{TEAMS}{name}"), ledger::to_json(&record));
        self.commit_request(txn).await?;
        self.desk.workspaces.put_team(name, Some(record));
        Ok(Vec::new())
    }

    async fn close_team(&mut self, name: String) -> Result<Vec<ServiceName>, Failure> {
        if self.desk.workspaces.team(&name).is_none() {
            return Err(no_team(&name));
        }
        if let Some(workspace) = workspaces_of(&self.desk.workspaces, &name).first() {
            let failure = Failure::new(Code::Conflict, format!("team `{name}` has the workspace `{workspace}`"));
            return Err(failure.hint("give that to another team first, or to none"));
        }
        let txn = self.new_generation().delete(format!("{TEAMS}{name}"));
        self.commit_request(txn).await?;
        self.desk.workspaces.put_team(name, None);
        Ok(Vec::new())
    }
}

/// What there is of a workspace, wanted or not.
fn services(desk: &Desk, workspace: &WorkspaceName) -> Vec<ServiceName> {
    desk.core.names().filter(|name| name.workspace() == workspace.as_str()).cloned().collect()
}

/// The workspaces of a team.
pub(super) fn workspaces_of(all: &Workspaces, team: &str) -> Vec<String> {
    all.each().iter().filter(|(_, record)| record.team.as_deref() == Some(team)).map(|(name, _)| name.to_string()).collect()
}

fn no_workspace(name: &WorkspaceName) -> Failure {
    Failure::new(Code::NotFound, format!("there is no workspace `{name}`")).hint("`hostler workspace ls` shows every one")
}

pub(crate) fn no_team(name: &str) -> Failure {
    Failure::new(Code::NotFound, format!("there is no team `{}`", name.escape_default())).hint("`hostler team ls` shows every one")
}

fn too_many(what: &str) -> Failure {
    Failure::new(Code::Conflict, format!("there are {MOST} {what}, and no more are kept")).hint("remove one that nobody uses")
}
