//! What Redis runs for a task's whole life, submitted in bulk and drained: commands, those in scripts included, and
//! reads from sockets, which is about the round trips.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::{Value, json};

use super::{Scene, drain::drain};
use crate::bed::Bed;

const TASKS: u64 = 20_000;
/// Fewer than one in so many tasks is no part of a task's life.
const LEAST: f64 = 0.01;

pub(super) fn measure(scene: &Scene) -> Result<Vec<Value>> {
    let n = scene.drained(TASKS.min(scene.peer.tasks.drain));
    let mut bed = Bed::new(scene.peer)?;
    bed.server.count_from_here()?;
    bed.enqueue(n, "bulk", &[])?;
    drain(&mut bed, 1, n)?;
    let reads = bed.server.reads()?;
    let commands = bed.server.commands()?;
    let each = |count: u64| count as f64 / n as f64;
    let total = each(commands.values().sum());
    let of_each: BTreeMap<&String, f64> = commands
        .iter()
        .map(|(name, count)| (name, (each(*count) * 1000.0).round() / 1000.0))
        .filter(|(_, each)| *each >= LEAST)
        .collect();
    Ok(vec![json!({ "n": n, "commands": total, "reads": reads / n as f64, "of_each": of_each })])
}
