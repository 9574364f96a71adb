//! Puts right what the audit finds (`repair.lua`), while the fleet works: each task is looked at and repaired in one step.

use std::collections::BTreeMap;

use super::{
    PRODUCER, Partition, Queue, Result,
    audit::{Tally, open_of},
    script::REPAIR,
};
use crate::model::BatchName;

/// One thing that was put right, or would be.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Repair {
    /// The queue.
    pub queue: String,
    /// The task, batch or concurrency key.
    pub subject: String,
    /// What is done.
    pub repair: String,
}

/// Tasks that one call looks at.
const PAGE: usize = 100;
/// A batch whose counters move while its tasks are counted is counted again, so many times.
const COUNTS: usize = 5;
const COUNTERS: [&str; 5] = ["total", "completed", "failed", "cancelled", "expired"];

impl Queue {
    /// Repairs every task and count of the queue, or, unless `apply`, only tells how.
    pub async fn repair(&self, apply: bool) -> Result<Vec<Repair>> {
        let mut all = Vec::new();
        for partition in self.partitions() {
            all.extend(partition.repair(apply).await?);
        }
        Ok(all)
    }
}

impl Partition {
    /// Repairs every task and count of the partition, or, unless `apply`, only tells how.
    pub async fn repair(&self, apply: bool) -> Result<Vec<Repair>> {
        let ids = self.ids().await?;
        let mode = if apply { "do" } else { "look" };
        let mut done = Vec::new();
        for page in ids.chunks(PAGE) {
            let args: Vec<&str> =
                [PRODUCER, mode, "tasks"].into_iter().chain(page.iter().map(String::as_str)).collect();
            done.extend(self.repaired(&args).await?);
        }
        if apply {
            // Counts come last: they follow from where the tasks are now.
            done.extend(self.repaired(&[PRODUCER, mode, "keys"]).await?);
            done.extend(self.repair_batches().await?);
        } else {
            let told = self.audit_counts(&ids).await?.into_iter();
            done.extend(told.map(|fault| self.told(fault.subject, format!("set right: {}", fault.fault))));
        }
        Ok(done)
    }

    fn told(&self, subject: String, repair: String) -> Repair {
        Repair { queue: self.name.to_string(), subject, repair }
    }

    async fn repaired(&self, args: &[&str]) -> Result<Vec<Repair>> {
        let told: Vec<(String, String)> = self.run(&REPAIR, &args).await?;
        Ok(told.into_iter().map(|(subject, words)| self.told(subject, words)).collect())
    }

    /// Sets batches right that do not move. Each transition of a task between open and final, and each submission,
    /// changes the counters: if they are the same before and after its tasks were counted, the count is exact.
    async fn repair_batches(&self) -> Result<Vec<Repair>> {
        let mut done = Vec::new();
        for _ in 0..COUNTS {
            let mut counted = Vec::new();
            for name in self.batches().await? {
                if let Some(before) = self.counters(&name).await? {
                    counted.push((name, before));
                }
            }
            let tally = self.tally(&self.ids().await?).await?;
            counted.retain(|(name, before)| right(before, &tally, name) != *before);
            if counted.is_empty() {
                break;
            }
            for (name, before) in counted {
                let after = right(&before, &tally, &name);
                let figures: Vec<String> = before.iter().chain(&after).map(ToString::to_string).collect();
                let args: Vec<&str> = [PRODUCER, "do", "batch", name.as_str()]
                    .into_iter()
                    .chain(figures.iter().map(String::as_str))
                    .collect();
                done.extend(self.repaired(&args).await?);
            }
        }
        Ok(done)
    }

    /// A batch's counters; none if it is forgotten.
    async fn counters(&self, batch: &BatchName) -> Result<Option<[i64; 5]>> {
        let held: BTreeMap<String, i64> =
            self.store.command(redis::cmd("HGETALL").arg(self.keys.batch(batch))).await?;
        Ok((!held.is_empty()).then(|| COUNTERS.map(|name| held.get(name).copied().unwrap_or(0))))
    }
}

/// The counters that fit the records. Finished tasks may have been forgotten, so what was counted of them stays, unless
/// more are there.
fn right(before: &[i64; 5], tally: &Tally, batch: &BatchName) -> [i64; 5] {
    let empty = BTreeMap::new();
    let states = tally.batches.get(batch.as_str()).unwrap_or(&empty);
    let mut counters = *before;
    for (counter, name) in counters.iter_mut().zip(COUNTERS).skip(1) {
        *counter = (*counter).max(states.get(name).copied().unwrap_or(0));
    }
    counters[0] = counters[1..].iter().sum::<i64>() + open_of(states);
    counters
}
