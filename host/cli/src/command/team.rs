//! `hostler team`

use std::collections::BTreeMap;

use hostler_api::access::Role;
use hostler_api::{Removed, Team, TeamDetail, TeamList, TeamMembers, TeamRequest, routes};

use crate::client::Document;
use crate::context::Context;
use crate::error::Error;
use crate::out::{Cell, Colour, Table};

/// Make, list, look at, change and remove teams: who has which role in whose workspaces.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Make one
    Create(Named),
    /// List those that you are in
    Ls,
    /// Show one
    Show(Name),
    /// Say anew who is in it
    Set(Named),
    /// Remove one that has no workspace
    Rm(Name),
}

#[derive(Debug, clap::Args)]
struct Name {
    /// Its name
    #[arg(value_name = "NAME")]
    name: String,
}

#[derive(Debug, clap::Args)]
struct Named {
    /// Its name
    #[arg(value_name = "NAME")]
    name: String,
    /// A token, by name or id, and its role in the team's workspaces; may be given again
    #[arg(long = "member", value_name = "TOKEN=ROLE", value_parser = member)]
    members: Vec<(String, Role)>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    let client = context.client()?;
    match args.what {
        What::Create(Named { name, members }) => {
            let request = TeamRequest { name, members: members.into_iter().collect() };
            show(&client.post(routes::TEAMS, &request).await?, context)
        }
        What::Ls => list(&client.get(routes::TEAMS).await?, context),
        What::Show(Name { name }) => show(&client.get(&routes::of(routes::TEAM, &name)).await?, context),
        What::Set(Named { name, members }) => {
            let members: BTreeMap<String, Role> = members.into_iter().collect();
            show(&client.put(&routes::of(routes::TEAM, &name), &TeamMembers { members }).await?, context)
        }
        What::Rm(Name { name }) => {
            let document = client.delete(&routes::of(routes::TEAM, &name)).await?;
            if context.out.json {
                return context.out.document(document.bytes());
            }
            let removed: Removed = document.read()?;
            context.out.line(format!("team {} is removed", removed.name))
        }
    }
}

fn list(document: &Document, context: &Context) -> Result<(), Error> {
    if context.out.json {
        return context.out.document(document.bytes());
    }
    let list: TeamList = document.read()?;
    if list.teams.is_empty() {
        return context.out.line("there are no teams; `hostler team create NAME --member TOKEN=ROLE` makes one");
    }
    let mut table = Table::new(&["NAME", "WORKSPACES", "MEMBERS"]);
    for team in &list.teams {
        let members: Vec<String> = members(team).collect();
        table.row(vec![Cell::painted(&team.name, Colour::Bold), Cell::new(team.workspaces.join(", ")), Cell::new(members.join(", "))]);
    }
    context.out.table(&table)
}

fn show(document: &Document, context: &Context) -> Result<(), Error> {
    if context.out.json {
        return context.out.document(document.bytes());
    }
    let TeamDetail { team, .. } = document.read()?;
    let workspaces = if team.workspaces.is_empty() { "-".to_owned() } else { team.workspaces.join(", ") };
    context.out.line(format!("team        {}", team.name))?;
    context.out.line(format!("workspaces  {workspaces}"))?;
    for member in members(&team) {
        context.out.line(format!("member      {member}"))?;
    }
    Ok(())
}

fn members(team: &Team) -> impl Iterator<Item = String> {
    team.members.iter().map(|member| format!("{} ({})", member.name.as_ref().unwrap_or(&member.token), member.role.as_str()))
}

fn member(text: &str) -> Result<(String, Role), String> {
    let (token, role) = text.rsplit_once('=').ok_or_else(|| "write TOKEN=ROLE, such as ann=operator".to_owned())?;
    let role = Role::parse(role).ok_or_else(|| "the role is viewer, operator or admin".to_owned())?;
    Ok((token.to_owned(), role))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_members_name_may_have_any_sign_in_it() {
        assert_eq!(member("a=b=viewer"), Ok(("a=b".to_owned(), Role::Viewer)));
        assert!(member("ann").is_err() && member("ann=root").is_err());
    }
}
