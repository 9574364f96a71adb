//! The newest of the dead letter, without what they worked on: cheap enough to be looked at every second.

use futures_util::future::try_join_all;

use crate::{
    model::{State, TaskId, TaskRecord},
    store::{Partition, Queue, Result, StoreError, spec},
};

/// What tells of a failure; not what an attempt left behind, which may be large.
const FIELDS: [&str; 12] = [
    "state",
    "reason",
    "error",
    "lease",
    "attempt",
    "node",
    "started_at",
    "retries",
    "crashes",
    "interruptions",
    "priority",
    "finished_at",
];

impl Queue {
    /// The tasks that failed last, the newest first, at most `limit`. They come without payload, ledger and options.
    pub async fn newest_failures(&self, limit: usize) -> Result<Vec<TaskRecord>> {
        let pages = try_join_all(self.partitions().iter().map(|partition| partition.newest_failures(limit)));
        let mut tasks: Vec<TaskRecord> = pages.await?.into_iter().flatten().collect();
        tasks.sort_by_key(|task| std::cmp::Reverse(task.finished_at));
        tasks.truncate(limit);
        Ok(tasks)
    }
}

impl Partition {
    async fn newest_failures(&self, limit: usize) -> Result<Vec<TaskRecord>> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let mut newest = redis::cmd("ZRANGE");
        newest.arg(self.keys.dead()).arg(0).arg(limit - 1).arg("REV");
        let ids: Vec<String> = self.store.command(&newest).await?;
        let ids: Vec<TaskId> = ids.into_iter().filter_map(|id| TaskId::new(id).ok()).collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = redis::pipe();
        for id in &ids {
            pipeline.cmd("HMGET").arg(self.keys.task(id)).arg(&FIELDS);
            pipeline.getrange(self.keys.spec(id), 0, spec::HEAD);
        }
        let mut replies = self.store.pipeline::<Vec<redis::Value>>(&pipeline).await?.into_iter();
        let mut reply = || replies.next().unwrap_or(redis::Value::Nil);
        let unexpected = |e: redis::ParsingError| StoreError::Unexpected(e.to_string());
        let mut tasks = Vec::with_capacity(ids.len());
        for id in ids {
            let values: Vec<Option<Vec<u8>>> = redis::from_redis_value(reply()).map_err(unexpected)?;
            let head: Vec<u8> = redis::from_redis_value(reply()).map_err(unexpected)?;
            let pairs = FIELDS.iter().zip(values);
            let fields = pairs.filter_map(|(name, value)| Some((name.as_bytes().to_vec(), value?)));
            let head = head.split(|byte| *byte == b'\n').next();
            tasks.push(spec::record(self.reference(id), head, fields, self.texts()));
        }
        // One that was retried meanwhile is no failure any more.
        tasks.retain(|task| task.state == Some(State::Failed));
        Ok(tasks)
    }
}
