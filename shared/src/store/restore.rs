//! Brings a copied queue back (`RESTORE`), in steps that can be interrupted anywhere. While it lasts the queue is paused
//! and full, so nobody claims or submits. Places are restored aside and renamed in one step, so that no upkeep works on
//! half a queue. Needs the rights of an administrator.

use std::collections::BTreeMap;

use super::{Partition, Queue, QueueSettings, Result, Store, StoreError, audit::Audit, keys::FIXED};
use crate::model::QueueName;

/// What the names of places begin with until all is there.
pub(super) const ASIDE: &str = "import:";
/// The field of `meta` that says what is being imported, and how far it is.
const MARK: &str = "importing";
/// The mark's second word when a partition has all its places.
const PLACED: &str = "placed";
const SETTINGS: [&str; 7] =
    ["max_length", "concurrency", "key_concurrency", "retention", "dead_retention", "dead_max", "events"];
/// What other servers say of a dump that they cannot read.
const FOREIGN: &str = "DUMP payload version or checksum";

/// The name of a key, and what `DUMP` gave for it; nothing if it is to be gone.
pub type Dumped = (String, Option<Vec<u8>>);

/// How far the import of a file into a queue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The queue is empty.
    NotBegun,
    /// So many keys of it were restored.
    Restored(u64),
    /// All of it is in its place; what remains is to let it go on.
    Placed,
}

/// A queue that is being imported.
#[derive(Debug)]
pub struct Import {
    queue: Queue,
    /// Names the file.
    digest: String,
    placed: Vec<bool>,
}

/// What this server says of such a dump, in words that help.
fn cannot_read(error: StoreError) -> StoreError {
    match error {
        StoreError::Unexpected(why) if why.contains(FOREIGN) => StoreError::Impossible(
            "this server cannot read what the other one wrote: import into a Redis or Valkey that is as new as the one \
             that the file was exported from (the first line of the file names it)"
                .into(),
        ),
        other => other,
    }
}

impl Store {
    /// Refuses a user who may not restore keys, and a server that cannot read `newest`, the dump of the newest format;
    /// before anything is closed or written.
    pub async fn check_import(&self, name: &QueueName, newest: Option<&[u8]>) -> Result<()> {
        let key = self.keys.queue(name).named(&format!("{ASIDE}try"));
        let mut restore = redis::cmd("RESTORE");
        // Should we be killed now, it is gone by itself.
        restore.arg(&key).arg(60_000).arg(newest.unwrap_or_default()).arg("REPLACE");
        match self.command::<()>(&restore).await {
            // A dump of nothing is wrong everywhere: we were asking for the right.
            Err(StoreError::Unexpected(why)) if newest.is_none() && why.contains(FOREIGN) => Ok(()),
            Err(error) => Err(cannot_read(error).for_administrators()),
            Ok(()) => self.command(redis::cmd("UNLINK").arg(&key)).await,
        }
    }

    /// How far the import of the file with this digest is. Refused if the queue holds anything else.
    pub async fn import_progress(&self, name: &QueueName, digest: &str) -> Result<Progress> {
        let first = self.first_partition(name);
        match first.import_mark().await? {
            Some(mark) if mark.starts_with(digest) => Ok(match mark.split_once(' ') {
                Some((_, PLACED)) => Progress::Placed,
                Some((_, lines)) => Progress::Restored(lines.parse().unwrap_or(0)),
                None => Progress::Restored(0),
            }),
            Some(_) => Err(StoreError::Impossible(format!(
                "the import of another file into queue {name} was interrupted: import that one first"
            ))),
            None => {
                let queue = self.queue(name).await?;
                queue.each_key(async |partition, names| partition.none_of_a_task(&names)).await?;
                Ok(Progress::NotBegun)
            }
        }
    }

    /// Marks and closes a queue for an import, or takes up one that was interrupted. Ask
    /// [`import_progress`](Self::import_progress) first.
    pub async fn begin_import(&self, name: &QueueName, partitions: u16, digest: &str) -> Result<Import> {
        let mut queue = self.queue(name).await?;
        let paused = QueueSettings {
            paused: Some(true),
            max_length: Some(None),
            concurrency: Some(None),
            ..<_>::default()
        };
        match (partitions, queue.partitions().len()) {
            (1, 1) => {}
            (1, _) => {
                return Err(StoreError::Impossible(format!(
                    "queue {name} is divided here, and was not where it was exported: a task never changes its partition"
                )));
            }
            (count, is) if usize::from(count) == is => {}
            (count, _) => queue = queue.divide(count, &paused).await?,
        }
        let is_placed = |mark: &Option<String>| mark.as_ref().is_some_and(|mark| mark.ends_with(PLACED));
        let ending = is_placed(&self.first_partition(name).import_mark().await?);
        let mut placed = Vec::new();
        // The first partition comes last: while it has no mark, nothing was restored.
        for partition in queue.partitions().iter().rev() {
            let mark = partition.import_mark().await?;
            if mark.is_none() && !ending {
                partition.close(digest).await?;
            }
            // One without a mark, when all are in place, is open again.
            placed.push(is_placed(&mark) || ending);
        }
        placed.reverse();
        Ok(Import { queue, digest: digest.to_owned(), placed })
    }
}

