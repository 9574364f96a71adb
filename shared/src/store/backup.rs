//! Copies a queue out of Redis, key by key (`DUMP`), while it is paused. Upkeep and submissions may go on meanwhile: the
//! event log names every task that moved, and those are copied again. Needs the rights of an administrator.

use std::collections::{BTreeMap, BTreeSet};

use super::{Partition, Queue, QueueKeys, Result, Store, StoreError, keys::FIXED};
use crate::model::{BatchName, QueueName};

/// Where a partition stands. Two equal ones with the same newest event: nothing changed between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Its settings, as Redis holds them.
    pub settings: BTreeMap<String, String>,
    /// The newest entry of its event log, which each change of a task adds to; `0` if there is none.
    pub newest_event: String,
    /// Tasks that run.
    pub running: u64,
    /// Entries of the other places: not every deletion of what is past its retention is an event.
    places: Vec<u64>,
}

impl Standing {
    /// Nothing is claimed from it.
    pub fn is_paused(&self) -> bool {
        self.settings.get("paused").is_some_and(|paused| paused == "1")
    }
}

/// Entries of the event log that are read at once.
const EVENTS: usize = 500;

impl Store {
    /// Refuses a user who may not copy keys, before anything is paused for it.
    pub async fn check_export(&self, name: &QueueName) -> Result<()> {
        let meta = self.first_partition(name).keys.meta().to_owned();
        let asked = self.command::<redis::Value>(redis::cmd("DUMP").arg(meta)).await;
        asked.map(drop).map_err(StoreError::for_administrators)
    }
}

impl Queue {
    /// Where each partition stands.
    pub async fn standing(&self) -> Result<Vec<Standing>> {
        let mut all = Vec::with_capacity(self.partitions().len());
        for partition in self.partitions() {
            all.push(partition.standing().await?);
        }
        Ok(all)
    }

    /// Gives the names of all keys of the queue that a copy needs, without what their partition's keys begin with, in
    /// pages of one partition. A key may come twice.
    pub async fn each_key<E: From<StoreError>>(
        &self,
        mut page: impl AsyncFnMut(&Partition, Vec<String>) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let mut servers: BTreeMap<_, Vec<&Partition>> = BTreeMap::new();
        for partition in self.partitions() {
            let store = &partition.store;
            servers.entry(store.node_of(partition.keys.meta()).await?).or_default().push(partition);
        }
        for partitions in servers.values() {
            let mut cursor = 0;
            loop {
                let (next, keys) = partitions[0].scan(self.name(), cursor).await?;
                for partition in partitions {
                    let names = keys.iter().filter_map(|key| partition.keys.copied(key).map(str::to_owned));
                    let names: Vec<String> = names.collect();
                    if !names.is_empty() {
                        page(partition, names).await?;
                    }
                }
                cursor = next;
                if cursor == 0 {
                    break;
                }
            }
        }
        Ok(())
    }
}

impl QueueKeys {
    /// A key of this partition without what they all begin with, if it says something for longer than a minute.
    fn copied<'a>(&self, key: &'a str) -> Option<&'a str> {
        let name = key.strip_prefix(self.prefix())?;
        let passing = ["bell", "written", "moving"].contains(&name)
            || name.starts_with("claimed:")
            || name.starts_with(super::restore::ASIDE);
        (!passing).then_some(name)
    }
}

impl Partition {
    async fn scan(&self, queue: &QueueName, cursor: u64) -> Result<(u64, Vec<String>)> {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(self.store.keys.any_of(queue)).arg("COUNT").arg(1000);
        let page = self.store.connection.clone().beside(self.keys.meta(), scan).await;
        let page = page.map_err(|error| self.store.error(&error))?;
        redis::from_redis_value(page).map_err(|error| StoreError::Unexpected(error.to_string()))
    }

    async fn standing(&self) -> Result<Standing> {
        let keys = &self.keys;
        let settings = self.store.command(redis::cmd("HGETALL").arg(keys.meta())).await?;
        let mut pipeline = redis::pipe();
        pipeline.zcard(keys.running());
        for place in
            [keys.pending(), keys.scheduled(), keys.parked(), keys.dead(), keys.blocked(), keys.batches()]
        {
            pipeline.zcard(place);
        }
        pipeline.cmd("XLEN").arg(keys.finished());
        let mut places: Vec<u64> = self.store.pipeline(&pipeline).await?;
        let running = places.remove(0);
        let newest_event = self.newest_event().await?;
        Ok(Standing { settings, newest_event, running, places })
    }

    /// The names of the keys that any task or batch may have changed after event `since`, and of all that are not a
    /// task's own. `None` if the log does not reach back so far.
    pub async fn changed_since(&self, since: &str) -> Result<Option<BTreeSet<String>>> {
        let mut names: BTreeSet<String> =
            FIXED.into_iter().filter(|name| !["meta", "bell"].contains(name)).map(str::to_owned).collect();
        for batch in self.batches().await? {
            names.insert(format!("batch:{batch}"));
            names.insert(format!("batch-finished:{batch}"));
        }
        let mut cursor = since.to_owned();
        if since != "0" {
            let there = self.log_page(self.keys.events(), since, since, false, 1).await?;
            if there.is_empty() {
                return Ok(None);
            }
        }
        loop {
            let events = self.events(&cursor, EVENTS).await?;
            for moved in events.iter().flat_map(|event| &event.transitions) {
                names.insert(format!("spec:{}", moved.id));
                names.insert(format!("task:{}", moved.id));
            }
            match events.last() {
                Some(last) if events.len() == EVENTS => cursor.clone_from(&last.cursor),
                _ => return Ok(Some(names)),
            }
        }
    }

    /// What `DUMP` gives for keys of these names; none for one that is not there.
    pub async fn dump(&self, names: &[String]) -> Result<Vec<Option<Vec<u8>>>> {
        let mut pipeline = redis::pipe();
        for name in names {
            pipeline.cmd("DUMP").arg(self.keys.named(name));
        }
        self.store.pipeline(&pipeline).await
    }

    /// The batches that have a part here.
    pub(super) async fn batches(&self) -> Result<Vec<BatchName>> {
        let names: Vec<String> =
            self.store.command(redis::cmd("ZRANGE").arg(self.keys.batches()).arg(0).arg(-1)).await?;
        Ok(names.into_iter().filter_map(|name| BatchName::new(name).ok()).collect())
    }
}
