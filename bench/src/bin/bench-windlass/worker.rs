//! The real worker with one handler.

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;
use windlass_bench::record::{What, Work, mark};
use windlass_shared::logging;
use windlass_worker::{
    Worker,
    executor::{Failure, Job},
    handler,
};

use crate::fleet::{self, TYPE};

#[derive(Serialize)]
struct Answer {
    idx: u64,
    ok: bool,
}

pub(crate) async fn run(concurrency: usize) -> Result<()> {
    let config = fleet::config(concurrency)?;
    _ = logging::init(&config.log.level, config.log.format);
    Ok(Worker::new(config).handler(TYPE, handler(handle)).run().await?)
}

async fn handle(job: Job) -> Result<Answer, Failure> {
    let Work { idx, ms } = job.read_payload()?;
    write_down(What::Start, idx)?;
    if ms > 0 {
        tokio::time::sleep(Duration::from_millis(ms)).await;
        write_down(What::End, idx)?;
    }
    Ok(Answer { idx, ok: true })
}

fn write_down(what: What, idx: u64) -> Result<(), Failure> {
    mark(what, idx).map_err(|error| Failure::bad_request(format!("the log cannot be written: {error}")))
}
