//! Clocks and randomness of a tapped call.

use std::sync::Arc;
use std::time::Duration;

use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::clocks::{HostMonotonicClock, HostWallClock, MonotonicClock, WallClock};
use wasmtime_wasi::random::Deterministic;

use super::CallTap;

/// Bytes that a seed becomes; more than that begin again from the first.
const RANDOM_BYTES: usize = 16 << 10;

/// Puts a tap between the guest and its clocks.
pub(crate) fn build(wasi: &mut WasiCtxBuilder, tap: &Arc<CallTap>) {
    wasi.wall_clock(Wall { real: WallClock::new(), tap: Arc::clone(tap) });
    wasi.monotonic_clock(Monotonic { real: MonotonicClock::new(), tap: Arc::clone(tap) });
    let Some(seed) = tap.tap.seed(&tap.info) else { return };
    wasi.secure_random(Deterministic::new(stretch(&seed, b"secure")));
    wasi.insecure_random(Deterministic::new(stretch(&seed, b"insecure")));
    wasi.insecure_random_seed(u128::from_le_bytes(*seed.first_chunk().expect("a seed has 32 bytes")));
}

fn stretch(seed: &[u8; 32], use_of: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; RANDOM_BYTES];
    blake3::Hasher::new_keyed(seed).update(use_of).finalize_xof().fill(&mut bytes);
    bytes
}

struct Wall {
    real: WallClock,
    tap: Arc<CallTap>,
}

impl HostWallClock for Wall {
    fn resolution(&self) -> Duration {
        self.real.resolution()
    }

    fn now(&self) -> Duration {
        self.tap.tap.wall_clock(&self.tap.info, self.real.now())
    }
}

struct Monotonic {
    real: MonotonicClock,
    tap: Arc<CallTap>,
}

impl HostMonotonicClock for Monotonic {
    fn resolution(&self) -> u64 {
        self.real.resolution()
    }

    fn now(&self) -> u64 {
        self.tap.tap.monotonic_clock(&self.tap.info, self.real.now())
    }
}
