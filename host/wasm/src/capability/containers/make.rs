//! What a container is made from: held against the grant, then as the engine wants it.

use serde_json::{Map, Value, json};

use super::{Containers, Trouble};
use crate::bindings::hostler::host::containers::{Limits, Mount, MountKind, Spec};
use crate::bindings::hostler::host::errors::Error;
use crate::capability::processes::check_env;
use crate::grant::containers::{Refusal, Rules};

use super::api::{Ask, ONE};
use super::engine::Engine;

/// The name of a container, a volume or a network.
pub(super) fn check_name(what: &str, name: &str) -> Result<(), Error> {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    if name.len() <= 255 && name.bytes().all(fine) && name.starts_with(|first: char| first.is_ascii_alphanumeric()) {
        return Ok(());
    }
    Err(Error::Invalid(format!("{what} {name:?} is not [a-zA-Z0-9][a-zA-Z0-9_.-]* of at most 255 bytes")))
}

/// A reference goes into a path.
pub(super) fn check_image(reference: &str) -> Result<(), Error> {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-/:@".contains(&byte);
    let parts = reference.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    if !reference.is_empty() && reference.len() <= 512 && reference.bytes().all(fine) && parts {
        return Ok(());
    }
    Err(Error::Invalid(format!("{reference:?} is no reference to an image")))
}

impl Containers {
    /// The body of a request that makes it, and the networks it is to be put into afterwards.
    pub(super) async fn admit(&self, engine: &Engine, rules: &Rules, spec: Spec) -> Result<(Value, Vec<(String, Value)>), Error> {
        self.judge(rules, &spec)?;
        let mut mounts = Vec::new();
        for mount in &spec.mounts {
            mounts.push(self.admit_mount(engine, rules, mount).await?);
        }
        let mut networks = Vec::new();
        for attachment in &spec.networks {
            self.admit_network(engine, rules, &attachment.network).await?;
            networks.push((attachment.network.clone(), json!({ "Aliases": attachment.aliases })));
        }
        let mode = spec.network_mode.clone().or_else(|| networks.first().map(|(name, _)| name.clone()));
        if let Some(mode) = &mode {
            self.admit_network(engine, rules, mode).await?;
        }
        let env = self.scope.fill_env(spec.env.clone()).await.map_err(Error::Unavailable)?;
        env.iter().try_for_each(|(name, value)| check_env(name, value))?;
        let first = networks.iter().position(|(name, _)| Some(name) == mode.as_ref()).map(|at| networks.remove(at));
        let mut body = body(&spec, &env, &self.labels(&spec), mounts);
        body["HostConfig"]["NetworkMode"] = json!(mode.unwrap_or_else(|| "default".to_owned()));
        if let Some((name, endpoint)) = first {
            body["NetworkingConfig"] = json!({ "EndpointsConfig": { name: endpoint } });
        }
        Ok((body, networks))
    }

    fn judge(&self, rules: &Rules, spec: &Spec) -> Result<(), Error> {
        check_image(&spec.image)?;
        let judged = rules
            .admit_image(&spec.image)
            .and_then(|()| if spec.privileged { rules.admit_privileged() } else { Ok(()) })
            .and_then(|()| spec.capabilities_added.iter().try_for_each(|name| rules.admit_capability(name)))
            .and_then(|()| spec.security_options.iter().try_for_each(|option| rules.admit_security_option(option)));
        judged.map_err(|what| self.denied(&what))?;
        for port in &spec.ports {
            if port.container_port == 0 || !["tcp", "udp", "sctp"].contains(&port.protocol.as_str()) {
                return Err(Error::Invalid(format!("{}/{} is no port of a container", port.container_port, port.protocol)));
            }
        }
        Ok(())
    }

    /// What the host says of it stands above what the plugin says.
    fn labels(&self, spec: &Spec) -> Map<String, Value> {
        let mut labels: Map<String, Value> = spec.labels.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        labels.insert(super::OWNER.to_owned(), json!(self.scope.owner()));
        labels.insert(super::PLUGIN.to_owned(), json!(self.scope.plugin()));
        labels
    }

    async fn admit_mount(&self, engine: &Engine, rules: &Rules, mount: &Mount) -> Result<Value, Error> {
        if !mount.target.starts_with('/') || mount.target.contains('\0') {
            return Err(Error::Invalid(format!("mount target {:?} is not an absolute path", mount.target)));
        }
        let (kind, source, options) = match mount.kind {
            MountKind::Bind => ("bind", self.admit_bind(rules, &mount.source)?, ("BindOptions", json!({ "Propagation": "rprivate" }))),
            MountKind::Volume => {
                self.admit_volume(engine, rules, &mount.source).await?;
                ("volume", mount.source.clone(), ("VolumeOptions", json!({ "Labels": { super::OWNER: self.scope.owner() } })))
            }
            MountKind::Tmpfs => ("tmpfs", String::new(), ("TmpfsOptions", json!({ "SizeBytes": mount.size_bytes.unwrap_or(0) }))),
        };
        let mut said = json!({ "Type": kind, "Target": mount.target, "ReadOnly": mount.read_only });
        if !source.is_empty() {
            said["Source"] = json!(source);
        }
        said[options.0] = options.1;
        Ok(said)
    }

    fn admit_bind(&self, rules: &Rules, source: &str) -> Result<String, Error> {
        rules.mounts.admit(source).map_err(|refusal| match refusal {
            Refusal::Denied(what) => self.denied(&what),
            Refusal::Invalid(why) => Error::Invalid(why),
        })
    }

