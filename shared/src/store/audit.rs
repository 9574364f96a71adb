//! The invariant checker: proves of a live Redis that each task is in exactly one place (`audit.lua`), and that the
//! counts kept beside them agree.

use std::collections::{BTreeMap, BTreeSet};

use super::{Partition, Queue, Result, StoreError, script::AUDIT, spec};
use crate::model::TaskId;

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Fault {
    /// The queue.
    pub queue: String,
    /// The task, batch or concurrency key.
    pub subject: String,
    /// What is wrong.
    pub fault: String,
}

/// What an audit found.
#[derive(Debug, Default, serde::Serialize)]
pub struct Audit {
    /// Tasks looked at.
    pub tasks: u64,
    /// What must not be.
    pub faults: Vec<Fault>,
}

/// What the records of some tasks say, by what they belong to.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Running tasks by concurrency key.
    pub(super) running: BTreeMap<String, i64>,
    /// Tasks by batch and state.
    pub(super) batches: BTreeMap<String, BTreeMap<String, i64>>,
    /// Those that belong to another partition.
    pub(super) misplaced: Vec<Fault>,
}

const PAGE: usize = 200;
const FINALS: [&str; 4] = ["completed", "failed", "cancelled", "expired"];

/// How many tasks of these states are not final.
pub(super) fn open_of(states: &BTreeMap<String, i64>) -> i64 {
    states.iter().filter(|(state, _)| !FINALS.contains(&state.as_str())).map(|(_, n)| n).sum()
}

/// The ids of each of these partitions, which are on one server, that have a spec or a record.
async fn recorded_ids(partitions: &[&Partition], pattern: &str) -> Result<Vec<BTreeSet<String>>> {
    let mut ids = vec![BTreeSet::new(); partitions.len()];
    let Some(first) = partitions.first() else { return Ok(ids) };
    let mut cursor = 0_u64;
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(1000);
        let page = first.store.connection.clone().beside(first.keys.meta(), scan).await;
        let page = page.map_err(|error| first.store.error(&error))?;
        let (next, keys): (u64, Vec<String>) =
            redis::from_redis_value(page).map_err(|e| StoreError::Unexpected(e.to_string()))?;
        for key in keys {
            for (partition, ids) in partitions.iter().zip(&mut ids) {
                ids.extend(partition.keys.id_in(&key).map(str::to_owned));
            }
        }
        cursor = next;
        if cursor == 0 {
            return Ok(ids);
        }
    }
}

impl Queue {
    /// Checks every task of the queue, with one look at the keys of each server that has a part of it. Reads only.
    pub async fn audit(&self) -> Result<Audit> {
        let [only] = self.partitions() else { return self.audit_each().await };
        only.audit().await
    }

    async fn audit_each(&self) -> Result<Audit> {
        let mut servers: BTreeMap<_, Vec<&Partition>> = BTreeMap::new();
        for partition in self.partitions() {
            servers.entry(partition.store.node_of(partition.keys.meta()).await?).or_default().push(partition);
        }
        let mut all = Audit::default();
        for partitions in servers.values() {
            let recorded = recorded_ids(partitions, &partitions[0].store.keys.any_of(self.name())).await?;
            for (partition, ids) in partitions.iter().zip(recorded) {
                let part = partition.audit_of(ids).await?;
                all.tasks += part.tasks;
                all.faults.extend(part.faults);
            }
        }
        Ok(all)
    }
}

impl Partition {
    fn fault(&self, subject: impl Into<String>, fault: impl Into<String>) -> Fault {
        Fault { queue: self.name.to_string(), subject: subject.into(), fault: fault.into() }
    }

    /// Checks every task of the queue, each at one moment, and the counts that are kept beside them. Reads only.
    pub async fn audit(&self) -> Result<Audit> {
        let recorded = self.recorded_ids().await?;
        self.audit_of(recorded).await
    }

    async fn audit_of(&self, recorded: BTreeSet<String>) -> Result<Audit> {
        let ids = self.with_placed(recorded).await?;
        let mut audit = Audit { tasks: ids.len() as u64, faults: Vec::new() };
        for page in ids.chunks(PAGE) {
            let page: Vec<&str> = page.iter().map(String::as_str).collect();
            let found: Vec<(String, String)> = self.run(&AUDIT, &page).await?;
            audit.faults.extend(found.into_iter().map(|(id, words)| self.fault(id, words)));
        }
        audit.faults.extend(self.audit_counts(&ids).await?);
        Ok(audit)
    }

    /// Runs the auditing script on nothing: shows whether we may run scripts at all.
    pub async fn probe(&self) -> Result<()> {
        self.run::<Vec<(String, String)>>(&AUDIT, &[""; 0].as_slice()).await.map(drop)
    }

    async fn recorded_ids(&self) -> Result<BTreeSet<String>> {
        let found = recorded_ids(&[self], &format!("{}*", self.keys.prefix())).await?;
        Ok(found.into_iter().next().unwrap_or_default())
    }

    /// These ids, and every id that is in a place.
    async fn with_placed(&self, mut ids: BTreeSet<String>) -> Result<Vec<String>> {
        for place in [
            self.keys.pending(),
            self.keys.running(),
            self.keys.scheduled(),
            self.keys.parked(),
            self.keys.dead(),
            self.keys.blocked(),
        ] {
            let mut first = 0_isize;
            loop {
                let page: Vec<String> =
                    self.store.command(redis::cmd("ZRANGE").arg(place).arg(first).arg(first + 999)).await?;
                first += 1000;
                let last = page.len() < 1000;
                ids.extend(page);
                if last {
                    break;
                }
            }
        }
        Ok(ids.into_iter().collect())
    }

