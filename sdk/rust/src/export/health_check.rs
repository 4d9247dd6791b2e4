use super::Export;
use crate::bindings::health_check::exports::hostler::plugin::health_check as wit;
use crate::{Fault, HealthCheck, Problem, panic, settings};
use std::time::Duration;

impl<T: HealthCheck> wit::Guest for Export<T> {
    fn describe() -> wit::Description {
        panic::report();
        let description = T::describe();
        wit::Description {
            name: description.name,
            version: description.version,
            summary: description.summary,
            config_schema: description.config_schema,
            check_schema: description.settings_schema,
            needs: description.needs,
        }
    }

    fn validate(json: String) -> Result<(), Vec<Problem>> {
        panic::report();
        T::validate(settings::parse(&json)?)
    }

    fn check(target: wit::Target, json: String, deadline: u64) -> Result<wit::Report, Fault> {
        panic::report();
        T::check(target, settings::parse(&json)?, Duration::from_millis(deadline))
    }
}
