//! A loaded plugin: one immutable revision of a component, ready to be called.

use std::collections::BTreeSet;
use std::sync::{Arc, RwLock};

use serde_json::Value;
use wasmtime::component::{Component, ComponentExportIndex, InstancePre};

use crate::call::Places;
use crate::capability::{CallState, Capabilities};
use crate::function::Function;
use crate::grant::{Capability, Grants, Import, import};
use crate::limits::Limits;
use crate::record::Redactor;
use crate::role::{Backend, HealthCheck};
use crate::runtime::Runtime;
use crate::schema::Schema;
use crate::scope::{Counts, Identity};
use crate::tap::Tap;
use crate::words::{Ability, Description, Problem, Role};

/// One revision of one plugin. Calls run in parallel, each in an instance of its own.
pub struct Plugin {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) identity: Arc<Identity>,
    pub(crate) origin: String,
    pub(crate) digest: String,
    pub(crate) role: Role,
    pub(crate) abilities: BTreeSet<Ability>,
    pub(crate) imports: Vec<String>,
    pub(crate) grants: Grants,
    pub(crate) limits: Limits,
    pub(crate) places: Places,
    /// How many of the pool's memories one call takes; a call without any counts as one.
    pub(crate) memories: u32,
    pub(crate) exports: Exports,
    pub(crate) pre: InstancePre<CallState>,
    pub(crate) capabilities: Capabilities,
    /// Who listens to calls that begin from now on.
    pub(crate) tap: RwLock<Option<Arc<dyn Tap>>>,
    /// Both are set by the trial, the last step of loading.
    pub(crate) description: Option<Description>,
    pub(crate) settings: Option<Schema>,
}

/// Where each function of the contract is in the component; absent where it is not.
pub(crate) struct Exports([Option<ComponentExportIndex>; Function::COUNT]);

impl Exports {
    pub(crate) fn find(component: &Component) -> Exports {
        Exports(Function::ALL.map(|function| {
            let interface = component.get_export_index(None, function.interface().as_str())?;
            component.get_export_index(Some(&interface), function.export())
        }))
    }

    pub(crate) fn get(&self, function: Function) -> Option<&ComponentExportIndex> {
        self.0[function as usize].as_ref()
    }
}

impl Plugin {
    /// The operator's name for it.
    pub fn name(&self) -> &str {
        &self.identity.name
    }

    /// Where it came from, for people.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// blake3 of the component, in hexadecimal.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Identifies component, contract, grants and configuration together; 16 hexadecimal digits.
    pub fn revision(&self) -> &str {
        &self.identity.revision
    }

    /// What it is to the host.
    pub fn role(&self) -> Role {
        self.role
    }

    /// What it says of itself.
    pub fn description(&self) -> &Description {
        self.description.as_ref().expect("a plugin is only handed out once it has described itself")
    }

    /// What it can do beside its role.
    pub fn abilities(&self) -> &BTreeSet<Ability> {
        &self.abilities
    }

    /// The imports that mean something: without the baseline that everybody has and that reaches nothing. The file system,
    /// which most languages import unasked, is among them when a directory is granted or the plugin says that it needs one.
    pub fn permissions(&self) -> Vec<String> {
        let files = self.grants.has(Capability::Filesystem) || self.declares(Capability::Filesystem);
        let means = |name: &str| import(name) != Import::Baseline || (files && name.starts_with("wasi:filesystem/"));
        self.imports.iter().filter(|name| means(name)).cloned().collect()
    }

    /// Does it say that it needs this? A need is written as the capability, or the capability and a pattern.
    pub fn declares(&self, capability: Capability) -> bool {
        let word = |need: &str| need.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-').next().map(str::to_owned);
        self.description().needs.iter().any(|(need, _)| word(need).as_deref() == Some(capability.name()))
    }

    /// What it was granted.
    pub fn grants(&self) -> &Grants {
        &self.grants
    }

    /// How much it may use.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What happened since it was loaded.
    pub fn counts(&self) -> Counts {
        self.identity.counters.read()
    }

    /// Holds settings of a task or a check against the plugin's schema. No instance is made.
    pub fn validate_settings(&self, settings: &Value) -> Vec<Problem> {
        self.schema().problems(settings)
    }

    /// The settings with the schema's defaults filled in, as calls must pass them.
    pub fn with_defaults(&self, settings: &Value) -> Value {
        self.schema().with_defaults(settings)
    }

    /// The settings with a text in the place of each that its schema marks as a secret: equal for the same secret, and saying nothing of it.
    pub fn conceal(&self, settings: &Value) -> Value {
        if self.has_secrets() { self.schema().concealed(settings) } else { settings.clone() }
    }

    /// Does its schema mark any setting as a secret?
    pub fn has_secrets(&self) -> bool {
        self.schema().has_secrets()
    }

    /// Tells somebody who writes settings down which texts of these are secrets.
    pub fn tell_secrets(&self, settings: &Value, to: &mut Redactor) {
        to.learn(self.schema().document(), settings);
    }

    /// Puts a tap on every call that begins from now on, or takes it away. Calls that run keep theirs.
    pub fn set_tap(&self, tap: Option<Arc<dyn Tap>>) {
        *self.tap.write().expect("no code panics while it holds this lock") = tap;
    }

    /// As [`Plugin::set_tap`], unless somebody listens already; false then.
    pub fn lend_tap(&self, tap: Arc<dyn Tap>) -> bool {
        let mut there = self.tap.write().expect("no code panics while it holds this lock");
        let is_free = there.is_none();
        if is_free {
            *there = Some(tap);
        }
        is_free
    }

    pub(crate) fn tap(&self) -> Option<Arc<dyn Tap>> {
        self.tap.read().expect("no code panics while it holds this lock").clone()
    }

    /// Its calls as a backend, when it is one.
    pub fn backend(&self) -> Option<Backend<'_>> {
        (self.role == Role::Backend).then_some(Backend::new(self))
    }

    /// Its calls as a health check, when it is one.
    pub fn health_check(&self) -> Option<HealthCheck<'_>> {
        (self.role == Role::HealthCheck).then_some(HealthCheck::new(self))
    }

    fn schema(&self) -> &Schema {
        self.settings.as_ref().expect("a plugin is only handed out once its schemas are read")
    }
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Plugin").field("name", &self.name()).field("revision", &self.revision()).field("role", &self.role).finish_non_exhaustive()
    }
}
