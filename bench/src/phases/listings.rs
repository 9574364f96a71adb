//! What people look at while a million tasks wait and ten thousand nodes live: the whole program is timed.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use windlass_bench::{node, usage};
use windlass_shared::{
    model::{QueueName, RunningTask, State, TaskId, id::new_id},
    store::Store,
};

use super::{Scene, drain::drain, growth::variant, quantile};
use crate::{bed::Bed, runtime};

const QUEUED: u64 = 1_000_000;
const FINISHED: u64 = 20_000;
const NODES: usize = 10_000;
/// Heartbeats on their way at the same time.
const IN_FLIGHT: usize = 64;
/// Nodes stay alive while we look.
const ALIVE: Duration = Duration::from_hours(1);
/// How often each command is run.
const TIMES: usize = 5;

pub(super) fn measure(scene: &Scene) -> Result<Vec<Value>> {
    let mut bed = Bed::new(scene.peer)?;
    let finished = scene.tasks(FINISHED);
    bed.enqueue(finished, "bulk", &[])?;
    drain(&mut bed, 1, finished)?;
    bed.enqueue(scene.tasks(QUEUED), "bulk", &[])?;
    let task = runtime()?.block_on(fleet(&bed))?;
    let status = format!("status {task}");
    let commands = [
        ("queues", "queues"),
        ("tasks", "tasks --limit 100"),
        ("tasks, completed", "tasks --state completed --limit 100"),
        ("nodes", "nodes"),
        ("status", &status),
    ];
    commands.into_iter().map(|(name, words)| Ok(variant(timed(&bed, words)?, name))).collect()
}

/// Makes the nodes, each of which runs a task, and gives the id of a task that waits.
async fn fleet(bed: &Bed<'_>) -> Result<TaskId> {
    let store: Store = bed.server.redis().store().await;
    let queue = QueueName::default_queue();
    let now = store.now().await?;
    let beats = (0..NODES).map(|_| async {
        let mut record = node::record("bench", now)?;
        let (id, queue, task_type) = (new_id(), queue.clone(), "bench".into());
        record.running = vec![RunningTask { id, queue, task_type, attempt: 1, started_at: now.0 }];
        store.beat(&record, ALIVE, true).await?;
        anyhow::Ok(())
    });
    stream::iter(beats).buffer_unordered(IN_FLIGHT).try_for_each(|()| async { Ok(()) }).await?;
    let page = store.first_partition(&queue).list(State::Pending, 1, None).await?;
    Ok(page.tasks.into_iter().next().context("nothing waits")?.reference.id)
}

/// The median of the times, and Redis's part of them.
fn timed(bed: &Bed, words: &str) -> Result<Value> {
    let redis = bed.server.redis().pid();
    let before = usage::main_thread(redis)?;
    let (mut millis, mut bytes) = (Vec::new(), 0);
    for _ in 0..TIMES {
        let mut command = bed.program("windlass");
        command.args(words.split(' ')).args(["-o", "json"]);
        let start = Instant::now();
        let output = command.output()?;
        millis.push(start.elapsed().as_secs_f64() * 1e3);
        ensure!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
        bytes = output.stdout.len();
    }
    let redis_us = (usage::main_thread(redis)? - before) / TIMES as f64 * 1e6;
    millis.sort_by(f64::total_cmp);
    Ok(
        json!({ "ms": quantile(&millis, 0.5), "worst_ms": millis.last(), "redis_us": redis_us, "bytes": bytes }),
    )
}
