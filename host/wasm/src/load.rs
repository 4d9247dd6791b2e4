//! From bytes to a plugin that works: every doubt is raised here, before the first task depends on it.

use std::collections::BTreeSet;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use serde_json::Value;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, InstancePre, Linker};

use crate::cache::Cache;
use crate::call::Places;
use crate::capability::{CallState, Capabilities};
use crate::compiler::Trouble;
use crate::error::{CallError, ProblemText};
use crate::grant::{Capability, Grants, Import, import, needed, stanza_for};
use crate::limits::{Limits, MAX_COMPONENT_BYTES, MAX_JSON_BYTES};
use crate::plugin::{Exports, Plugin};
use crate::runtime::Runtime;
use crate::schema::Schema;
use crate::scope::{Counters, Identity};
use crate::tap::Tap;
use crate::words::{Ability, Problem, Role};

mod stand_in;
mod trial;

/// A component to load, and under which conditions.
#[derive(Debug, Clone)]
pub struct PluginSource {
    /// The operator's name for it, by the rule of [`hostler_core::check_plugin_name`].
    pub name: String,
    /// The component itself.
    pub bytes: Vec<u8>,
    /// For people: `built-in`, or where the file is.
    pub origin: String,
    /// Its configuration: an object, checked against its `config-schema`; null means `{}`.
    pub config: Value,
    /// What the operator grants it.
    pub grants: Grants,
    /// How much it may use.
    pub limits: Limits,
    /// When given, the only digest (`blake3:…` or plain hexadecimal blake3) that loads.
    pub expected_digest: Option<String>,
}

/// Why a plugin does not load. Every text names the plugin and what to do.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Not a name that the host can write onto logs and processes.
    #[error("{why}")]
    Name {
        /// What is wrong with it.
        why: String,
    },
    /// The file is far too large for a component.
    #[error("plugin `{name}`: {bytes} bytes are over the limit of {max} for a component")]
    TooLarge {
        /// Whose.
        name: String,
        /// Its size.
        bytes: u64,
        /// The limit.
        max: u64,
    },
    /// The bytes are no WebAssembly at all.
    #[error("plugin `{name}`: {origin} is not a WebAssembly file; a component starts with the bytes 00 61 73 6d 0d 00 01 00")]
    NotWasm {
        /// Whose.
        name: String,
        /// Where it came from.
        origin: String,
    },
    /// A core module, which has no typed imports and exports.
    #[error("plugin `{name}`: {origin} is a core module, not a component; turn it into one (`wasm-tools component new`, or the SDK's build)")]
    CoreModule {
        /// Whose.
        name: String,
        /// Where it came from.
        origin: String,
    },
    /// Other bytes than the operator expects.
    #[error(
        "plugin `{name}`: {origin} has the digest {actual}, and {expected} was expected; if the change is wanted, put the new digest into [plugins.{name}]"
    )]
    Digest {
        /// Whose.
        name: String,
        /// Where it came from.
        origin: String,
        /// What was expected.
        expected: String,
        /// What it is.
        actual: String,
    },
    /// Damaged, or uses features that the engine does not have.
    #[error("plugin `{name}`: {origin} does not compile: {why}")]
    Compile {
        /// Whose.
        name: String,
        /// Where it came from.
        origin: String,
        /// The engine's reason.
        why: String,
    },
    /// Neither a backend nor a health check, or both.
    #[error("plugin `{name}`: {why}; it exports: {}", list(.exports))]
    WrongWorld {
        /// Whose.
        name: String,
        /// What is wrong.
        why: String,
        /// What it has instead.
        exports: Vec<String>,
    },
    /// It imports what this host does not offer.
    #[error("plugin `{name}`: this host does not offer {}; the plugin was built for another contract", list(.imports))]
    UnknownImports {
        /// Whose.
        name: String,
        /// What is unknown.
        imports: Vec<String>,
    },
    /// It imports what it was not granted.
    #[error("plugin `{name}`: it needs {}, which it was not granted; if you trust it, add this and make it as narrow as you can:\n\n{stanza}", list(.missing))]
    NotGranted {
        /// Whose.
        name: String,
        /// Which capabilities.
        missing: Vec<Capability>,
        /// The configuration to paste.
        stanza: String,
    },
    /// A grant that cannot be read, or that this host cannot give.
    #[error("plugin `{name}`: {why}")]
    Grant {
        /// Whose.
        name: String,
        /// Which one, and what is wrong.
        why: String,
    },
    /// Its functions have other shapes than the contract's, or it cannot even start.
    #[error("plugin `{name}`: the trial instance failed: {why}")]
    Trial {
        /// Whose.
        name: String,
        /// What went wrong.
        why: String,
    },
    /// It could not say what it is.
    #[error(transparent)]
    Describe(#[from] CallError),
    /// A schema of its own is unusable.
    #[error("plugin `{name}`: its {which} is unusable: {why}")]
    Schema {
        /// Whose.
        name: String,
        /// Which schema.
        which: &'static str,
        /// What is wrong.
        why: String,
    },
    /// The operator's configuration does not fit its schema.
    #[error("plugin `{name}`: its configuration does not fit: {}", every(.problems))]
    Config {
        /// Whose.
        name: String,
        /// Everything that is wrong.
        problems: Vec<Problem>,
    },
}

