//! How often a node turns to Redis for its own sake. In a large fleet each does so more seldom, so that what the idle ones
//! cost together does not grow with their number: some hundred beats a second, and some ten visits of queues.

use std::time::Duration;

/// How long a heartbeat key lives at least.
const HEARTBEAT_TTL: Duration = Duration::from_secs(10);

/// Heartbeats a second of a fleet.
const BEATS: u32 = 150;
/// Visits a second of idle nodes, all queues together: those whom nobody needs there.
const VISITS: u32 = 30;
/// A queue is not left alone for longer, however many nodes there are.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);
/// Nor is a node silent for longer.
///
/// Shorter than the two minutes for which `beat.lua` counts a node.
const LONGEST_SILENCE: Duration = Duration::from_mins(1);
/// So many visits one after another must have been needless before a node stays away: one may meet another's by chance.
const IN_A_ROW: u32 = 4;

/// How often a node beats.
#[derive(Debug, Clone, Copy)]
pub struct Rhythm {
    base: Duration,
    nodes: u32,
    /// For how long the key lives that the last beat set.
    promised: Duration,
}

impl Rhythm {
    /// Of a node whose leases last so long, in a fleet of which nothing is known yet.
    pub fn new(lease: Duration) -> Self {
        Self { base: lease.min(HEARTBEAT_TTL) / 3, nodes: 0, promised: HEARTBEAT_TTL }
    }

    /// A beat set a key for [`Self::ttl`], and heard that the fleet has so many live nodes.
    pub fn told(&mut self, nodes: u32) {
        self.promised = self.ttl();
        self.nodes = nodes;
    }

    /// Between two beats of a small fleet, and two extensions of a lease in any.
    pub fn base(&self) -> Duration {
        self.base
    }

    fn wanted(&self) -> Duration {
        let shared = Duration::from_secs(1) * self.nodes / BEATS;
        self.base.max(shared.min(LONGEST_SILENCE))
    }

    /// From the last heartbeat to the next. A fleet that grew does not make it later than the last key allows.
    pub fn interval(&self) -> Duration {
        self.wanted().min((self.promised * 2 / 5).max(self.base))
    }

    /// How long the key of the next heartbeat lives.
    pub fn ttl(&self) -> Duration {
        HEARTBEAT_TTL.max(self.wanted() * 5 / 2)
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
    needless: u32,
}

impl Visits {
    /// From the last visit to the next.
    pub fn pause(&self, rhythm: &Rhythm) -> Duration {
        self.next.clamp(rhythm.base, rhythm.longest_pause())
    }

    /// What a visit found: whether it could have been spared. Nodes that began together do not stay in step.
    pub fn told(&mut self, rhythm: &Rhythm, spare: bool) {
        self.needless = if spare { self.needless.saturating_add(1) } else { 0 };
        if self.needless < IN_A_ROW {
            (self.usual, self.next) = (rhythm.base, rhythm.base);
            return;
        }
        self.usual = self.usual.clamp(rhythm.base, rhythm.longest_pause()) * 3;
        self.next = self.usual.mul_f64(0.5 + fastrand::f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(10);

    fn of(nodes: u32) -> Rhythm {
        let mut rhythm = Rhythm::new(LEASE);
        rhythm.told(nodes);
        rhythm.told(nodes);
        rhythm
    }

    #[test]
    fn a_node_that_hears_of_a_large_fleet_still_beats_before_its_key_is_gone() {
        let mut rhythm = Rhythm::new(LEASE);
        rhythm.told(10_000);
        assert_eq!(rhythm.interval(), LEASE * 2 / 5, "its key lives for ten seconds");
        assert!(rhythm.ttl() > LEASE * 9);
        rhythm.told(10_000);
        assert_eq!(rhythm.interval().as_secs(), 60);
        rhythm.told(3);
        assert_eq!((rhythm.interval(), rhythm.ttl()), (LEASE / 3, LEASE), "the others left");
    }

    #[test]
    fn a_small_fleet_beats_each_third_of_its_lease() {
        for nodes in [0, 1, 300, 500] {
            assert_eq!((of(nodes).interval(), of(nodes).ttl()), (LEASE / 3, LEASE), "{nodes}");
        }
        assert_eq!(Rhythm::new(LEASE * 6).interval(), LEASE / 3, "not longer than the key lives");
        let short = Rhythm::new(Duration::from_secs(3));
        assert_eq!((short.interval(), short.ttl()), (Duration::from_secs(1), HEARTBEAT_TTL));
    }

    #[test]
    fn a_large_one_beats_some_hundred_times_a_second_and_nobody_is_silent_for_long() {
        let large = of(10_000);
        assert_eq!((large.interval().as_secs(), large.ttl().as_secs()), (60, 150));
        assert_eq!((of(u32::MAX).interval(), of(u32::MAX).ttl()), (LONGEST_SILENCE, LONGEST_SILENCE * 5 / 2));
    }

    #[test]
    fn a_queue_that_others_visit_is_left_alone_and_one_that_they_left_is_not() {
        let (rhythm, mut visits) = (of(10_000), Visits::default());
        for _ in 1..IN_A_ROW {
            visits.told(&rhythm, true);
        }
        assert_eq!(visits.pause(&rhythm), LEASE / 3, "by chance");
        for _ in 0..20 {
            visits.told(&rhythm, true);
        }
        assert!(visits.pause(&rhythm) > LONGEST_PAUSE / 3, "{visits:?}");
        assert_eq!(visits.pause(&of(3)), LEASE / 3, "the others died");
        visits.told(&rhythm, false);
        assert_eq!(visits.pause(&rhythm), LEASE / 3);
    }
}
