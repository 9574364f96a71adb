//! The attempts that this node holds a lease on, from the claim until the settle is answered.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::value::RawValue;
use tokio::sync::{oneshot, watch};
use windlass_shared::{
    model::{QueueName, RunningTask, TaskId, TaskRecord, TaskRef},
    store::Held,
};

/// Where the reports of an attempt arrive; the latest wins.
pub(crate) type Reports = watch::Receiver<Option<Arc<RawValue>>>;

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

struct Entry {
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
    entries: Mutex<HashMap<TaskRef, Entry>>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Running({})", self.len())
    }
}

impl Running {
    fn lock(&self) -> MutexGuard<'_, HashMap<TaskRef, Entry>> {
        // Nothing in here panics half way, so a poisoned lock still holds a whole map.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes up a claimed task; the receiver tells when to stop it.
    pub(crate) fn add(&self, task: &TaskRecord, progress: Reports) -> oneshot::Receiver<Cause> {
        let (stop, stopped) = oneshot::channel();
        let entry = Entry {
            attempt: task.attempt,
            task_type: task.task_type.clone(),
            started_at: task.started_at.unwrap_or_default().0,
            stop: Some(stop),
            progress,
        };
        self.lock().insert(task.reference.clone(), entry);
        stopped
    }

    /// The settle was answered, or the lease is lost.
    pub(crate) fn remove(&self, task: &TaskRef) {
        self.lock().remove(task);
    }

    /// Tells an attempt to stop. True if it was running.
    pub(crate) fn stop(&self, task: &TaskRef, cause: Cause) -> bool {
        let stop = self.lock().get_mut(task).and_then(|entry| entry.stop.take());
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

    /// What is held in a queue, with progress reports that were not sent yet.
    pub(crate) fn held(&self, queue: &QueueName) -> Vec<Held> {
        self.lock()
            .iter_mut()
            .filter(|(task, _)| task.queue == *queue)
            .map(|(task, entry)| Held {
                id: task.id.clone(),
                attempt: entry.attempt,
                progress: unsent(&mut entry.progress),
            })
            .collect()
    }

    /// How many run, and the longest-running of them.
    pub(crate) fn list(&self, most: usize) -> (usize, Vec<RunningTask>) {
        let entries = self.lock();
        let mut tasks: Vec<RunningTask> = entries
            .iter()
            .map(|(task, entry)| RunningTask {
                id: task.id.clone(),
                queue: task.queue.clone(),
                task_type: entry.task_type.clone(),
                attempt: entry.attempt,
                started_at: entry.started_at,
            })
            .collect();
        tasks.sort_by_key(|task| task.started_at);
        tasks.truncate(most);
        (entries.len(), tasks)
    }

    /// Ids of a queue as references, for what a beat reports.
    pub(crate) fn reference(queue: &QueueName, id: TaskId) -> TaskRef {
        TaskRef { queue: queue.clone(), id }
    }
}

/// A report that was not sent yet, or nothing.
fn unsent(reports: &mut Reports) -> String {
    if !reports.has_changed().unwrap_or(false) {
        return String::new();
    }
    reports.borrow_and_update().as_ref().map(|json| json.get().to_owned()).unwrap_or_default()
}