fn list<T: std::fmt::Display>(items: &[T]) -> String {
    if items.is_empty() {
        return "nothing".to_owned();
    }
    let mut text = items.iter().take(MOST_NAMED).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if items.len() > MOST_NAMED {
        text.push_str(&format!(" and {} more", items.len() - MOST_NAMED));
    }
    text
}

/// A hostile file may have ten thousand imports; nobody reads more than this.
const MOST_NAMED: usize = 20;

fn every(problems: &[Problem]) -> String {
    list(&problems.iter().map(ProblemText).collect::<Vec<_>>())
}

/// Compiling takes as long as it takes on its own thread; nobody waits longer than this for it.
const COMPILE_DEADLINE: Duration = Duration::from_secs(120);

/// What a component's type says.
struct Shape {
    role: Role,
    abilities: BTreeSet<Ability>,
    /// Imports that have functions, by full name.
    imports: Vec<String>,
}

pub(crate) async fn load(runtime: &Arc<Runtime>, source: PluginSource, tap: Option<Arc<dyn Tap>>) -> Result<Arc<Plugin>, LoadError> {
    check_bytes(&source)?;
    let digest = check_digest(&source)?;
    let name = source.name.clone();
    let component = compile(runtime, &source, &digest).await?;
    let shape = shape(runtime, &component, &name)?;
    check_grants(&name, &shape.imports, &source.grants)?;
    let grant_error = |why| LoadError::Grant { name: name.clone(), why };
    if source.limits.memory > runtime.engine.pool.max_memory_bytes {
        let most = runtime.engine.pool.max_memory_bytes;
        return Err(grant_error(format!("limits.memory is over the {most} bytes that this host's pool was made for")));
    }
    let memories = memories(&component);
    if memories > runtime.engine.pool.instances {
        return Err(grant_error(format!("it has {memories} linear memories, and this host's pool is made for {}", runtime.engine.pool.instances)));
    }
    let capabilities = Capabilities::settle(&source.grants, &runtime.shared).map_err(grant_error)?;
    let pre = link(runtime, &component, &capabilities).map_err(|why| LoadError::Trial { name: name.clone(), why })?;
    let config = if source.config.is_null() { Value::Object(serde_json::Map::new()) } else { source.config.clone() };
    let mut plugin = assemble(runtime, source, digest, shape, Linked { component, capabilities, pre, memories, tap }, &config);
    trial::run(&mut plugin, Some(&config)).await?;
    Ok(Arc::new(plugin))
}

/// As far as a component can be known without any grant: whatever is not the baseline's is there and traps, and no configuration is checked.
pub(crate) async fn examine(runtime: &Arc<Runtime>, source: PluginSource) -> Result<Arc<Plugin>, LoadError> {
    check_bytes(&source)?;
    let digest = check_digest(&source)?;
    let name = source.name.clone();
    let component = compile(runtime, &source, &digest).await?;
    let shape = shape(runtime, &component, &name)?;
    let trial = |error: wasmtime::Error| LoadError::Trial { name: name.clone(), why: format!("{error:#}") };
    let capabilities = Capabilities::settle(&Grants::default(), &runtime.shared).map_err(|why| LoadError::Grant { name: name.clone(), why })?;
    let mut linker = Linker::new(&runtime.engine.wasmtime);
    capabilities.link(&mut linker).map_err(trial)?;
    stand_in::link(&mut linker, &component, &runtime.engine.wasmtime).map_err(trial)?;
    let pre = linker.instantiate_pre(&component).map_err(trial)?;
    let memories = memories(&component).min(runtime.engine.pool.instances);
    let source = PluginSource { grants: Grants::default(), ..source };
    let linked = Linked { component, capabilities, pre, memories, tap: None };
    let mut plugin = assemble(runtime, source, digest, shape, linked, &Value::Null);
    trial::run(&mut plugin, None).await?;
    Ok(Arc::new(plugin))
}

