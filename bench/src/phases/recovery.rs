//! A worker is killed with SIGKILL while it runs twenty tasks of a second, and another one is started: how long it
//! takes until all have ended, how many never do, and how many do so twice.

use std::{
    collections::HashSet,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use rustix::process::Signal;
use serde_json::{Value, json};
use windlass_bench::record::{self, Mark, What, wall};

use super::Scene;
use crate::{
    bed::{Bed, PATIENCE, wait},
    peer::Purpose,
};

const TASKS: u64 = 20;
/// Would any run once more?
const AFTERWARDS: Duration = Duration::from_secs(5);

pub(super) fn measure(scene: &Scene) -> Result<Vec<Value>> {
    let bed = Bed::new(scene.peer)?;
    let concurrency = scene.peer.concurrency.max(TASKS);
    let mut first = bed.worker(0, concurrency, Purpose::Usual);
    thread::sleep(Duration::from_secs(2));
    bed.enqueue(TASKS, "single", &["--ms", "1000"])?;
    wait(PATIENCE, || Ok(bed.started() >= TASKS))?;
    first.signal(Signal::KILL);
    let killed = wall();
    first.wait(PATIENCE);
    let ended_before = ends(&record::read(&bed.log())?).len();
    ensure!(ended_before == 0, "{ended_before} tasks ended before the worker was killed");
    let _second = bed.worker(1, concurrency, Purpose::Usual);
    let start = Instant::now();
    let all = |ended: &[Mark]| ended.iter().map(|mark| mark.idx).collect::<HashSet<_>>().len() as u64;
    while all(&ends(&record::read(&bed.log())?)) < TASKS && start.elapsed() < scene.limit {
        thread::sleep(Duration::from_millis(20));
    }
    let last = ends(&record::read(&bed.log())?).iter().map(|mark| mark.at).max();
    thread::sleep(AFTERWARDS);
    let ended = ends(&record::read(&bed.log())?);
    let finished = all(&ended);
    let seconds = last.filter(|_| finished == TASKS).map(|at| at.saturating_sub(killed) as f64 / 1e9);
    Ok(vec![json!({
        "n": TASKS, "seconds": seconds, "lost": TASKS - finished, "finished_twice": ended.len() as u64 - finished,
        "waited_s": scene.limit.as_secs(),
    })])
}

fn ends(marks: &[Mark]) -> Vec<Mark> {
    marks.iter().filter(|mark| mark.what == What::End).copied().collect()
}
