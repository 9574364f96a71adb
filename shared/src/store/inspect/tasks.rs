//! Reading tasks: by reference, and by state.

use crate::{
    model::{State, TaskId, TaskRecord, TaskRef},
    store::{
        Queue, Result, Store,
        settle::{lossy, pairs},
    },
};

/// One page of a listing.
#[derive(Debug)]
pub struct TaskPage {
    /// The tasks.
    pub tasks: Vec<TaskRecord>,
    /// Where to go on; none at the end.
    pub cursor: Option<String>,
}

impl Store {
    /// Reads tasks with their payloads, in one round trip; `None` where there is none.
    pub async fn tasks(&self, references: &[TaskRef]) -> Result<Vec<Option<TaskRecord>>> {
        let mut pipeline = redis::pipe();
        for task in references {
            let keys = self.keys.queue(&task.queue);
            pipeline.cmd("HGETALL").arg(keys.task(&task.id)).cmd("GET").arg(keys.payload(&task.id));
        }
        if references.is_empty() {
            return Ok(Vec::new());
        }
        let replies: Vec<redis::Value> = self.pipeline(&pipeline).await?;
        let mut replies = replies.into_iter();
        let mut tasks = Vec::with_capacity(references.len());
        for reference in references {
            let unexpected = |e: redis::ParsingError| super::super::StoreError::Unexpected(e.to_string());
            let fields: Vec<(Vec<u8>, Vec<u8>)> =
                redis::from_redis_value(replies.next().unwrap_or(redis::Value::Nil)).map_err(unexpected)?;
            let payload: Option<Vec<u8>> =
                redis::from_redis_value(replies.next().unwrap_or(redis::Value::Nil)).map_err(unexpected)?;
            tasks.push((!fields.is_empty()).then(|| {
                let flat = fields.into_iter().flat_map(|(name, value)| [lossy(name), lossy(value)]);
                let mut record = TaskRecord::from_fields(reference.clone(), pairs(flat));
                record.payload = payload.map(lossy).unwrap_or_default();
                record
            }));
        }
        Ok(tasks)
    }
}

impl Queue {
    fn references(&self, ids: Vec<String>) -> Vec<TaskRef> {
        ids.into_iter()
            .filter_map(|id| TaskId::new(id).ok())
            .map(|id| TaskRef { queue: self.name.clone(), id })
            .collect()
    }

    /// Lists tasks of one state, `limit` at the most: those that wait in their order, finished ones newest first.
    /// The cursor is an index for what waits (tasks may move meanwhile), an entry of the log for what is finished.
    pub async fn list(&self, state: State, limit: usize, cursor: Option<&str>) -> Result<TaskPage> {
        let (ids, next) = match self.place(state) {
            Some((place, newest_first)) => {
                let first: usize = cursor.and_then(|c| c.parse().ok()).unwrap_or(0);
                let mut command = redis::cmd("ZRANGE");
                command.arg(place).arg(first).arg(first + limit.max(1) - 1);
                if newest_first {
                    command.arg("REV");
                }
                let ids: Vec<String> = self.store.command(&command).await?;
                let next = (ids.len() == limit).then(|| (first + limit).to_string());
                (ids, next)
            }
            None => self.finished_ids(state, limit, cursor).await?,
        };
        let tasks = self.store.tasks(&self.references(ids)).await?;
        // Between the two reads a task may have moved on; it is listed under its new state elsewhere.
        let tasks = tasks.into_iter().flatten().filter(|task| task.state == Some(state)).collect();
        Ok(TaskPage { tasks, cursor: next })
    }

    fn place(&self, state: State) -> Option<(&str, bool)> {
        match state {
            State::Pending => Some((self.keys.pending(), false)),
            State::Running => Some((self.keys.running(), false)),
            State::Scheduled => Some((self.keys.scheduled(), false)),
            State::Parked => Some((self.keys.parked(), false)),
            State::Failed => Some((self.keys.dead(), true)),
            State::Blocked | State::Completed | State::Cancelled | State::Expired => None,
        }
    }

    /// Ids of finished tasks of one state, newest first, whole entries of the log at a time.
    async fn finished_ids(
        &self,
        state: State,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<(Vec<String>, Option<String>)> {
        let mut ids = Vec::new();
        let mut before = cursor.map_or_else(|| "+".to_owned(), |cursor| format!("({cursor}"));
        loop {
            let entries = self.log_page(self.keys.finished(), &before, "-", true, 50).await?;
            let Some((last, _)) = entries.last() else { return Ok((ids, None)) };
            let last = last.clone();
            for (entry, fields) in entries {
                for (word, list) in fields {
                    if word == state.as_str() || word == "batched" {
                        ids.extend(list.split(' ').map(str::to_owned));
                    }
                }
                if ids.len() >= limit {
                    return Ok((ids, Some(entry)));
                }
            }
            before = format!("({last}");
        }
    }
}
