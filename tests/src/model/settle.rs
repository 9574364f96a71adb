//! Settling: the attempt that holds the lease says how it ended, and nobody else.

use windlass_shared::{
    model::{Reason, State, time::micros},
    store::{Settle, Settled},
};

use super::{Moment, Queue};

/// One call of a node: it settles attempts, then claims tasks.
#[derive(Debug, Clone)]
pub struct Call {
    /// Who calls.
    pub node: String,
    /// New for each call, the same when it is repeated.
    pub nonce: String,
    /// Microseconds.
    pub lease: i64,
    /// How many tasks it can start.
    pub want: usize,
    /// Lost leases after which a task is given up.
    pub max_crashes: u32,
    /// Attempts that ended.
    pub settles: Vec<Settle>,
}

/// A node's last call, for the case that its reply was lost.
#[derive(Debug, Clone)]
pub(super) struct Remembered {
    pub(super) nonce: String,
    pub(super) until: Moment,
    pub(super) settled: Vec<Settled>,
    /// Claimed tasks, with the attempt.
    pub(super) claimed: Vec<(String, u32)>,
}

impl Queue {
    /// Those that completed go first. The answers are in the order of the call.
    pub(super) fn settle(&mut self, node: &str, settles: &[Settle]) -> Vec<Settled> {
        let mut answers = vec![None; settles.len()];
        for completed in [true, false] {
            for (settle, answer) in settles.iter().zip(&mut answers) {
                if (settle.to == State::Completed) == completed {
                    *answer = Some(self.settle_one(node, settle));
                }
            }
        }
        answers.into_iter().flatten().collect()
    }

    fn settle_one(&mut self, node: &str, settle: &Settle) -> Settled {
        let id = settle.id.as_str();
        let Some(task) = self.tasks.get(id) else { return Settled::Gone };
        if !task.is_held_by(node, settle.attempt) {
            self.count("stale");
            return Settled::Stale;
        }
        let (cancel, key) = (task.cancel, task.concurrency_key.clone());
        match settle.to {
            State::Completed => {
                self.task(id).result = said(&settle.result);
                self.finish(id, State::Completed, settle.reason);
            }
            State::Failed => {
                self.keep_words(id, settle);
                self.finish(id, State::Failed, settle.reason);
            }
            State::Cancelled => self.finish(id, State::Cancelled, settle.reason),
            // It would go on, but somebody wants it cancelled.
            _ if cancel => self.finish(id, State::Cancelled, Reason::Cancelled),
            to => self.put_back(id, to, settle),
        }
        self.let_go_on(key.as_deref());
        Settled::Ok
    }

    /// What an attempt that did not complete leaves: an error, and what it did so far.
    fn keep_words(&mut self, id: &str, settle: &Settle) {
        let task = self.task(id);
        task.error = said(&settle.error).or(task.error.take());
        task.ledger = said(&settle.result).or(task.ledger.take());
    }

    /// A task goes on later. What it is charged depends on why.
    fn put_back(&mut self, id: &str, to: State, settle: &Settle) {
        let now = self.clock.now;
        if to == State::Blocked {
            let task = self.task(id);
            task.error = said(&settle.error).or(task.error.take());
            task.result = said(&settle.result);
        } else {
            self.keep_words(id, settle);
        }
        let task = self.task(id);
        match settle.reason {
            Reason::Retrying => task.retries += 1,
            Reason::Interrupted => task.interruptions += 1,
            Reason::RateLimited | Reason::OverBudget => task.waits += 1,
            Reason::UnknownType => _ = task.unknown_since.get_or_insert(now),
            _ => {}
        }
        match to {
            State::Scheduled => {
                let due = now + micros(settle.delay) as i64;
                task.due_at = Some(due);
                self.upkeep_by(due);
                self.go(id, to, settle.reason);
            }
            State::Blocked => {
                task.blocked_since = now;
                self.go(id, to, settle.reason);
            }
            _ => {
                let score = self.kept_score(id);
                self.make_pending(id, settle.reason, score);
            }
        }
    }
}

/// Text that is not empty.
fn said(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}