/// A component with what it imports.
struct Linked {
    component: Component,
    capabilities: Capabilities,
    pre: InstancePre<CallState>,
    memories: u32,
    tap: Option<Arc<dyn Tap>>,
}

fn assemble(runtime: &Arc<Runtime>, source: PluginSource, digest: String, shape: Shape, linked: Linked, config: &Value) -> Plugin {
    let Linked { component, capabilities, pre, memories, tap } = linked;
    let revision = revision(&digest, &source.grants, config);
    let exports = Exports::find(&component);
    let identity = Identity {
        name: source.name,
        revision,
        owner: runtime.shared.owner.clone(),
        config: config.to_string(),
        sink: Arc::clone(&runtime.shared.sink),
        secrets: runtime.shared.secrets.get().cloned(),
        networks: Arc::clone(&runtime.shared.networks),
        counters: Counters::default(),
    };
    Plugin {
        runtime: Arc::clone(runtime),
        identity: Arc::new(identity),
        origin: source.origin,
        digest,
        role: shape.role,
        abilities: shape.abilities,
        imports: shape.imports,
        places: Places::new(source.limits.concurrency),
        memories,
        grants: source.grants,
        limits: source.limits,
        exports,
        pre,
        capabilities,
        tap: RwLock::new(tap),
        description: None,
        settings: None,
    }
}

fn check_bytes(source: &PluginSource) -> Result<(), LoadError> {
    let PluginSource { name, bytes, origin, .. } = source;
    hostler_core::check_plugin_name(name).map_err(|why| LoadError::Name { why })?;
    if bytes.len() as u64 > MAX_COMPONENT_BYTES {
        return Err(LoadError::TooLarge { name: name.clone(), bytes: bytes.len() as u64, max: MAX_COMPONENT_BYTES });
    }
    match bytes.first_chunk::<8>() {
        Some(b"\0asm\x0d\0\x01\0") => Ok(()),
        Some([b'\0', b'a', b's', b'm', _, _, 0, 0]) => Err(LoadError::CoreModule { name: name.clone(), origin: origin.clone() }),
        _ => Err(LoadError::NotWasm { name: name.clone(), origin: origin.clone() }),
    }
}

fn check_digest(source: &PluginSource) -> Result<String, LoadError> {
    let actual = blake3::hash(&source.bytes).to_hex().to_string();
    match &source.expected_digest {
        Some(expected) if !expected.strip_prefix("blake3:").unwrap_or(expected).eq_ignore_ascii_case(&actual) => Err(LoadError::Digest {
            name: source.name.clone(),
            origin: source.origin.clone(),
            expected: expected.clone(),
            actual: format!("blake3:{actual}"),
        }),
        _ => Ok(actual),
    }
}

/// Which component under which conditions: what is equal is interchangeable.
fn revision(digest: &str, grants: &Grants, config: &Value) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in [digest, "hostler:plugin@0.1.0", &grants.digest(), &config.to_string()] {
        hasher.update(part.as_bytes());
        hasher.update(b"\0");
    }
    hasher.finalize().to_hex()[..16].to_owned()
}

async fn compile(runtime: &Arc<Runtime>, source: &PluginSource, digest: &str) -> Result<Component, LoadError> {
    let compiling = async {
        if let Some(component) = with_cache(runtime, digest, |cache, engine, digest| cache.get(engine, digest)).await? {
            return Ok(component);
        }
        if let Some(component) = compiled_beside(runtime, source, digest).await? {
            return Ok(component);
        }
        let bytes = source.bytes.clone();
        let here = with_cache(runtime, digest, move |cache, engine, digest| {
            engine.precompile_component(&bytes).and_then(|code| cache.put(engine, digest, &code))
        });
        here.await?.map_err(|error| format!("{error:#}"))
    };
    let compiled = tokio::time::timeout(COMPILE_DEADLINE, compiling).await;
    let compiled = compiled.unwrap_or_else(|_| Err(format!("not done after {COMPILE_DEADLINE:?}")));
    compiled.map_err(|why| LoadError::Compile { name: source.name.clone(), origin: source.origin.clone(), why })
}

/// What the compiler in a process of its own makes of it. Nothing when there is none, or when it is another version than this: the program
/// may have been replaced since it was started.
async fn compiled_beside(runtime: &Arc<Runtime>, source: &PluginSource, digest: &str) -> Result<Option<Component>, String> {
    let Some(compiler) = &runtime.compiler else { return Ok(None) };
    let code = match compiler.run(&source.bytes).await {
        Ok(code) => code,
        Err(Trouble::Failed(why)) => return Err(why),
        Err(Trouble::Absent(why)) => {
            tracing::warn!(plugin = source.name, why, "there is no compiler to start; compiling in the host itself");
            return Ok(None);
        }
    };
    match with_cache(runtime, digest, move |cache, engine, digest| cache.put(engine, digest, &code)).await? {
        Ok(component) => Ok(Some(component)),
        Err(error) => {
            let why = format!("{error:#}");
            tracing::warn!(plugin = source.name, why, "the compiler's code is for another version; compiling in the host itself");
            Ok(None)
        }
    }
}

