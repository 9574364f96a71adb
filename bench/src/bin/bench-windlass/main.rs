//! Windlass as one of the queues that the benchmark measures: the real worker and the real client library behind the
//! verbs that every such adapter has (`bench/README.md`).

mod enqueue;
mod fleet;
mod latency;
mod nodes;
mod worker;

use anyhow::Result;
use clap::{Parser, Subcommand, ValueEnum};

/// Windlass for the benchmark. Reads REDIS_URL, BENCH_LOG, BENCH_WID and BENCH_BATCH.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Submit N tasks, and say how long it took
    Enqueue(Enqueue),
    /// Run tasks until told to leave
    Worker {
        /// How many at once
        #[arg(long, default_value_t = 100)]
        conc: usize,
    },
    /// Submit tasks at a rate, whatever comes back, and say when each was submitted and when its result was there
    Latency {
        /// Tasks a second
        #[arg(long, default_value_t = 50.0)]
        rate: f64,
        /// For how long
        #[arg(long, default_value_t = 8.0)]
        secs: f64,
    },
    /// Be N nodes whose slots are full: each beats and waits for commands, and claims nothing
    Nodes {
        /// How many
        #[arg(long)]
        n: usize,
    },
    /// Say what is measured
    Version,
}

#[derive(Debug, clap::Args)]
struct Enqueue {
    /// How many
    #[arg(long)]
    n: u64,
    /// Hundreds a call with some calls in flight, or one awaited call after the other
    #[arg(long, value_enum, default_value_t = Mode::Bulk)]
    mode: Mode,
    /// For how long their handler sleeps
    #[arg(long, default_value_t = 0)]
    ms: u64,
    /// Number of the first
    #[arg(long, default_value_t = 0)]
    start: u64,
    /// Bytes of each payload
    #[arg(long, default_value_t = windlass_bench::record::USUAL_BYTES)]
    bytes: usize,
    /// Tenants that take turns; none: tasks have no tenant
    #[arg(long, default_value_t = 0)]
    tenants: u64,
    /// High, normal and low ones in turn
    #[arg(long)]
    priorities: bool,
    /// Their type
    #[arg(long = "type", default_value = fleet::TYPE)]
    task_type: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    Bulk,
    Single,
}

fn main() -> Result<()> {
    let verb = Cli::parse().verb;
    let runtime = runtime(&verb)?;
    match verb {
        Verb::Enqueue(args) => runtime.block_on(enqueue::run(&args)),
        Verb::Worker { conc } => runtime.block_on(worker::run(conc)),
        Verb::Latency { rate, secs } => runtime.block_on(latency::run(rate, secs)),
        Verb::Nodes { n } => runtime.block_on(nodes::run(n)),
        Verb::Version => {
            say(&format!("windlass {}", env!("CARGO_PKG_VERSION")));
            Ok(())
        }
    }
}

/// A lone caller has a runtime of one thread: with several, threads wake each other for nothing.
fn runtime(verb: &Verb) -> std::io::Result<tokio::runtime::Runtime> {
    let alone = match verb {
        Verb::Enqueue(args) => args.mode == Mode::Single,
        Verb::Latency { .. } => true,
        _ => false,
    };
    if alone {
        return tokio::runtime::Builder::new_current_thread().enable_all().build();
    }
    windlass_worker::runtime()
}

#[allow(clippy::print_stdout, reason = "whoever runs the adapter reads it there")]
fn say(line: &str) {
    println!("{line}");
}
