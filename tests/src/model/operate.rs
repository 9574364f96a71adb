//! What people do to tasks and queues: cancel, retry, prioritise, review, purge, configure.

use windlass_shared::{
    model::{NodeId, Priority, Reason, State, TaskId},
    store::{Cancelled, QueueSettings, Review, Reviewed},
};

use super::{Moment, Queue, STEP};

const PRODUCER: &str = "producer";

impl Queue {
    /// What waits is cancelled at once; what runs is marked, and its node told.
    pub fn cancel(&mut self, now: Moment, ids: &[TaskId]) -> Vec<Cancelled> {
        self.begin(now);
        let answers = ids.iter().map(|id| self.cancel_one(id.as_str())).collect();
        self.end(PRODUCER);
        answers
    }

    fn cancel_one(&mut self, id: &str) -> Cancelled {
        let Some(task) = self.tasks.get_mut(id) else { return Cancelled::Unknown };
        match task.state {
            State::Cancelled => Cancelled::Done,
            state if state.is_final() => Cancelled::Final(state),
            State::Running => {
                task.cancel = true;
                let node = NodeId::new(&task.node).ok();
                self.go(id, State::Running, Reason::Cancelling);
                Cancelled::Asked(node)
            }
            state => {
                let key = task.concurrency_key.clone().filter(|_| state == State::Pending);
                self.finish(id, State::Cancelled, Reason::Cancelled);
                self.let_go_on(key.as_deref());
                Cancelled::Done
            }
        }
    }

    /// Another life for what failed, was cancelled or expired.
    pub fn retry(&mut self, now: Moment, ids: &[TaskId]) -> Vec<Option<State>> {
        self.begin(now);
        let answers = ids.iter().map(|id| self.retry_one(id.as_str())).collect();
        self.end(PRODUCER);
        answers
    }

    fn retry_one(&mut self, id: &str) -> Option<State> {
        let task = self.tasks.get_mut(id)?;
        let state = task.state;
        if !matches!(state, State::Failed | State::Cancelled | State::Expired) {
            return Some(state);
        }
        task.begin_again();
        match task.batch.clone() {
            Some(batch) if self.batches.contains_key(&batch) => *self.batch(&batch).of(state) -= 1,
            _ => self.task(id).batch = None,
        }
        let score = self.fresh_score(id);
        self.make_pending(id, Reason::Retried, score);
        Some(State::Pending)
    }

    /// Another priority, and with it a new place: at once, or when it becomes pending.
    pub fn prioritise(&mut self, now: Moment, ids: &[TaskId], priority: Priority) -> Vec<Option<State>> {
        self.begin(now);
        let answers = ids.iter().map(|id| self.prioritise_one(id.as_str(), priority)).collect();
        self.end(PRODUCER);
        answers
    }

    fn prioritise_one(&mut self, id: &str, priority: Priority) -> Option<State> {
        let task = self.tasks.get_mut(id)?;
        let state = task.state;
        match state {
            State::Pending | State::Parked => {
                task.priority = priority;
                let score = self.fresh_score(id);
                self.go(id, state, Reason::Reprioritised);
                self.task(id).score = Some(score);
                self.done.wakes |= state == State::Pending;
            }
            State::Scheduled => {
                (task.priority, task.score) = (priority, None);
                self.go(id, state, Reason::Reprioritised);
            }
            State::Running => {
                // It runs for the reason that it ran for.
                let reason = task.reason;
                task.priority = priority;
                self.go(id, state, Reason::Reprioritised);
                self.task(id).reason = reason;
            }
            _ => {}
        }
        Some(state)
    }

    /// People decide on what waits for them, and on nothing else.
    pub fn review(&mut self, now: Moment, ids: &[TaskId], review: &Review, words: &str) -> Vec<Reviewed> {
        self.begin(now);
        let answers = ids.iter().map(|id| self.review_one(id.as_str(), review, words)).collect();
        self.end(PRODUCER);
        answers
    }