    /// A volume that somebody has made of a directory of the machine is a mount of that directory.
    async fn admit_volume(&self, engine: &Engine, rules: &Rules, name: &str) -> Result<(), Error> {
        rules.admit_volume(name).map_err(|what| self.denied(&what))?;
        if name.is_empty() {
            return Ok(());
        }
        check_name("volume", name)?;
        let said = match engine.api.json(Ask::get(format!("/volumes/{name}")), ONE).await {
            Ok(said) => said,
            Err(Trouble::Refused { status: 404, .. }) => return Ok(()),
            Err(trouble) => return Err(self.trouble(trouble)),
        };
        let options = &said["Options"];
        let bound = options["o"].as_str().is_some_and(|o| o.split(',').any(|option| option == "bind" || option == "rbind"));
        match options["device"].as_str() {
            Some(device) if bound => self.admit_bind(rules, device).map(drop),
            _ => Ok(()),
        }
    }

    /// A network is named, never by its id: who may use which is decided by name.
    pub(super) async fn admit_network(&self, engine: &Engine, rules: &Rules, mode: &str) -> Result<(), Error> {
        rules.admit_network(mode).map_err(|what| self.denied(&what))?;
        if let Some(other) = mode.strip_prefix("container:") {
            check_name("container", other)?;
            return self.ours(engine, rules, other).await.map(drop);
        }
        if ["bridge", "none", "host", "default"].contains(&mode) {
            return Ok(());
        }
        check_name("network", mode)?;
        match engine.api.json(Ask::get(format!("/networks/{mode}")), ONE).await {
            Ok(said) if said["Name"] == mode && said["Driver"] != "host" => Ok(()),
            Ok(_) | Err(Trouble::Refused { status: 404, .. }) => Err(Error::Invalid(format!("the engine has no network `{mode}`"))),
            Err(trouble) => Err(self.trouble(trouble)),
        }
    }
}

fn body(spec: &Spec, env: &[(String, String)], labels: &Map<String, Value>, mounts: Vec<Value>) -> Value {
    let mut host = json!({
        "Mounts": mounts,
        "PortBindings": bindings(spec),
        "RestartPolicy": { "Name": "no" },
        "ExtraHosts": spec.extra_hosts,
        "Dns": spec.dns,
        "ReadonlyRootfs": spec.read_only_root,
        "Privileged": spec.privileged,
        "CapAdd": spec.capabilities_added,
        "CapDrop": spec.capabilities_dropped,
        "SecurityOpt": spec.security_options,
        "Ulimits": spec.ulimits.iter().map(|it| json!({ "Name": it.name, "Soft": it.soft, "Hard": it.hard })).collect::<Vec<_>>(),
        "Init": spec.init,
    });
    limits(&mut host, &spec.limits);
    if let Some(bytes) = spec.limits.storage_bytes {
        host["StorageOpt"] = json!({ "size": bytes.to_string() });
    }
    if let Some(bytes) = spec.shared_memory_bytes {
        host["ShmSize"] = json!(bytes);
    }
    if let Some(driver) = &spec.log_driver {
        let options: Map<String, Value> = spec.log_options.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        host["LogConfig"] = json!({ "Type": driver, "Config": options });
    }
    let exposed: Map<String, Value> = spec.ports.iter().map(|port| (format!("{}/{}", port.container_port, port.protocol), json!({}))).collect();
    let mut body = json!({
        "Image": spec.image,
        "Env": env.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>(),
        "Labels": labels,
        "ExposedPorts": exposed,
        "HostConfig": host,
    });
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            body[name] = value;
        }
    };
    set("Entrypoint", spec.entrypoint.as_ref().map(|words| json!(words)));
    set("Cmd", spec.command.as_ref().map(|words| json!(words)));
    set("WorkingDir", spec.working_dir.as_ref().map(|text| json!(text)));
    set("User", spec.user.as_ref().map(|text| json!(text)));
    set("Hostname", spec.hostname.as_ref().map(|text| json!(text)));
    set("StopSignal", spec.stop_signal.as_ref().map(|text| json!(text)));
    set("Healthcheck", health(spec));
    body
}

fn bindings(spec: &Spec) -> Map<String, Value> {
    let mut bindings: Map<String, Value> = Map::new();
    for port in &spec.ports {
        let place =
            json!({ "HostIp": port.host_ip.as_deref().unwrap_or(""), "HostPort": port.host_port.map(|port| port.to_string()).unwrap_or_default() });
        let places = bindings.entry(format!("{}/{}", port.container_port, port.protocol)).or_insert_with(|| json!([]));
        if let Some(places) = places.as_array_mut() {
            places.push(place);
        }
    }
    bindings
}

fn health(spec: &Spec) -> Option<Value> {
    let health = spec.health.as_ref()?;
    let nanos = |millis: Option<u64>| millis.unwrap_or(0).saturating_mul(1_000_000);
    Some(json!({
        "Test": health.test,
        "Interval": nanos(health.interval),
        "Timeout": nanos(health.timeout),
        "StartPeriod": nanos(health.start_period),
        "Retries": health.retries.unwrap_or(0),
    }))
}

/// Limits that can change while a container runs.
pub(super) fn limits(into: &mut Value, limits: &Limits) {
    let mut set = |name: &str, value: Option<u64>| {
        if let Some(value) = value {
            into[name] = json!(value);
        }
    };
    set("NanoCpus", limits.cpu_millis.map(|millis| u64::from(millis) * 1_000_000));
    set("Memory", limits.memory_bytes);
    // else raising the memory is refused: the engine keeps the old sum of both
    set("MemorySwap", limits.memory_swap_bytes.or(limits.memory_bytes.map(|bytes| bytes.saturating_mul(2))));
    set("PidsLimit", limits.processes.map(u64::from));
}
