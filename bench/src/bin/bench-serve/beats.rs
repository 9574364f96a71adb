//! What the heartbeats of many nodes cost Redis: real beats by the library's own calls, from one process.

use std::time::Duration;

use anyhow::Result;
use futures_util::future::try_join_all;
use serde_json::{Value, json};
use tokio::time::Instant;
use windlass_bench::{node::record, usage};
use windlass_shared::{
    model::{Namespace, NodeRecord, QueueName},
    store::{Connect, Extend, Rhythm, Store, Visits},
};
use windlass_tests::redis::RedisServer;

/// As a worker has it unless configured otherwise.
const LEASE: Duration = Duration::from_secs(10);
/// For how long the CPU is counted.
const SECONDS: u32 = 60;
/// How long a fleet takes that started at once.
const SETTLED: Duration = Duration::from_secs(200);
/// Each has many nodes: as many connections as nodes would be another measurement, of the system.
const CONNECTIONS: usize = 100;

pub(crate) async fn run(nodes: usize) -> Result<Value> {
    let redis = RedisServer::start();
    let mut beating = tokio::task::JoinSet::new();
    for number in 0..CONNECTIONS {
        let store = Connect::to(redis.url(), Namespace::new("wl")?).open().await?;
        let count = nodes / CONNECTIONS + usize::from(number < nodes % CONNECTIONS);
        beating.spawn(beat(store, count));
    }
    // Everybody is registered and knows the others, and those who are not needed in the queue found out.
    tokio::time::sleep(SETTLED).await;
    let before = usage::cpu(redis.pid())?;
    tokio::time::sleep(Duration::from_secs(SECONDS.into())).await;
    let used = usage::cpu(redis.pid())? - before;
    let store = Connect::to(redis.url(), Namespace::new("wl")?).open().await?;
    let alive = store.nodes().await?.0.iter().filter(|node| node.alive).count();
    beating.abort_all();
    Ok(json!({
        "phase": "beats", "nodes": nodes, "alive": alive, "seconds": SECONDS,
        "redis_cpu_percent_of_a_core": (used / f64::from(SECONDS) * 10_000.0).round() / 100.0,
    }))
}

/// `count` nodes, each of which beats and visits its queue as a worker does that has nothing to do.
async fn beat(store: Store, count: usize) -> Result<()> {
    let now = store.now().await?;
    let records = (0..count).map(|_| record("noop", now)).collect::<Result<Vec<_>>>()?;
    try_join_all(records.iter().map(|record| live(&store, record))).await.map(drop)
}

async fn live(store: &Store, record: &NodeRecord) -> Result<()> {
    let queue = store.first_partition(&QueueName::default_queue());
    let (mut rhythm, mut visits, mut changed) = (Rhythm::new(LEASE), Visits::default(), true);
    let start = Instant::now() + rhythm.base().mul_f64(fastrand::f64());
    let (mut beat_at, mut visit_at) = (start, start);
    loop {
        tokio::time::sleep_until(beat_at.min(visit_at)).await;
        let now = Instant::now();
        if beat_at <= now {
            rhythm.told(store.beat(record, rhythm.ttl(), changed).await?.nodes);
            (changed, beat_at) = (false, now + rhythm.interval());
        }
        if visit_at <= now {
            let call = Extend { node: &record.id, lease: LEASE, max_crashes: 3, held: &[] };
            visits.told(&rhythm, queue.extend(&call).await?.spare);
            visit_at = now + visits.pause(&rhythm);
        }
    }
}
