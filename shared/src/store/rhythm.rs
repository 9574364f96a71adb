//! How often a node turns to Redis for its own sake. In a large fleet each does so more seldom, so that what the idle ones
//! cost together does not grow with their number: some hundred beats a second, and some ten visits of queues.

use std::time::Duration;

/// How long a heartbeat key lives at least.
pub const HEARTBEAT_TTL: Duration = Duration::from_secs(10);

/// Heartbeats a second of a fleet.
const BEATS: u32 = 300;
/// Visits a second of idle nodes, all queues together: those whom nobody needs there.
const VISITS: u32 = 30;
/// A queue is not left alone for longer, however many nodes there are.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);
/// Nor is a node silent for longer.
const LONGEST_SILENCE: Duration = Duration::from_secs(40);

/// How often a node beats.
#[derive(Debug, Clone, Copy)]
pub struct Rhythm {
    base: Duration,
    nodes: u32,
}

impl Rhythm {
    /// Of a node whose leases last so long, in a fleet of which nothing is known yet.
    pub fn new(lease: Duration) -> Self {
        Self { base: lease.min(HEARTBEAT_TTL) / 3, nodes: 0 }
    }

    /// The fleet has so many live nodes.
    pub fn told(&mut self, nodes: u32) {
        self.nodes = nodes;
    }

    /// Between two beats of a small fleet, and two extensions of a lease in any.
    pub fn base(&self) -> Duration {
        self.base
    }

    /// Between two heartbeats.
    pub fn interval(&self) -> Duration {
        let shared = Duration::from_secs(1) * self.nodes / BEATS;
        self.base.max(shared.min(LONGEST_SILENCE))
    }

    /// How long the heartbeat's key lives: three times as long.
    pub fn ttl(&self) -> Duration {
        HEARTBEAT_TTL.max(self.interval() * 3)
    }

    /// Between two visits of a queue in which the node has nothing and others were lately.
    fn longest_pause(&self) -> Duration {
        let shared = Duration::from_secs(1) * self.nodes / VISITS;
        self.base.max(shared.min(LONGEST_PAUSE))
    }
}

/// How often a node visits a queue in which it has nothing, for the upkeep: more and more seldom while others are there
/// all the time, and as before once they are not.
#[derive(Debug, Clone, Copy, Default)]
pub struct Visits {
    usual: Duration,
    next: Duration,
}

impl Visits {
    /// From the last visit to the next.
    pub fn pause(&self, rhythm: &Rhythm) -> Duration {
        self.next.clamp(rhythm.base, rhythm.longest_pause())
    }

    /// What a visit found: whether it could have been spared. Nodes that began together do not stay in step.
    pub fn told(&mut self, rhythm: &Rhythm, spare: bool) {
        let usual = self.usual.clamp(rhythm.base, rhythm.longest_pause());
        self.usual = if spare { usual * 3 } else { rhythm.base };
        self.next = self.usual.mul_f64(if spare { 0.5 + fastrand::f64() } else { 1.0 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(10);

    fn of(nodes: u32) -> Rhythm {
        let mut rhythm = Rhythm::new(LEASE);
        rhythm.told(nodes);
        rhythm
    }

    #[test]
    fn a_small_fleet_beats_each_third_of_its_lease() {
        for nodes in [0, 1, 500, 1000] {
            assert_eq!((of(nodes).interval(), of(nodes).ttl()), (LEASE / 3, LEASE), "{nodes}");
        }
        assert_eq!(Rhythm::new(LEASE * 6).interval(), LEASE / 3, "not longer than the key lives");
        let short = Rhythm::new(Duration::from_secs(3));
        assert_eq!((short.interval(), short.ttl()), (Duration::from_secs(1), HEARTBEAT_TTL));
    }

    #[test]
    fn a_large_one_beats_some_hundred_times_a_second_and_nobody_is_silent_for_long() {
        let large = of(10_000);
        assert_eq!((large.interval().as_secs(), large.ttl()), (33, large.interval() * 3));
        assert_eq!((of(u32::MAX).interval(), of(u32::MAX).ttl()), (LONGEST_SILENCE, LONGEST_SILENCE * 3));
    }

    #[test]
    fn a_queue_that_others_visit_is_left_alone_and_one_that_they_left_is_not() {
        let (rhythm, mut visits) = (of(10_000), Visits::default());
        assert_eq!(visits.pause(&rhythm), LEASE / 3);
        for _ in 0..20 {
            visits.told(&rhythm, true);
        }
        assert!(visits.pause(&rhythm) > LONGEST_PAUSE / 3, "{visits:?}");
        assert_eq!(visits.pause(&of(3)), LEASE / 3, "the others died");
        visits.told(&rhythm, false);
        assert_eq!(visits.pause(&rhythm), LEASE / 3);
    }
}
