//! Reading tasks: by reference, and by state.

use std::collections::{HashMap, HashSet};

use crate::{
    model::{QueueName, State, TaskId, TaskRecord, TaskRef},
    store::{Partition, Queue, Result, Store, StoreError, spec},
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
    /// Reads tasks with their payloads, in one round trip for each queue; `None` where there is none.
    pub async fn tasks(&self, references: &[TaskRef]) -> Result<Vec<Option<TaskRecord>>> {
        let mut queues: HashMap<&QueueName, Vec<usize>> = HashMap::new();
        for (index, reference) in references.iter().enumerate() {
            queues.entry(&reference.queue).or_default().push(index);
        }
        let mut tasks: Vec<(usize, Option<TaskRecord>)> = Vec::with_capacity(references.len());
        for (name, indices) in queues {
            let ids: Vec<TaskId> = indices.iter().map(|index| references[*index].id.clone()).collect();
            tasks.extend(indices.into_iter().zip(self.queue(name).await?.tasks(&ids).await?));
        }
        tasks.sort_by_key(|(index, _)| *index);
        Ok(tasks.into_iter().map(|(_, task)| task).collect())
    }
}

impl Store {
    /// The states of tasks, without reading them; `None` where there is none.
    pub async fn states(&self, references: &[TaskRef]) -> Result<Vec<Option<State>>> {
        let mut states = vec![None; references.len()];
        let mut queues: HashMap<&QueueName, Vec<usize>> = HashMap::new();
        for (index, reference) in references.iter().enumerate() {
            queues.entry(&reference.queue).or_default().push(index);
        }
        for (name, indices) in queues {
            let ids: Vec<TaskId> = indices.iter().map(|index| references[*index].id.clone()).collect();
            let known = self.queue(name).await?;
            let found = known
                .on_each(&ids, Option::is_none, |partition, ids| async move { partition.states(&ids).await });
            for (index, state) in indices.into_iter().zip(found.await?) {
                states[index] = state;
            }
        }
        Ok(states)
    }
}

impl Queue {
    async fn tasks(&self, ids: &[TaskId]) -> Result<Vec<Option<TaskRecord>>> {
        self.on_each(ids, Option::is_none, |partition, ids| async move { partition.tasks(&ids).await }).await
    }
}

impl Partition {
    /// Reads tasks of this partition with their payloads, in one round trip.
    async fn tasks(&self, ids: &[TaskId]) -> Result<Vec<Option<TaskRecord>>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = redis::pipe();
        for id in ids {
            pipeline.cmd("HGETALL").arg(self.keys.task(id)).cmd("GET").arg(self.keys.spec(id));
        }
        let mut replies = self.store.pipeline::<Vec<redis::Value>>(&pipeline).await?.into_iter();
        let mut reply = || replies.next().unwrap_or(redis::Value::Nil);
        let unexpected = |e: redis::ParsingError| StoreError::Unexpected(e.to_string());
        let mut tasks = Vec::with_capacity(ids.len());
        for id in ids {
            let fields: Vec<(Vec<u8>, Vec<u8>)> = redis::from_redis_value(reply()).map_err(unexpected)?;
            let spec: Option<Vec<u8>> = redis::from_redis_value(reply()).map_err(unexpected)?;
            tasks.push((spec.is_some() || !fields.is_empty()).then(|| {
                spec::record(self.reference(id.clone()), spec.as_deref(), fields.into_iter(), self.texts())
            }));
        }
        Ok(tasks)
    }

    /// The states of tasks of this partition. One whose record says nothing waits.
    async fn states(&self, ids: &[TaskId]) -> Result<Vec<Option<State>>> {
        let mut pipeline = redis::pipe();
        for id in ids {
            pipeline.cmd("HGET").arg(self.keys.task(id)).arg("state");
            pipeline.cmd("EXISTS").arg(self.keys.spec(id));
        }
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let replies: Vec<redis::Value> = self.store.pipeline(&pipeline).await?;
        let state = |reply: &[redis::Value]| match reply {
            [redis::Value::Nil, redis::Value::Int(1)] => Some(State::Pending),
            [redis::Value::BulkString(state), _] => std::str::from_utf8(state).ok()?.parse().ok(),
            _ => None,
        };
        Ok(replies.chunks(2).map(state).collect())
    }

    /// Lists tasks of one state: those that wait in their order, finished ones newest first. About `limit` of them: of
    /// finished ones a whole page of the log is given, so that the cursor loses none. The cursor is an index for what
    /// waits (tasks may move meanwhile), an entry of the log for what is finished.
    pub async fn list(&self, state: State, limit: usize, cursor: Option<&str>) -> Result<TaskPage> {
        let Some((place, newest_first)) = self.place(state) else {
            return self.list_finished(state, limit, cursor).await;
        };
        let first: usize = cursor.and_then(|c| c.parse().ok()).unwrap_or(0);
        let mut command = redis::cmd("ZRANGE");
        command.arg(place).arg(first).arg(first.saturating_add(limit.max(1) - 1));
        if newest_first {
            command.arg("REV");
        }
        let ids: Vec<String> = self.store.command(&command).await?;
        let next = (ids.len() == limit).then(|| first.saturating_add(limit).to_string());
        Ok(TaskPage { tasks: self.in_state(ids, state).await?, cursor: next })
    }

    /// Between two reads a task may have moved on; then it is listed under its new state.
    async fn in_state(&self, ids: Vec<String>, state: State) -> Result<Vec<TaskRecord>> {
        let ids: Vec<TaskId> = ids.into_iter().filter_map(|id| TaskId::new(id).ok()).collect();
        Ok(self.tasks(&ids).await?.into_iter().flatten().filter(|task| task.state == Some(state)).collect())
    }

    fn place(&self, state: State) -> Option<(&str, bool)> {
        match state {
            State::Pending => Some((self.keys.pending(), false)),
            State::Running => Some((self.keys.running(), false)),
            State::Scheduled => Some((self.keys.scheduled(), false)),
            State::Parked => Some((self.keys.parked(), false)),
            State::Blocked => Some((self.keys.blocked(), false)),
            State::Failed => Some((self.keys.dead(), true)),
            State::Completed | State::Cancelled | State::Expired => None,
        }
    }

    /// Reads the log backwards, an entry at a time, until there are enough or it ends.
    async fn list_finished(&self, state: State, limit: usize, cursor: Option<&str>) -> Result<TaskPage> {
        let mut tasks: Vec<TaskRecord> = Vec::new();
        let mut seen = HashSet::new();
        let mut before = cursor.map_or_else(|| "+".to_owned(), |cursor| format!("({cursor}"));
        loop {
            let entries = self.log_page(self.keys.finished(), &before, "-", true, 20).await?;
            if entries.is_empty() {
                return Ok(TaskPage { tasks, cursor: None });
            }
            for (entry, fields) in entries {
                // A task that was retried stands there once for each time it finished.
                let ids: Vec<String> = fields
                    .iter()
                    .filter(|(word, _)| word == state.as_str() || word == "batched")
                    .flat_map(|(_, list)| list.split(' ').map(str::to_owned))
                    .filter(|id| seen.insert(id.clone()))
                    .collect();
                tasks.extend(self.in_state(ids, state).await?);
                if tasks.len() >= limit {
                    return Ok(TaskPage { tasks, cursor: Some(entry) });
                }
                before = format!("({entry}");
            }
        }
    }
}
