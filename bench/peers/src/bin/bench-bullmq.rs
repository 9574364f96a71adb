//! `bullmq-official`: BullMQ's own implementation in Rust, with its defaults. A caller waits on the stream of events.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use bullmq::{
    Job, Queue, QueueEvents, QueueEventsOptions, QueueOptions, Worker, WorkerOptions,
    options::RedisConnectionOptions,
    queue::BulkJob,
    queue_events::QueueEvent,
    worker::{CancellationToken, ProcessorFn},
};
use clap::Parser;
use tokio::{sync::oneshot, time::Instant};
use windlass_bench_peers::{Cli, Enqueue, Error, Mode, Verb, handle, open_loop, payload, record::Work, url};

const QUEUE: &str = "bench";
const PER_CALL: usize = 1000;

fn connection() -> RedisConnectionOptions {
    RedisConnectionOptions { url: url(), ..Default::default() }
}

async fn queue() -> Result<Queue, Error> {
    Ok(Queue::with_options(QUEUE, QueueOptions { connection: connection(), ..Default::default() }).await?)
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
            println!("bullmq-official 1.4.4");
            Ok(())
        }
    }
}

async fn enqueue(args: &Enqueue) -> Result<(), Error> {
    let queue = queue().await?;
    let start = Instant::now();
    for call in args.calls(PER_CALL) {
        if args.mode == Mode::Single {
            queue.add("task", payload(call[0])).await?;
        } else {
            queue
                .add_bulk(call.into_iter().map(|work| BulkJob::new("task", payload(work))).collect())
                .await?;
        }
    }
    args.report(start, "add_bulk of 1000");
    Ok(())
}

async fn work(concurrency: usize) -> Result<(), Error> {
    let process: ProcessorFn = Arc::new(|job: Job, _: CancellationToken| {
        Box::pin(async move {
            let work: Work = serde_json::from_value(job.data().clone()).expect("the payload is ours");
            Ok(handle(work).await.expect("the log can be written"))
        })
    });
    let options = WorkerOptions { connection: connection(), concurrency, ..Default::default() };
    let _worker = Worker::with_options(QUEUE, process, options).await?;
    std::future::pending().await
}

/// Who waits for a task, and what finished before anybody waited.
#[derive(Default)]
struct Waits {
    waiting: HashMap<String, oneshot::Sender<()>>,
    early: HashSet<String>,
}

async fn latency(rate: f64, secs: f64) -> Result<(), Error> {
    let queue = Arc::new(queue().await?);
    let options = QueueEventsOptions { connection: connection(), ..Default::default() };
    let events = QueueEvents::with_options(QUEUE, options).await?;
    let waits = Arc::new(Mutex::new(Waits::default()));
    let told = Arc::clone(&waits);
    tokio::spawn(async move {
        while let Some(event) = events.next_event().await {
            let QueueEvent::Completed { job_id, .. } = event.event else { continue };
            let mut waits = told.lock().expect("nobody panics while holding it");
            match waits.waiting.remove(&job_id) {
                Some(tell) => _ = tell.send(()),
                None => _ = waits.early.insert(job_id),
            }
        }
    });
    tokio::time::sleep(Duration::from_millis(300)).await; // it follows by now
    open_loop(rate, secs, "QueueEvents, which bring the result", move |work| {
        let (queue, waits) = (Arc::clone(&queue), Arc::clone(&waits));
        async move {
            let job = queue.add("task", payload(work)).await?;
            let finished = {
                let mut waits = waits.lock().expect("nobody panics while holding it");
                let id = job.id().to_string();
                if waits.early.remove(&id) {
                    return Ok(());
                }
                let (tell, finished) = oneshot::channel();
                waits.waiting.insert(id, tell);
                finished
            };
            Ok(finished.await?)
        }
    })
    .await;
    Ok(())
}
