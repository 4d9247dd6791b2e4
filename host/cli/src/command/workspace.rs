//! `hostler workspace`

use hostler_api::{
    Environment, NetworkPolicy, Quotas, Removed, Workspace, WorkspaceChange, WorkspaceDetail, WorkspaceList, WorkspaceRequest, WorkspaceSettings,
    routes,
};

use crate::client::Document;
use crate::context::Context;
use crate::error::{Error, usage};
use crate::out::{Cell, Colour, Table, local_zone, stamp};

/// Make, list, look at, change and remove workspaces.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Make one
    Create(Named),
    /// List those in which you have a role
    Ls,
    /// Show one: what it may have, and what it has
    Show(Name),
    /// Change one: only what is said
    Set(Named),
    /// Remove one
    Rm(Rm),
}

#[derive(Debug, clap::Args)]
struct Name {
    /// Its name
    #[arg(value_name = "NAME")]
    name: String,
}

#[derive(Debug, clap::Args)]
struct Rm {
    /// Its name
    #[arg(value_name = "NAME")]
    name: String,
    /// Stop and remove its services too
    #[arg(long)]
    force: bool,
}

#[derive(Debug, clap::Args)]
struct Named {
    /// Its name
    #[arg(value_name = "NAME")]
    name: String,
    /// The team it is of; an empty text is none
    #[arg(long, value_name = "TEAM")]
    team: Option<String>,
    /// A plugin of the host that its services may use, or `*` for any; may be given again, and then these are all
    #[arg(long = "plugin", value_name = "PLUGIN")]
    plugins: Option<Vec<String>>,
    /// How much there may be: services, replicas, cpu-millis, memory-bytes, checks-per-minute, plugins or events-per-second, and `none` for no limit
    #[arg(long = "quota", value_name = "WHAT=NUMBER", value_parser = quota)]
    quotas: Vec<(String, Option<u64>)>,
    /// Private addresses that its checks may reach, such as 10.1.0.0/16; may be given again
    #[arg(long = "allow", value_name = "ADDRESSES")]
    allow: Option<Vec<String>>,
    /// Addresses that its checks may not reach; may be given again
    #[arg(long = "deny", value_name = "ADDRESSES")]
    deny: Option<Vec<String>>,
    /// Ports that alone its checks may reach, such as 443 or 8000-8999; may be given again
    #[arg(long = "port", value_name = "PORTS")]
    ports: Option<Vec<String>>,
    /// May its services be containers?
    #[arg(long, value_name = "BOOL")]
    container_enabled: Option<bool>,
    /// Is what a platform finds deployed by itself?
    #[arg(long, value_name = "BOOL")]
    auto_deploy: Option<bool>,
    /// Where its images are; an empty text is nowhere
    #[arg(long, value_name = "URL")]
    registry_url: Option<String>,
    /// development, staging or production
    #[arg(long, value_name = "WHICH", value_parser = environment)]
    environment: Option<Environment>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    match args.what {
        What::Create(args) => create(args, context).await,
        What::Ls => list(context).await,
        What::Show(args) => {
            let document = context.client()?.get(&routes::of(routes::WORKSPACE, &args.name)).await?;
            show(&document, context)
        }
        What::Set(args) => set(args, context).await,
        What::Rm(args) => remove(&args, context).await,
    }
}

async fn create(args: Named, context: &Context) -> Result<(), Error> {
    let mut request = WorkspaceRequest { name: args.name.clone(), team: args.team.clone(), ..WorkspaceRequest::default() };
    request.plugins = args.plugins.clone().unwrap_or_default();
    args.write(&mut request.settings, &mut request.quotas, &mut request.network)?;
    let document = context.client()?.post(routes::WORKSPACES, &request).await?;
    show(&document, context)
}

