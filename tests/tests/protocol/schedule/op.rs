//! What may happen to a queue.

use windlass_shared::{
    model::{Priority, State},
    store::{QueueSettings, Review, Settle},
};

use crate::{
    draft::{Draft, task},
    node,
};

/// Ids come from a small pool, so that they meet again.
pub(super) const POOL: u8 = 8;
/// Nodes at any moment; one that crashed is replaced by another with a new id.
pub(super) const NODES: usize = 3;
/// Nodes that are thought dead, and may yet speak: numbers from `NODES` on mean them.
pub(super) const GHOSTS: usize = 3;
/// Calls of a node that may come again.
pub(super) const CALLS: usize = 3;
pub(super) const BATCHES: [&str; 2] = ["b0", "b1"];

/// A task to submit.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    pub(super) id: u8,
    /// Stands for its content; 0 for an id that was made new.
    pub(super) content: u8,
    pub(super) priority: Priority,
    pub(super) tenant: u8,
    pub(super) weight: u32,
    pub(super) key: Option<u8>,
    pub(super) batch: Option<u8>,
    /// Seconds; 0 for none.
    pub(super) delay: u64,
    /// Seconds; 0 for never.
    pub(super) expires: u64,
}

/// The name of an id of the pool.
pub(super) fn name(id: u8) -> String {
    format!("t{id}")
}

impl Shape {
    pub(super) fn draft(&self) -> Draft {
        let digest = if self.content == 0 { String::new() } else { self.content.to_string() };
        let mut draft = task(name(self.id)).digest(&digest).priority(self.priority);
        if self.tenant > 0 {
            draft = draft.tenant(&format!("tenant{}", self.tenant), self.weight);
        }
        if let Some(key) = self.key {
            draft = draft.key(&format!("k{key}"));
        }
        if let Some(batch) = self.batch {
            draft = draft.batch(BATCHES[usize::from(batch)]);
        }
        if self.delay > 0 {
            draft = draft.delay(self.delay);
        }
        if self.expires > 0 { draft.expires(self.expires) } else { draft }
    }
}

/// How an attempt ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum Outcome {
    Completed,
    Failed,
    Exhausted,
    Retrying(u64),
    Interrupted,
    UnknownType,
    RateLimited(u64),
    OverBudget(u64),
    Escalated,
    Cancelled,
}

impl Outcome {
    pub(super) fn settle(self, id: &str, attempt: u32) -> Settle {
        match self {
            Self::Completed => node::completed(id, attempt),
            Self::Failed => node::failed(id, attempt),
            Self::Exhausted => node::exhausted(id, attempt),
            Self::Retrying(seconds) => node::retrying(id, attempt, seconds),
            Self::Interrupted => node::interrupted(id, attempt),
            Self::UnknownType => node::unknown_type(id, attempt),
            Self::RateLimited(seconds) => node::rate_limited(id, attempt, seconds),
            Self::OverBudget(seconds) => node::over_budget(id, attempt, seconds),
            Self::Escalated => node::escalated(id, attempt),
            Self::Cancelled => node::cancelled(id, attempt),
        }
    }
}

/// Who says so.
#[derive(Debug, Clone, Copy)]
pub(super) enum Voice {
    /// The node that holds the attempt, or believes so.
    Owner,
    /// Another node, with the owner's attempt number.
    Stranger,
    /// The owner, with an attempt number that is one too high or too low.
    OffBy(i8),
    /// The node, of an attempt that it settled before.
    Again,
}

/// What people decide.
#[derive(Debug, Clone, Copy)]
pub(super) enum Verdict {
    Approve,
    Edit,
    Reject,
}

impl Verdict {
    pub(super) fn review(self) -> Review {
        match self {
            Self::Approve => Review::Approve,
            Self::Edit => Review::Edit(r#"{"edited":true}"#.into()),
            Self::Reject => Review::Reject,
        }
    }
}

/// One thing that happens.
#[derive(Debug, Clone)]
pub(super) enum Op {
    Submit(Vec<Shape>),
    /// A node settles some of what it holds, and claims, in one call.
    Call {
        node: usize,
        settle: Vec<(Outcome, Voice)>,
        want: usize,
        /// The node never hears the reply.
        lost: bool,
    },
    /// An earlier call of a node comes again, word for word: 0 is the last one.
    Repeat {
        node: usize,
        back: usize,
    },
    Extend {
        node: usize,
        progress: bool,
    },
    /// The node vanishes with what it holds, and another one boots. It may speak again much later.
    Crash {
        node: usize,
    },
    /// A waiting node hears the bell.
    Hear,
    Cancel(Vec<u8>),
    Retry(Vec<u8>),
    Review(Vec<u8>, Verdict),
    Prioritise(Vec<u8>, Priority),
    Purge(State),
    Configure(QueueSettings),
    /// One of the leases runs out.
    Lapse(u8),
    /// Seconds pass while others go on speaking to Redis.
    Pass(u64),
    /// Seconds pass while Redis is away.
    Outage(u64),
}

impl Op {
    /// The scripts whose headers name what this may do; that of `extend` names the upkeep.
    pub(super) fn scripts(&self) -> &'static [&'static str] {
        match self {
            Self::Submit(_) => &["submit"],
            Self::Call { .. } | Self::Repeat { .. } => &["settle_and_claim", "extend"],
            Self::Extend { .. } => &["extend"],
            Self::Cancel(_) => &["cancel"],
            Self::Retry(_) => &["retry"],
            Self::Review(..) => &["review"],
            Self::Prioritise(..) => &["prioritise"],
            Self::Purge(_) => &["purge"],
            Self::Configure(_) => &["configure"],
            Self::Crash { .. } | Self::Hear | Self::Lapse(_) | Self::Pass(_) | Self::Outage(_) => &[],
        }
    }
}
