//! The only code that speaks to Redis. `PROTOCOL.md` describes what it does well enough to write another.
//!
//! Each change is one script, run as one step in one hash slot: [`Queue::submit`], [`Queue::settle_and_claim`],
//! [`Queue::extend`], … stand beside the Lua file of the same name. Inspection ([`inspect`], [`audit`]) is apart, so
//! that no worker depends on it.

pub mod audit;
mod connect;
mod error;
mod extend;
mod gate;
pub mod inspect;
mod keys;
mod node;
mod operate;
mod packed;
mod script;
mod server;
mod settle;
mod spec;
mod submit;
mod wait;

use std::sync::Arc;

use redis::aio::ConnectionManager;

pub use connect::Connect;
pub use error::{Result, StoreError};
pub use extend::{Extend, Extended, Held};
pub use gate::{
    Admission, Answered, Ask, AskModel, BreakerRule, BreakerState, BudgetRule, BudgetUse, CallVerdict, Gate,
    Judged, LiveRecord, OnLimit, SemanticEntry, Skipped, Taught, UsageRecord,
};
pub use keys::{Keys, QueueKeys};
pub use node::{Beaten, NodeCommand};
pub use operate::{Cancelled, Purged, QueueSettings, Review, Reviewed};
pub use script::{Script, all as all_scripts};
pub use server::ServerFacts;
pub use settle::{Claimed, Settle, SettleAndClaim, Settled, SettledAndClaimed};
pub use submit::{Accepted, MOST_PER_SUBMIT};

use crate::model::QueueName;

/// A fleet's Redis: one connection that carries the scripts and mends itself, and a pool for what must wait.
///
/// Cheap to clone; clones share the connection.
#[derive(Clone)]
pub struct Store {
    connection: ConnectionManager,
    /// For blocking waits and long scans: each takes a connection of its own.
    pool: deadpool_redis::Pool,
    keys: Arc<Keys>,
    /// Without its password; for messages.
    url: Arc<str>,
}

impl Store {
    /// The keys of this fleet.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// A queue of this fleet.
    pub fn queue(&self, name: &QueueName) -> Queue {
        Queue { store: self.clone(), keys: Arc::new(self.keys.queue(name)), name: name.clone() }
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

/// One queue: its operations each run on one hash slot.
#[derive(Debug, Clone)]
pub struct Queue {
    store: Store,
    keys: Arc<QueueKeys>,
    name: QueueName,
}

impl Queue {
    /// Its name.
    pub fn name(&self) -> &QueueName {
        &self.name
    }

    /// Its keys.
    pub fn keys(&self) -> &QueueKeys {
        &self.keys
    }

    async fn run<T: redis::FromRedisValue>(
        &self,
        script: &'static Script,
        args: &(impl redis::ToRedisArgs + Sync),
    ) -> Result<T> {
        let keys: Vec<&str> = self.keys.fixed.iter().map(String::as_str).collect();
        self.store.run(script, &keys, args).await
    }
}

/// Who did it, in events, where it was not a node.
pub(crate) const PRODUCER: &str = "producer";