async fn set(args: Named, context: &Context) -> Result<(), Error> {
    let client = context.client()?;
    let path = routes::of(routes::WORKSPACE, &args.name);
    let now: WorkspaceDetail = client.get(&path).await?.read()?;
    let before = now.workspace.clone();
    let Workspace { mut settings, mut quotas, mut network, .. } = now.workspace;
    args.write(&mut settings, &mut quotas, &mut network)?;
    let change = WorkspaceChange {
        team: args.team,
        plugins: args.plugins,
        settings: Some(settings).filter(|after| *after != before.settings),
        quotas: Some(quotas).filter(|after| *after != before.quotas),
        network: Some(network).filter(|after| *after != before.network),
    };
    let document = client.patch(&path, &change).await?;
    show(&document, context)
}

impl Named {
    /// What is said of it, over what was.
    fn write(&self, settings: &mut WorkspaceSettings, quotas: &mut Quotas, network: &mut NetworkPolicy) -> Result<(), Error> {
        settings.container_enabled = self.container_enabled.unwrap_or(settings.container_enabled);
        settings.auto_deploy = self.auto_deploy.unwrap_or(settings.auto_deploy);
        settings.environment = self.environment.unwrap_or(settings.environment);
        if let Some(url) = &self.registry_url {
            settings.registry_url = Some(url.clone()).filter(|url| !url.is_empty());
        }
        for (what, limit) in &self.quotas {
            let place =
                place(quotas, what).ok_or_else(|| usage(format!("there is no quota `{what}`")).hint(format!("there are {}", QUOTAS.join(", "))))?;
            *place = *limit;
        }
        for (said, list) in [(&self.allow, &mut network.allow), (&self.deny, &mut network.deny), (&self.ports, &mut network.ports)] {
            if let Some(said) = said {
                *list = said.iter().filter(|text| !text.is_empty()).cloned().collect();
            }
        }
        Ok(())
    }
}

const QUOTAS: [&str; 7] = ["services", "replicas", "cpu-millis", "memory-bytes", "checks-per-minute", "plugins", "events-per-second"];

fn place<'a>(quotas: &'a mut Quotas, what: &str) -> Option<&'a mut Option<u64>> {
    Some(match what {
        "services" => &mut quotas.services,
        "replicas" => &mut quotas.replicas,
        "cpu-millis" => &mut quotas.cpu_millis,
        "memory-bytes" => &mut quotas.memory_bytes,
        "checks-per-minute" => &mut quotas.checks_per_minute,
        "plugins" => &mut quotas.plugins,
        "events-per-second" => &mut quotas.events_per_second,
        _ => return None,
    })
}

async fn list(context: &Context) -> Result<(), Error> {
    let document = context.client()?.get(routes::WORKSPACES).await?;
    if context.out.json {
        return context.out.document(document.bytes());
    }
    let list: WorkspaceList = document.read()?;
    let zone = local_zone();
    let mut table = Table::new(&["NAME", "TEAM", "ROLE", "ENVIRONMENT", "SERVICES", "REPLICAS", "MADE", "BY"]);
    for workspace in &list.workspaces {
        table.row(vec![
            Cell::painted(&workspace.name, Colour::Bold),
            Cell::maybe(workspace.team.as_ref()),
            Cell::maybe(workspace.role.map(hostler_api::access::Role::as_str)),
            Cell::new(workspace.settings.environment.as_str()),
            Cell::new(beside(workspace.used.services, workspace.quotas.services)),
            Cell::new(beside(workspace.used.replicas, workspace.quotas.replicas)),
            Cell::maybe(workspace.created_at.map(|at| stamp(at, &zone))),
            Cell::maybe(workspace.created_by.as_ref()),
        ]);
    }
    context.out.table(&table)
}

