//! A task: what was submitted, and what became of it.

use windlass_shared::model::{Priority, Reason, State};

use super::Moment;

/// A task.
#[derive(Debug, Clone)]
pub(super) struct Task {
    // As submitted.
    pub(super) digest: String,
    pub(super) payload: String,
    pub(super) tenant: String,
    pub(super) weight: u64,
    pub(super) concurrency_key: Option<String>,
    pub(super) created_at: Moment,

    pub(super) state: State,
    pub(super) reason: Reason,
    /// The one that holds now.
    pub(super) priority: Priority,
    /// None once it left its batch, too.
    pub(super) batch: Option<String>,
    /// Its place in `pending` or `parked`, or the one that it returns to. None: it gets a new one.
    pub(super) score: Option<u64>,

    /// Leases so far: with `node`, the fencing token.
    pub(super) attempt: u32,
    /// Who holds or held the last lease.
    pub(super) node: String,
    pub(super) started_at: Option<Moment>,
    /// While it runs.
    pub(super) lease_until: Moment,
    /// Somebody wants it cancelled while it runs.
    pub(super) cancel: bool,
    pub(super) progress: Option<String>,

    pub(super) due_at: Option<Moment>,
    pub(super) expires_at: Option<Moment>,
    pub(super) blocked_since: Moment,
    pub(super) unknown_since: Option<Moment>,
    pub(super) finished_at: Option<Moment>,

    // Charged apart from one another.
    pub(super) retries: u32,
    pub(super) crashes: u32,
    pub(super) interruptions: u32,
    pub(super) waits: u32,
    pub(super) requeues: u32,

    pub(super) error: Option<String>,
    pub(super) result: Option<String>,
    pub(super) ledger: Option<String>,
    pub(super) review: Option<String>,
}

impl Task {
    /// The fence: only the attempt that holds the lease may speak for the task.
    pub(super) fn is_held_by(&self, node: &str, attempt: u32) -> bool {
        self.state == State::Running && self.attempt == attempt && self.node == node
    }

    /// It waits, and was never started: only such a task expires.
    pub(super) fn may_expire(&self) -> Option<Moment> {
        let waits = matches!(self.state, State::Pending | State::Scheduled | State::Parked);
        self.expires_at.filter(|_| waits && self.attempt == 0)
    }

    /// Another life: what it was charged and what it produced is forgotten, its attempts go on counting.
    pub(super) fn begin_again(&mut self) {
        (self.retries, self.crashes, self.interruptions, self.waits) = (0, 0, 0, 0);
        self.requeues += 1;
        self.cancel = false;
        (self.due_at, self.expires_at, self.unknown_since, self.finished_at) = (None, None, None, None);
        (self.error, self.result, self.ledger, self.review, self.progress) = (None, None, None, None, None);
    }
}