/// Works on a thread where waiting for the disk and the compiler is fine.
async fn with_cache<T: Send + 'static>(
    runtime: &Arc<Runtime>,
    digest: &str,
    work: impl FnOnce(&Cache, &wasmtime::Engine, &str) -> T + Send + 'static,
) -> Result<T, String> {
    let (on_thread, digest) = (Arc::clone(runtime), digest.to_owned());
    let worked = tokio::task::spawn_blocking(move || work(&on_thread.cache, &on_thread.engine.wasmtime, &digest)).await;
    worked.map_err(|_| "the compiler gave up".to_owned())
}

fn shape(runtime: &Runtime, component: &Component, name: &str) -> Result<Shape, LoadError> {
    let engine = &runtime.engine.wasmtime;
    let ty = component.component_type();
    let has = |interface: &str| component.get_export_index(None, interface).is_some();
    let backend = has(&crate::function::interface("backend"));
    let check = has(&crate::function::interface("health-check"));
    let role = match (backend, check) {
        (true, false) => Role::Backend,
        (false, true) => Role::HealthCheck,
        (true, true) | (false, false) => {
            let both = backend && check;
            return Err(LoadError::WrongWorld {
                name: name.to_owned(),
                why: if both { "it is a backend and a health check at once" } else { "it is neither a backend nor a health check of contract 0.1" }
                    .to_owned(),
                exports: ty.exports(engine).map(|(export, _)| export.to_owned()).collect(),
            });
        }
    };
    let abilities = Ability::ALL.into_iter().filter(|ability| has(&crate::function::ability_interface(*ability))).collect();
    let imports = ty.imports(engine).filter(|(_, item)| acts(&item.ty, engine)).map(|(import, _)| import.to_owned()).collect::<Vec<_>>();
    let unknown: Vec<String> = imports.iter().filter(|name| import(name) == Import::Unknown).cloned().collect();
    if !unknown.is_empty() {
        return Err(LoadError::UnknownImports { name: name.to_owned(), imports: unknown });
    }
    Ok(Shape { role, abilities, imports })
}

/// How many of the pool's memories one instance takes. Unknown only of components that import core modules, which do not load.
pub(crate) fn memories(component: &Component) -> u32 {
    component.resources_required().map_or(1, |required| required.num_memories.max(1))
}

/// Is there anything to call behind an import, or is it types only?
fn acts(item: &ComponentItem, engine: &wasmtime::Engine) -> bool {
    match item {
        ComponentItem::ComponentInstance(instance) => {
            instance.exports(engine).any(|(_, inner)| matches!(inner.ty, ComponentItem::ComponentFunc(_) | ComponentItem::Resource(_)))
        }
        ComponentItem::Type(_) => false,
        _ => true,
    }
}

fn check_grants(name: &str, imports: &[String], grants: &Grants) -> Result<(), LoadError> {
    let missing: Vec<Capability> = needed(imports.iter().map(String::as_str)).into_iter().filter(|capability| !grants.has(*capability)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let asking: Vec<String> = imports
        .iter()
        .filter(|import| matches!(crate::grant::import(import), Import::Needs(capability) if missing.contains(&capability)))
        .cloned()
        .collect();
    Err(LoadError::NotGranted { name: name.to_owned(), missing, stanza: stanza_for(&asking, name) })
}

fn link(runtime: &Runtime, component: &Component, capabilities: &Capabilities) -> Result<InstancePre<CallState>, String> {
    let mut linker = Linker::new(&runtime.engine.wasmtime);
    let linked = capabilities.link(&mut linker).and_then(|()| linker.instantiate_pre(component));
    linked.map_err(|error| format!("{error:#}"))
}

/// Reads a schema that a plugin handed over as text.
fn read_schema(name: &str, which: &'static str, text: &str) -> Result<Schema, LoadError> {
    let wrong = |why: String| LoadError::Schema { name: name.to_owned(), which, why };
    if text.len() > MAX_JSON_BYTES {
        return Err(wrong(format!("{} bytes are over the limit of {MAX_JSON_BYTES}", text.len())));
    }
    let document = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
    Schema::compile(document).map_err(wrong)
}
