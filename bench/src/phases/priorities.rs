//! How far priority holds: tasks of three priorities are all queued, then drained with a few slots.

use anyhow::Result;
use windlass_bench::record;
use windlass_shared::model::Priority;

use super::{Scene, drain::drain_at};
use crate::bed::Bed;

const TASKS: u64 = 30_000;
/// Few, so that what starts next to each other was claimed for its priority, and not because there was room for all.
const CONCURRENCY: u64 = 8;

/// What started out of order.
pub(super) struct Inversions {
    /// The share of tasks that started while one of higher priority had not.
    pub(super) share: f64,
    /// The most tasks of lower priority that started before the last one of a higher priority.
    pub(super) furthest: usize,
}

/// Submits and drains on a fresh bed.
pub(super) fn inversions(scene: &Scene, bed: &mut Bed) -> Result<Inversions> {
    let n = scene.tasks(TASKS);
    bed.enqueue(n, "bulk", &["--priorities"])?;
    drain_at(bed, 1, CONCURRENCY, n)?;
    let mut marks = record::read(&bed.log())?;
    marks.sort_by_key(|mark| mark.at);
    Ok(of(&marks.iter().map(|mark| record::priority(mark.idx)).collect::<Vec<_>>()))
}

/// Given the priorities of tasks in the order in which they started.
fn of(started: &[Priority]) -> Inversions {
    let last = Priority::ALL.map(|priority| started.iter().rposition(|other| *other == priority));
    let waits =
        |index: usize, priority: Priority| last[..priority as usize].iter().any(|last| *last > Some(index));
    let inverted = started.iter().enumerate().filter(|(index, priority)| waits(*index, **priority)).count();
    let lower = |(higher, last): (Priority, Option<usize>)| {
        started[..last.unwrap_or(0)].iter().filter(|priority| **priority > higher).count()
    };
    let furthest = Priority::ALL.into_iter().zip(last).map(lower).max().unwrap_or(0);
    Inversions { share: inverted as f64 / started.len() as f64, furthest }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_starts_before_a_higher_priority_is_counted() {
        let (high, normal, low) = (Priority::High, Priority::Normal, Priority::Low);
        let kept = of(&[high, high, normal, normal, low]);
        assert_eq!((kept.share, kept.furthest), (0.0, 0));
        // One normal and two low before the last high; one low before the last normal, which is no more.
        let broken = of(&[high, normal, low, low, high, normal, low, low]);
        assert_eq!((broken.share, broken.furthest), (3.0 / 8.0, 3));
    }
}
