//! The attempts that this node holds a lease on, from the claim until the settle is answered.

use std::{
    collections::{HashMap, hash_map},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;
use windlass_shared::{
    model::{QueueName, RunningTask, TaskId, TaskRecord, TaskRef},
    store::Held,
};

use crate::executor::Reports;

/// Why an attempt is stopped from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// A person or a program cancelled the task.
    Cancelled,
    /// Another node has it, or it is over: what this attempt still does is for nothing.
    Lost,
    /// The node leaves.
    HandBack,
}

/// Which of the served partitions a task is of, and the task.
type Place = (usize, TaskId);

struct Entry {
    queue: QueueName,
    attempt: u32,
    task_type: String,
    started_at: i64,
    /// Taken when the attempt is told to stop, or has ended.
    stop: Option<oneshot::Sender<Cause>>,
    progress: Reports,
}

/// The attempts that this node holds.
#[derive(Default)]
pub(crate) struct Running {
    entries: Mutex<HashMap<Place, Entry>>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Running({})", self.len())
    }
}

impl Running {
    fn lock(&self) -> MutexGuard<'_, HashMap<Place, Entry>> {
        // Nothing in here panics half way, so a poisoned lock still holds a whole map.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes up a task claimed from a partition; the receiver tells when to stop it.
    pub(crate) fn add(
        &self,
        partition: usize,
        task: &TaskRecord,
        progress: Reports,
    ) -> oneshot::Receiver<Cause> {
        let (stop, stopped) = oneshot::channel();
        let entry = Entry {
            queue: task.reference.queue.clone(),
            attempt: task.attempt,
            task_type: task.task_type.clone(),
            started_at: task.started_at.unwrap_or_default().0,
            stop: Some(stop),
            progress,
        };
        self.lock().insert((partition, task.reference.id.clone()), entry);
        stopped
    }

    /// The attempt's settle was answered, or its lease is lost. A later attempt of the same task, which this node may
    /// have claimed meanwhile, stays. Gives the task's type.
    pub(crate) fn remove(&self, partition: usize, id: &TaskId, attempt: u32) -> Option<String> {
        match self.lock().entry((partition, id.clone())) {
            hash_map::Entry::Occupied(entry) if entry.get().attempt == attempt => {
                Some(entry.remove().task_type)
            }
            _ => None,
        }
    }

    /// Tells whatever attempt runs of a task to stop. True if one did.
    pub(crate) fn stop(&self, task: &TaskRef, cause: Cause) -> bool {
        let mut entries = self.lock();
        let found = entries.iter_mut().find(|((_, id), entry)| *id == task.id && entry.queue == task.queue);
        let stop = found.and_then(|(_, entry)| entry.stop.take());
        stop.is_some_and(|stop| stop.send(cause).is_ok())
    }

    /// Tells this attempt to stop, and not a later one. True if it was running.
    pub(crate) fn stop_attempt(&self, partition: usize, id: &TaskId, attempt: u32, cause: Cause) -> bool {
        let mut entries = self.lock();
        let entry = entries.get_mut(&(partition, id.clone())).filter(|entry| entry.attempt == attempt);
        let stop = entry.and_then(|entry| entry.stop.take());
        stop.is_some_and(|stop| stop.send(cause).is_ok())
    }

    /// Tells all attempts to stop.
    pub(crate) fn stop_all(&self, cause: Cause) {
        let stops: Vec<_> = self.lock().values_mut().filter_map(|entry| entry.stop.take()).collect();
        for stop in stops {
            _ = stop.send(cause);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// What is held in a partition, with progress reports that were not sent yet.
    pub(crate) fn held(&self, partition: usize) -> Vec<Held> {
        self.lock()
            .iter()
            .filter(|((of, _), _)| *of == partition)
            .map(|((_, id), entry)| Held {
                id: id.clone(),
                attempt: entry.attempt,
                progress: entry.progress.take().map_or_else(String::new, |json| json.get().to_owned()),
            })
            .collect()
    }

    /// How many run, and the longest-running of them.
    pub(crate) fn list(&self, most: usize) -> (usize, Vec<RunningTask>) {
        let entries = self.lock();
        let mut tasks: Vec<RunningTask> = entries
            .iter()
            .map(|((_, id), entry)| RunningTask {
                id: id.clone(),
                queue: entry.queue.clone(),
                task_type: entry.task_type.clone(),
                attempt: entry.attempt,
                started_at: entry.started_at,
            })
            .collect();
        tasks.sort_by_key(|task| task.started_at);
        tasks.truncate(most);
        (entries.len(), tasks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::Progress;

    fn task(attempt: u32) -> TaskRecord {
        let reference = TaskRef { queue: QueueName::default_queue(), id: TaskId::new("t").unwrap() };
        TaskRecord::from_fields(reference, vec![("attempt".into(), attempt.to_string())])
    }

    #[test]
    fn the_end_of_a_lost_attempt_leaves_the_next_one_alone() {
        let running = Running::default();
        let first = running.add(0, &task(1), Progress::channel().1);
        // Lost, recovered, and claimed again by this very node before the first attempt was dropped.
        let mut second = running.add(0, &task(2), Progress::channel().1);
        assert!(first.blocking_recv().is_err(), "the first attempt is told that its place is taken");
        let reference = task(1).reference;
        assert!(!running.stop_attempt(0, &reference.id, 1, Cause::Lost));
        assert_eq!(running.remove(0, &reference.id, 1), None);
        assert_eq!(running.held(0).iter().map(|held| held.attempt).collect::<Vec<_>>(), [2]);
        assert!(second.try_recv().is_err() && running.stop(&reference, Cause::Cancelled));
        assert_eq!(second.try_recv(), Ok(Cause::Cancelled));
    }

    #[test]
    fn a_progress_report_is_sent_once() {
        let running = Running::default();
        let (progress, reports) = Progress::channel();
        let _stopped = running.add(0, &task(1), reports);
        progress.report(&7);
        assert_eq!(running.held(0)[0].progress, "7");
        assert_eq!(running.held(0)[0].progress, "");
    }
}
