//! The invariant checker over a queue of queued and finished tasks: how fast it is, and how long it keeps Redis from
//! everybody else.

use std::time::Instant;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::{Scene, drain::drain};
use crate::{bed::Bed, slow::Slow};

const TASKS: u64 = 100_000;

pub(super) fn measure(scene: &Scene) -> Result<Vec<Value>> {
    let half = scene.tasks(TASKS) / 2;
    let n = half * 2;
    let mut bed = Bed::new(scene.peer)?;
    bed.enqueue(half, "bulk", &[])?;
    drain(&mut bed, 1, half)?;
    bed.enqueue(half, "bulk", &[])?;
    Slow::watch(&mut bed.server)?;
    let (redis, start) = (bed.server.cpu()?, Instant::now());
    let output = bed.program("windlass").args(["doctor", "--verify", "-o", "json"]).output()?;
    let seconds = start.elapsed().as_secs_f64();
    let redis_us = (bed.server.cpu()? - redis) / n as f64 * 1e6;
    let told = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    ensure!(
        told.contains(&format!("{n} tasks, each in exactly one place")),
        "not all were looked at: {told}"
    );
    let slow = Slow::read(&mut bed.server)?;
    let (scripts, commands) = (slow.scripts(), slow.commands());
    Ok(vec![json!({
        "n": n, "seconds": seconds, "rate": n as f64 / seconds, "redis_us": redis_us,
        "script_ms": scripts.longest, "script_usual_ms": scripts.usual, "command_ms": commands.longest,
    })])
}
