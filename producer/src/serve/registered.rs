//! Queues, and parts of batches, that this server made known a moment ago. Most tasks go where others went, and need no round trip
//! for it.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use windlass_shared::{
    model::{BatchName, NewTask, QueueName},
    store::{Result, Store},
};

use crate::bulk;

/// After this long it is done again: Redis may be another one by then.
const FRESH: Duration = Duration::from_secs(60);
/// With more it begins anew.
const MOST: usize = 10_000;

type Place = (QueueName, Option<BatchName>);

#[derive(Default)]
pub(crate) struct Registered(Mutex<HashMap<Place, Instant>>);

impl Registered {
    /// Makes the queue of a task, and its part of the batch, known to the fleet.
    pub(super) async fn make(&self, store: &Store, task: &NewTask) -> Result<()> {
        let place = (task.queue.clone(), task.batch.clone());
        let known =
            |places: &HashMap<Place, Instant>| places.get(&place).is_some_and(|when| when.elapsed() < FRESH);
        if known(&self.0.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(());
        }
        bulk::register(store, task).await?;
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if places.len() >= MOST {
            places.clear();
        }
        places.insert(place, Instant::now());
        Ok(())
    }
}
