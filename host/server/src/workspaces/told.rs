//! Workspaces and teams in the words of the wire.

use std::collections::BTreeMap;

use hostler_api::access::Role;
use hostler_api::{Team, TeamMember};
use hostler_api::{Timestamp, Token, Workspace};
use hostler_core::WorkspaceName;

use super::change::workspaces_of;
use super::{Record, TeamRecord, Workspaces, quota};
use crate::desk::Desk;

/// Those in which somebody has a role, with what is used of each.
pub(crate) fn list(desk: &Desk, role: impl Fn(&str) -> Option<Role>) -> Vec<Workspace> {
    let all = desk.workspaces.each();
    all.iter().filter_map(|(name, record)| Some(told(desk, name, record, role(name.as_str())?))).collect()
}

/// One of them, while it is there.
pub(crate) fn one(desk: &Desk, name: &WorkspaceName, role: Role) -> Option<Workspace> {
    desk.workspaces.get(name.as_str()).map(|record| told(desk, name, &record, role))
}

fn told(desk: &Desk, name: &WorkspaceName, record: &Record, role: Role) -> Workspace {
    Workspace {
        name: name.to_string(),
        created_at: record.created_at.map(Timestamp),
        created_by: record.created_by.clone(),
        team: record.team.clone(),
        role: Some(role),
        plugins: record.plugins.clone(),
        settings: record.settings.clone(),
        quotas: record.quotas,
        used: quota::used(desk, name.as_str()),
        network: record.network.clone(),
    }
}

/// Every team that passes, with the names of its members' tokens.
pub(crate) fn teams(all: &Workspaces, tokens: &[Token], sees: impl Fn(&TeamRecord) -> bool) -> Vec<Team> {
    let names: BTreeMap<&str, &str> = tokens.iter().map(|token| (token.id.as_str(), token.name.as_str())).collect();
    all.teams().iter().filter(|(_, record)| sees(record)).map(|(name, record)| one_team(all, name, record, &names)).collect()
}

/// One of them, if it passes.
pub(crate) fn team(all: &Workspaces, tokens: &[Token], name: &str, sees: impl Fn(&TeamRecord) -> bool) -> Option<Team> {
    let names = tokens.iter().map(|token| (token.id.as_str(), token.name.as_str())).collect();
    let record = all.team(name).filter(|record| sees(record))?;
    Some(one_team(all, name, &record, &names))
}

fn one_team(all: &Workspaces, name: &str, record: &TeamRecord, names: &BTreeMap<&str, &str>) -> Team {
    let member = |(token, role): (&String, &Role)| TeamMember {
        token: token.clone(),
        name: names.get(token.as_str()).map(|name| (*name).to_owned()),
        role: *role,
    };
    Team {
        name: name.to_owned(),
        created_at: Timestamp(record.created_at),
        created_by: record.created_by.clone(),
        members: record.members.iter().map(member).collect(),
        workspaces: workspaces_of(all, name),
    }
}
