//! Nodes that only live: each has connections of its own, beats on the queue as a worker does, and waits for commands.
//! Their slots are full, so none listens to the queue's bell or claims.

use std::time::Duration;

use anyhow::Result;
use tokio::task::JoinSet;
use windlass_bench::node;
use windlass_shared::{
    model::{NodeId, NodeRecord, QueueName},
    store::{Extend, Store},
};

use crate::{
    fleet::{self, TYPE},
    say,
};

/// As a worker by default: a lease, a heartbeat's life, and a beat each third of them.
const LEASE: Duration = Duration::from_secs(10);
const BEAT: Duration = Duration::from_millis(3333);
const MAX_CRASHES: u32 = 3;

pub(crate) async fn run(nodes: usize) -> Result<()> {
    let mut living = JoinSet::new();
    for number in 0..nodes {
        let store = fleet::store().await?;
        let record = node::record(TYPE, store.now().await?)?;
        store.beat(&record, LEASE, true).await?;
        // They did not all start at the same moment.
        let first = BEAT.mul_f64(number as f64 / nodes as f64);
        living.spawn(obey(store.clone(), record.id.clone()));
        living.spawn(live(store, record, first));
    }
    say("ready");
    while let Some(ended) = living.join_next().await {
        ended??;
    }
    Ok(())
}

async fn live(store: Store, record: NodeRecord, first: Duration) -> Result<()> {
    let queue = store.first_partition(&QueueName::default_queue());
    tokio::time::sleep(first).await;
    loop {
        let extend = Extend { node: &record.id, lease: LEASE, max_crashes: MAX_CRASHES, held: &[] };
        let (beaten, extended) = tokio::join!(store.beat(&record, LEASE, false), queue.extend(&extend));
        beaten?;
        extended?;
        tokio::time::sleep(BEAT).await;
    }
}

async fn obey(store: Store, id: NodeId) -> Result<()> {
    let mut waiter = store.waiter();
    loop {
        waiter.inbox(&id).await?;
    }
}
