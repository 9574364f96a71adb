//! Bytes in Redis: a queued task, and a finished one with its result.

use anyhow::Result;
use serde_json::{Value, json};

use super::{Scene, drain::drain};
use crate::bed::Bed;

const TASKS: u64 = 50_000;

pub(super) fn measure(scene: &Scene) -> Result<Vec<Value>> {
    let n = scene.drained(TASKS.min(scene.peer.tasks.drain));
    let mut bed = Bed::new(scene.peer)?;
    let empty = bed.server.memory()?;
    bed.enqueue(n, "bulk", &[])?;
    let queued = bed.server.memory()? - empty;
    drain(&mut bed, 1, n)?;
    let finished = bed.server.memory()? - empty;
    Ok(vec![json!({ "n": n, "queued_bytes": queued / n as f64, "finished_bytes": finished / n as f64 })])
}
