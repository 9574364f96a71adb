//! One partition of a queue: what has one hash slot, so that a script can change it as one step.

use std::sync::Arc;

use super::{QueueKeys, Result, Script, Store, slot::slot};
use crate::model::{QueueName, TaskId, TaskRef};

/// A partition of a queue. Most queues have only one, the first.
#[derive(Debug, Clone)]
pub struct Partition {
    pub(super) store: Store,
    pub(super) keys: Arc<QueueKeys>,
    pub(super) name: QueueName,
    pub(super) index: u16,
    pub(super) of: u16,
}

impl Store {
    /// The first partition of a queue, which knows of the others; of a queue that was never divided, all of it.
    pub fn first_partition(&self, name: &QueueName) -> Partition {
        let (store, keys) = (self.clone(), Arc::new(self.keys.queue(name)));
        Partition { store, keys, name: name.clone(), index: 0, of: 1 }
    }
}

impl Partition {
    /// The queue's name.
    pub fn name(&self) -> &QueueName {
        &self.name
    }

    /// Which partition of the queue it is, from 0.
    pub fn index(&self) -> u16 {
        self.index
    }

    /// How many partitions the queue has, as far as is known.
    pub fn of(&self) -> u16 {
        self.of
    }

    /// Its keys.
    pub fn keys(&self) -> &QueueKeys {
        &self.keys
    }

    /// The index of the partition that a task belongs to.
    pub(super) fn home(&self, id: &str, concurrency_key: Option<&str>) -> u16 {
        slot(concurrency_key.unwrap_or(id)) % self.of
    }

    /// Whether both are the same partition of the same queue.
    pub fn is(&self, other: &Self) -> bool {
        self.index == other.index && self.name == other.name
    }

    /// The same partition, as another connection reaches it.
    #[must_use]
    pub fn through(&self, store: &Store) -> Self {
        Self { store: store.clone(), ..self.clone() }
    }

    pub(super) fn reference(&self, id: TaskId) -> TaskRef {
        TaskRef { queue: self.name.clone(), id }
    }

    pub(super) async fn run<T: redis::FromRedisValue>(
        &self,
        script: &'static Script,
        args: &(impl redis::ToRedisArgs + Sync),
    ) -> Result<T> {
        self.store.run(script, &self.keys.every(), args).await
    }
}
