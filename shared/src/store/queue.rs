//! A queue as people name it: one partition, or several that behave as one.
//!
//! A task is in the partition of its concurrency key, else of its id: slot(text) mod count, where slot is the hash that
//! Redis Cluster uses. The first partition's settings hold the count. A queue is divided once, while it is empty, so a
//! task never has to move; who still believes in one partition is told by the first one's refusal.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures_util::future::try_join_all;

use super::{
    Accepted, Cancelled, Partition, Purged, QueueKeys, QueueSettings, Result, Review, Reviewed, Store,
    StoreError,
    inspect::{QueueView, TaskPage},
};
use crate::model::{ConcurrencyKey, NewTask, Priority, QueueName, State, TaskId};

/// Partitions that a queue may have.
pub const MOST_PARTITIONS: u16 = 256;

/// How long a queue is taken to be undivided without asking again.
const FRESH: Duration = Duration::from_secs(5);

type Divided = Arc<[Arc<QueueKeys>]>;

/// What this process knows of the partitions of queues. Their number never changes once it is above one.
#[derive(Clone, Default)]
pub(super) struct Known(Arc<Mutex<HashMap<QueueName, (Instant, Divided)>>>);

impl Known {
    fn get(&self, name: &QueueName) -> Option<Divided> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, keys) = known.get(name)?;
        (keys.len() > 1 || since.elapsed() < FRESH).then(|| Arc::clone(keys))
    }

    fn put(&self, name: &QueueName, keys: Vec<QueueKeys>) -> Divided {
        let keys: Divided = keys.into_iter().map(Arc::new).collect();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(name.clone(), (Instant::now(), Arc::clone(&keys)));
        keys
    }

    fn forget(&self, name: &QueueName) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

/// A queue with its partitions.
#[derive(Debug, Clone)]
pub struct Queue {
    store: Store,
    name: QueueName,
    partitions: Vec<Partition>,
}

impl Store {
    /// A queue of this fleet.
    pub async fn queue(&self, name: &QueueName) -> Result<Queue> {
        let keys = match self.known.get(name) {
            Some(keys) => keys,
            None => {
                let meta = self.keys.queue(name);
                let mut ask = redis::cmd("HGET");
                let count: Option<u16> = self.command(ask.arg(meta.meta()).arg("partitions")).await?;
                self.known.put(name, self.keys.partitions(name, count.unwrap_or(1)))
            }
        };
        Ok(self.divided(name, &keys))
    }

    fn divided(&self, name: &QueueName, keys: &Divided) -> Queue {
        let of = u16::try_from(keys.len()).unwrap_or(MOST_PARTITIONS);
        let partition = |(index, keys): (u16, &Arc<QueueKeys>)| Partition {
            store: self.clone(),
            keys: Arc::clone(keys),
            name: name.clone(),
            index,
            of,
        };
        let partitions = (0..).zip(keys.iter()).map(partition).collect();
        Queue { store: self.clone(), name: name.clone(), partitions }
    }
}

