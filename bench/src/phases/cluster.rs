//! A queue over the primaries of a Redis Cluster, beside an undivided one on one server: what a task costs all primaries
//! together, how evenly they share it, and how far priority holds.
//!
//! With few cores the rates say little, since primaries and workers share them; the CPU of Redis a task is what tells
//! whether the queue would grow with its primaries.

use anyhow::Result;
use serde_json::Value;

use super::{
    Scene,
    drain::drain,
    growth::{submitted_and_drained, variant},
    priorities::inversions,
};
use crate::{bed::Bed, server::Server};

/// How the queue lies.
enum Layout {
    /// Undivided, on one server that is no cluster.
    Plain,
    /// Undivided, on a cluster of one primary: what it costs Redis to be a cluster.
    Alone,
    /// In so many partitions, on a cluster.
    Divided(u16),
}

const PRIMARIES: usize = 3;
const LAYOUTS: [Layout; 5] =
    [Layout::Plain, Layout::Alone, Layout::Divided(3), Layout::Divided(6), Layout::Divided(12)];

impl Layout {
    fn name(&self) -> String {
        match self {
            Self::Plain => "1 primary".into(),
            Self::Alone => "1 primary, in cluster mode".into(),
            Self::Divided(partitions) => format!("{PRIMARIES} primaries, {partitions} partitions"),
        }
    }

    fn bed<'a>(&self, scene: &Scene<'a>) -> Result<Bed<'a>> {
        match self {
            Self::Plain => Bed::new(scene.peer),
            Self::Alone => Bed::on(scene.peer, Server::cluster(1)?),
            Self::Divided(partitions) => {
                let mut bed = Bed::on(scene.peer, Server::cluster(PRIMARIES)?)?;
                bed.divide(*partitions)?;
                Ok(bed)
            }
        }
    }
}

pub(super) fn measure(scene: &Scene) -> Result<Vec<Value>> {
    LAYOUTS.iter().map(|layout| one(scene, layout)).collect()
}

fn one(scene: &Scene, layout: &Layout) -> Result<Value> {
    let n = scene.tasks(scene.peer.tasks.drain);
    let mut figures = by_one(&mut layout.bed(scene)?, n)?;

    let mut bed = layout.bed(scene)?;
    bed.enqueue(n, "bulk", &[])?;
    let by_two = drain(&mut bed, 2, n)?.json();
    for figure in ["rate", "redis_us", "started_twice"] {
        figures[format!("{figure}_by_two")] = by_two[figure].clone();
    }

    let found = inversions(scene, &mut layout.bed(scene)?)?;
    figures["inverted_percent"] = (found.share * 100.0).into();
    figures["furthest"] = found.furthest.into();
    Ok(variant(figures, &layout.name()))
}

fn by_one(bed: &mut Bed, n: u64) -> Result<Value> {
    let before = bed.server.cpu_of_each()?;
    let mut figures = submitted_and_drained(bed, n, &[])?;
    let used = bed.server.cpu_of_each()?.into_iter().zip(before).map(|(now, before)| now - before);
    let stored = bed.stored_of_each()?.into_iter().map(|count| count as f64);
    figures["per_cpu_second"] = figures["redis_us"].as_f64().map(|us| 1e6 / us).into();
    figures["skew_cpu"] = skew(used).into();
    figures["skew_tasks"] = skew(stored).into();
    Ok(figures)
}

/// The most of all to their mean.
fn skew(shares: impl Iterator<Item = f64>) -> f64 {
    let shares: Vec<f64> = shares.collect();
    shares.iter().copied().fold(0.0, f64::max) * shares.len() as f64 / shares.iter().sum::<f64>()
}
