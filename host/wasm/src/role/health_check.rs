//! Calls to a health-check strategy.

use std::sync::Arc;
use std::time::Duration;

use super::honest;
use crate::call::Call;
use crate::capability::Extras;
use crate::error::{CallError, Failure};
use crate::function::Function;
use crate::hooks::TaskExec;
use crate::plugin::Plugin;
use crate::words::{Fault, Problem, Report, Target};

/// A plugin as a health check. Every call runs in a fresh instance.
///
/// The caller never lets a check of one target overlap itself, and reads every error of [`HealthCheck::check`] as `unknown`.
#[derive(Clone, Copy)]
pub struct HealthCheck<'p> {
    plugin: &'p Plugin,
}

impl<'p> HealthCheck<'p> {
    pub(crate) fn new(plugin: &'p Plugin) -> Self {
        HealthCheck { plugin }
    }

    /// The plugin behind it.
    pub fn plugin(&self) -> &'p Plugin {
        self.plugin
    }

    /// Asks the plugin for what a schema cannot say. `settings` is JSON; no side effects.
    pub async fn validate(&self, call: Call<'_>, settings: &str) -> Result<Vec<Problem>, CallError> {
        let function = Function::CheckValidate;
        honest::json(settings).map_err(|why| self.plugin.error(function, Failure::Limit(why)))?;
        let (answer,): (Result<(), Vec<Problem>>,) = self.plugin.call(function, call, Extras::default(), (settings,)).await?;
        Ok(answer.err().map(honest::shorten_problems).unwrap_or_default())
    }

    /// Judges a target once. The deadline of `call` is the check's timeout; `exec` is how it reaches into the task, where its
    /// backend allows that. Connections are kept per subject of `call`.
    pub async fn check(&self, call: Call<'_>, target: &Target, settings: &str, exec: Option<Arc<dyn TaskExec>>) -> Result<Report, CallError> {
        let function = Function::Check;
        honest::json(settings).map_err(|why| self.plugin.error(function, Failure::Limit(why)))?;
        let extras = Extras { task_exec: exec };
        // Rounded up: of "300ms" that had to wait for nothing, 300 are left.
        let params = |left: Duration| (target, settings, u64::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX));
        let (answer,): (Result<Report, Fault>,) = self.plugin.call_with(function, call, extras, params).await?;
        let broken = |why| self.plugin.broken(function, call.subject(), why);
        let report = answer.map_err(|fault| broken(Failure::Fault(honest::shorten_fault(fault))))?;
        honest::report(report).map_err(|lie| broken(Failure::Malformed(lie)))
    }
}
