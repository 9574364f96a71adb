//! What the adapters share: the verbs on the command line, the handler, and the open loop.

#[path = "../../src/record.rs"]
pub mod record;

use std::{env, future::Future, time::Duration};

use clap::{Parser, Subcommand, ValueEnum};
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::Instant};

use record::{USUAL_BYTES, What, Work, mark, wall};

pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// A queue on Redis for the benchmark. Reads REDIS_URL, BENCH_LOG and BENCH_WID.
#[derive(Debug, Parser)]
pub struct Cli {
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    Enqueue(Enqueue),
    Worker {
        #[arg(long, default_value_t = 100)]
        conc: usize,
    },
    Latency {
        #[arg(long, default_value_t = 50.0)]
        rate: f64,
        #[arg(long, default_value_t = 8.0)]
        secs: f64,
    },
    Version,
}

#[derive(Debug, clap::Args)]
pub struct Enqueue {
    #[arg(long)]
    pub n: u64,
    #[arg(long, value_enum, default_value_t = Mode::Bulk)]
    pub mode: Mode,
    #[arg(long, default_value_t = 0)]
    pub ms: u64,
    #[arg(long, default_value_t = 0)]
    pub start: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    Bulk,
    Single,
}

impl Verb {
    /// A lone caller has a runtime of one thread: with several, threads wake each other for nothing.
    pub fn runtime(&self) -> std::io::Result<tokio::runtime::Runtime> {
        let alone = match self {
            Self::Enqueue(args) => args.mode == Mode::Single,
            Self::Latency { .. } => true,
            _ => false,
        };
        let mut builder = if alone {
            tokio::runtime::Builder::new_current_thread()
        } else {
            tokio::runtime::Builder::new_multi_thread()
        };
        builder.enable_all().build()
    }
}

impl Enqueue {
    /// The tasks, in calls of at most this many, or one a call.
    pub fn calls(&self, most: usize) -> impl Iterator<Item = Vec<Work>> {
        let (last, ms) = (self.start + self.n, self.ms);
        let most = if self.mode == Mode::Single { 1 } else { most };
        (self.start..last)
            .step_by(most)
            .map(move |first| (first..last.min(first + most as u64)).map(|idx| Work { idx, ms }).collect())
    }

    /// Says how long it took.
    pub fn report(&self, start: Instant, how: &str) {
        let how = if self.mode == Mode::Single { "one awaited call each" } else { how };
        println!("{}", json!({ "n": self.n, "seconds": start.elapsed().as_secs_f64(), "how": how }));
    }
}

/// The server that is measured.
pub fn url() -> String {
    env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1/0".into())
}

/// The payload, as these libraries take it.
pub fn payload(work: Work) -> Value {
    serde_json::from_str(&work.payload(USUAL_BYTES)).expect("it was made as JSON")
}

/// What every worker does with a task.
pub async fn handle(work: Work) -> Result<Value, Error> {
    mark(What::Start, work.idx)?;
    if work.ms > 0 {
        tokio::time::sleep(Duration::from_millis(work.ms)).await;
        mark(What::End, work.idx)?;
    }
    Ok(json!({ "idx": work.idx, "ok": true }))
}

/// Submits at a rate, whatever comes back. `one` submits a task and returns once its result is there.
pub async fn open_loop<F>(rate: f64, secs: f64, how: &str, one: impl Fn(Work) -> F)
where
    F: Future<Output = Result<(), Error>> + Send + 'static,
{
    const PATIENCE: Duration = Duration::from_secs(20);
    println!("{}", json!({ "wait": how }));
    let start = Instant::now();
    let mut calls = JoinSet::new();
    for idx in 0..(rate * secs) as u64 {
        tokio::time::sleep_until(start + Duration::from_secs_f64(idx as f64 / rate)).await;
        let (submitted, call) = (wall(), one(Work { idx, ms: 0 }));
        calls.spawn(async move {
            let there = matches!(tokio::time::timeout(PATIENCE, call).await, Ok(Ok(())));
            println!("{}", json!({ "idx": idx, "enq": submitted, "res": if there { wall() } else { 0 } }));
        });
    }
    calls.join_all().await;
}
