//! An open loop: tasks are submitted at a rate, whatever comes back.
//!
//! `windlass wait` reads the task's record again and again, after pauses that grow from 20 ms: right for people, no
//! measure of the queue. Whoever needs results at once follows the queue's events, which one blocking read tells to
//! all who wait in this process, and then reads the record. So it is done here.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use redis::{AsyncConnectionConfig, aio::MultiplexedConnection};
use serde_json::json;
use tokio::{sync::oneshot, task::JoinSet, time::Instant};
use windlass_bench::record::{USUAL_BYTES, Work, wall};
use windlass_shared::{
    model::{State, TaskRef, event::parse_transition},
    store::Store,
};

use crate::{
    fleet::{self, TYPE, Tasks},
    say,
};

const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) async fn run(rate: f64, secs: f64) -> Result<()> {
    let store = fleet::store().await?;
    let tasks = Arc::new(Tasks::register(&store, TYPE, USUAL_BYTES, 0).await?);
    let finished = Arc::new(Finished::default());
    let follower = follow(&tasks, Arc::clone(&finished)).await?;
    say(&json!({ "wait": "events by a blocking XREAD, then the record" }).to_string());
    let start = Instant::now();
    let mut calls = JoinSet::new();
    for idx in 0..(rate * secs) as u64 {
        tokio::time::sleep_until(start + Duration::from_secs_f64(idx as f64 / rate)).await;
        let (store, tasks, finished) = (store.clone(), Arc::clone(&tasks), Arc::clone(&finished));
        calls.spawn(async move {
            let submitted = wall();
            let call = one(&store, &tasks, &finished, idx);
            let there = matches!(tokio::time::timeout(PATIENCE, call).await, Ok(Ok(())));
            let result = if there { wall() } else { 0 };
            say(&json!({ "idx": idx, "enq": submitted, "res": result }).to_string());
        });
    }
    calls.join_all().await;
    follower.abort();
    Ok(())
}

/// Submits one task and comes back with its result.
async fn one(store: &Store, tasks: &Tasks, finished: &Finished, idx: u64) -> Result<()> {
    let task = tasks.task(Work { idx, ms: 0 })?;
    tasks.queue.submit(&[&task]).await?;
    finished.wait(task.id.as_str()).await;
    let reference = TaskRef { queue: task.queue, id: task.id };
    let record = store.tasks(&[reference]).await?.pop().flatten().context("the task is gone")?;
    match record.result {
        Some(_) => Ok(()),
        None => bail!("the task has no result"),
    }
}

/// Tasks that finished, and those that wait for them.
#[derive(Default)]
struct Finished(Mutex<Waits>);

#[derive(Default)]
struct Waits {
    waiting: HashMap<String, oneshot::Sender<()>>,
    /// Finished before anybody waited.
    early: HashSet<String>,
}

impl Finished {
    fn lock(&self) -> MutexGuard<'_, Waits> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn wait(&self, id: &str) {
        let told = {
            let mut waits = self.lock();
            if waits.early.remove(id) {
                return;
            }
            let (tell, told) = oneshot::channel();
            waits.waiting.insert(id.to_owned(), tell);
            told
        };
        _ = told.await;
    }

    fn tell(&self, id: &str) {
        let mut waits = self.lock();
        match waits.waiting.remove(id) {
            Some(tell) => _ = tell.send(()),
            None => _ = waits.early.insert(id.to_owned()),
        }
    }
}

/// Fields of an entry of the events: a transition, and its tasks as `ID#ATTEMPT` with spaces between.
type Entries = Vec<(String, Vec<(String, String)>)>;

/// Follows the queue's events from now on.
async fn follow(tasks: &Tasks, finished: Arc<Finished>) -> Result<tokio::task::JoinHandle<()>> {
    let [queue] = tasks.queue.partitions() else { bail!("a queue that is divided has several logs") };
    let mut cursor = queue.newest_event().await?;
    let events = queue.keys().events().to_owned();
    let url = windlass_shared::store::Connect::configured(&fleet::config(1)?).url;
    let settings = AsyncConnectionConfig::new().set_response_timeout(None);
    let mut connection =
        redis::Client::open(url)?.get_multiplexed_async_connection_with_config(&settings).await?;
    Ok(tokio::spawn(async move {
        while let Ok(entries) = next(&mut connection, &events, &cursor).await {
            for (entry, fields) in entries {
                for (name, ids) in &fields {
                    let to = parse_transition(name).and_then(|(_, to, _)| to);
                    if to.is_some_and(State::is_final) {
                        ids.split(' ').for_each(|id| finished.tell(id.split('#').next().unwrap_or(id)));
                    }
                }
                cursor = entry;
            }
        }
    }))
}

async fn next(connection: &mut MultiplexedConnection, events: &str, after: &str) -> Result<Entries> {
    let mut command = redis::cmd("XREAD");
    command.arg("COUNT").arg(1000).arg("BLOCK").arg(0).arg("STREAMS").arg(events).arg(after);
    let streams: Vec<(String, Entries)> = command.query_async(connection).await?;
    Ok(streams.into_iter().flat_map(|(_, entries)| entries).collect())
}
