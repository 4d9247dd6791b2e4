//! Every function of the contract that the host may call, as a closed set.

use crate::words::Ability;

/// One exported function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    BackendDescribe,
    BackendValidate,
    Fingerprint,
    Start,
    Inspect,
    Stop,
    Destroy,
    List,
    CheckDescribe,
    CheckValidate,
    Check,
    ReadLogs,
    Measure,
    Exec,
    SupportedSignals,
    SendSignal,
    SetScale,
    Replicas,
    Update,
    Migrate,
    Survey,
    Release,
    Kill,
}

impl Function {
    pub(crate) const COUNT: usize = Function::Kill as usize + 1;

    pub(crate) const ALL: [Function; Function::COUNT] = [
        Function::BackendDescribe,
        Function::BackendValidate,
        Function::Fingerprint,
        Function::Start,
        Function::Inspect,
        Function::Stop,
        Function::Destroy,
        Function::List,
        Function::CheckDescribe,
        Function::CheckValidate,
        Function::Check,
        Function::ReadLogs,
        Function::Measure,
        Function::Exec,
        Function::SupportedSignals,
        Function::SendSignal,
        Function::SetScale,
        Function::Replicas,
        Function::Update,
        Function::Migrate,
        Function::Survey,
        Function::Release,
        Function::Kill,
    ];

    /// The interface without package and version, and the function's name in it.
    fn parts(self) -> (&'static str, &'static str) {
        match self {
            Function::BackendDescribe => ("backend", "describe"),
            Function::BackendValidate => ("backend", "validate"),
            Function::Fingerprint => ("backend", "fingerprint"),
            Function::Start => ("backend", "start"),
            Function::Inspect => ("backend", "inspect"),
            Function::Stop => ("backend", "stop"),
            Function::Destroy => ("backend", "destroy"),
            Function::List => ("backend", "list"),
            Function::CheckDescribe => ("health-check", "describe"),
            Function::CheckValidate => ("health-check", "validate"),
            Function::Check => ("health-check", "check"),
            Function::ReadLogs => ("logs", "read"),
            Function::Measure => ("stats", "measure"),
            Function::Exec => ("exec", "run"),
            Function::SupportedSignals => ("signals", "supported"),
            Function::SendSignal => ("signals", "send"),
            Function::SetScale => ("scale", "set"),
            Function::Replicas => ("scale", "replicas"),
            Function::Update => ("update", "apply"),
            Function::Migrate => ("handles", "migrate"),
            Function::Survey => ("discovery", "survey"),
            Function::Release => ("discovery", "release"),
            Function::Kill => ("discovery", "kill"),
        }
    }

    pub(crate) fn interface(self) -> String {
        interface(self.parts().0)
    }

    pub(crate) fn export(self) -> &'static str {
        self.parts().1
    }

    /// For people: `backend.start`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Function::BackendDescribe => "backend.describe",
            Function::BackendValidate => "backend.validate",
            Function::Fingerprint => "backend.fingerprint",
            Function::Start => "backend.start",
            Function::Inspect => "backend.inspect",
            Function::Stop => "backend.stop",
            Function::Destroy => "backend.destroy",
            Function::List => "backend.list",
            Function::CheckDescribe => "health-check.describe",
            Function::CheckValidate => "health-check.validate",
            Function::Check => "health-check.check",
            Function::ReadLogs => "logs.read",
            Function::Measure => "stats.measure",
            Function::Exec => "exec.run",
            Function::SupportedSignals => "signals.supported",
            Function::SendSignal => "signals.send",
            Function::SetScale => "scale.set",
            Function::Replicas => "scale.replicas",
            Function::Update => "update.apply",
            Function::Migrate => "handles.migrate",
            Function::Survey => "discovery.survey",
            Function::Release => "discovery.release",
            Function::Kill => "discovery.kill",
        }
    }

    /// May the call have changed something outside, even when its answer never came?
    pub(crate) fn changes(self) -> bool {
        match self {
            Function::Start
            | Function::Stop
            | Function::Destroy
            | Function::Exec
            | Function::SendSignal
            | Function::SetScale
            | Function::Update
            | Function::Release
            | Function::Kill => true,
            Function::BackendDescribe
            | Function::BackendValidate
            | Function::Fingerprint
            | Function::Inspect
            | Function::List
            | Function::CheckDescribe
            | Function::CheckValidate
            | Function::Check
            | Function::ReadLogs
            | Function::Measure
            | Function::SupportedSignals
            | Function::Replicas
            | Function::Migrate
            | Function::Survey => false,
        }
    }

    /// Has it no business outside? The contract promises so, and these are called for documents that nobody has applied yet.
    pub(crate) fn is_pure(self) -> bool {
        match self {
            Function::BackendDescribe | Function::BackendValidate | Function::CheckDescribe | Function::CheckValidate | Function::Migrate => true,
            Function::Fingerprint
            | Function::Start
            | Function::Inspect
            | Function::Stop
            | Function::Destroy
            | Function::List
            | Function::Check
            | Function::ReadLogs
            | Function::Measure
            | Function::Exec
            | Function::SupportedSignals
            | Function::SendSignal
            | Function::SetScale
            | Function::Replicas
            | Function::Update
            | Function::Survey
            | Function::Release
            | Function::Kill => false,
        }
    }
}

/// The full name of an interface of the contract.
pub(crate) fn interface(name: &str) -> String {
    format!("hostler:plugin/{name}@0.1.0")
}

/// The interface that an ability is.
pub(crate) fn ability_interface(ability: Ability) -> String {
    interface(ability.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_in_the_order_of_the_enum() {
        for (place, function) in Function::ALL.into_iter().enumerate() {
            assert_eq!(place, function as usize);
            let (interface, export) = function.parts();
            assert_eq!(function.name(), format!("{interface}.{export}"));
        }
    }
}
