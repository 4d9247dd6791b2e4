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
            wasmtime::bail!("forcing trap when growing memory to {used} bytes in all");
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

    fn instantiated(memory: u64) -> Result<(), String> {
        let engine = Engine::new(crate::PoolOptions { instances: 4, ..Default::default() }).expect("an engine").wasmtime;
        let component = Component::new(&engine, TWICE_40_MIB).expect("a component");
        assert_eq!(crate::load::memories(&component), 2);
        let mut store = Store::new(&engine, Budget::new(memory));
        store.limiter(|budget| budget);
        store.set_epoch_deadline(1);
        Linker::new(&engine).instantiate(&mut store, &component).map(drop).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn the_limit_is_for_all_memories_together() {
        assert_eq!(instantiated(80 << 20), Ok(()));
        let error = instantiated(64 << 20).expect_err("40 MiB twice");
        assert!(error.contains("growing memory"), "{error}");
    }
}
