//! The one wasmtime engine of a host: pooled, epoch-interrupted, with a semaphore in front of its pool.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

use tokio::sync::Semaphore;
use wasmtime::{Config, Enabled, EngineWeak, InstanceAllocationStrategy, PoolingAllocationConfig};

/// How many instances the host keeps room for, and how large each may get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolOptions {
    /// Calls of all plugins that may run at the same time.
    pub instances: u32,
    /// Upper bound of every plugin's `limits.memory`, in bytes.
    pub max_memory_bytes: u64,
}

impl Default for PoolOptions {
    fn default() -> Self {
        PoolOptions { instances: 512, max_memory_bytes: 128 << 20 }
    }
}

/// The engine, its slots and its ticker.
pub(crate) struct Engine {
    pub(crate) wasmtime: wasmtime::Engine,
    /// One permit per linear memory of the pool: an exhausted pool is an immediate error in wasmtime, not a wait.
    pub(crate) slots: Arc<Semaphore>,
    pub(crate) pool: PoolOptions,
    ticker: Ticker,
}

/// A running call: while one exists, epochs advance.
pub(crate) struct Running<'a>(&'a Ticker);

impl Engine {
    pub(crate) fn new(pool: PoolOptions) -> Result<Engine, String> {
        let engine = wasmtime::Engine::new(&config(&pool)).map_err(|error| format!("{error:#}"))?;
        Ok(Engine {
            slots: Arc::new(Semaphore::new(pool.instances as usize)),
            ticker: Ticker::start(engine.weak()).map_err(|error| error.to_string())?,
            wasmtime: engine,
            pool,
        })
    }

    /// Marks a call as running until the answer is dropped.
    pub(crate) fn running(&self) -> Running<'_> {
        self.ticker.enter();
        Running(&self.ticker)
    }
}

/// An engine that only compiles, for [`Engine`]s with this pool.
pub(crate) fn compiling(pool: &PoolOptions) -> Result<wasmtime::Engine, String> {
    wasmtime::Engine::new(&config(pool)).map_err(|error| format!("{error:#}"))
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.shared.running.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Most core instances of one component: a small guest is three, an interpreter's a few dozen.
const CORE_INSTANCES: u32 = 40;
/// Most tables of one component.
const TABLES: u32 = 20;

/// Memories are what the pool is made of, and calls take permits for theirs. Of everything else there is enough for the
/// greediest component in every slot, because it costs next to nothing: one such plugin must not make others wait.
fn config(pool: &PoolOptions) -> Config {
    let instances = pool.instances;
    let mut pooling = PoolingAllocationConfig::new();
    pooling
        .total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(CORE_INSTANCES))
        .total_memories(instances)
        .total_tables(instances.saturating_mul(TABLES))
        .total_stacks(instances)
        .max_memory_size(usize::try_from(pool.max_memory_bytes).unwrap_or(usize::MAX))
        .table_elements(30_000)
        .max_tables_per_component(TABLES)
        .max_memories_per_component(4)
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_component_instance_size(4 << 20)
        .max_core_instance_size(4 << 20)
        .linear_memory_keep_resident(64 << 10)
        .table_keep_resident(4096)
        .async_stack_keep_resident(64 << 10)
        .pagemap_scan(Enabled::Auto);
    let mut config = Config::new();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pooling)).epoch_interruption(true).concurrency_support(false);
    config
}

/// How often a running guest is interrupted to see whether its time is up.
const TICK: Duration = Duration::from_millis(10);
/// Ticks without a running call before the ticker sleeps until the next one: an idle host does not wake up.
const IDLE_TICKS: u32 = 50;

/// A thread of its own, because an executor that a guest keeps busy would not get to tick.
struct Ticker {
    shared: Arc<Shared>,
    thread: Thread,
    _handle: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    running: AtomicU64,
    parked: AtomicBool,
    stop: AtomicBool,
}

impl Ticker {
    fn start(engine: EngineWeak) -> std::io::Result<Ticker> {
        let shared = Arc::new(Shared::default());
        let for_thread = Arc::clone(&shared);
        let handle = std::thread::Builder::new().name("epoch".to_owned()).spawn(move || tick(&engine, &for_thread))?;
        Ok(Ticker { shared, thread: handle.thread().clone(), _handle: handle })
    }

    fn enter(&self) {
        self.shared.running.fetch_add(1, Ordering::SeqCst);
        // the ticker sets `parked` before it looks at `running`, so that one of the two sees the other
        if self.shared.parked.swap(false, Ordering::SeqCst) {
            self.thread.unpark();
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

fn tick(engine: &EngineWeak, shared: &Shared) {
    let mut idle = 0;
    while !shared.stop.load(Ordering::SeqCst) {
        std::thread::sleep(TICK);
        let Some(engine) = engine.upgrade() else { return };
        engine.increment_epoch();
        drop(engine);
        idle = if shared.running.load(Ordering::SeqCst) == 0 { idle + 1 } else { 0 };
        if idle >= IDLE_TICKS {
            idle = 0;
            shared.parked.store(true, Ordering::SeqCst);
            while shared.parked.load(Ordering::SeqCst) && shared.running.load(Ordering::SeqCst) == 0 && !shared.stop.load(Ordering::SeqCst) {
                std::thread::park();
            }
            shared.parked.store(false, Ordering::SeqCst);
        }
    }
}
