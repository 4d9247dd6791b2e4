//! All services by name, and which of them were changed.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

use crate::registry::Service;
use crate::spec::ServiceName;

/// All services, by name. Looked at like the map that it is; whoever may change one is written down, whether he did or not.
#[derive(Debug, Clone, Default)]
pub(crate) struct Services {
    by_name: BTreeMap<ServiceName, Service>,
    changed: BTreeSet<ServiceName>,
}

impl Services {
    pub(crate) fn get_mut(&mut self, name: &(impl Borrow<str> + ?Sized)) -> Option<&mut Service> {
        let service = self.by_name.get_mut(name.borrow())?;
        if !self.changed.contains(name.borrow()) {
            self.changed.insert(service.spec.name.clone());
        }
        Some(service)
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut Service> {
        self.all_changed();
        self.by_name.values_mut()
    }

    pub(crate) fn insert(&mut self, name: ServiceName, service: Service) {
        self.changed.insert(name.clone());
        self.by_name.insert(name, service);
    }

    pub(crate) fn get_or_insert_with(&mut self, name: &ServiceName, service: impl FnOnce() -> Service) -> &mut Service {
        self.changed.insert(name.clone());
        self.by_name.entry(name.clone()).or_insert_with(service)
    }

    pub(crate) fn remove(&mut self, name: &ServiceName) -> Option<Service> {
        self.changed.insert(name.clone());
        self.by_name.remove(name)
    }

    /// Something that each of them shows is another.
    pub(crate) fn all_changed(&mut self) {
        self.changed.extend(self.by_name.keys().cloned());
    }

    pub(crate) fn take_changed(&mut self) -> BTreeSet<ServiceName> {
        std::mem::take(&mut self.changed)
    }
}

impl Deref for Services {
    type Target = BTreeMap<ServiceName, Service>;

    fn deref(&self) -> &BTreeMap<ServiceName, Service> {
        &self.by_name
    }
}
