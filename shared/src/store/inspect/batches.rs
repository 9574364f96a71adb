//! How far a batch is.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    model::{BatchName, Micros, QueueName},
    store::{Result, Store},
};

/// Counters of a batch, over all its queues.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BatchCounts {
    /// Tasks submitted.
    pub total: u64,
    /// Done.
    pub completed: u64,
    /// In the dead letter.
    pub failed: u64,
    /// Cancelled.
    pub cancelled: u64,
    /// Expired.
    pub expired: u64,
}

impl BatchCounts {
    /// Tasks in a final state.
    pub fn finished(&self) -> u64 {
        self.completed + self.failed + self.cancelled + self.expired
    }
}

impl Store {
    /// The latest batches, the newest first, from place `first` on: each with when a queue joined it last.
    pub async fn batches(&self, first: usize, count: usize) -> Result<Vec<(BatchName, Micros)>> {
        let mut command = redis::cmd("ZRANGE");
        command.arg(self.keys.batches()).arg(first).arg(first.saturating_add(count.max(1) - 1));
        let listed: Vec<(String, f64)> = self.command(command.arg("REV").arg("WITHSCORES")).await?;
        let read = |(name, at): (String, f64)| Some((BatchName::new(name).ok()?, Micros(at as i64)));
        Ok(listed.into_iter().filter_map(read).collect())
    }

    /// The queues that hold a part of a batch.
    pub async fn batch_queues(&self, batch: &BatchName) -> Result<Vec<QueueName>> {
        let names: Vec<String> =
            self.command(redis::cmd("SMEMBERS").arg(self.keys.batch_queues(batch))).await?;
        let mut queues: Vec<QueueName> =
            names.into_iter().filter_map(|name| QueueName::new(name).ok()).collect();
        queues.sort();
        Ok(queues)
    }

    /// The counters of a batch; `None` if there is no such batch.
    pub async fn batch(&self, batch: &BatchName) -> Result<Option<BatchCounts>> {
        let queues = self.batch_queues(batch).await?;
        let mut sum = BatchCounts::default();
        let mut known = false;
        let mut partitions = Vec::new();
        for queue in &queues {
            partitions.extend(self.queue(queue).await?.partitions().to_vec());
        }
        for partition in &partitions {
            let key = partition.keys.batch(batch);
            let part: BTreeMap<String, i64> = self.command(redis::cmd("HGETALL").arg(key)).await?;
            known |= !part.is_empty();
            let get = |name: &str| u64::try_from(part.get(name).copied().unwrap_or(0)).unwrap_or(0);
            sum.total += get("total");
            sum.completed += get("completed");
            sum.failed += get("failed");
            sum.cancelled += get("cancelled");
            sum.expired += get("expired");
        }
        Ok(known.then_some(sum))
    }
}
