//! `hostler token`

use hostler_api::access::{Role, is_workspace_name};
use hostler_api::{NewToken, RevokedToken, Token, TokenList, TokenRequest, routes};
use hostler_core::Span;

use crate::context::Context;
use crate::error::{Error, usage};
use crate::out::{Cell, Colour, Table, local_zone, note, stamp};

/// Make, list and take back tokens for callers over TCP.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Make one, and print it: it is told this once
    Create(Create),
    /// List them, without their secrets
    Ls,
    /// Take one back, at once
    Revoke(Revoke),
}

#[derive(Debug, clap::Args)]
struct Create {
    /// What people call it
    #[arg(value_name = "NAME")]
    name: String,
    /// viewer, operator or admin
    #[arg(long, value_name = "ROLE", value_parser = role)]
    role: Role,
    /// Only in this workspace; may be given again [default: on the host, and so in every workspace]
    #[arg(long, value_name = "WORKSPACE")]
    workspace: Vec<String>,
    /// How long it is good: 12h, 30d [default: for ever]
    #[arg(long, value_name = "TIME", value_parser = life)]
    expires: Option<Span>,
}

#[derive(Debug, clap::Args)]
struct Revoke {
    /// Its id or its name
    #[arg(value_name = "ID")]
    id: String,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    match args.what {
        What::Create(args) => create(args, context).await,
        What::Ls => list(context).await,
        What::Revoke(args) => revoke(&args.id, context).await,
    }
}

async fn create(args: Create, context: &Context) -> Result<(), Error> {
    if let Some(odd) = args.workspace.iter().find(|name| !is_workspace_name(name)) {
        return Err(usage(format!("`{odd}` is no name of a workspace: it is [a-z0-9-], 1 to 32 bytes")).into());
    }
    let on_host = args.workspace.is_empty().then_some(args.role);
    let workspaces = args.workspace.into_iter().map(|name| (name, args.role)).collect();
    let request = TokenRequest { name: args.name, role: on_host, workspaces, expires_in_ms: args.expires.map(|span| span.0) };
    let document = context.client()?.post(routes::TOKENS, &request).await?;
    if context.out.json {
        return context.out.document(document.bytes());
    }
    let made: NewToken = document.read()?;
    // The token alone, so that it can go into a file.
    context.out.line(made.secret.reveal())?;
    note(&format!("token {} `{}`: {}; it is shown only now", made.token.id, made.token.name, roles(&made.token)));
    Ok(())
}

async fn list(context: &Context) -> Result<(), Error> {
    let document = context.client()?.get(routes::TOKENS).await?;
    if context.out.json {
        return context.out.document(document.bytes());
    }
    let list: TokenList = document.read()?;
    if list.tokens.is_empty() {
        return context.out.line("there are no tokens; `hostler token create NAME --role ROLE` makes one");
    }
    let zone = local_zone();
    let mut table = Table::new(&["ID", "NAME", "ROLE", "MADE", "BY", "EXPIRES", "LAST USED", "STATE"]);
    for token in &list.tokens {
        let state = match (token.usable, token.revoked_at) {
            (true, _) => Cell::painted("good", Colour::Green),
            (false, Some(_)) => Cell::painted("revoked", Colour::Dim),
            (false, None) => Cell::painted("expired", Colour::Dim),
        };
        table.row(vec![
            Cell::painted(&token.id, Colour::Bold),
            Cell::new(&token.name),
            Cell::new(roles(token)),
            Cell::new(stamp(token.created_at, &zone)),
            Cell::new(&token.created_by),
            Cell::maybe(token.expires_at.map(|at| stamp(at, &zone))),
            Cell::maybe(token.last_used_at.map(|at| stamp(at, &zone))),
            state,
        ]);
    }
    context.out.table(&table)
}

async fn revoke(named: &str, context: &Context) -> Result<(), Error> {
    let client = context.client()?;
    let list: TokenList = client.get(routes::TOKENS).await?.read()?;
    let good = |token: &&Token| token.usable && token.name == named;
    let id = match list.tokens.iter().find(|token| token.id == named).or_else(|| list.tokens.iter().find(good)) {
        Some(token) => token.id.clone(),
        // The host says that there is none.
        None => named.to_owned(),
    };
    let document = client.delete(&routes::of(routes::TOKEN, &id)).await?;
    if context.out.json {
        return context.out.document(document.bytes());
    }
    let revoked: RevokedToken = document.read()?;
    context.out.line(format!("token {} `{}` is good for nothing any more", revoked.token.id, revoked.token.name))
}

fn roles(token: &Token) -> String {
    let on_host = token.role.map(|role| format!("{} of the host", role.as_str()));
    let in_workspaces = token.workspaces.iter().map(|(name, role)| format!("{} of {name}", role.as_str()));
    on_host.into_iter().chain(in_workspaces).collect::<Vec<_>>().join(", ")
}

fn role(word: &str) -> Result<Role, String> {
    Role::parse(word).ok_or_else(|| "it is viewer, operator or admin".to_owned())
}

/// As everywhere, and in days.
fn life(text: &str) -> Result<Span, String> {
    match text.strip_suffix('d').map(str::parse::<u64>) {
        Some(Ok(days)) => Ok(Span::secs(days.saturating_mul(86_400))),
        _ => Span::parse(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_is_written_in_days_too() {
        assert_eq!(life("30d"), Ok(Span::secs(30 * 86_400)));
        assert_eq!(life("12h"), Ok(Span::secs(12 * 3_600)));
        assert!(life("d").is_err() && life("soon").is_err() && life("-1d").is_err());
    }
}
