//! Working off a backlog: from the first handler of the last worker that comes up, until the last result is stored.

use std::collections::{BTreeMap, HashSet};

use anyhow::Result;
use serde_json::{Value, json};
use windlass_bench::{
    record::{self, wall},
    usage,
};

use super::Scene;
use crate::{
    bed::{Bed, leave},
    peer::Purpose,
};

pub(super) fn by_one(scene: &Scene) -> Result<Vec<Value>> {
    of_backlog(scene, 1)
}

pub(super) fn by_two(scene: &Scene) -> Result<Vec<Value>> {
    of_backlog(scene, 2)
}

fn of_backlog(scene: &Scene, workers: usize) -> Result<Vec<Value>> {
    let n = scene.drained(scene.peer.tasks.drain);
    let mut bed = Bed::new(scene.peer)?;
    bed.enqueue(n, "bulk", &[])?;
    Ok(vec![drain(&mut bed, workers, n)?.json()])
}

/// What a drain took.
pub(super) struct Drained {
    /// Tasks that were started since the last worker came up.
    tasks: u64,
    seconds: f64,
    redis_us: f64,
    worker_us: f64,
    resident_kb: f64,
    /// Tasks that were started, and those among them that were started before.
    started: u64,
    twice: u64,
}

impl Drained {
    pub(super) fn json(&self) -> Value {
        let Self { tasks, seconds, redis_us, worker_us, resident_kb, started, twice } = self;
        json!({
            "n": tasks, "seconds": seconds, "rate": self.rate(), "redis_us": redis_us, "worker_us": worker_us,
            "worker_rss_kb": resident_kb, "started": started, "started_twice": twice,
        })
    }

    fn rate(&self) -> f64 {
        self.tasks as f64 / self.seconds
    }

    /// Several drains as one.
    pub(super) fn sum(parts: &[Self]) -> Self {
        let total = |of: fn(&Self) -> f64| parts.iter().map(of).sum::<f64>();
        let mean = |of: fn(&Self) -> f64| total(of) / parts.len() as f64;
        Self {
            tasks: parts.iter().map(|part| part.tasks).sum(),
            seconds: total(|part| part.seconds),
            redis_us: mean(|part| part.redis_us),
            worker_us: mean(|part| part.worker_us),
            resident_kb: mean(|part| part.resident_kb),
            started: parts.iter().map(|part| part.started).sum(),
            twice: parts.iter().map(|part| part.twice).sum(),
        }
    }
}

/// Lets workers drain the queue until so many results are stored.
pub(super) fn drain(bed: &mut Bed, workers: usize, until: u64) -> Result<Drained> {
    drain_at(bed, workers, bed.peer.concurrency, until)
}

/// The same with another concurrency than the peer's.
pub(super) fn drain_at(bed: &mut Bed, workers: usize, concurrency: u64, until: u64) -> Result<Drained> {
    let (redis_before, stored_before) = (bed.server.cpu()?, bed.stored()?);
    let mut processes: Vec<_> =
        (0..workers).map(|number| bed.worker(number, concurrency, Purpose::Drain)).collect();
    let stored = bed.finish(until, &mut processes)? - stored_before;
    let end = wall();
    let redis = bed.server.cpu()? - redis_before;
    let (mut cpu, mut resident) = (0.0, 0.0);
    for process in &processes {
        cpu += usage::cpu(process.pid())?;
        resident += usage::resident(process.pid())?;
    }
    processes.iter_mut().for_each(leave);
    drop(processes);

    let marks = record::read(&bed.log())?;
    let mut first: BTreeMap<u8, u64> = BTreeMap::new();
    for mark in &marks {
        let at = first.entry(mark.worker).or_insert(mark.at);
        *at = mark.at.min(*at);
    }
    let start = first.values().copied().max().unwrap_or(end);
    let earlier = marks.iter().filter(|mark| mark.at < start).count() as u64;
    let distinct: HashSet<u64> = marks.iter().map(|mark| mark.idx).collect();
    Ok(Drained {
        tasks: stored.saturating_sub(earlier),
        seconds: end.saturating_sub(start) as f64 / 1e9,
        redis_us: redis / stored as f64 * 1e6,
        worker_us: cpu / stored as f64 * 1e6,
        resident_kb: resident,
        started: distinct.len() as u64,
        twice: (marks.len() - distinct.len()) as u64,
    })
}