    fn review_one(&mut self, id: &str, review: &Review, words: &str) -> Reviewed {
        let Some(task) = self.tasks.get_mut(id) else { return Reviewed::Unknown };
        if task.state != State::Blocked {
            return Reviewed::NotWaiting(task.state);
        }
        task.review = Some(words.to_owned());
        if let Review::Edit(result) = review {
            task.result = Some(result.clone());
        }
        match review {
            Review::Reject => self.finish(id, State::Failed, review.reason()),
            Review::Approve | Review::Edit(_) => {
                task.error = None;
                self.finish(id, State::Completed, review.reason());
            }
        }
        Reviewed::Done
    }

    /// Deletes some tasks of a state, and tells how many and where to go on.
    pub fn purge(&mut self, now: Moment, state: State, after: usize) -> (u64, Option<usize>) {
        self.begin(now);
        let (ids, next) = self.to_purge(state, after);
        let deleted = ids.iter().filter(|id| self.purge_one(id, state)).count() as u64;
        self.end(PRODUCER);
        (deleted, next)
    }

    /// What waits is found by its place; what is over, by the log: one entry a call.
    fn to_purge(&self, state: State, after: usize) -> (Vec<String>, Option<usize>) {
        let ids = match state {
            State::Running => return (Vec::new(), None),
            State::Pending | State::Parked => self.ids_in(state, |task| task.score.map(|score| score as i64)),
            State::Scheduled => self.ids_in(state, |task| task.due_at),
            State::Blocked => self.ids_in(state, |task| Some(task.blocked_since)),
            State::Failed => self.ids_in(state, |task| task.finished_at),
            State::Completed | State::Cancelled | State::Expired => {
                let Some(entry) = self.finished.iter().find(|entry| entry.number > after) else {
                    return (Vec::new(), None);
                };
                let of = |name| entry.lists.get(name).into_iter().flatten();
                return (of(state.as_str()).chain(of("batched")).cloned().collect(), Some(entry.number));
            }
        };
        let more = ids.len() >= STEP;
        (ids.into_iter().take(STEP).collect(), more.then_some(0))
    }

    fn purge_one(&mut self, id: &str, state: State) -> bool {
        if !self.exists(id) || self.tasks[id].state != state {
            return false;
        }
        let Some(task) = self.tasks.remove(id) else { return false };
        if let Some(name) = task.batch.filter(|name| self.batches.contains_key(name)) {
            let batch = self.batch(&name);
            batch.total -= 1;
            if state.is_final() {
                *batch.of(state) -= 1;
            }
        }
        self.note(Some(state), None, Reason::Purged, id, task.attempt);
        if state == State::Pending {
            self.let_go_on(task.concurrency_key.as_deref());
        }
        true
    }

    /// Settings. Parked tasks try again under the new limits.
    pub fn configure(&mut self, now: Moment, new: &QueueSettings) {
        self.begin(now);
        let settings = &mut self.settings;
        let count = |value: Option<u64>| value.map(|value| value as usize);
        let time = |value: Option<u64>| value.map(|value| value as i64);
        settings.paused = new.paused.unwrap_or(settings.paused);
        settings.max_length = new.max_length.map_or(settings.max_length, count);
        settings.concurrency = new.concurrency.map_or(settings.concurrency, count);
        settings.key_concurrency = new.key_concurrency.map_or(settings.key_concurrency, count);
        settings.retention = new.retention.map_or(settings.retention, time);
        settings.dead_retention = new.dead_retention.map_or(settings.dead_retention, time);
        self.clock.upkeep_at = 0;
        self.done.wakes = true;
        for id in self.ids_in(State::Parked, |task| task.score).into_iter().take(STEP) {
            if self.tasks[&id].state == State::Parked {
                let key = self.tasks[&id].concurrency_key.clone();
                self.let_go_on(key.as_deref());
            }
        }
        self.end(PRODUCER);
    }
}
