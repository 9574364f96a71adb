//! Through Windlass' own programs: a file submitted by `windlass`, the start and the memory of `windlass-worker`.

use std::{
    fs::File,
    io::{BufWriter, Write},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use windlass_bench::{
    record::{USUAL_BYTES, Work, wall},
    usage,
};
use windlass_shared::{
    model::{Micros, QueueName, State},
    store::Store,
};
use windlass_tests::process::Process;

use super::{Scene, quantile};
use crate::{
    bed::{Bed, PATIENCE, leave, wait},
    runtime,
};

/// A type that every worker knows.
const TYPE: &str = "noop";
const STARTS: u64 = 5;

/// The whole program is timed: its start, reading and checking the lines, and its end.
pub(super) fn submit_file(scene: &Scene) -> Result<Vec<Value>> {
    let n = scene.tasks(scene.peer.tasks.bulk);
    let bed = Bed::new(scene.peer)?;
    let path = bed.path("tasks.jsonl");
    let mut file = BufWriter::new(File::create(&path)?);
    for idx in 0..n {
        writeln!(file, r#"{{"type":"{TYPE}","payload":{}}}"#, Work { idx, ms: 0 }.payload(USUAL_BYTES))?;
    }
    file.flush()?;
    drop(file);
    let mut command = bed.program("windlass");
    command.args(["submit", "--output", "json", "--file"]).arg(&path);
    let (redis, start) = (bed.server.cpu()?, Instant::now());
    let output = command.output()?;
    let seconds = start.elapsed().as_secs_f64();
    let redis_us = (bed.server.cpu()? - redis) / n as f64 * 1e6;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let summary: Value = serde_json::from_slice(&output.stdout)?;
    ensure!(summary["accepted"] == n, "not all were accepted: {summary}");
    Ok(vec![json!({ "n": n, "seconds": seconds, "rate": n as f64 / seconds, "redis_us": redis_us })])
}

/// From the start of a process to its first claim, as Redis dates it.
pub(super) fn start(scene: &Scene) -> Result<Vec<Value>> {
    let mut millis = Vec::new();
    for _ in 0..STARTS {
        let mut bed = Bed::new(scene.peer)?;
        bed.enqueue(1, "single", &["--type", TYPE])?;
        let before = wall();
        let mut worker = worker(&bed, 8);
        await_completed(&mut bed, &mut worker, 1)?;
        let claimed = first_claim(&bed)?;
        leave(&mut worker);
        millis.push(claimed.0 as f64 / 1e3 - before as f64 / 1e6);
    }
    millis.sort_by(f64::total_cmp);
    Ok(vec![json!({ "n": STARTS, "first_claim_ms": quantile(&millis, 0.5), "worst_ms": millis.last() })])
}

/// Memory of a worker that has just come up, and of one that has drained a queue.
pub(super) fn rss(scene: &Scene) -> Result<Vec<Value>> {
    let n = scene.tasks(scene.peer.tasks.drain);
    let mut bed = Bed::new(scene.peer)?;
    let mut worker = worker(&bed, scene.peer.concurrency);
    thread::sleep(Duration::from_secs(3));
    ensure!(!worker.has_ended(), "the worker ended: {}", worker.stderr());
    let idle = usage::resident(worker.pid())?;
    bed.enqueue(n, "bulk", &["--type", TYPE])?;
    await_completed(&mut bed, &mut worker, n)?;
    let after = usage::resident(worker.pid())?;
    leave(&mut worker);
    Ok(vec![json!({ "n": n, "idle_kb": idle, "after_drain_kb": after })])
}

fn worker(bed: &Bed, concurrency: u64) -> Process {
    let mut command = bed.program("windlass-worker");
    command.env("WINDLASS_CONCURRENCY", concurrency.to_string());
    Process::start(command, &bed.path(""), "windlass-worker")
}

fn await_completed(bed: &mut Bed, worker: &mut Process, n: u64) -> Result<()> {
    wait(PATIENCE, || {
        ensure!(!worker.has_ended(), "the worker ended: {}", worker.stderr());
        thread::sleep(Duration::from_millis(20)); // each look costs the server something
        Ok(bed.stored()? >= n)
    })
}

fn first_claim(bed: &Bed) -> Result<Micros> {
    runtime()?.block_on(async {
        let store: Store = bed.server.redis().store().await;
        let queue = store.first_partition(&QueueName::default_queue());
        let page = queue.list(State::Completed, 1, None).await?;
        page.tasks.first().and_then(|task| task.started_at).context("the task has no start")
    })
}
