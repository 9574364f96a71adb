//! Signs of life: when the loops that a node cannot do without turned last. A round that failed because Redis is away is
//! a turn, too: starting the node anew would not bring Redis back, and would lose what runs.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// When something happened last.
#[derive(Debug)]
pub(crate) struct Pulse {
    start: Instant,
    /// Milliseconds after the start.
    last: AtomicU64,
}

impl Pulse {
    fn new() -> Self {
        Self { start: Instant::now(), last: AtomicU64::new(0) }
    }

    /// It happened.
    pub(crate) fn beat(&self) {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(now, Ordering::Relaxed);
    }

    /// How long ago.
    pub(crate) fn age(&self) -> Duration {
        self.start.elapsed().saturating_sub(Duration::from_millis(self.last.load(Ordering::Relaxed)))
    }
}

/// Those of a node.
#[derive(Debug)]
pub(crate) struct Pulses {
    /// The loop that claims and settles turned.
    pub(crate) dispatcher: Pulse,
    /// The loop of the heartbeat turned.
    pub(crate) heartbeat: Pulse,
    /// Redis took a heartbeat.
    pub(crate) redis: Pulse,
    /// A loop that is silent for longer stands still.
    pub(crate) longest: Duration,
}

/// Shorter silences happen on a busy machine.
const LONGEST_AT_LEAST: Duration = Duration::from_secs(10);

impl Pulses {
    pub(crate) fn new(lease: Duration) -> Self {
        let longest = (lease * 3).max(LONGEST_AT_LEAST);
        Self { dispatcher: Pulse::new(), heartbeat: Pulse::new(), redis: Pulse::new(), longest }
    }

    /// Both loops turn.
    pub(crate) fn are_there(&self) -> bool {
        self.dispatcher.age() <= self.longest && self.heartbeat.age() <= self.longest
    }
}
