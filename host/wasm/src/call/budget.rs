//! What one call may take of the machine's memory.

use wasmtime::{ResourceLimiter, StoreLimits, StoreLimitsBuilder};

/// The limits of one call. wasmtime's own limit is for each linear memory, and a component may have several: this one is for
/// all of them together.
pub(crate) struct Budget {
    memory: usize,
    used: usize,
    others: StoreLimits,
}

impl Budget {
    /// `memory` in bytes.
    pub(crate) fn new(memory: u64) -> Budget {
        let others = StoreLimitsBuilder::new().table_elements(30_000).instances(64).tables(64).memories(16).trap_on_grow_failure(true).build();
        Budget { memory: usize::try_from(memory).unwrap_or(usize::MAX), used: 0, others }
    }
}

impl ResourceLimiter for Budget {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let used = self.used.saturating_add(desired.saturating_sub(current));
        if used > self.memory {
            wasmtime::bail!(
                "forcing trap when growing memory to {used} bytes in all, which is more than `limits.memory` allows ({} bytes); an interpreter needs 32Mi and more",
                self.memory
            );
        }
        let allowed = self.others.memory_growing(current, desired, maximum)?;
        self.used = used;
        Ok(allowed)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        self.others.memory_grow_failed(error)
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        self.others.table_growing(current, desired, maximum)
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        self.others.table_grow_failed(error)
    }

    fn instances(&self) -> usize {
        self.others.instances()
    }

    fn tables(&self) -> usize {
        self.others.tables()
    }

    fn memories(&self) -> usize {
        self.others.memories()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Engine;
    use wasmtime::Store;
    use wasmtime::component::{Component, Linker};

    /// A component that instantiates one core module twice, each with a memory of 40 MiB.
    const TWICE_40_MIB: &[u8] = b"\0asm\x0d\0\x01\0\
        \x01\x0e\0asm\x01\0\0\0\x05\x04\x01\0\x80\x05\
        \x02\x07\x02\0\0\0\0\0\0";

    /// A component whose one core module lets its table grow by 10,000 elements, again and again, as soon as it begins.
    const ENDLESS_TABLE: &[u8] = b"\0asm\x0d\0\x01\0\
        \x01\x30\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x04\x04\x01\x70\0\x01\x08\x01\0\
        \x0a\x13\x01\x11\0\x03\x40\xd0\x70\x41\x90\xce\0\xfc\x0f\0\x1a\x0c\0\x0b\x0b\
        \x02\x04\x01\0\0\0";

    fn instantiated(bytes: &[u8], memory: u64) -> Result<(), String> {
        let engine = Engine::new(crate::PoolOptions { instances: 4, ..Default::default() }).expect("an engine").wasmtime;
        let component = Component::new(&engine, bytes).expect("a component");
        let mut store = Store::new(&engine, Budget::new(memory));
        store.limiter(|budget| budget);
        store.set_epoch_deadline(1_000);
        Linker::new(&engine).instantiate(&mut store, &component).map(drop).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn the_limit_is_for_all_memories_together() {
        assert_eq!(instantiated(TWICE_40_MIB, 80 << 20), Ok(()));
        let error = instantiated(TWICE_40_MIB, 64 << 20).expect_err("40 MiB twice");
        assert!(error.contains("growing memory"), "{error}");
    }

    #[test]
    fn memories_of_every_instance_are_counted() {
        let engine = Engine::new(crate::PoolOptions { instances: 4, ..Default::default() }).expect("an engine").wasmtime;
        assert_eq!(crate::load::memories(&Component::new(&engine, TWICE_40_MIB).expect("a component")), 2);
    }

    #[test]
    fn a_table_grows_only_so_far() {
        let error = instantiated(ENDLESS_TABLE, 64 << 20).expect_err("it would never end");
        assert!(error.contains("table"), "{error}");
    }
}
