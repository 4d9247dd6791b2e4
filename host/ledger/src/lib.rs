//! What stands in the store, and how it is read back: the core's records under their keys. No clock, no plugins, no executor: the
//! server and the simulator keep the same books.
//!
//! | key | value |
//! |---|---|
//! | `meta/NAME` | owner, boot, generation, next-run, reserve, max-parallel |
//! | `wanted/SERVICE` | [`WantedRecord`] |
//! | `slots/SERVICE/REPLICA` | `hostler_core::SlotRecord` |
//! | `tasks/RUN` | `hostler_core::TaskRecord` |
//! | `handles/RUN` | [`HandleRecord`] |
//! | `released/RUN` | `true`: it is let go of instead of stopped |
//! | `plugins/NAME` | the plugin's entry in the configuration |
//! | `plugin-state/PLUGIN/KEY` | what the plugin keeps |

mod ahead;
mod read;
mod write;

pub use ahead::Ahead;
pub use read::{LedgerError, Memory, each, keys, meta, recall};
pub use write::{HandleRecord, Instance, OF_THE_HOST, Origin, WantedRecord, Written, event, handle_key, released_key, save, to_json, wanted_key};
