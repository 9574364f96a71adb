//! How long Redis takes to answer, as this process sees it. Recording is a search among a few numbers and two atomic
//! additions; whoever exposes metrics reads it.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use redis::RedisResult;

use super::{StoreError, script};

/// Upper bounds of the buckets, in microseconds.
const BOUNDS: [u64; 17] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000,
];

/// Kinds of failure.
const KINDS: [&str; 7] =
    ["timeout", "unreachable", "refused", "out_of_memory", "disk_failed", "unavailable", "unexpected"];

/// How often something took how long.
#[derive(Debug)]
pub(super) struct Times {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    nanos: AtomicU64,
}

impl Times {
    pub(super) const fn new() -> Self {
        Self { buckets: [const { AtomicU64::new(0) }; BOUNDS.len() + 1], nanos: AtomicU64::new(0) }
    }

    pub(super) fn record(&self, took: Duration) {
        let micros = took.as_micros();
        let bucket = BOUNDS.partition_point(|bound| u128::from(*bound) < micros);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn read(&self) -> Figures {
        let bounds = BOUNDS.iter().map(|micros| *micros as f64 / 1e6).chain([f64::INFINITY]);
        let counts = self.buckets.iter().map(|count| count.load(Ordering::Relaxed));
        Figures {
            buckets: bounds.zip(counts).collect(),
            sum: self.nanos.load(Ordering::Relaxed) as f64 / 1e9,
        }
    }
}

static ROUND_TRIP: Times = Times::new();
static FAILED: [AtomicU64; KINDS.len()] = [const { AtomicU64::new(0) }; KINDS.len()];

/// Times something that is sent to Redis and answered.
pub(super) async fn round_trip<T>(answer: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    let start = Instant::now();
    let answer = answer.await;
    ROUND_TRIP.record(start.elapsed());
    answer
}

/// Counts a failure that a caller is told of.
pub(super) fn failed(error: &StoreError, is_timeout: bool) {
    let kind = match error {
        StoreError::Unreachable { .. } if is_timeout => 0,
        StoreError::Unreachable { .. } => 1,
        StoreError::Refused(_) => 2,
        StoreError::OutOfMemory => 3,
        StoreError::DiskFailed(_) => 4,
        StoreError::Unavailable(_) => 5,
        StoreError::Unexpected(_) => 6,
        // No failures of Redis.
        _ => return,
    };
    FAILED[kind].fetch_add(1, Ordering::Relaxed);
}

/// How often something took how long.
#[derive(Debug, Clone, PartialEq)]
pub struct Figures {
    /// Upper bounds in seconds, and how many were within each and above the one before. The last bound is infinite.
    pub buckets: Vec<(f64, u64)>,
    /// Seconds in all.
    pub sum: f64,
}

/// How Redis answered this process, since it began.
#[derive(Debug, Clone, PartialEq)]
pub struct Timing {
    /// Commands and scripts on the shared connections. Waits have connections of their own and are not among them.
    pub round_trip: Figures,
    /// Scripts, by name.
    pub scripts: Vec<(&'static str, Figures)>,
    /// Failures by kind.
    pub errors: Vec<(&'static str, u64)>,
}

/// How Redis answered this process, since it began.
pub fn timing() -> Timing {
    let scripts = script::all().into_iter().map(|script| (script.name, script.took.read()));
    let errors = KINDS.into_iter().zip(&FAILED).map(|(kind, count)| (kind, count.load(Ordering::Relaxed)));
    Timing { round_trip: ROUND_TRIP.read(), scripts: scripts.collect(), errors: errors.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_counted_in_the_bucket_that_holds_it() {
        let times = Times::new();
        for micros in [0, 50, 51, 10_000_000, 10_000_001] {
            times.record(Duration::from_micros(micros));
        }
        let figures = times.read();
        let counted: Vec<_> = figures.buckets.iter().filter(|(_, count)| *count > 0).copied().collect();
        assert_eq!(counted, [(0.000_05, 2), (0.000_1, 1), (10.0, 1), (f64::INFINITY, 1)]);
        assert!((figures.sum - 20.000_102).abs() < 1e-9, "{}", figures.sum);
    }
}
