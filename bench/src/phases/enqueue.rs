//! Submitting: in bulk, and one awaited call after the other. Timed by the adapter, without its start.

use anyhow::Result;
use serde_json::{Value, json};

use super::Scene;
use crate::bed::Bed;

pub(super) fn bulk(scene: &Scene) -> Result<Vec<Value>> {
    let mut bed = Bed::new(scene.peer)?;
    Ok(vec![submit(&mut bed, scene.tasks(scene.peer.tasks.bulk), "bulk", &[])?])
}

pub(super) fn single(scene: &Scene) -> Result<Vec<Value>> {
    let mut bed = Bed::new(scene.peer)?;
    Ok(vec![submit(&mut bed, scene.tasks(scene.peer.tasks.single), "single", &[])?])
}

/// Submits, and gives the figures of it.
pub(super) fn submit(bed: &mut Bed, n: u64, mode: &str, more: &[&str]) -> Result<Value> {
    let before = bed.server.cpu()?;
    let (seconds, how) = bed.enqueue(n, mode, more)?;
    let redis_us = (bed.server.cpu()? - before) / n as f64 * 1e6;
    Ok(json!({ "n": n, "seconds": seconds, "rate": n as f64 / seconds, "redis_us": redis_us, "how": how }))
}
