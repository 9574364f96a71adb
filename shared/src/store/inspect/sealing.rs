//! With which keys tasks are sealed, as far as a look at some of them tells.

use std::collections::BTreeMap;

use crate::{
    model::TaskId,
    sealing::key_of,
    store::{Partition, Queue, Result},
};

/// Tasks of a partition that are looked at in each place.
const SAMPLE: usize = 50;
/// The first line of a spec, the digest, the options, and the beginning of the payload.
const BEGINNING: usize = 16 << 10;
/// Entries of the log of finished tasks, the last ones.
const ENTRIES: usize = 5;

/// Payloads by the id of the key that they are sealed with; none: not sealed.
pub type SealedWith = BTreeMap<Option<String>, u64>;

impl Queue {
    /// Looks at some tasks of each state. The cost is bounded, however many there are.
    pub async fn sealed_with(&self) -> Result<SealedWith> {
        let mut all = SealedWith::new();
        for partition in self.partitions() {
            for (key, count) in partition.sealed_with().await? {
                *all.entry(key).or_default() += count;
            }
        }
        Ok(all)
    }
}

impl Partition {
    async fn sealed_with(&self) -> Result<SealedWith> {
        let ids = self.some_ids().await?;
        if ids.is_empty() {
            return Ok(SealedWith::new());
        }
        let mut pipeline = redis::pipe();
        for id in &ids {
            pipeline.cmd("GETRANGE").arg(self.keys.spec(id)).arg(0).arg(BEGINNING - 1);
        }
        let specs: Vec<Vec<u8>> = self.store.pipeline(&pipeline).await?;
        let mut found = SealedWith::new();
        for spec in specs {
            if let Some(payload) = spec.splitn(4, |byte| *byte == b'\n').nth(3) {
                *found.entry(key_of(payload).map(str::to_owned)).or_default() += 1;
            }
        }
        Ok(found)
    }

    async fn some_ids(&self) -> Result<Vec<TaskId>> {
        let keys = &self.keys;
        let places =
            [keys.pending(), keys.scheduled(), keys.running(), keys.parked(), keys.blocked(), keys.dead()];
        let mut pipeline = redis::pipe();
        for place in places {
            pipeline.cmd("ZRANGE").arg(place).arg(0).arg(SAMPLE - 1);
        }
        let waiting: Vec<Vec<String>> = self.store.pipeline(&pipeline).await?;
        let entries = self.log_page(keys.finished(), "+", "-", true, ENTRIES).await?;
        let finished = entries.iter().flat_map(|(_, fields)| fields).flat_map(|(_, ids)| ids.split(' '));
        let ids = waiting.iter().flatten().map(String::as_str).chain(finished.take(SAMPLE));
        Ok(ids.filter_map(|id| TaskId::new(id).ok()).collect())
    }
}
