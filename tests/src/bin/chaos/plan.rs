//! Which fault happens when: all of it follows from the seed.

use std::time::Duration;

use fastrand::Rng;

/// What the fleet runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Topology {
    /// One server with an append-only file; each worker's link can be hurt.
    Single,
    /// A primary and a replica, watched by three Sentinels.
    Sentinel,
    /// Three primaries with a replica each.
    Cluster,
}

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Kill,
    Suspend,
    Drain,
    LinkCut,
    LinkClosed,
    LinkFrozen,
    LinkLate,
    LinkThin,
    LinkDeaf,
    LinkBroken,
    AllLinksCut,
    ScriptsFlushed,
    ClientsKilled,
    MemoryFull,
    RedisKilled,
    RedisSuspended,
    PrimaryLost,
    Poison,
    Block,
}

/// What a fault takes hold of; nothing is hurt twice at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Worker(usize),
    Redis,
    Nothing,
}

/// A fault of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) at: Duration,
    pub(crate) kind: Kind,
    pub(crate) target: Target,
    /// Until it is undone; zero if it is over at once.
    pub(crate) lasts: Duration,
    /// What else is left to chance: how thin, how late, after how many bytes.
    pub(crate) degree: u64,
}

/// What a plan is made from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope {
    pub(crate) seed: u64,
    pub(crate) duration: Duration,
    pub(crate) lease: Duration,
    pub(crate) topology: Topology,
    pub(crate) workers: usize,
}

/// Before the first fault, so that there is work to hurt.
const CALM: Duration = Duration::from_secs(3);
/// A worker or a Redis that was hurt is left alone for so long.
const REST: Duration = Duration::from_secs(2);

impl Kind {
    /// As the report names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Kill => "worker killed (`SIGKILL`)",
            Self::Suspend => "worker suspended beyond its lease (`SIGSTOP`)",
            Self::Drain => "worker drained (`SIGTERM`)",
            Self::LinkCut => "a worker's connections cut",
            Self::LinkClosed => "a worker's link closed beyond its lease",
            Self::LinkFrozen => "a worker's link frozen beyond its lease",
            Self::LinkLate => "a worker's link late",
            Self::LinkThin => "a worker's link thin",
            Self::LinkDeaf => "a worker's link half-open beyond its lease",
            Self::LinkBroken => "a worker's link cut in the middle of a reply",
            Self::AllLinksCut => "all workers' connections cut",
            Self::ScriptsFlushed => "`SCRIPT FLUSH`",
            Self::ClientsKilled => "`CLIENT KILL TYPE normal`",
            Self::MemoryFull => "`maxmemory` reached",
            Self::RedisKilled => "Redis killed and started again",
            Self::RedisSuspended => "Redis suspended (`SIGSTOP`)",
            Self::PrimaryLost => "a primary killed, later started again",
            Self::Poison => "a task that kills its worker, three times",
            Self::Block => "an executor that blocks its thread beyond the lease",
        }
    }

    /// Whether its worker loses what it holds.
    pub(crate) fn loses_the_node(self) -> bool {
        matches!(self, Self::Kill | Self::Suspend | Self::LinkClosed | Self::LinkFrozen | Self::LinkDeaf)
    }

    /// Whether nobody reaches Redis meanwhile, so that recovery is put off.
    pub(crate) fn is_outage(self) -> bool {
        matches!(self, Self::RedisKilled | Self::RedisSuspended | Self::PrimaryLost)
    }

    fn hits_a_worker(self) -> bool {
        use Kind::{Drain, LinkBroken, LinkCut, LinkLate, LinkThin};
        self.loses_the_node() || matches!(self, Drain | LinkCut | LinkLate | LinkThin | LinkBroken)
    }

    fn hits_redis(self) -> bool {
        self.is_outage() || matches!(self, Self::MemoryFull)
    }

    fn lasts(self, lease: Duration, random: &mut Rng) -> Duration {
        let mut between = |low: f64, high: f64| Duration::from_secs_f64(low + (high - low) * random.f64());
        let lease = lease.as_secs_f64();
        match self {
            Self::Kill | Self::Drain => between(0.5, 2.0),
            Self::Suspend | Self::LinkClosed | Self::LinkFrozen | Self::LinkDeaf => {
                between(lease * 1.2, lease * 1.6)
            }
            Self::LinkLate | Self::LinkThin => between(lease * 0.5, lease),
            Self::LinkBroken => between(lease * 0.2, lease * 0.4),
            Self::MemoryFull => between(1.0, 4.0),
            Self::RedisKilled => between(0.2, 2.0),
            Self::RedisSuspended => between(0.5, lease * 1.2),
            Self::PrimaryLost => between(1.0, 2.0),
            _ => Duration::ZERO,
        }
    }
}

