//! The only code that speaks to Redis. `PROTOCOL.md` describes what it does well enough to write another.
//!
//! Each change is one script, run as one step in one hash slot: [`Partition::submit`], [`Partition::settle_and_claim`],
//! [`Partition::extend`], … stand beside the Lua file of the same name. A [`Queue`] is one partition or several, and
//! behaves as one. Inspection ([`inspect`], [`audit`]) is apart, so that no worker depends on it.

mod actions;
mod address;
mod answers;
pub mod audit;
mod backup;
mod connect;
mod connection;
mod durable;
mod error;
mod extend;
mod followed;
#[cfg(feature = "fuzz")]
#[doc(hidden)]
pub mod fuzz;
mod gate;
pub mod inspect;
mod keys;
mod mended;
mod node;
mod objects;
mod operate;
mod packed;
mod partition;
mod payloads;
mod queue;
mod repair;
mod restore;
mod rhythm;
mod script;
mod server;
mod settle;
mod slot;
mod spec;
mod submit;
mod timing;
mod wait;

use std::{sync::Arc, time::Duration};

pub use answers::{ANSWER_ALIVE_EVERY, Asked};
pub use backup::Standing;
pub use connect::{Connect, SentinelLogin, Tls};
pub use error::{Result, StoreError};
pub use extend::{Extend, Extended, Held};
pub use gate::{
    Admission, Answered, Ask, AskModel, BatchCost, BreakerRule, BreakerState, BudgetRule, BudgetUse,
    CallVerdict, Gate, Judged, LiveRecord, OnLimit, SemanticEntry, Skipped, Taught, UsageRecord,
};
pub use keys::{Keys, QueueKeys};
pub use node::{Beaten, NodeCommand};
pub use operate::{Cancelled, Purged, QueueSettings, Review, Reviewed};
pub use partition::Partition;
pub use payloads::Payloads;
pub use queue::{MOST_PARTITIONS, Queue};
pub use repair::Repair;
pub use restore::{Dumped, Import, Progress};
pub use rhythm::{Rhythm, Visits};
pub use script::{Script, all as all_scripts};
pub use server::{IN_STEP, ServerFacts};
pub use settle::{Claimed, Settle, SettleAndClaim, Settled, SettledAndClaimed};
pub use submit::{Accepted, MOST_PER_SUBMIT};
pub use timing::{Figures, Timing, timing};

use self::{connection::Connection, queue::Known, wait::Waits};
use crate::model::Durability;

/// A fleet's Redis, one server or a cluster: a connection that carries the scripts and mends itself, and others for what
/// must wait.
///
/// Cheap to clone; clones share the connection.
#[derive(Clone)]
pub struct Store {
    connection: Connection,
    /// For blocking waits: each takes a connection of its own.
    waits: Arc<Waits>,
    keys: Arc<Keys>,
    /// How many partitions queues have.
    known: Known,
    /// What must have a submission or a result before it counts, and how long that may take.
    durability: Durability,
    durability_timeout: Duration,
    response_timeout: Duration,
    payloads: Payloads,
    /// Without its password; for messages.
    url: Arc<str>,
}

impl Store {
    /// The keys of this fleet.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    fn unreachable(&self, why: String) -> StoreError {
        StoreError::Unreachable { url: self.url.to_string(), why }
    }

    /// How this program stores what people wrote or got.
    pub fn payloads(&self) -> &Payloads {
        &self.payloads
    }

    fn error(&self, error: &redis::RedisError) -> StoreError {
        StoreError::new(error, &self.url)
    }

    /// Runs one command on the shared connection.
    async fn command<T: redis::FromRedisValue>(&self, command: &redis::Cmd) -> Result<T> {
        command.query_async(&mut self.connection.clone()).await.map_err(|error| self.error(&error))
    }

    /// Runs a pipeline on the shared connection.
    async fn pipeline<T: redis::FromRedisValue>(&self, pipeline: &redis::Pipeline) -> Result<T> {
        pipeline.query_async(&mut self.connection.clone()).await.map_err(|error| self.error(&error))
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Who did it, in events, where it was not a node.
pub(crate) const PRODUCER: &str = "producer";