impl Queue {
    /// Its name.
    pub fn name(&self) -> &QueueName {
        &self.name
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// Its partitions, the first one first.
    pub fn partitions(&self) -> &[Partition] {
        &self.partitions
    }

    /// The index of the partition that a task belongs to.
    pub(super) fn home(&self, id: &TaskId, key: Option<&ConcurrencyKey>) -> usize {
        let first = self.partitions.first();
        first.map_or(0, |first| usize::from(first.home(id.as_str(), key.map(ConcurrencyKey::as_str))))
    }

    /// Submits tasks of this queue, at most [`MOST_PER_SUBMIT`](super::MOST_PER_SUBMIT): one step in each partition.
    /// Safe to repeat: tasks have identities.
    pub async fn submit(&self, tasks: &[&NewTask]) -> Result<Vec<Accepted>> {
        match self.submit_here(tasks).await {
            // It was divided since we asked; nothing was taken.
            Err(StoreError::Divided) => {
                self.store.known.forget(&self.name);
                self.store.queue(&self.name).await?.submit_here(tasks).await
            }
            other => other,
        }
    }

    async fn submit_here(&self, tasks: &[&NewTask]) -> Result<Vec<Accepted>> {
        if let [only] = self.partitions.as_slice() {
            return only.submit(tasks).await;
        }
        let groups = self.groups(tasks.iter().map(|task| self.home(&task.id, task.concurrency_key.as_ref())));
        let parts: Vec<Vec<&NewTask>> =
            groups.iter().map(|(_, indices)| indices.iter().map(|index| tasks[*index]).collect()).collect();
        let mut calls = Vec::new();
        for ((partition, _), part) in groups.iter().zip(&parts) {
            calls.push(partition.submit(part));
        }
        Ok(in_order(groups, try_join_all(calls).await?))
    }

    /// Which of some tasks are at home in which partition, where there are any.
    fn groups(&self, homes: impl Iterator<Item = usize>) -> Vec<(&Partition, Vec<usize>)> {
        let mut groups: Vec<_> = self.partitions.iter().map(|partition| (partition, Vec::new())).collect();
        homes.enumerate().for_each(|(index, home)| groups[home].1.push(index));
        groups.retain(|(_, indices)| !indices.is_empty());
        groups
    }

    /// Acts on tasks where their ids belong, and on those that are not there where a concurrency key may have put them.
    pub(super) async fn on_each<T, F>(
        &self,
        ids: &[TaskId],
        unknown: fn(&T) -> bool,
        act: impl Fn(Partition, Vec<TaskId>) -> F,
    ) -> Result<Vec<T>>
    where
        F: Future<Output = Result<Vec<T>>>,
    {
        let pick = |indices: &[usize]| indices.iter().map(|index| ids[*index].clone()).collect::<Vec<_>>();
        let groups = self.groups(ids.iter().map(|id| self.home(id, None)));
        let mut calls = Vec::new();
        for (partition, indices) in &groups {
            calls.push(act((*partition).clone(), pick(indices)));
        }
        let mut answers = in_order(groups, try_join_all(calls).await?);
        for (index, partition) in self.partitions.iter().enumerate() {
            let elsewhere = |n: &usize| unknown(&answers[*n]) && self.home(&ids[*n], None) != index;
            let missing: Vec<usize> = (0..answers.len()).filter(elsewhere).collect();
            if !missing.is_empty() {
                let found = act(partition.clone(), pick(&missing)).await?;
                missing.into_iter().zip(found).for_each(|(n, answer)| answers[n] = answer);
            }
        }
        Ok(answers)
    }

    /// Cancels tasks, at most 500 a call.
    pub async fn cancel(&self, ids: &[TaskId]) -> Result<Vec<Cancelled>> {
        self.on_each(
            ids,
            |answer| *answer == Cancelled::Unknown,
            |p, ids| async move { p.cancel(&ids).await },
        )
        .await
    }

    /// Gives failed, cancelled or expired tasks another life, at most 500 a call. Tells each task's state afterwards.
    pub async fn retry(&self, ids: &[TaskId]) -> Result<Vec<Option<State>>> {
        self.on_each(ids, Option::is_none, |p, ids| async move { p.retry(&ids).await }).await
    }

    /// Changes the priority of tasks that are not final, at most 500 a call. Tells each task's state.
    pub async fn prioritise(&self, ids: &[TaskId], priority: Priority) -> Result<Vec<Option<State>>> {
        self.on_each(ids, Option::is_none, |p, ids| async move { p.prioritise(&ids, priority).await }).await
    }

    /// Decides on tasks that wait for people, at most 500 a call. `by` and `note` are kept with each task.
    pub async fn review(
        &self,
        ids: &[TaskId],
        review: &Review,
        by: &str,
        note: Option<&str>,
    ) -> Result<Vec<Reviewed>> {
        self.on_each(
            ids,
            |answer| *answer == Reviewed::Unknown,
            |p, ids| async move { p.review(&ids, review, by, note).await },
        )
        .await
    }

    /// Deletes some tasks of a state. Begin with no cursor and go on until there is none.
    pub async fn purge(&self, state: State, cursor: Option<&str>) -> Result<Purged> {
        let (index, cursor) = cursor.and_then(|cursor| cursor.split_once(':')).unwrap_or(("0", ""));
        let index: usize = index.parse().unwrap_or(usize::MAX);
        let Some(partition) = self.partitions.get(index) else {
            return Ok(Purged { deleted: 0, cursor: None });
        };
        let Purged { deleted, cursor } =
            partition.purge(state, (!cursor.is_empty()).then_some(cursor)).await?;
        let next = || (index + 1 < self.partitions.len()).then(|| format!("{}:", index + 1));
        Ok(Purged { deleted, cursor: cursor.map(|cursor| format!("{index}:{cursor}")).or_else(next) })
    }

    /// Changes settings of the queue. Limits are shared out among its partitions.
    pub async fn configure(&self, settings: &QueueSettings) -> Result<()> {
        let shares = settings.shared_out(self.partitions.len())?;
        let calls = self.partitions.iter().zip(&shares).map(|(partition, share)| partition.configure(share));
        try_join_all(calls).await.map(drop)
    }

    /// Divides the queue, which must be empty and undivided, or divided so already, and changes its settings. Refused
    /// settings leave it as it was, since a division is for good.
    pub async fn divide(&self, count: u16, settings: &QueueSettings) -> Result<Self> {
        if !(1..=MOST_PARTITIONS).contains(&count) {
            return Err(StoreError::Impossible(format!(
                "a queue has 1 to {MOST_PARTITIONS} partitions, not {count}"
            )));
        }
        let keys: Divided = self.store.keys.partitions(&self.name, count).into_iter().map(Arc::new).collect();
        let divided = self.store.divided(&self.name, &keys);
        if self.partitions.len() == usize::from(count) {
            self.configure(settings).await?;
            return Ok(self.clone());
        }
        if self.partitions.len() > 1 {
            return Err(StoreError::divided_already(&self.name));
        }
        // The first partition comes last: it decides, and until then nobody looks at the others.
        let shares =
            self.partitions[0].settings().await?.overlaid(settings).shared_out(divided.partitions.len())?;
        for (partition, share) in divided.partitions.iter().zip(&shares).rev() {
            match partition.index {
                0 => partition.divide(share, count).await?,
                _ => partition.configure(share).await?,
            }
        }
        self.store.known.forget(&self.name);
        self.store.queue(&self.name).await
    }

    /// Counts and settings, of all partitions together.
    pub async fn view(&self) -> Result<QueueView> {
        let views = try_join_all(self.partitions.iter().map(Partition::view)).await?;
        QueueView::together(views).ok_or_else(|| StoreError::Unexpected("a queue without partitions".into()))
    }

    /// Lists tasks of one state: those that wait in their order, finished ones newest first, each partition in turn
    /// giving its share of about `limit`.
    pub async fn list(&self, state: State, limit: usize, cursor: Option<&str>) -> Result<TaskPage> {
        let [only] = self.partitions.as_slice() else {
            return self.list_each(state, limit, cursor).await;
        };
        only.list(state, limit, cursor).await
    }

    /// The cursor holds one for each partition, `-` where there is no more.
    async fn list_each(&self, state: State, limit: usize, cursor: Option<&str>) -> Result<TaskPage> {
        let given: &[&str] = &cursor.map(|cursor| cursor.split(',').collect::<Vec<_>>()).unwrap_or_default();
        let share = limit.div_ceil(self.partitions.len()).max(1);
        let pages = self.partitions.iter().enumerate().map(|(index, partition)| async move {
            match given.get(index).copied() {
                Some("-") => Ok(TaskPage { tasks: Vec::new(), cursor: None }),
                Some("") | None => partition.list(state, share, None).await,
                cursor => partition.list(state, share, cursor).await,
            }
        });
        let pages = try_join_all(pages.collect::<Vec<_>>()).await?;
        let more = pages.iter().any(|page| page.cursor.is_some());
        let cursors: Vec<&str> = pages.iter().map(|page| page.cursor.as_deref().unwrap_or("-")).collect();
        let cursor = more.then(|| cursors.join(","));
        let mut tasks: Vec<_> = pages.into_iter().flat_map(|page| page.tasks).collect();
        if state.is_final() {
            tasks.sort_by_key(|task| std::cmp::Reverse(task.finished_at));
        } else {
            tasks.sort_by_key(|task| (task.priority, task.created_at));
        }
        Ok(TaskPage { tasks, cursor })
    }
}

/// The answers of groups of tasks, in the order of the tasks.
fn in_order<T>(groups: Vec<(&Partition, Vec<usize>)>, answers: Vec<Vec<T>>) -> Vec<T> {
    let each = groups.into_iter().zip(answers);
    let mut all: Vec<(usize, T)> =
        each.flat_map(|((_, indices), answers)| indices.into_iter().zip(answers)).collect();
    all.sort_by_key(|(index, _)| *index);
    all.into_iter().map(|(_, answer)| answer).collect()
}
