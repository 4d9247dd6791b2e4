//! From a task to what its container is made from.

use std::collections::BTreeMap;

use hostler_sdk::host::containers::{Limits, Spec};
use hostler_sdk::settings::Text;
use hostler_sdk::{Task, TaskId};

use crate::facts;
use crate::settings::{Pull, Read, Registry, Settings};

/// A container that is to be.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) id: TaskId,
    pub(crate) engine: String,
    pub(crate) name: String,
    pub(crate) digest: String,
    /// Identifies all of it but its limits.
    pub(crate) same: String,
    pub(crate) pull: Pull,
    pub(crate) registry: Option<Registry>,
    pub(crate) spec: Spec,
}

/// What a task's settings come to.
pub(crate) fn plan(owner: &str, task: Task<Settings>, read: Read) -> Plan {
    let Task { id, spec_digest, settings, env, resources, labels } = task;
    let limits = Limits {
        cpu_millis: resources.cpu_millis,
        memory_bytes: resources.memory_bytes,
        memory_swap_bytes: read.memory_swap,
        storage_bytes: None,
        processes: settings.pids_limit,
    };
    let logging = settings.logging.as_ref();
    let mut spec = Spec {
        entrypoint: read.entrypoint,
        command: read.command,
        env: environment(&id, env, settings.env),
        working_dir: settings.working_dir,
        user: settings.user.map(String::from),
        hostname: settings.hostname,
        labels: labels.into_iter().filter(|(name, _)| !name.starts_with("hostler.")).chain(read.labels).collect(),
        ports: read.ports,
        mounts: read.mounts,
        network_mode: settings.network_mode,
        networks: read.networks,
        extra_hosts: read.extra_hosts,
        dns: settings.dns,
        health: read.health,
        stop_signal: settings.stop_signal,
        read_only_root: settings.read_only,
        privileged: settings.privileged,
        capabilities_added: settings.cap_add,
        capabilities_dropped: settings.cap_drop,
        security_options: settings.security_opt,
        ulimits: read.ulimits,
        shared_memory_bytes: read.shared_memory,
        init: settings.init,
        log_driver: logging.and_then(|logging| logging.driver.clone()),
        log_options: logging.map(|logging| logging.options.iter().map(|(name, value)| (name.clone(), value.0.clone())).collect()).unwrap_or_default(),
        platform: settings.platform,
        ..Spec::new(settings.image.unwrap_or_default())
    };
    spec.limits.storage_bytes = resources.storage_bytes;
    let same = facts::digest(&format!("{} {spec:?}", settings.engine));
    spec.limits = Limits { storage_bytes: resources.storage_bytes, ..limits };
    spec.labels.extend(facts::labels(&id, &spec_digest, &same, &spec.limits));
    Plan {
        name: facts::name(owner, &id.id),
        id,
        engine: settings.engine,
        digest: spec_digest,
        same,
        pull: settings.pull,
        registry: settings.registry,
        spec,
    }
}

/// The host's variables, then who the task is, then the user's own; the later wins.
fn environment(id: &TaskId, host: Vec<(String, String)>, own: BTreeMap<String, Text>) -> Vec<(String, String)> {
    // Where the host finds its programs says nothing of an image.
    let mut env: BTreeMap<String, String> = host.into_iter().filter(|(name, _)| name != "PATH").collect();
    env.insert("HOSTLER_WORKSPACE".into(), id.workspace.clone());
    env.insert("HOSTLER_SERVICE".into(), id.service.clone());
    env.insert("HOSTLER_REPLICA".into(), id.replica.to_string());
    env.insert("HOSTLER_RUN".into(), id.run.to_string());
    env.extend(own.into_iter().map(|(name, value)| (name, value.0)));
    env.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostler_sdk::{Resources, settings};

    fn planned(text: &str, memory_bytes: Option<u64>) -> Plan {
        let id = TaskId { id: "t-7".into(), workspace: "main".into(), service: "web".into(), replica: 0, run: 7 };
        let settings: Settings = settings::parse(text).expect("the test's settings are readable");
        let read = settings.read().expect("they are good");
        let resources = Resources { cpu_millis: Some(255), memory_bytes, storage_bytes: None };
        let env = vec![("A".into(), "host".into()), ("PATH".into(), "/host/bin".into())];
        plan("h", Task { id, spec_digest: "d".into(), settings, env, resources, labels: vec![("hostler.owner".into(), "x".into())] }, read)
    }

    #[test]
    fn a_container_carries_its_task() {
        let plan = planned(r#"{"image": "redis", "env": {"A": 1}, "labels": {"team": "web"}}"#, None);
        assert_eq!(plan.name, "hostler-h-t-7");
        let label = |name: &str| plan.spec.labels.iter().filter(|(label, _)| label == name).map(|(_, value)| value.as_str()).collect::<Vec<_>>();
        assert_eq!((label("hostler.task"), label("hostler.digest"), label("team")), (vec!["t-7"], vec!["d"], vec!["web"]));
        assert_eq!((label("hostler.owner"), label("hostler.limits")), (vec![], vec!["cpu"]), "the owner is the host's to write");
        let names: Vec<&str> = plan.spec.env.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["A", "HOSTLER_REPLICA", "HOSTLER_RUN", "HOSTLER_SERVICE", "HOSTLER_WORKSPACE"], "and not the host's PATH");
        assert_eq!(plan.spec.env[0].1, "1");
    }

    #[test]
    fn limits_alone_leave_a_task_the_same() {
        let one = planned(r#"{"image": "a"}"#, Some(1));
        assert_eq!(one.same, planned(r#"{"image": "a"}"#, Some(2)).same);
        assert_eq!(one.same, planned(r#"{"image": "a", "pids_limit": 5}"#, None).same);
        assert_ne!(one.same, planned(r#"{"image": "a", "command": "x"}"#, Some(1)).same);
        assert_ne!(one.same, planned(r#"{"image": "a", "engine": "other"}"#, Some(1)).same);
    }
}