fn show(document: &Document, context: &Context) -> Result<(), Error> {
    if context.out.json {
        return context.out.document(document.bytes());
    }
    let WorkspaceDetail { workspace, .. } = document.read()?;
    let Workspace { settings, quotas, used, network, .. } = &workspace;
    let list = |texts: &[String], none: &str| if texts.is_empty() { none.to_owned() } else { texts.join(", ") };
    let lines = [
        ("workspace", workspace.name.clone()),
        ("team", workspace.team.clone().unwrap_or_else(|| "-".to_owned())),
        ("your role", workspace.role.map_or("-", hostler_api::access::Role::as_str).to_owned()),
        ("plugins", list(&workspace.plugins, "none")),
        ("environment", settings.environment.as_str().to_owned()),
        ("containers", if settings.container_enabled { "yes" } else { "no" }.to_owned()),
        ("auto deploy", if settings.auto_deploy { "yes" } else { "no" }.to_owned()),
        ("registry", settings.registry_url.clone().unwrap_or_else(|| "-".to_owned())),
        ("services", beside(used.services, quotas.services)),
        ("replicas", beside(used.replicas, quotas.replicas)),
        ("cpu millis", beside(used.cpu_millis, quotas.cpu_millis)),
        ("memory bytes", beside(used.memory_bytes, quotas.memory_bytes)),
        ("checks per minute", beside(used.checks_per_minute, quotas.checks_per_minute)),
        ("plugins used", beside(used.plugins, quotas.plugins)),
        (
            "events per second",
            quotas.events_per_second.map_or("any".to_owned(), |limit| format!("at most {limit}, {} left out", used.events_left_out)),
        ),
        ("checks may reach", list(&network.allow, if workspace.name == "default" { "what their plugins may" } else { "public addresses only" })),
        ("and not", list(&network.deny, "-")),
        ("at ports", list(&network.ports, "any")),
    ];
    for (what, said) in lines {
        context.out.line(format!("{what:<18} {said}"))?;
    }
    Ok(())
}

/// What there is, beside what there may be.
fn beside(used: u64, limit: Option<u64>) -> String {
    limit.map_or_else(|| used.to_string(), |limit| format!("{used}/{limit}"))
}

async fn remove(args: &Rm, context: &Context) -> Result<(), Error> {
    let path = routes::with(&routes::of(routes::WORKSPACE, &args.name), &[("force", args.force.then(|| "true".to_owned()))]);
    let document = context.client()?.delete(&path).await?;
    if context.out.json {
        return context.out.document(document.bytes());
    }
    let removed: Removed = document.read()?;
    let services = if removed.services.is_empty() { String::new() } else { format!(", and its services go: {}", removed.services.join(", ")) };
    context.out.line(format!("workspace {} is removed{services}", removed.name))
}

fn quota(text: &str) -> Result<(String, Option<u64>), String> {
    let (what, limit) = text.split_once('=').ok_or_else(|| "write WHAT=NUMBER, such as services=10".to_owned())?;
    let limit = if limit == "none" { None } else { Some(limit.parse().map_err(|_| format!("`{limit}` is no number, and not `none`"))?) };
    Ok((what.to_owned(), limit))
}

fn environment(word: &str) -> Result<Environment, String> {
    let all = [Environment::Development, Environment::Staging, Environment::Production];
    all.into_iter().find(|one| one.as_str() == word).ok_or_else(|| "it is development, staging or production".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_quota_that_is_listed_has_its_place() {
        let mut quotas = Quotas::default();
        for (number, what) in (1..).zip(QUOTAS) {
            *place(&mut quotas, what).expect("it is listed") = Some(number);
        }
        let each = serde_json::to_value(quotas).expect("numbers");
        assert_eq!(each.as_object().map(serde_json::Map::len), Some(QUOTAS.len()));
        assert!(each.as_object().into_iter().flatten().all(|(_, limit)| limit.is_u64()));
        assert_eq!((quota("services=3"), quota("replicas=none")), (Ok(("services".to_owned(), Some(3))), Ok(("replicas".to_owned(), None))));
        assert!(quota("services").is_err() && quota("services=-1").is_err());
    }
}
