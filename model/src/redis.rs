//! What Redis holds, and the scripts: each is one step.

use std::collections::{BTreeMap, BTreeSet};

use crate::fleet::Broken;

/// A third of a lease is a tick.
pub(crate) const LEASE: u8 = 3;
/// Without a script for more than half a lease, Redis was away.
const SILENCE: u8 = 2;
/// Leases that may run out before a task is given up.
const MOST_CRASHES: u8 = 3;

/// Where a task is, as its record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum State {
    Pending,
    Running,
    Completed,
    Dead,
}

/// A task's record.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Record {
    pub(crate) state: State,
    /// With `node`, the fencing token.
    pub(crate) attempt: u8,
    pub(crate) node: usize,
    pub(crate) crashes: u8,
    /// For the checks: how often a result was taken.
    pub(crate) commits: u8,
    /// For the checks: the owner of the lease crashed or slept, or never asked.
    pub(crate) excused: bool,
}

/// One call of `settle_and_claim`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Request {
    pub(crate) node: usize,
    pub(crate) nonce: u8,
    /// Attempts that completed: task and number.
    pub(crate) settles: Vec<(usize, u8)>,
    pub(crate) want: bool,
}

/// Its answer: what was claimed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Reply {
    pub(crate) nonce: u8,
    pub(crate) claimed: Option<(usize, u8)>,
}

/// The keys of a queue.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Redis {
    pub(crate) records: Vec<Record>,
    pub(crate) pending: BTreeSet<usize>,
    /// Ticks until the lease runs out.
    pub(crate) running: BTreeMap<usize, u8>,
    /// Each node's last call.
    pub(crate) claimed: Vec<Option<Reply>>,
    /// Ticks since a script ran.
    silence: u8,
    /// Ticks until leases are recovered again.
    deferred: u8,
    /// For the checks: somebody committed whose lease it was not.
    pub(crate) stale_commit: bool,
    /// For the checks: a crash was charged to an owner that did its duties.
    pub(crate) wrong_charge: bool,
}

impl Redis {
    pub(crate) fn new(tasks: usize, nodes: usize) -> Self {
        let record =
            Record { state: State::Pending, attempt: 0, node: 0, crashes: 0, commits: 0, excused: false };
        Self {
            records: vec![record; tasks],
            pending: (0..tasks).collect(),
            running: BTreeMap::new(),
            claimed: vec![None; nodes],
            silence: 0,
            deferred: 0,
            stale_commit: false,
            wrong_charge: false,
        }
    }

    pub(crate) fn pass(&mut self, ticks: u8) {
        self.running.values_mut().for_each(|left| *left = left.saturating_sub(ticks));
        self.deferred = self.deferred.saturating_sub(ticks);
        self.silence = (self.silence + ticks).min(SILENCE);
    }

    pub(crate) fn excuse(&mut self, node: usize) {
        self.records.iter_mut().filter(|record| record.node == node).for_each(|record| record.excused = true);
    }

    fn begin(&mut self, broken: Option<Broken>) {
        if self.silence >= SILENCE && broken != Some(Broken::NoDeferral) {
            self.deferred = LEASE;
        }
        self.silence = 0;
    }

    fn is_held(&self, task: usize, attempt: u8, node: usize) -> bool {
        let record = &self.records[task];
        record.state == State::Running && record.attempt == attempt && record.node == node
    }

    /// `excused`: the node is not there any more to hear the answer.
    pub(crate) fn settle_and_claim(
        &mut self,
        call: &Request,
        excused: bool,
        broken: Option<Broken>,
    ) -> Reply {
        self.begin(broken);
        let last = self.claimed[call.node].clone().filter(|last| last.nonce == call.nonce);
        if let Some(mut last) = last.filter(|_| broken != Some(Broken::NonceIgnored)) {
            last.claimed = last.claimed.filter(|(task, attempt)| self.is_held(*task, *attempt, call.node));
            return last;
        }
        for (task, attempt) in &call.settles {
            self.settle(*task, *attempt, call.node, broken);
        }
        self.recover();
        let claimed = if call.want { self.claim(call.node, excused) } else { None };
        let reply = Reply { nonce: call.nonce, claimed };
        self.claimed[call.node] = Some(reply.clone());
        reply
    }

    fn settle(&mut self, task: usize, attempt: u8, node: usize, broken: Option<Broken>) {
        let held = self.is_held(task, attempt, node);
        let open = self.records[task].state == State::Running;
        if !(held || open && broken == Some(Broken::NoFence)) {
            return;
        }
        self.stale_commit |= !held;
        let record = &mut self.records[task];
        record.state = State::Completed;
        record.commits += 1;
        if broken != Some(Broken::LeaseStays) {
            self.running.remove(&task);
        }
    }

    fn recover(&mut self) {
        if self.deferred > 0 {
            return;
        }
        let lost: Vec<usize> =
            self.running.iter().filter(|(_, left)| **left == 0).map(|(task, _)| *task).collect();
        for task in lost {
            self.running.remove(&task);
            let record = &mut self.records[task];
            record.crashes += 1;
            self.wrong_charge |= !record.excused;
            if record.crashes >= MOST_CRASHES {
                record.state = State::Dead;
            } else {
                record.state = State::Pending;
                self.pending.insert(task);
            }
        }
    }

    fn claim(&mut self, node: usize, excused: bool) -> Option<(usize, u8)> {
        let task = self.pending.pop_first()?;
        let record = &mut self.records[task];
        record.state = State::Running;
        record.attempt += 1;
        (record.node, record.excused) = (node, excused);
        self.running.insert(task, LEASE);
        Some((task, record.attempt))
    }

    /// Gives the attempts that are lost.
    pub(crate) fn extend(
        &mut self,
        node: usize,
        held: &BTreeMap<usize, u8>,
        broken: Option<Broken>,
    ) -> Vec<usize> {
        self.begin(broken);
        let mut lost = Vec::new();
        for (task, attempt) in held {
            if self.is_held(*task, *attempt, node) {
                self.running.insert(*task, LEASE);
            } else {
                lost.push(*task);
            }
        }
        self.recover();
        lost
    }
}
