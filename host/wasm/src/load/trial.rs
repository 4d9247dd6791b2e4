//! The trial: one instance, every function's shape, `describe`, and the operator's configuration.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::{LoadError, read_schema};
use crate::bindings::exports::hostler::plugin as export;
use crate::call::Call;
use crate::capability::Extras;
use crate::error::Failure;
use crate::function::Function;
use crate::plugin::Plugin;
use crate::role::honest;
use crate::scope::Scope;
use crate::words::{Ability, Description, Role};

const DEADLINE: Duration = Duration::from_secs(10);

/// Without a configuration, none is checked.
pub(super) async fn run(plugin: &mut Plugin, config: Option<&Value>) -> Result<(), LoadError> {
    check_shapes(plugin).await?;
    let described = describe(plugin).await?;
    let name = plugin.name().to_owned();
    let config_schema = read_schema(&name, "config-schema", &described.config)?;
    let which = if plugin.role() == Role::Backend { "task-schema" } else { "check-schema" };
    let settings_schema = read_schema(&name, which, &described.settings)?;
    let problems = config.map(|config| config_schema.problems(config)).unwrap_or_default();
    if !problems.is_empty() {
        return Err(LoadError::Config { name, problems });
    }
    plugin.description = Some(Description {
        name: described.name,
        version: described.version,
        summary: described.summary,
        config_schema: config_schema.document().clone(),
        settings_schema: settings_schema.document().clone(),
        handle_versions: described.handle_versions,
        needs: described.needs,
    });
    plugin.settings = Some(settings_schema);
    Ok(())
}

/// wasmtime compares shapes only with an instance at hand: link time knows names alone.
async fn check_shapes(plugin: &Plugin) -> Result<(), LoadError> {
    let trial = |why: String| LoadError::Trial { name: plugin.name().to_owned(), why };
    let until = Instant::now() + DEADLINE;
    let describing = describing(plugin.role());
    let call = Call::within(DEADLINE);
    let scope = Scope::new(&plugin.identity, describing, &call, until, plugin.limits.log_lines, plugin.tap());
    let _slots = plugin.slots(describing, &call, until).await.map_err(|why| trial(why.to_string()))?;
    let checking = async {
        let _running = plugin.runtime.engine.running();
        let mut store = plugin.store(&scope, Extras::default());
        let instance = plugin.pre.instantiate_async(&mut store).await?;
        let pre = &plugin.pre;
        match plugin.role() {
            Role::Backend => export::backend::GuestIndices::new(pre)?.load(&mut store, &instance).map(|_| ())?,
            Role::HealthCheck => export::health_check::GuestIndices::new(pre)?.load(&mut store, &instance).map(|_| ())?,
        }
        for ability in &plugin.abilities {
            match ability {
                Ability::Logs => export::logs::GuestIndices::new(pre)?.load(&mut store, &instance).map(|_| ())?,
                Ability::Stats => export::stats::GuestIndices::new(pre)?.load(&mut store, &instance).map(|_| ())?,
                Ability::Exec => export::exec::GuestIndices::new(pre)?.load(&mut store, &instance).map(|_| ())?,
                Ability::Signals => export::signals::GuestIndices::new(pre)?.load(&mut store, &instance).map(|_| ())?,
                Ability::Scale => export::scale::GuestIndices::new(pre)?.load(&mut store, &instance).map(|_| ())?,
                Ability::Update => export::update::GuestIndices::new(pre)?.load(&mut store, &instance).map(|_| ())?,
                Ability::Handles => export::handles::GuestIndices::new(pre)?.load(&mut store, &instance).map(|_| ())?,
                Ability::Discovery => export::discovery::GuestIndices::new(pre)?.load(&mut store, &instance).map(|_| ())?,
            }
        }
        Ok::<(), wasmtime::Error>(())
    };
    match tokio::time::timeout_at(until, checking).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(trial(format!("{error:#}"))),
        Err(_) => Err(trial(format!("no instance after {DEADLINE:?}"))),
    }
}

fn describing(role: Role) -> Function {
    match role {
        Role::Backend => Function::BackendDescribe,
        Role::HealthCheck => Function::CheckDescribe,
    }
}

/// What both roles say, their schemas still text.
struct Described {
    name: String,
    version: String,
    summary: String,
    config: String,
    settings: String,
    handle_versions: Vec<u32>,
    needs: Vec<(String, String)>,
}

async fn describe(plugin: &Plugin) -> Result<Described, LoadError> {
    let function = describing(plugin.role());
    let call = Call::within(DEADLINE);
    let described = match plugin.role() {
        Role::Backend => {
            let (said,): (export::backend::Description,) = plugin.call(function, call, Extras::default(), ()).await?;
            Described {
                name: said.name,
                version: said.version,
                summary: said.summary,
                config: said.config_schema,
                settings: said.task_schema,
                handle_versions: said.handle_versions,
                needs: said.needs,
            }
        }
        Role::HealthCheck => {
            let (said,): (export::health_check::Description,) = plugin.call(function, call, Extras::default(), ()).await?;
            Described {
                name: said.name,
                version: said.version,
                summary: said.summary,
                config: said.config_schema,
                settings: said.check_schema,
                handle_versions: Vec::new(),
                needs: said.needs,
            }
        }
    };
    let texts = [described.name.as_str(), &described.version, &described.summary];
    honest::description(&texts, &described.handle_versions, &described.needs).map_err(|lie| plugin.error(function, Failure::Malformed(lie)))?;
    Ok(described)
}
