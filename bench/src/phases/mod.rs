//! What is measured, a phase each. A phase measures one peer once and gives its figures; rounds and medians are not
//! its business.

mod checker;
mod cluster;
mod commands;
mod drain;
mod enqueue;
mod growth;
mod idle;
mod latency;
mod listings;
mod memory;
mod priorities;
mod programs;
mod recovery;
mod scripts;

use std::time::Duration;

use anyhow::Result;
use serde_json::Value;

use crate::{ceiling, peer::Peer};

/// No fewer tasks, unless so few are usual.
const LEAST: u64 = 5000;

/// What a phase is told.
pub(crate) struct Scene<'a> {
    /// Who is measured.
    pub(crate) peer: &'a Peer,
    /// What each number of tasks is multiplied with.
    pub(crate) scale: f64,
    /// Measure also what takes ten million tasks.
    pub(crate) huge: bool,
    /// How long recovery is waited for.
    pub(crate) limit: Duration,
}

impl Scene<'_> {
    /// A number of tasks, scaled, but not so far that nothing can be told from it.
    pub(crate) fn tasks(&self, usual: u64) -> u64 {
        ((usual as f64 * self.scale) as u64).max(usual.min(LEAST))
    }

    /// A number of tasks that are drained, scaled, and such that the peer can cope with it.
    pub(crate) fn drained(&self, usual: u64) -> u64 {
        self.tasks(usual).min(self.peer.most_drained)
    }
}

/// Whom a phase measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whom {
    /// Every peer.
    All,
    /// Windlass alone: it goes through its own programs, or asks how a figure grows.
    Windlass,
    /// Redis itself.
    Redis,
}

/// How often a phase is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rounds {
    /// As often as was asked for.
    All,
    /// Once: it takes minutes, and its figures hardly vary.
    One,
    /// Windlass as often as was asked for, its peers once: some take minutes.
    OneForPeers,
}

/// A phase.
pub(crate) struct Phase {
    pub(crate) name: &'static str,
    pub(crate) whom: Whom,
    pub(crate) rounds: Rounds,
    /// Gives one object of figures, or one for each `variant`.
    pub(crate) measure: fn(&Scene) -> Result<Vec<Value>>,
}

const fn phase(
    name: &'static str,
    whom: Whom,
    rounds: Rounds,
    measure: fn(&Scene) -> Result<Vec<Value>>,
) -> Phase {
    Phase { name, whom, rounds, measure }
}

/// All phases, in the order in which they run.
pub(crate) const PHASES: [Phase; 22] = [
    phase("ceiling", Whom::Redis, Rounds::All, ceiling::measure),
    phase("enqueue-bulk", Whom::All, Rounds::All, enqueue::bulk),
    phase("enqueue-single", Whom::All, Rounds::All, enqueue::single),
    phase("submit-file", Whom::Windlass, Rounds::All, programs::submit_file),
    phase("drain", Whom::All, Rounds::All, drain::by_one),
    phase("drain2", Whom::All, Rounds::All, drain::by_two),
    phase("latency", Whom::All, Rounds::All, latency::measure),
    phase("memory", Whom::All, Rounds::All, memory::measure),
    phase("commands", Whom::All, Rounds::All, commands::measure),
    phase("idle", Whom::All, Rounds::One, idle::measure),
    phase("recovery", Whom::All, Rounds::OneForPeers, recovery::measure),
    phase("start", Whom::Windlass, Rounds::All, programs::start),
    phase("rss", Whom::Windlass, Rounds::All, programs::rss),
    phase("backlog", Whom::Windlass, Rounds::All, growth::backlog),
    phase("workers", Whom::Windlass, Rounds::All, growth::workers),
    phase("tenants", Whom::Windlass, Rounds::All, growth::tenants),
    phase("payloads", Whom::Windlass, Rounds::All, growth::payloads),
    phase("aof", Whom::Windlass, Rounds::All, growth::append_only),
    phase("cluster", Whom::Windlass, Rounds::All, cluster::measure),
    phase("listings", Whom::Windlass, Rounds::All, listings::measure),
    phase("checker", Whom::Windlass, Rounds::All, checker::measure),
    phase("scripts", Whom::Windlass, Rounds::All, scripts::measure),
];

/// The value below which this share of sorted values lies.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let index = (sorted.len() as f64 * share) as usize;
    sorted.get(index.min(sorted.len().saturating_sub(1))).copied()
}
