//! What the heartbeats of many nodes cost Redis: real beats by the library's own calls, from one process.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use windlass_bench::node::record;
use windlass_shared::{
    model::{Namespace, NodeId, QueueName},
    store::{Connect, Extend, Store},
};
use windlass_tests::redis::RedisServer;

/// As a worker has them unless configured otherwise: a beat every third of the heartbeat's TTL.
const TTL: Duration = Duration::from_secs(10);
const LEASE: Duration = Duration::from_secs(10);
/// For how long the CPU is counted.
const SECONDS: u32 = 30;
/// Each has many nodes: as many connections as nodes would be another measurement, of the system.
const CONNECTIONS: usize = 100;

pub(crate) async fn run(nodes: usize) -> Result<Value> {
    let redis = RedisServer::start();
    let mut beating = tokio::task::JoinSet::new();
    for number in 0..CONNECTIONS {
        let store = Connect::to(redis.url(), Namespace::new("wl")?).open().await?;
        let count = nodes / CONNECTIONS + usize::from(number < nodes % CONNECTIONS);
        beating.spawn(beat(store, count, TTL / 3, number));
    }
    // Everybody is registered, and the first wave is over.
    tokio::time::sleep(TTL / 3 * 2).await;
    let before = cpu(redis.pid())?;
    tokio::time::sleep(Duration::from_secs(SECONDS.into())).await;
    let used = cpu(redis.pid())? - before;
    let store = Connect::to(redis.url(), Namespace::new("wl")?).open().await?;
    let alive = store.nodes().await?.0.iter().filter(|node| node.alive).count();
    beating.abort_all();
    Ok(json!({
        "phase": "beats", "nodes": nodes, "alive": alive, "seconds": SECONDS,
        "redis_cpu_percent_of_a_core": (used / f64::from(SECONDS) * 10_000.0).round() / 100.0,
    }))
}

/// Beats for `count` nodes, evenly spread over the interval, each with the call to its queue that goes with a beat.
async fn beat(store: Store, count: usize, every: Duration, number: usize) -> Result<()> {
    let now = store.now().await?;
    let records = (0..count).map(|_| record("noop", now)).collect::<Result<Vec<_>>>()?;
    let queue = store.first_partition(&QueueName::default_queue());
    let step = every / u32::try_from(count.max(1))?;
    let start = tokio::time::Instant::now() + step / u32::try_from(CONNECTIONS)? * u32::try_from(number)?;
    for round in 0_u32.. {
        for (index, record) in records.iter().enumerate() {
            tokio::time::sleep_until(start + every * round + step * u32::try_from(index)?).await;
            let node: &NodeId = &record.id;
            let call = Extend { node, lease: LEASE, max_crashes: 3, held: &[] };
            let (beaten, extended) = tokio::join!(store.beat(record, TTL, round == 0), queue.extend(&call));
            beaten?;
            extended?;
        }
    }
    Ok(())
}

/// Seconds of CPU of a process, as Linux tells them.
fn cpu(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields = stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ');
    let ticks: u64 = fields.skip(11).take(2).filter_map(|text| text.parse::<u64>().ok()).sum();
    Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}
