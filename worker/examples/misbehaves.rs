//! A worker whose handlers do what no handler should: the tests of faults run it. Types: `block` holds its thread for
//! `{"ms"}`, `leak` never gives `{"mib"}` of memory back, `die` ends the process.

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

#[derive(Deserialize)]
struct Leak {
    mib: usize,
}

async fn block(job: Job) -> Result<u64, Failure> {
    let Block { ms } = job.read_payload()?;
    sleep(Duration::from_millis(ms));
    Ok(ms)
}

async fn leak(job: Job) -> Result<usize, Failure> {
    let Leak { mib } = job.read_payload()?;
    Ok(vec![1_u8; mib << 20].leak().len())
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
