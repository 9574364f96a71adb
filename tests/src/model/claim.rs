//! `settle_and_claim`: settles, does the upkeep, and leases tasks for the free slots.

use windlass_shared::{
    model::{Reason, State},
    store::Settled,
};

use super::{Call, Moment, Queue, SECOND, settle::Remembered};

/// Tasks that may not start are replaced by others, so many times.
const ROUNDS: usize = 4;
/// For how long a node's last call is remembered.
const REMEMBERED: i64 = 60 * SECOND;

/// What a node is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// For each settled attempt.
    pub settled: Vec<Settled>,
    /// Leased tasks, with the attempt.
    pub claimed: Vec<(String, u32)>,
    /// When to look again, if it may want more.
    pub next: Option<Moment>,
}

impl Queue {
    /// A node's call.
    pub fn settle_and_claim(&mut self, now: Moment, call: &Call) -> Answer {
        self.begin(now);
        self.say_lease(call.lease);
        if let Some(answer) = self.answer_again(call) {
            self.end(&call.node);
            return answer;
        }
        let settled = self.settle(&call.node, &call.settles);
        self.upkeep(call.max_crashes);
        let claimed = self.claim(call);
        self.remembered.insert(
            call.node.clone(),
            Remembered {
                nonce: call.nonce.clone(),
                until: now + REMEMBERED,
                settled: settled.clone(),
                claimed: claimed.clone(),
            },
        );
        // A node that takes only part of what waits rings for the next one.
        self.done.wakes = true;
        self.end(&call.node);
        let put_off = call.settles.iter().zip(&settled).any(|(settle, answer)| {
            *answer == Settled::Ok && settle.to == State::Scheduled && self.is_put_off(settle)
        });
        let next = if put_off || claimed.len() < call.want { self.next_due() } else { None };
        Answer { settled, claimed, next }
    }

    /// Whether what was settled was really put off: a task that was to be cancelled was not.
    fn is_put_off(&self, settle: &windlass_shared::store::Settle) -> bool {
        !self.tasks.get(settle.id.as_str()).is_some_and(|task| task.cancel)
    }

    /// The reply of this very call was lost: nothing is done twice, and the node is told again what it still holds.
    /// Those leases begin anew.
    fn answer_again(&mut self, call: &Call) -> Option<Answer> {
        let now = self.clock.now;
        let last =
            self.remembered.get(&call.node).filter(|last| last.nonce == call.nonce && last.until > now)?;
        let (settled, mut claimed) = (last.settled.clone(), last.claimed.clone());
        claimed.retain(|(id, attempt)| {
            let task = self.tasks.get_mut(id).filter(|task| task.is_held_by(&call.node, *attempt));
            task.is_some_and(|task| {
                task.lease_until = now + call.lease;
                true
            })
        });
        Some(Answer { settled, claimed, next: None })
    }

    fn claim(&mut self, call: &Call) -> Vec<(String, u32)> {
        let mut claimed = Vec::new();
        if self.settings.paused {
            return claimed;
        }
        let room = self.settings.concurrency.map_or(usize::MAX, |limit| limit.saturating_sub(self.running()));
        let most = call.want.min(room);
        let mut taken = Vec::new();
        for _ in 0..ROUNDS {
            let mut first = self.ids_in(State::Pending, |task| task.score);
            first.truncate(most - claimed.len());
            for id in &first {
                taken.extend(self.tasks[id].score);
            }
            for score in &taken {
                self.order.taken(*score);
            }
            for id in first {
                claimed.extend(self.lease(&id, call));
            }
        }
        if !claimed.is_empty() {
            self.upkeep_by(self.clock.now + call.lease);
        }
        self.start_bands_again(&taken);
        claimed
    }

    /// Leases a pending task, unless it came too late or others with its key run.
    fn lease(&mut self, id: &str, call: &Call) -> Option<(String, u32)> {
        let now = self.clock.now;
        let task = &self.tasks[id];
        let key = task.concurrency_key.clone();
        if task.may_expire().is_some_and(|at| at <= now) {
            self.finish(id, State::Expired, Reason::Expired);
            self.let_go_on(key.as_deref());
            return None;
        }
        if key.as_deref().is_some_and(|key| self.is_key_full(key)) {
            self.go(id, State::Parked, Reason::Parked);
            return None;
        }
        let task = self.task(id);
        task.attempt += 1;
        task.node.clone_from(&call.node);
        (task.started_at, task.lease_until) = (Some(now), now + call.lease);
        let attempt = task.attempt;
        self.go(id, State::Running, Reason::Claimed);
        Some((id.to_owned(), attempt))
    }

    /// The longest lease in use decides what counts as an outage.
    pub(super) fn say_lease(&mut self, lease: i64) {
        self.clock.lease = Some(self.clock.lease.map_or(lease, |longest| longest.max(lease)));
    }
}