    /// Every id that has a spec or a record, or is in a place.
    pub(super) async fn ids(&self) -> Result<Vec<String>> {
        self.with_placed(self.recorded_ids().await?).await
    }

    /// Counts of concurrency keys and batches. They move while we look, so a difference counts only if it stays.
    pub(super) async fn audit_counts(&self, ids: &[String]) -> Result<Vec<Fault>> {
        let first = self.count_faults(ids).await?;
        if first.is_empty() {
            return Ok(first);
        }
        let second = self.count_faults(&self.ids().await?).await?;
        Ok(first.into_iter().filter(|fault| second.contains(fault)).collect())
    }

    async fn count_faults(&self, ids: &[String]) -> Result<Vec<Fault>> {
        let Tally { running, batches, misplaced: mut faults } = self.tally(ids).await?;
        faults.extend(self.key_count_faults(&running).await?);
        faults.extend(self.batch_faults(&batches).await?);
        Ok(faults)
    }

    /// Counts these tasks by what they belong to.
    pub(super) async fn tally(&self, ids: &[String]) -> Result<Tally> {
        let Tally { mut running, mut batches, misplaced: mut faults } = Tally::default();
        for page in ids.chunks(PAGE) {
            let mut pipeline = redis::pipe();
            for id in page {
                let Ok(id) = TaskId::new(id) else { continue };
                pipeline.cmd("HMGET").arg(self.keys.task(&id)).arg(&["state", "concurrency_key", "batch"]);
                pipeline.cmd("GETRANGE").arg(self.keys.spec(&id)).arg(0).arg(spec::HEAD);
            }
            let replies: Vec<redis::Value> = self.store.pipeline(&pipeline).await?;
            for (id, pair) in page.iter().filter(|id| TaskId::new(id).is_ok()).zip(replies.chunks_exact(2)) {
                let [record, spec] = pair else { continue };
                let Ok((state, key, batch)) =
                    redis::from_redis_value_ref::<(Option<String>, Option<String>, Option<String>)>(record)
                else {
                    continue;
                };
                let spec: Vec<u8> = redis::from_redis_value_ref(spec).unwrap_or_default();
                if state.is_none() && spec.is_empty() {
                    continue;
                }
                let home = self.home(id, key.as_deref());
                if home != self.index {
                    let is = self.index;
                    faults.push(
                        self.fault(id, format!("belongs to partition {home}, but is in partition {is}")),
                    );
                }
                let state = state.unwrap_or_else(|| "pending".into());
                if let Some(key) = key.filter(|_| state == "running") {
                    *running.entry(key).or_default() += 1;
                }
                // One that left its batch says so with an empty name.
                let batch = batch.or_else(|| spec::said(&spec, "batch"));
                if let Some(batch) = batch.filter(|batch| !batch.is_empty()) {
                    *batches.entry(batch).or_default().entry(state).or_default() += 1;
                }
            }
        }
        Ok(Tally { running, batches, misplaced: faults })
    }

    async fn key_count_faults(&self, running: &BTreeMap<String, i64>) -> Result<Vec<Fault>> {
        let counted: BTreeMap<String, i64> =
            self.store.command(redis::cmd("HGETALL").arg(self.keys.key_counts())).await?;
        let keys: BTreeSet<&String> = running.keys().chain(counted.keys()).collect();
        Ok(keys
            .into_iter()
            .filter_map(|key| {
                let (is, says) = (running.get(key).unwrap_or(&0), counted.get(key).unwrap_or(&0));
                (is != says).then(|| {
                    self.fault(
                        key.clone(),
                        format!("{is} tasks with this concurrency key run, but {says} are counted"),
                    )
                })
            })
            .collect())
    }

    /// A batch's counters against its records. Records may be forgotten before the batch is, so only what is still
    /// open, and what is counted too low, is certain.
    async fn batch_faults(&self, batches: &BTreeMap<String, BTreeMap<String, i64>>) -> Result<Vec<Fault>> {
        let mut faults = Vec::new();
        for (name, states) in batches {
            let Ok(batch) = crate::model::BatchName::new(name) else { continue };
            let c: BTreeMap<String, i64> =
                self.store.command(redis::cmd("HGETALL").arg(self.keys.batch(&batch))).await?;
            if c.is_empty() {
                continue; // forgotten: its failed tasks stay in the dead letter
            }
            let get = |word: &str| c.get(word).copied().unwrap_or(0);
            let open = get("total") - FINALS.iter().map(|word| get(word)).sum::<i64>();
            let found = open_of(states);
            if open != found {
                faults.push(
                    self.fault(name.clone(), format!("the batch counts {open} open tasks, but {found} are")),
                );
            }
            for word in FINALS {
                let found = states.get(word).copied().unwrap_or(0);
                if get(word) < found {
                    faults.push(self.fault(
                        name.clone(),
                        format!("the batch counts {} {word} tasks, but {found} are", get(word)),
                    ));
                }
            }
        }
        Ok(faults)
    }
}
