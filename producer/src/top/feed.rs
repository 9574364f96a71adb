//! Reads Redis: once an interval, one read at a time, on a task of its own, so that a slow or lost Redis never holds up
//! a key. What it costs grows with nodes and queues, never with tasks.

use std::{collections::HashMap, time::Duration};

use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use windlass_shared::{
    model::{QueueName, TaskRef, Transition},
    store::{Partition, Result, Store, inspect::QueueView},
};

use super::reading::{self, Before, FailureRow, Reading, Story};

/// Failures that are shown.
const FAILURES: usize = 200;
/// Queues that are asked at once.
const AT_ONCE: usize = 16;
/// Entries of the event log that one look at a task reads.
const PAGE: usize = 100;
/// Pages of the event log that one look at a task reads; the next look goes on there.
const PAGES: usize = 20;

/// What the screen wants to know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The person wants to look at something that does not move.
    pub(super) paused: bool,
    /// The task that is looked at.
    pub(super) task: Option<TaskRef>,
    /// Grows when a reading is wanted at once: something was done.
    pub(super) asked: u64,
}

/// What the feed has to tell.
#[derive(Debug)]
pub(super) enum Update {
    Fleet(Box<Reading>),
    Story(Box<Story>),
    /// Redis did not answer, and why.
    Trouble(String),
}

/// Feeds the screen until nobody listens.
pub(super) async fn run(
    store: Store,
    interval: Duration,
    mut wanted: watch::Receiver<Wanted>,
    updates: mpsc::Sender<Update>,
) {
    let mut feed = Feed::new(store);
    let (mut due, mut asked) = (Instant::now(), 0);
    loop {
        let want = wanted.borrow_and_update().clone();
        let start = Instant::now();
        let now = want.asked != asked || (!want.paused && start >= due);
        asked = want.asked;
        match feed.look(want.task.as_ref(), now).await {
            Ok(found) => {
                for update in found {
                    _ = updates.send(update).await;
                }
            }
            Err(error) => _ = updates.send(Update::Trouble(error.to_string())).await,
        }
        if now {
            // A Redis that is slow to answer is asked less often.
            due = Instant::now() + interval.max(start.elapsed());
        }
        let pause = async {
            if want.paused {
                std::future::pending::<()>().await;
            } else {
                tokio::time::sleep_until(due).await;
            }
        };
        tokio::select! {
            () = pause => {}
            changed = wanted.changed() => if changed.is_err() { return },
            () = updates.closed() => return,
        }
    }
}

/// What is remembered between two readings.
pub(super) struct Feed {
    store: Store,
    before: Before,
    failures: HashMap<QueueName, Seen>,
    log: Option<Log>,
}

/// The failures of a queue, and what its counters said then.
struct Seen {
    failed: u64,
    ever: u64,
    rows: Vec<FailureRow>,
}

impl Feed {
    pub(super) fn new(store: Store) -> Self {
        Self { store, before: Before::default(), failures: HashMap::new(), log: None }
    }

    /// The task, if one is looked at, and the fleet, if it is due.
    async fn look(&mut self, task: Option<&TaskRef>, fleet: bool) -> Result<Vec<Update>> {
        let mut found = Vec::new();
        match task {
            Some(task) => found.push(Update::Story(Box::new(self.story(task).await?))),
            None => self.log = None,
        }
        if fleet {
            found.push(Update::Fleet(Box::new(self.fleet().await?)));
        }
        Ok(found)
    }

    /// Reads the fleet.
    pub(super) async fn fleet(&mut self) -> Result<Reading> {
        let (seen, now) = self.store.nodes().await?;
        let nodes = seen.into_iter().map(|node| node.view(now)).collect();
        let names = self.store.queues().await?;
        let store = &self.store;
        let view = |name: QueueName| async move { store.queue(&name).await?.view().await };
        let views: Vec<QueueView> = stream::iter(names).map(view).buffered(AT_ONCE).try_collect().await?;
        let failures = self.newest_failures(&views).await?;
        Ok(reading::assemble(now, nodes, views, failures, &mut self.before))
    }

    /// The newest failures of all queues. A queue whose counters stand still is not read again.
    async fn newest_failures(&mut self, queues: &[QueueView]) -> Result<Vec<FailureRow>> {
        self.failures.retain(|name, _| queues.iter().any(|queue| queue.queue == *name));
        for queue in queues {
            let (failed, ever) = (queue.failed, queue.totals.get("failed").copied().unwrap_or(0));
            let known = self.failures.get(&queue.queue);
            if known.is_some_and(|seen| (seen.failed, seen.ever) == (failed, ever)) {
                continue;
            }
            let tasks = match failed {
                0 => Vec::new(),
                _ => self.store.queue(&queue.queue).await?.newest_failures(FAILURES).await?,
            };
            let rows = tasks.into_iter().map(FailureRow::of).collect();
            self.failures.insert(queue.queue.clone(), Seen { failed, ever, rows });
        }
        let mut newest: Vec<&FailureRow> = self.failures.values().flat_map(|seen| &seen.rows).collect();
        newest.sort_by_key(|row| std::cmp::Reverse(row.finished_at));
        Ok(newest.into_iter().take(FAILURES).cloned().collect())
    }

    /// Reads one task, and on in the event log.
    async fn story(&mut self, task: &TaskRef) -> Result<Story> {
        let record = self.store.tasks(std::slice::from_ref(task)).await?.pop().flatten().map(Box::new);
        let at = self.store.now().await?;
        let log = match &mut self.log {
            Some(log) if log.task == *task => log,
            other => other.insert(Log::new(&self.store, task).await?),
        };
        log.read_on().await?;
        Ok(Story { reference: task.clone(), record, events: log.found.clone(), at })
    }
}

/// What the event log knows of one task.
struct Log {
    task: TaskRef,
    cursors: Vec<(Partition, String)>,
    found: Vec<Transition>,
}

impl Log {
    async fn new(store: &Store, task: &TaskRef) -> Result<Self> {
        let queue = store.queue(&task.queue).await?;
        let cursors = queue.partitions().iter().map(|partition| (partition.clone(), "0".to_owned()));
        Ok(Self { task: task.clone(), cursors: cursors.collect(), found: Vec::new() })
    }

    async fn read_on(&mut self) -> Result<()> {
        let mut pages = PAGES;
        for (partition, cursor) in &mut self.cursors {
            while pages > 0 {
                pages -= 1;
                let events = partition.events(cursor, PAGE).await?;
                let Some(last) = events.last() else { break };
                cursor.clone_from(&last.cursor);
                let ended = events.len() < PAGE;
                let all = events.into_iter().flat_map(|event| event.transitions);
                self.found.extend(all.filter(|transition| transition.id == self.task.id));
                if ended {
                    break;
                }
            }
        }
        Ok(())
    }
}
