//! `apalis-redis`: results kept, leases on. A plain storage looks at an empty queue again after 30 s only, so it polls
//! at an interval, `APALIS_POLL_MS`; `APALIS_BATCH` is how many it fetches at once.

use std::{env, time::Duration};

use apalis::prelude::*;
use apalis_core::{
    backend::{TaskResult, WaitForCompletion, ext::BackendExt},
    task::builder::TaskBuilder,
    worker::ext::parallelize::ParallelizeExt,
};
use apalis_redis::{Config, RedisStorage};
use clap::Parser;
use serde_json::Value;
use tokio::time::Instant;
use windlass_bench_peers::{Cli, Enqueue, Error, Mode, Verb, handle, open_loop, payload, record::Work, url};

const QUEUE: &str = "bench";
const PER_CALL: usize = 500;
const LOOK_EVERY: Duration = Duration::from_millis(5);

fn number(variable: &str, default: u64) -> u64 {
    env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

async fn storage() -> Result<RedisStorage<Value>, Error> {
    let config = Config::default().queue(QUEUE).batch_size(number("APALIS_BATCH", 10) as usize);
    Ok(RedisStorage::new(apalis_redis::connect(url()).await?).with_config(config))
}

fn main() -> Result<(), Error> {
    let verb = Cli::parse().verb;
    verb.runtime()?.block_on(run_verb(verb))
}

async fn run_verb(verb: Verb) -> Result<(), Error> {
    match verb {
        Verb::Enqueue(args) => enqueue(&args).await,
        Verb::Worker { conc } => work(conc).await,
        Verb::Latency { rate, secs } => latency(rate, secs).await,
        Verb::Version => {
            println!("apalis-redis 1.0.0");
            Ok(())
        }
    }
}

async fn enqueue(args: &Enqueue) -> Result<(), Error> {
    let mut storage = storage().await?;
    let start = Instant::now();
    for call in args.calls(PER_CALL) {
        if args.mode == Mode::Single {
            storage.push(payload(call[0])).await?;
        } else {
            storage.push_bulk(call.into_iter().map(payload).collect()).await?;
        }
    }
    args.report(start, "push_bulk of 500");
    Ok(())
}

async fn run(task: Value) -> Result<Value, BoxDynError> {
    handle(serde_json::from_value::<Work>(task)?).await
}

async fn work(concurrency: usize) -> Result<(), Error> {
    let interval = Duration::from_millis(number("APALIS_POLL_MS", 100));
    WorkerBuilder::new(format!("worker-{}", std::process::id()))
        .backend(storage().await?.poll_with_interval(interval))
        .concurrency(concurrency)
        .parallelize(tokio::spawn)
        .build(run)
        .run()
        .await?;
    Ok(())
}

async fn latency(rate: f64, secs: f64) -> Result<(), Error> {
    let storage = storage().await?;
    open_loop(rate, secs, "check_status every 5 ms (wait_for looks every 100 ms)", move |work| {
        let mut storage = storage.clone();
        async move {
            let id = TaskId::from(ulid::Ulid::generate());
            storage.push_task(TaskBuilder::new(payload(work)).task_id(id.clone()).build()).await?;
            loop {
                let found: Vec<TaskResult<Value>> = storage.check_status([id.clone()]).await?;
                if !found.is_empty() {
                    return Ok(());
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
    })
    .await;
    Ok(())
}
