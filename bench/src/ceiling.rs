//! The ceiling: what this Redis does on this machine when a client writes what a queued task is, and nothing else.

use std::time::Instant;

use anyhow::Result;
use futures_util::{StreamExt, TryStreamExt, stream};
use redis::aio::MultiplexedConnection;
use serde_json::{Value, json};
use windlass_bench::record::{USUAL_BYTES, Work};
use windlass_shared::model::{QueueName, TaskId, id::new_id};
use windlass_tests::fleet::keys;

use crate::{phases::Scene, server::Server};

const TASKS: u64 = 200_000;
const ROUND_TRIPS: u64 = 20_000;
const PER_PIPELINE: u64 = 100;
const IN_FLIGHT: usize = 4;

pub(crate) fn measure(scene: &Scene) -> Result<Vec<Value>> {
    let server = Server::start(false)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let client = redis::Client::open(server.url())?;
        let connection = client.get_multiplexed_async_connection().await?;
        let n = scene.tasks(TASKS).next_multiple_of(PER_PIPELINE);
        let (before, start) = (server.cpu()?, Instant::now());
        stream::iter((0..n).step_by(PER_PIPELINE as usize))
            .map(|first| {
                let connection = connection.clone();
                async move { tokio::spawn(write(connection, first)).await? }
            })
            .buffer_unordered(IN_FLIGHT)
            .try_for_each(|()| async { Ok(()) })
            .await?;
        let enqueue_rate = n as f64 / start.elapsed().as_secs_f64();
        let enqueue_redis_us = (server.cpu()? - before) / n as f64 * 1e6;

        let calls = scene.tasks(ROUND_TRIPS);
        let start = Instant::now();
        for idx in 0..calls {
            let payload = Work { idx, ms: 0 }.payload(USUAL_BYTES);
            let mut command = redis::cmd("SET");
            command.arg(format!("one:{idx}")).arg(payload).exec_async(&mut connection.clone()).await?;
        }
        let set_rate = calls as f64 / start.elapsed().as_secs_f64();
        Ok(vec![json!({
            "n": n, "enqueue_rate": enqueue_rate, "enqueue_redis_us": enqueue_redis_us, "set_rate": set_rate,
        })])
    })
}

/// Writes what a hundred queued tasks are: their records, their payloads, their places in the queue.
async fn write(mut connection: MultiplexedConnection, first: u64) -> Result<()> {
    let keys = keys().queue(&QueueName::default_queue());
    let mut pipeline = redis::pipe();
    for idx in first..first + PER_PIPELINE {
        let id: TaskId = new_id();
        let created = (1_795_158_754_762_481 + idx).to_string();
        let record = ["type", "bench", "state", "pending", "created_at", &created];
        pipeline.cmd("HSET").arg(keys.task(&id)).arg(&record).ignore();
        pipeline.cmd("SET").arg(keys.spec(&id)).arg(Work { idx, ms: 0 }.payload(USUAL_BYTES)).ignore();
        pipeline.cmd("ZADD").arg(keys.pending()).arg(idx).arg(id.as_str()).ignore();
    }
    Ok(pipeline.exec_async(&mut connection).await?)
}
