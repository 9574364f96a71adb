//! A node, as the scripts see it: it claims, settles and extends, and each call has a nonce of its own.

use std::{cell::Cell, rc::Rc, time::Duration};

use windlass_shared::{
    model::{NodeId, Reason, State},
    store::{Claimed, Extend, Extended, Held, Partition, Settle, SettleAndClaim, Settled, SettledAndClaimed},
};

use crate::draft::id;

/// The lease of every test that does not care.
pub(crate) const LEASE: Duration = Duration::from_secs(10);
/// Lost leases after which a task is given up.
pub(crate) const MAX_CRASHES: u32 = 3;

/// A node that serves one queue.
#[derive(Debug)]
pub(crate) struct Node {
    queue: Partition,
    pub(crate) id: NodeId,
    lease: Duration,
    calls: Rc<Cell<u32>>,
}

impl Node {
    pub(crate) fn new(queue: Partition, name: &str, calls: Rc<Cell<u32>>) -> Self {
        Self { queue, id: NodeId::new(name).expect("a valid node id"), lease: LEASE, calls }
    }

    pub(crate) fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// One call with the nonce `nonce`.
    pub(crate) async fn call(&self, nonce: &str, want: usize, settles: &[Settle]) -> SettledAndClaimed {
        let call = SettleAndClaim {
            node: &self.id,
            number: 0,
            nonce,
            lease: self.lease,
            want,
            max_crashes: MAX_CRASHES,
            settles,
        };
        self.queue.settle_and_claim(&call).await.expect("settle_and_claim")
    }

    /// A nonce that no call of the scene had before.
    pub(crate) fn nonce(&self) -> String {
        self.calls.set(self.calls.get() + 1);
        format!("call{}", self.calls.get())
    }

    pub(crate) async fn claim(&self, want: usize) -> Vec<Claimed> {
        self.call(&self.nonce(), want, &[]).await.claimed
    }

    /// The claimed ids.
    pub(crate) async fn claim_ids(&self, want: usize) -> Vec<String> {
        names(&self.claim(want).await)
    }

    /// Settles one attempt and claims nothing.
    pub(crate) async fn settle(&self, settle: Settle) -> Settled {
        self.settle_all(&[settle]).await[0]
    }

    pub(crate) async fn settle_all(&self, settles: &[Settle]) -> Vec<Settled> {
        self.call(&self.nonce(), 0, settles).await.settled
    }

    /// Extends the given attempts; with none it is the beat of an idle node.
    pub(crate) async fn extend(&self, held: &[(&str, u32)]) -> Extended {
        let held: Vec<Held> = held
            .iter()
            .map(|(name, attempt)| Held { id: id(name), attempt: *attempt, progress: String::new() })
            .collect();
        self.extend_held(&held).await
    }

    pub(crate) async fn extend_held(&self, held: &[Held]) -> Extended {
        let call = Extend { node: &self.id, lease: self.lease, max_crashes: MAX_CRASHES, held };
        self.queue.extend(&call).await.expect("extend")
    }
}

/// The ids of claimed tasks.
pub(crate) fn names(claimed: &[Claimed]) -> Vec<String> {
    claimed.iter().map(|claimed| claimed.task.reference.id.to_string()).collect()
}

fn settle(name: &str, attempt: u32, to: State, reason: Reason) -> Settle {
    Settle {
        id: id(name),
        attempt,
        to,
        reason,
        delay: Duration::ZERO,
        error: String::new(),
        result: String::new(),
    }
}

const ERROR: &str = r#"{"class":"internal","message":"it broke"}"#;

pub(crate) fn completed(name: &str, attempt: u32) -> Settle {
    Settle { result: r#"{"ok":true}"#.into(), ..settle(name, attempt, State::Completed, Reason::Completed) }
}

pub(crate) fn failed(name: &str, attempt: u32) -> Settle {
    Settle { error: ERROR.into(), ..settle(name, attempt, State::Failed, Reason::Failed) }
}

pub(crate) fn exhausted(name: &str, attempt: u32) -> Settle {
    Settle { error: ERROR.into(), ..settle(name, attempt, State::Failed, Reason::Exhausted) }
}

/// To be tried again after so many seconds.
pub(crate) fn retrying(name: &str, attempt: u32, seconds: u64) -> Settle {
    let delay = Duration::from_secs(seconds);
    Settle { error: ERROR.into(), delay, ..settle(name, attempt, State::Scheduled, Reason::Retrying) }
}

pub(crate) fn interrupted(name: &str, attempt: u32) -> Settle {
    settle(name, attempt, State::Pending, Reason::Interrupted)
}

pub(crate) fn unknown_type(name: &str, attempt: u32) -> Settle {
    let delay = Duration::from_secs(5);
    Settle { delay, ..settle(name, attempt, State::Scheduled, Reason::UnknownType) }
}

pub(crate) fn missing_key(name: &str, attempt: u32) -> Settle {
    Settle { reason: Reason::MissingKey, ..unknown_type(name, attempt) }
}

pub(crate) fn cancelled(name: &str, attempt: u32) -> Settle {
    settle(name, attempt, State::Cancelled, Reason::Cancelled)
}

/// What an attempt did so far, as the next one is given it.
pub(crate) const LEDGER: &str = r#"{"calls":[{"model":"p/m"}]}"#;
/// An answer that people are to look at.
pub(crate) const DRAFT: &str = r#"{"draft":true}"#;

/// People are to decide about its draft.
pub(crate) fn escalated(name: &str, attempt: u32) -> Settle {
    Settle {
        error: ERROR.into(),
        result: DRAFT.into(),
        ..settle(name, attempt, State::Blocked, Reason::Escalated)
    }
}

fn waits(name: &str, attempt: u32, seconds: u64, reason: Reason) -> Settle {
    let delay = Duration::from_secs(seconds);
    Settle {
        error: ERROR.into(),
        result: LEDGER.into(),
        delay,
        ..settle(name, attempt, State::Scheduled, reason)
    }
}

/// A limit asks for a wait of so many seconds.
pub(crate) fn rate_limited(name: &str, attempt: u32, seconds: u64) -> Settle {
    waits(name, attempt, seconds, Reason::RateLimited)
}

/// The budget is spent for so many seconds.
pub(crate) fn over_budget(name: &str, attempt: u32, seconds: u64) -> Settle {
    waits(name, attempt, seconds, Reason::OverBudget)
}
