//! A worker whose handlers do what no handler should: the tests of faults run it. Types: `block` holds its thread for
//! `{"ms"}`, `leak` takes `{"mib"}` of memory a second and never gives it back, `die` ends the process.

use std::{process::abort, thread::sleep, time::Duration};

use serde::Deserialize;
use windlass_shared::{
    config::{Config, Sources, Who},
    logging,
};
use windlass_worker::{
    Worker,
    executor::{Failure, Job},
    handler, runtime,
};

#[derive(Deserialize)]
struct Block {
    ms: u64,
}

/// How often it leaks in a second.
const LEAKS: usize = 10;

#[derive(Deserialize)]
struct Leak {
    mib: usize,
}

async fn block(job: Job) -> Result<u64, Failure> {
    let Block { ms } = job.read_payload()?;
    sleep(Duration::from_millis(ms));
    Ok(ms)
}

/// For ever: whatever limit there is ends it, and with it the process.
async fn leak(job: Job) -> Result<(), Failure> {
    let Leak { mib } = job.read_payload()?;
    let mut leaked = 0;
    loop {
        leaked += vec![1_u8; (mib << 20) / LEAKS].leak().len();
        tracing::info!(leaked, "not given back");
        tokio::time::sleep(Duration::from_secs(1) / LEAKS as u32).await;
    }
}

async fn die(_: Job) -> Result<(), Failure> {
    abort()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = Config::load(Sources::from_process(None, Vec::new()).read_by(Who::Worker))?;
    logging::init(&config.log.level, config.log.format)?;
    let worker = Worker::new(config)
        .handler("block", handler(block))
        .handler("leak", handler(leak))
        .handler("die", handler(die));
    Ok(runtime()?.block_on(worker.run())?)
}
