//! How Windlass' figures grow: with the backlog, with nodes, with tenants, with payloads, and with persistence.

use anyhow::Result;
use serde_json::Value;

use super::{
    Scene,
    drain::{Drained, drain, drain_at},
    enqueue::submit,
};
use crate::{bed::Bed, server::Server};

/// Drained in each measurement, scaled.
const DRAINED: u64 = 100_000;

pub(super) fn variant(mut figures: Value, name: &str) -> Value {
    figures["variant"] = name.into();
    figures
}

/// The first 100,000 tasks of a backlog. A smaller backlog is drained as often as it takes.
pub(super) fn backlog(scene: &Scene) -> Result<Vec<Value>> {
    let mut sizes = vec![10_000, 100_000, 1_000_000];
    if scene.huge {
        sizes.push(10_000_000);
    }
    let one = |size: u64| {
        let (queued, wanted) = (scene.tasks(size), scene.tasks(DRAINED));
        let once = || {
            let mut bed = Bed::new(scene.peer)?;
            bed.enqueue(queued, "bulk", &[])?;
            drain(&mut bed, 1, wanted.min(queued))
        };
        let parts = (0..wanted.div_ceil(queued)).map(|_| once()).collect::<Result<Vec<_>>>()?;
        Ok(variant(Drained::sum(&parts).json(), &size.to_string()))
    };
    sizes.into_iter().map(one).collect()
}

/// Beside other nodes of the same queue, which beat and run what they have.
pub(super) fn workers(scene: &Scene) -> Result<Vec<Value>> {
    let one = |nodes: u64| {
        let n = scene.tasks(DRAINED);
        let mut bed = Bed::new(scene.peer)?;
        bed.enqueue(n, "bulk", &[])?;
        let _nodes = bed.beside(&["nodes", "--n", &nodes.to_string()])?;
        Ok(variant(drain(&mut bed, 1, n)?.json(), &nodes.to_string()))
    };
    [1, 10, 100, 1000].into_iter().map(one).collect()
}

/// Tenants that share the queue.
pub(super) fn tenants(scene: &Scene) -> Result<Vec<Value>> {
    [1, 1000, 100_000].into_iter().map(|n| both(scene, n, DRAINED, &["--tenants", &n.to_string()])).collect()
}

/// Larger payloads, and fewer of them.
pub(super) fn payloads(scene: &Scene) -> Result<Vec<Value>> {
    let sizes = [(200, DRAINED), (10_000, 20_000), (1_000_000, 200)];
    sizes.into_iter().map(|(bytes, n)| both(scene, bytes, n, &["--bytes", &bytes.to_string()])).collect()
}

fn both(scene: &Scene, name: u64, usual: u64, more: &[&str]) -> Result<Value> {
    let mut bed = Bed::new(scene.peer)?;
    Ok(variant(submitted_and_drained(&mut bed, scene.tasks(usual), more)?, &name.to_string()))
}

/// Without persistence, and with an append-only file that is synced every second.
pub(super) fn append_only(scene: &Scene) -> Result<Vec<Value>> {
    let one = |(name, append_only)| {
        let mut bed = Bed::on(scene.peer, Server::start(append_only)?)?;
        Ok(variant(submitted_and_drained(&mut bed, scene.tasks(scene.peer.tasks.drain), &[])?, name))
    };
    [("none", false), ("everysec", true)].into_iter().map(one).collect()
}

/// Of few tasks not all may be claimed at once: what comes before the first handler starts is not timed.
pub(super) fn submitted_and_drained(bed: &mut Bed, n: u64, more: &[&str]) -> Result<Value> {
    let submitted = submit(bed, n, "bulk", more)?;
    let concurrency = bed.peer.concurrency.min(n / 20).max(1);
    let mut figures = drain_at(bed, 1, concurrency, n)?.json();
    figures["enqueue_rate"] = submitted["rate"].clone();
    figures["enqueue_redis_us"] = submitted["redis_us"].clone();
    Ok(figures)
}
