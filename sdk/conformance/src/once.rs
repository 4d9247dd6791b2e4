//! A plugin to be called by hand: one function, with JSON.

use std::sync::Arc;
use std::time::Duration;

use hostler_wasm::words::Role;
use hostler_wasm::{Call, JsonCallError, Spelling};
use serde_json::Value;

use crate::Error;
use crate::stand::{Stand, Subject, World};

/// A plugin, loaded, with what is behind it.
pub struct Once {
    world: World,
    stand: Arc<Stand>,
}

impl Once {
    /// Loads it; everything that a host would refuse is refused.
    pub async fn load(subject: Subject) -> Result<Once, Error> {
        let world = World::new(subject).map_err(Error::Host)?;
        let grants = world.grants().await.map_err(Error::Load)?;
        let stand = world.stand_with(grants).await.map_err(Error::Load)?;
        Ok(Once { world, stand })
    }

    /// Calls a function: `start`, or with its interface `logs.read`.
    pub async fn call(&self, function: &str, arguments: &Value, deadline: Duration) -> Result<Value, JsonCallError> {
        let exec = (self.stand.plugin.role() == Role::HealthCheck).then(|| self.stand.task_behind(0)).flatten();
        self.stand.plugin.call_json(function, arguments, Spelling::Contract, Call::within(deadline).about("by-hand"), exec).await
    }

    /// What it has logged by now.
    pub fn said(&self) -> Vec<String> {
        let lines = self.world.heard.lines.lock().expect("no code panics while it holds this lock");
        lines.iter().map(|line| line.message.clone()).collect()
    }
}