/// A deck has each kind at least once, the more telling ones several times.
fn deck(topology: Topology) -> Vec<Kind> {
    use Kind::{
        AllLinksCut, Block, ClientsKilled, Drain, Kill, LinkBroken, LinkClosed, LinkCut, LinkDeaf,
        LinkFrozen, LinkLate, LinkThin, MemoryFull, Poison, PrimaryLost, RedisKilled, RedisSuspended,
        ScriptsFlushed, Suspend,
    };
    let counts: &[(Kind, usize)] = match topology {
        Topology::Single => &[
            (Kill, 5),
            (Suspend, 3),
            (Drain, 2),
            (LinkCut, 2),
            (LinkClosed, 2),
            (LinkFrozen, 2),
            (LinkDeaf, 2),
            (LinkBroken, 2),
            (LinkLate, 1),
            (LinkThin, 1),
            (AllLinksCut, 1),
            (ScriptsFlushed, 1),
            (ClientsKilled, 1),
            (MemoryFull, 1),
            (RedisKilled, 1),
            (RedisSuspended, 1),
            (Poison, 1),
            (Block, 1),
        ],
        Topology::Sentinel | Topology::Cluster => &[
            (Kill, 4),
            (Suspend, 2),
            (Drain, 2),
            (PrimaryLost, 3),
            (ScriptsFlushed, 1),
            (ClientsKilled, 1),
            (Poison, 1),
            (Block, 1),
        ],
    };
    counts.iter().flat_map(|&(kind, count)| vec![kind; count]).collect()
}

/// All faults of a run, in order of time.
pub(crate) fn plan(scope: &Scope) -> Vec<Fault> {
    let mut random = Rng::with_seed(scope.seed);
    let spacing = Duration::from_secs(8).min(scope.lease.mul_f64(1.3));
    let mut free_at = vec![Duration::ZERO; scope.workers];
    let mut redis_free_at = Duration::ZERO;
    let (mut faults, mut cards) = (Vec::new(), Vec::new());
    let mut at = CALM;
    while at < scope.duration {
        // What cannot happen now stays in the deck.
        if !cards.iter().any(|kind| target(*kind, at, &free_at, redis_free_at, &mut random.clone()).is_some())
        {
            let mut fresh = deck(scope.topology);
            random.shuffle(&mut fresh);
            cards.extend(fresh);
        }
        let drawn = cards.iter().enumerate().find_map(|(place, &kind)| {
            target(kind, at, &free_at, redis_free_at, &mut random).map(|target| (place, kind, target))
        });
        if let Some((place, kind, target)) = drawn {
            cards.remove(place);
            let lasts = kind.lasts(scope.lease, &mut random);
            match target {
                Target::Worker(worker) => free_at[worker] = at + lasts + REST,
                Target::Redis => redis_free_at = at + lasts + REST * 3,
                Target::Nothing => {}
            }
            faults.push(Fault { at, kind, target, lasts, degree: random.u64(..) });
        }
        at += spacing.mul_f64(0.6 + 0.8 * random.f64());
    }
    faults
}

fn target(
    kind: Kind,
    at: Duration,
    free_at: &[Duration],
    redis_free_at: Duration,
    random: &mut Rng,
) -> Option<Target> {
    if kind.hits_redis() {
        return (redis_free_at <= at).then_some(Target::Redis);
    }
    if !kind.hits_a_worker() {
        return Some(Target::Nothing);
    }
    let free: Vec<usize> = (0..free_at.len()).filter(|&worker| free_at[worker] <= at).collect();
    // Half of the workers are always well: lost work goes on somewhere.
    (free.len() > free_at.len() / 2).then(|| Target::Worker(free[random.usize(..free.len())]))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn scope(seed: u64, topology: Topology) -> Scope {
        Scope {
            seed,
            duration: Duration::from_mins(30),
            lease: Duration::from_secs(10),
            topology,
            workers: 4,
        }
    }

    #[test]
    fn a_seed_makes_one_plan_and_another_seed_another() {
        let single = scope(7, Topology::Single);
        assert_eq!(plan(&single), plan(&single));
        assert_ne!(plan(&single), plan(&scope(8, Topology::Single)));
    }

    #[test]
    fn half_an_hour_has_two_hundred_faults_of_every_kind_and_two_minutes_have_each_once() {
        let faults = plan(&scope(1, Topology::Single));
        assert!(faults.len() >= 200, "{}", faults.len());
        let short = Scope {
            duration: Duration::from_mins(2),
            lease: Duration::from_secs(3),
            ..scope(1, Topology::Single)
        };
        let kinds: BTreeSet<Kind> = plan(&short).iter().map(|fault| fault.kind).collect();
        let all: BTreeSet<Kind> = deck(Topology::Single).into_iter().collect();
        assert!(plan(&short).len() >= 25, "{}", plan(&short).len());
        assert!(all.difference(&kinds).count() <= 2, "missing: {:?}", all.difference(&kinds));
    }

    #[test]
    fn nothing_is_hurt_twice_at_once() {
        for topology in [Topology::Single, Topology::Sentinel, Topology::Cluster] {
            let faults = plan(&scope(3, topology));
            for (n, fault) in faults.iter().enumerate().filter(|(_, fault)| fault.target != Target::Nothing) {
                let meanwhile = faults[n + 1..].iter().take_while(|other| other.at < fault.at + fault.lasts);
                assert!(meanwhile.into_iter().all(|other| other.target != fault.target), "{fault:?}");
            }
        }
    }
}