impl Import {
    /// The queue.
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// Restores keys of one partition. Safe to repeat.
    pub async fn restore(&self, partition: u16, keys: &[Dumped]) -> Result<()> {
        let index = usize::from(partition);
        let (Some(partition), Some(false)) = (self.queue.partitions().get(index), self.placed.get(index))
        else {
            return Ok(());
        };
        let mut pipeline = redis::pipe();
        for (name, dump) in keys {
            let aside = if FIXED.contains(&name.as_str()) { ASIDE } else { "" };
            let key = partition.keys.named(&format!("{aside}{name}"));
            match dump {
                Some(dump) => pipeline.cmd("RESTORE").arg(key).arg(0).arg(&dump[..]).arg("REPLACE").ignore(),
                None => pipeline.cmd("UNLINK").arg(key).ignore(),
            };
        }
        partition.store.pipeline(&pipeline).await.map_err(cannot_read)
    }

    /// Notes that so many keys of the queue were restored.
    pub async fn note(&self, keys: u64) -> Result<()> {
        let [first, ..] = self.queue.partitions() else { return Ok(()) };
        if self.placed.first() == Some(&true) {
            return Ok(());
        }
        first.set_mark(&format!("{} {keys}", self.digest)).await
    }

    /// Puts all places where they belong: one step in each partition. The queue stays closed.
    pub async fn place(&mut self) -> Result<()> {
        for (partition, placed) in self.queue.partitions().iter().zip(&mut self.placed).rev() {
            if !*placed {
                partition.put_in_place(&self.digest).await?;
                *placed = true;
            }
        }
        Ok(())
    }

    /// Registers the queue and its batches, and proves that each task is in exactly one place.
    pub async fn audit(&self) -> Result<Audit> {
        let store = &self.queue.store();
        store.register_queue(self.queue.name()).await?;
        for partition in self.queue.partitions() {
            for batch in partition.batches().await? {
                store.register_batch(&batch, self.queue.name()).await?;
            }
        }
        self.queue.audit().await
    }

    /// Opens the queue with these settings, one set for each partition. From now on it is a queue like any other.
    pub async fn end(&self, settings: &[BTreeMap<String, String>], paused: bool) -> Result<()> {
        // The first one comes last: until then the import can be taken up again.
        for (partition, settings) in self.queue.partitions().iter().zip(settings).rev() {
            if partition.import_mark().await?.is_none() {
                continue;
            }
            let of = |name: &str| (name.to_owned(), settings.get(name).cloned().unwrap_or_default());
            let mut pairs: Vec<(String, String)> = SETTINGS.into_iter().map(of).collect();
            pairs.push(("paused".into(), if paused { "1".into() } else { String::new() }));
            pairs.push((MARK.into(), String::new()));
            partition.set(pairs).await?;
        }
        Ok(())
    }
}

impl Partition {
    /// Refuses a queue that has tasks here. What a purged queue keeps besides (logs, counters) is replaced, but for its
    /// batches, whose keys nothing would ever sweep again.
    fn none_of_a_task(&self, names: &[String]) -> Result<()> {
        let any = |kinds: &[&str]| names.iter().any(|name| kinds.iter().any(|kind| name.starts_with(kind)));
        let name = &self.name;
        if any(&["spec:", "task:", "parked:"]) {
            return Err(StoreError::Impossible(format!(
                "queue {name} is not empty here: import into a Redis without it, or purge it first (`windlass purge`)"
            )));
        }
        if any(&["batch:", "batch-finished:"]) {
            return Err(StoreError::Impossible(format!(
                "queue {name} is purged, but remembers its batches until their retention is over: import into a Redis \
                 without it, or let them go first (`windlass queues set {name} --retention 1s`, with a worker that serves it)"
            )));
        }
        Ok(())
    }

    async fn import_mark(&self) -> Result<Option<String>> {
        self.store.command(redis::cmd("HGET").arg(self.keys.meta()).arg(MARK)).await
    }

    async fn set_mark(&self, mark: &str) -> Result<()> {
        self.store.command(redis::cmd("HSET").arg(self.keys.meta()).arg(MARK).arg(mark)).await
    }

    /// Nothing is claimed, and nothing accepted.
    async fn close(&self, digest: &str) -> Result<()> {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        self.set(vec![pair("paused", "1"), pair("max_length", "0"), pair(MARK, digest)]).await
    }

    async fn put_in_place(&self, digest: &str) -> Result<()> {
        let names: Vec<&str> = FIXED.into_iter().filter(|name| *name != "meta").collect();
        let aside = |name: &str| self.keys.named(&format!("{ASIDE}{name}"));
        let mut ask = redis::pipe();
        for name in &names {
            ask.cmd("EXISTS").arg(aside(name));
        }
        let there: Vec<bool> = self.store.pipeline(&ask).await?;
        let mut step = redis::pipe();
        step.atomic();
        for (name, there) in names.iter().zip(there) {
            if there {
                step.cmd("RENAME").arg(aside(name)).arg(self.keys.named(name)).ignore();
            } else {
                step.cmd("UNLINK").arg(self.keys.named(name)).ignore();
            }
        }
        step.cmd("HSET").arg(self.keys.meta()).arg(MARK).arg(format!("{digest} {PLACED}")).ignore();
        self.store.pipeline(&step).await
    }
}
