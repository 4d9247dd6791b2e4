//! A call whose arguments and answer are JSON: for people who try a plugin, and for recordings that are played back.

use std::sync::Arc;

use serde_json::Value;
use tokio::time::Instant;
use wasmtime::component::{ComponentExportIndex, Val};

use super::{Call, LAST_WORDS, trap};
use crate::capability::Extras;
use crate::error::{CallError, Failure};
use crate::function::Function;
use crate::hooks::TaskExec;
use crate::json::{Spelling, read, write};
use crate::plugin::Plugin;
use crate::scope::{Counters, Scope};

/// Why a call by JSON has no answer.
#[derive(Debug, thiserror::Error)]
pub enum JsonCallError {
    /// The plugin has no such function.
    #[error("there is no function `{name}`; there are {}", .known.join(", "))]
    NoFunction {
        /// What was asked for.
        name: String,
        /// What it has.
        known: Vec<&'static str>,
    },
    /// The arguments have other shapes than the function's.
    #[error("the arguments do not fit {function}: {why}")]
    Arguments {
        /// Which function.
        function: &'static str,
        /// Where, what was expected, and what was there.
        why: String,
    },
    /// It was called, and failed.
    #[error(transparent)]
    Call(#[from] CallError),
}

impl Plugin {
    /// Every function that it has: `backend.start`, `logs.read`, …
    pub fn functions(&self) -> Vec<&'static str> {
        Function::ALL.into_iter().filter(|function| self.exports.get(*function).is_some()).map(Function::name).collect()
    }

    /// Calls one function by its name, with its interface (`logs.read`) or, where one function is called so, without.
    ///
    /// `arguments` is a list with a value for each, an object by their names, or the value itself when there is one. The answer is as
    /// the guest gave it: a fault is an answer (`{"err": …}`), and nothing is held against the contract's limits.
    pub async fn call_json(
        &self,
        name: &str,
        arguments: &Value,
        spelling: Spelling,
        call: Call<'_>,
        exec: Option<Arc<dyn TaskExec>>,
    ) -> Result<Value, JsonCallError> {
        let mut answers = self.call_json_in_one(name, std::slice::from_ref(arguments), spelling, call, exec).await?;
        Ok(answers.remove(0))
    }

    /// As [`Plugin::call_json`], once for each of these, all in one instance: which a host never does, and which must not matter.
    pub async fn call_json_in_one(
        &self,
        name: &str,
        arguments: &[Value],
        spelling: Spelling,
        call: Call<'_>,
        exec: Option<Arc<dyn TaskExec>>,
    ) -> Result<Vec<Value>, JsonCallError> {
        let function = self.function(name)?;
        let export = self.exports.get(function).expect("it is one of those it has");
        let until = Instant::now() + call.deadline();
        let _slots = self.slots(function, &call, until).await.map_err(|why| self.error(function, why))?;
        let scope = Scope::new(&self.identity, function, &call, until, self.limits.log_lines, self.tap());
        Counters::add(&self.identity.counters.calls);
        if let Some(tap) = scope.tap() {
            match arguments {
                [one] => tap.begun(one, call.secrets),
                many => tap.begun(&many, call.secrets),
            }
        }
        let running = async {
            match tokio::time::timeout_at(until + LAST_WORDS, self.run_json(&scope, Extras { task_exec: exec }, export, arguments, spelling)).await {
                Ok(Ok(answer)) => Ok(answer),
                Ok(Err(error)) => Err(trap::explain(&error, &scope)),
                Err(_) => Err(Failure::Deadline { after: call.deadline() }),
            }
        };
        let answer = match scope.tap() {
            None => running.await,
            Some(tap) => tap.guard(running).await.and_then(|answer| answer),
        };
        scope.close();
        match answer {
            Ok(Ok(answers)) => Ok(answers),
            Ok(Err(why)) => Err(JsonCallError::Arguments { function: function.name(), why }),
            Err(why) => Err(self.broken(function, call.subject(), why).into()),
        }
    }

    fn function(&self, name: &str) -> Result<Function, JsonCallError> {
        let has = |function: &Function| self.exports.get(*function).is_some();
        let exact = Function::ALL.into_iter().filter(has).find(|function| function.name() == name);
        let mut short = Function::ALL.into_iter().filter(has).filter(|function| function.export() == name);
        exact.or_else(|| short.next()).ok_or_else(|| JsonCallError::NoFunction { name: name.to_owned(), known: self.functions() })
    }

    /// The inner error is about the arguments.
    async fn run_json(
        &self,
        scope: &Scope,
        extras: Extras,
        export: &ComponentExportIndex,
        arguments: &[Value],
        spelling: Spelling,
    ) -> wasmtime::Result<Result<Vec<Value>, String>> {
        let _running = self.runtime.engine.running();
        let mut store = self.store(scope, extras);
        let instance = self.pre.instantiate_async(&mut store).await?;
        let function = instance.get_func(&mut store, export).ok_or_else(|| wasmtime::Error::msg("the function is gone"))?;
        let ty = function.ty(&store);
        let names: Vec<(String, wasmtime::component::types::Type)> = ty.params().map(|(name, ty)| (name.to_owned(), ty)).collect();
        let params = match arguments.iter().map(|arguments| read_all(arguments, &names)).collect::<Result<Vec<_>, _>>() {
            Ok(params) => params,
            Err(why) => return Ok(Err(why)),
        };
        let mut answers = Vec::with_capacity(params.len());
        for params in params {
            let mut results = vec![Val::Bool(false); ty.results().len()];
            function.call_async(&mut store, &params, &mut results).await?;
            answers.push(results.first().map_or(Value::Null, |result| write(result, spelling)));
        }
        Ok(Ok(answers))
    }
}

fn read_all(arguments: &Value, params: &[(String, wasmtime::component::types::Type)]) -> Result<Vec<Val>, String> {
    let names = || params.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
    let each = |values: &[Value]| values.iter().zip(params).map(|(value, (name, ty))| read(value, ty, &format!("/{name}"))).collect();
    match (arguments, params) {
        (Value::Array(values), _) if values.len() == params.len() => match (each(values), params) {
            // one argument that is itself a list of one
            (Err(why), [(name, ty)]) => read(arguments, ty, &format!("/{name}")).map(|only| vec![only]).map_err(|_| why),
            (all, _) => all,
        },
        (Value::Object(given), _) if params.len() > 1 || given.keys().eq(params.iter().map(|(name, _)| name)) => {
            if let Some(stranger) = given.keys().find(|key| !params.iter().any(|(name, _)| name == *key)) {
                return Err(format!("there is no argument `{stranger}`; the arguments are {}", names()));
            }
            each(&params.iter().map(|(name, _)| given.get(name).cloned().unwrap_or(Value::Null)).collect::<Vec<_>>())
        }
        (Value::Null, []) => Ok(Vec::new()),
        (only, [(name, ty)]) => read(only, ty, &format!("/{name}")).map(|only| vec![only]),
        _ if params.is_empty() => Err("it takes no arguments".to_owned()),
        _ => Err(format!("it takes {}: a list of {}, or an object", names(), params.len())),
    }
}
