//! What a service file has no place for: each key with its reason, and what to do.

use super::PARTS;
use crate::import::Import;
use crate::read::{Spot, Taking};

/// Keys of a service that cannot be carried: why, and what to do.
const LOST: &[(&str, &str, &str)] = &[
    ("annotations", "containers get labels and no annotations", "write them as `labels`"),
    ("attach", "output is collected from every service", "read it with `hostler logs`"),
    ("blkio_config", "block devices are not limited", "limit them where the engine runs"),
    ("cgroup", "control groups are the engine's choice", "leave it out"),
    ("cgroup_parent", "control groups are the engine's choice", "leave it out"),
    ("cpu_count", "this is for Windows", "write resources.cpu"),
    ("cpu_percent", "this is for Windows", "write resources.cpu"),
    ("cpu_period", "the processor is limited as a share", "write resources.cpu, which is quota divided by period"),
    ("cpu_quota", "the processor is limited as a share", "write resources.cpu, which is quota divided by period"),
    ("cpu_rt_period", "there is no real-time scheduling of containers", "leave it out"),
    ("cpu_rt_runtime", "there is no real-time scheduling of containers", "leave it out"),
    ("cpu_shares", "nothing is weighed against others", "write resources.cpu as a limit"),
    ("cpuset", "a container is not bound to processors", "write resources.cpu as a limit"),
    ("credential_spec", "this is for Windows", "leave it out"),
    ("develop", "files are not watched, and images not rebuilt", "run `docker compose watch` while you work on it"),
    ("device_cgroup_rules", "devices are not given to containers", "leave the service with Compose, or run it as a process"),
    ("devices", "devices are not given to containers", "leave the service with Compose, or run it as a process"),
    ("dns_opt", "only servers of names can be set", "write dns"),
    ("dns_search", "only servers of names can be set", "write whole names"),
    ("domainname", "only the host's name can be set", "write hostname with the domain behind it"),
    ("external_links", "a container of somebody else cannot be linked", "put both into one network"),
    ("gpus", "devices are not given to containers", "leave the service with Compose, or run it as a process"),
    ("group_add", "a container's user has the groups of its image", "write user = \"USER:GROUP\""),
    ("ipc", "memory is not shared between containers", "leave it out"),
    ("isolation", "this is for Windows", "leave it out"),
    ("label_file", "labels stand in the service file", "write them as `labels`"),
    ("mac_address", "addresses are the engine's choice", "leave it out"),
    ("mem_reservation", "nothing is reserved", "write resources.memory as a limit"),
    ("mem_swappiness", "swapping is the machine's choice", "leave it out"),
    ("models", "models are not provided", "run the model as a service of its own"),
    ("oom_kill_disable", "who takes too much memory is killed", "write resources.memory large enough"),
    ("oom_score_adj", "who is killed first is the machine's choice", "leave it out"),
    ("pid", "processes are not shared between containers", "leave it out"),
    ("post_start", "nothing is run within a container after its start", "make it a service with kind = \"oneshot\" that depends on this one"),
    ("pre_stop", "nothing is run within a container before its stop", "let the program do it on its stop signal"),
    ("provider", "services of a provider are not made", "describe what it makes as a service"),
    ("runtime", "the runtime is the engine's choice", "make it the engine's default"),
    ("stdin_open", "a service has no terminal", "use `hostler exec` for one"),
    ("storage_opt", "this belongs to the engine's storage driver", "write resources.storage where the driver can"),
    ("sysctls", "kernel settings of a container are those of the engine", "set them on the machine"),
    ("tty", "a service has no terminal", "use `hostler exec` for one"),
    ("use_api_socket", "the engine's socket is not given to containers", "leave the service with Compose"),
    ("userns_mode", "users are mapped as the engine maps them", "leave it out"),
    ("uts", "the machine's name is not shared", "leave it out"),
    ("volume_driver", "a volume is made by the engine's default driver", "make the volume yourself, and name it external"),
    ("volumes_from", "volumes are not taken from other containers", "name the same volumes here"),
];

/// Keys of a service that mean nothing once it is described, or nothing at all.
const SILENT: &[&str] = &["expose"];

/// Says what of a service was left.
pub(super) fn service(import: &mut Import<'_>, table: Taking<'_>) {
    for (name, spot) in table.rest() {
        if SILENT.contains(&name.as_str()) || says_nothing(&spot) {
            continue;
        }
        match LOST.iter().find(|(known, ..)| *known == name) {
            Some((_, why, hint)) => spot.note(import, *why, *hint),
            None => spot.note(import, "Compose knows no such key, or it is newer than this importer", "look at how it is written"),
        }
    }
}

/// `false` and empty lists.
fn says_nothing(spot: &Spot<'_>) -> bool {
    match &spot.item.data {
        crate::tree::Data::Flag(flag, _) => !flag,
        crate::tree::Data::List(items) => items.is_empty(),
        crate::tree::Data::Table(members) => members.is_empty(),
        crate::tree::Data::Null => true,
        crate::tree::Data::Number(_) | crate::tree::Data::Text(_) => false,
    }
}

/// Says of everything that was left why it is.
pub(super) fn rest(import: &mut Import<'_>, table: Taking<'_>, why: &str, hint: &str) {
    for (_, spot) in table.rest() {
        if !says_nothing(&spot) {
            spot.note(import, why, hint);
        }
    }
}

/// Says of everything that was left that nobody knows it.
pub(super) fn unknown(import: &mut Import<'_>, table: Taking<'_>) {
    rest(import, table, "Compose knows no such key, or it is newer than this importer", "look at how it is written");
}

/// The document beside its services.
pub(super) fn document(import: &mut Import<'_>, whole: &Spot<'_>) {
    let mut table = Taking::new(whole, import);
    let parts = PARTS.map(|part| (part, table.take(part)));
    table.skip(&["version", "name"]);
    for (part, spot) in parts {
        let Some(spot) = spot else { continue };
        for member in spot.members(import).into_iter().filter(|member| !member.is_null()) {
            match part {
                "networks" => network(import, &member),
                "volumes" => volume(import, &member),
                "secrets" | "configs" => file(import, &member),
                _ => {}
            }
        }
    }
    for (_, spot) in table.rest() {
        spot.note(import, "a service file has no place for it", "describe what it is for as a service");
    }
}

fn network(import: &mut Import<'_>, spot: &Spot<'_>) {
    let mut table = Taking::new(spot, import);
    table.skip(&["external", "name", "attachable", "labels"]);
    if let Some(driver) = table.take("driver").filter(|driver| driver.item.word() != Some("bridge")) {
        driver.note(import, "networks are made with the engine's default driver", "make it yourself before: docker network create --driver …");
    }
    rest(import, table, "networks are made with what the engine does by default", "make it yourself before, with `docker network create`");
}

fn volume(import: &mut Import<'_>, spot: &Spot<'_>) {
    let mut table = Taking::new(spot, import);
    table.skip(&["external", "name", "labels"]);
    if let Some(driver) = table.take("driver").filter(|driver| driver.item.word() != Some("local")) {
        driver.note(import, "volumes are made with the engine's default driver", "make it yourself before: docker volume create --driver …");
    }
    rest(import, table, "volumes are made with what the engine does by default", "make it yourself before, with `docker volume create`");
}

/// Where it is used it is said what cannot be carried; here only what nobody would see.
fn file(import: &mut Import<'_>, spot: &Spot<'_>) {
    let mut table = Taking::new(spot, import);
    table.skip(&["file", "environment", "content", "external", "name", "labels", "template_driver", "driver", "driver_opts"]);
    unknown(import, table);
}
