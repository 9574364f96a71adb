//! What a Windlass producer and a Windlass worker must agree on, and nothing else.
//!
//! * [`model`]: pure data and pure functions: names, the state table, the task record, retry policy, node.
//! * [`store`]: the only code that speaks to Redis: keys, scripts, connections. `PROTOCOL.md` describes it.
//! * [`config`]: the one configuration file that both binaries read.
//! * [`objects`]: the object store, where large payloads and results are kept.
//! * [`sealing`]: the encryption of what people wrote or got.
//! * [`logging`]: how both binaries log.

pub mod config;
pub mod logging;
pub mod model;
pub mod objects;
pub mod sealing;
pub mod store;

/// Version of the protocol in Redis that this build speaks (`PROTOCOL.md`). Nodes publish it.
pub const PROTOCOL_VERSION: u32 = 1;
