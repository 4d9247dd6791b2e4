//! What a plugin may call. Each capability has a file and three moments:
//!
//! - **link**: its functions enter the linker of a plugin that was granted it, and of no other;
//! - **settle**: the operator's grant is read once per load: patterns compiled, names of programs resolved;
//! - **build**: each call gets its own small value, which knows the call's deadline and reports refusals.

use std::sync::Arc;

use wasmtime::component::{Linker, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::call::Budget;
use crate::grant::Grants;
use crate::hooks::{StateStore, TaskExec};
use crate::runtime::Shared;
use crate::scope::Scope;

pub(crate) mod commands;
pub(crate) mod containers;
mod context;
mod filesystem;
pub(crate) mod http;
mod log;
pub(crate) mod processes;
mod secrets;
mod sockets;
mod state;
mod task_exec;
mod wasi;

/// Every capability of one plugin, its grant read. What is absent was not granted.
pub(crate) struct Capabilities {
    processes: Option<Arc<processes::Settled>>,
    commands: Option<Arc<commands::Settled>>,
    containers: Option<Arc<containers::Settled>>,
    http: Option<Arc<http::Settled>>,
    sockets: Option<Arc<sockets::Settled>>,
    filesystem: Option<Arc<filesystem::Settled>>,
    state: Option<Arc<state::Settled>>,
    secrets: Option<Arc<secrets::Settled>>,
    reveals: Option<Arc<secrets::Settled>>,
    task_exec: bool,
}

/// What a single call brings along.
#[derive(Default)]
pub(crate) struct Extras {
    /// How a check reaches into its task.
    pub(crate) task_exec: Option<Arc<dyn TaskExec>>,
}

/// The data of one call's store.
pub(crate) struct CallState {
    pub(crate) budget: Budget,
    scope: Scope,
    table: ResourceTable,
    /// Made when the guest first asks for anything of WASI; most guests never do.
    wasi: Option<WasiCtx>,
    http_ctx: WasiHttpCtx,
    log: log::Log,
    context: context::Context,
    processes: Option<processes::Processes>,
    commands: Option<commands::Commands>,
    containers: Option<containers::Containers>,
    http: http::Http,
    sockets: Option<Arc<sockets::Settled>>,
    files: filesystem::Files,
    state: Option<state::State>,
    secrets: Option<secrets::Secrets>,
    reveals: Option<secrets::Reveals>,
    task_exec: Option<task_exec::TaskExecutor>,
}

impl Capabilities {
    /// Reads the grants. An error names the grant and what is wrong with it.
    pub(crate) fn settle(grants: &Grants, shared: &Shared) -> Result<Capabilities, String> {
        let in_grant = |name: &'static str| move |why: String| format!("grant `{name}`: {why}");
        Ok(Capabilities {
            processes: grants
                .processes
                .as_ref()
                .map(|grant| processes::settle(grant, shared))
                .transpose()
                .map_err(in_grant("processes"))?
                .map(Arc::new),
            commands: grants.commands.as_ref().map(commands::settle).transpose().map_err(in_grant("commands"))?.map(Arc::new),
            containers: some_engines(grants, shared).map_err(in_grant("containers"))?,
            http: grants.http.as_ref().map(|grant| http::settle(grant, shared)).transpose().map_err(in_grant("http"))?.map(Arc::new),
            sockets: grants.tcp.as_ref().map(sockets::settle).transpose().map_err(in_grant("tcp"))?.map(Arc::new),
            filesystem: filesystem::settle(&grants.filesystem).map_err(in_grant("filesystem"))?.map(Arc::new),
            state: grants.state.map(|grant| state::settle(grant, shared)).transpose().map_err(in_grant("state"))?.map(Arc::new),
            secrets: grants.secrets.as_deref().map(|names| secrets::settle(names, shared).map(Arc::new)).transpose().map_err(in_grant("secrets"))?,
            reveals: some_secrets(&grants.secrets_reveal, shared).map_err(in_grant("secrets-reveal"))?,
            task_exec: grants.task_exec,
        })
    }

    /// Links what is granted, and the baseline that everybody has.
    pub(crate) fn link(&self, linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
        log::link(linker)?;
        context::link(linker)?;
        wasi::link(linker)?;
        sockets::link(linker)?;
        filesystem::link(linker)?;
        if self.processes.is_some() {
            processes::link(linker)?;
        }
        if self.commands.is_some() {
            commands::link(linker)?;
        }
        if self.containers.is_some() {
            containers::link(linker)?;
        }
        if self.http.is_some() {
            http::link(linker)?;
        }
        if self.state.is_some() {
            state::link(linker)?;
        }
        if self.secrets.is_some() {
            secrets::link(linker)?;
        }
        if self.reveals.is_some() {
            secrets::link_reveal(linker)?;
        }
        if self.task_exec {
            task_exec::link(linker)?;
        }
        Ok(())
    }
}

/// Requests, for a component that is only looked at: none of them is granted.
pub(crate) fn link_http(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    http::link(linker)
}

fn some_engines(grants: &Grants, shared: &Shared) -> Result<Option<Arc<containers::Settled>>, String> {
    if grants.containers.is_empty() { Ok(None) } else { containers::settle(&grants.containers, shared).map(Arc::new).map(Some) }
}

fn some_secrets(names: &[String], shared: &Shared) -> Result<Option<Arc<secrets::Settled>>, String> {
    if names.is_empty() { Ok(None) } else { secrets::settle(names, shared).map(Arc::new).map(Some) }
}

impl CallState {
    pub(crate) fn build(budget: Budget, capabilities: &Capabilities, scope: &Scope, extras: Extras, handles: u32) -> CallState {
        let mut table = ResourceTable::new();
        table.set_max_capacity(handles as usize);
        CallState {
            budget,
            scope: scope.clone(),
            table,
            wasi: None,
            http_ctx: WasiHttpCtx::new(),
            log: log::build(scope),
            context: context::build(scope),
            processes: capabilities.processes.as_ref().map(|settled| processes::build(settled, scope)),
            commands: capabilities.commands.as_ref().map(|settled| commands::build(settled, scope)),
            containers: capabilities.containers.as_ref().map(|settled| containers::build(settled, scope)),
            http: http::build(capabilities.http.as_ref(), scope),
            sockets: capabilities.sockets.clone(),
            files: filesystem::build(capabilities.filesystem.as_ref(), scope),
            state: capabilities.state.as_ref().map(|settled| state::build(settled, scope)),
            secrets: capabilities.secrets.as_ref().map(|settled| secrets::build(settled, scope)),
            reveals: capabilities.reveals.as_ref().map(|settled| secrets::build_reveal(settled, scope)),
            task_exec: capabilities.task_exec.then(|| task_exec::build(extras.task_exec, scope)),
        }
    }
}

impl WasiView for CallState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let ctx = self.wasi.get_or_insert_with(|| wasi::build(&self.scope, self.sockets.as_ref()));
        WasiCtxView { ctx, table: &mut self.table }
    }
}

impl WasiHttpView for CallState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http_ctx, table: &mut self.table, hooks: &mut self.http }
    }
}

/// The store that a plugin's state goes to, or why there is none.
pub(crate) fn state_store(shared: &Shared) -> Result<Arc<dyn StateStore>, String> {
    shared.state.clone().ok_or_else(|| "this host keeps no state for plugins".to_owned())
}
