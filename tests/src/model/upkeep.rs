//! Upkeep: what falls due, expires, is lost or is forgotten. There is no leader: any node's call does it on the way.

use windlass_shared::model::{Reason, State};

use super::{DAY, Moment, Queue, STEP, TEN_SECONDS, batch::Entry};

/// Entries of a log that one call sweeps.
const ENTRIES: usize = 2;

impl Queue {
    pub(super) fn upkeep(&mut self, max_crashes: u32) {
        let now = self.clock.now;
        if now < self.clock.upkeep_at {
            return;
        }
        self.promote();
        self.expire();
        self.recover(max_crashes);
        let more = [self.sweep_finished(), self.sweep_batches(), self.sweep_dead()].contains(&true);
        self.clock.upkeep_at = if more { now } else { now + TEN_SECONDS };
        if !more {
            let expiring = self.tasks.values().filter_map(super::Task::may_expire).min();
            self.next_due().into_iter().chain(expiring).for_each(|moment| self.upkeep_by(moment));
        }
    }

    /// The next moment at which a task falls due or a lease runs out.
    pub(super) fn next_due(&self) -> Option<Moment> {
        let at = |task: &super::Task| match task.state {
            State::Scheduled => task.due_at,
            State::Running => Some(task.lease_until.max(self.clock.recover_after)),
            _ => None,
        };
        self.tasks.values().filter_map(at).min()
    }

    fn promote(&mut self) {
        let now = self.clock.now;
        let due = self.ids_in(State::Scheduled, |task| task.due_at);
        for id in
            due.into_iter().take(STEP).filter(|id| self.tasks[id].due_at <= Some(now)).collect::<Vec<_>>()
        {
            let score = self.kept_score(&id);
            self.make_pending(&id, Reason::Due, score);
        }
    }

    fn expire(&mut self) {
        let now = self.clock.now;
        let mut late: Vec<(Moment, String)> = self
            .tasks
            .iter()
            .filter_map(|(id, task)| Some((task.may_expire().filter(|at| *at <= now)?, id.clone())))
            .collect();
        late.sort();
        for (_, id) in late.into_iter().take(STEP) {
            let task = &self.tasks[&id];
            // Others of its key may have been waiting for this one to run.
            let key = task.concurrency_key.clone().filter(|_| task.state == State::Pending);
            self.finish(&id, State::Expired, Reason::Expired);
            self.let_go_on(key.as_deref());
        }
    }

    /// A lease ran out: its node vanished or hung. That is charged as a crash, never as a retry.
    fn recover(&mut self, max_crashes: u32) {
        let now = self.clock.now;
        if now < self.clock.recover_after {
            return;
        }
        let running = self.ids_in(State::Running, |task| task.lease_until);
        let lost = running.into_iter().take(STEP).filter(|id| self.tasks[id].lease_until <= now);
        for id in lost.collect::<Vec<_>>() {
            self.count("recovered");
            let task = self.task(&id);
            task.crashes += 1;
            let (crashes, key) = (task.crashes, task.concurrency_key.clone());
            if task.cancel {
                self.finish(&id, State::Cancelled, Reason::Cancelled);
            } else if crashes >= max_crashes {
                let message = format!(
                    "its lease ran out {crashes} times, last on node {}; it probably kills the nodes that run it",
                    task.node
                );
                task.error = Some(serde_json::json!({ "class": "crashed", "message": message }).to_string());
                self.finish(&id, State::Failed, Reason::Crashed);
            } else {
                let score = self.kept_score(&id);
                self.make_pending(&id, Reason::LeaseExpired, score);
            }
            self.let_go_on(key.as_deref());
        }
    }

    fn retention(&self) -> i64 {
        self.settings.retention.unwrap_or(DAY)
    }

    /// Forgets the tasks of an entry, unless they were retried since, or purged and submitted anew.
    fn forget(&mut self, entry: &Entry, batch: Option<&str>) {
        let limit = self.clock.now - self.retention();
        for (name, ids) in &entry.lists {
            for id in ids {
                let Some(task) = self.tasks.get_mut(id) else { continue };
                if task.state.as_str() != *name {
                    continue;
                }
                if task.state == State::Failed {
                    // It stays in the dead letter, which has a retention of its own, and outlives its batch.
                    task.batch.take_if(|of| Some(of.as_str()) == batch);
                } else if task.finished_at <= Some(limit) {
                    let (state, attempt) = (task.state, task.attempt);
                    self.tasks.remove(id);
                    self.note(Some(state), None, Reason::Forgotten, id, attempt);
                }
            }
        }
    }

    /// Whether there may be more to do, as for the others.
    fn sweep_finished(&mut self) -> bool {
        let limit = self.clock.now - self.retention();
        // The log cuts moments off: tasks of an entry may have finished up to the next millisecond.
        let over = |entry: &&Entry| (entry.at_ms + 1) * 1000 <= limit;
        let count = self.finished.iter().take(ENTRIES).take_while(over).count();
        let entries: Vec<Entry> = self.finished.drain(..count).collect();
        for entry in &entries {
            self.forget(entry, None);
        }
        entries.len() == ENTRIES
    }

    fn sweep_batches(&mut self) -> bool {
        let limit = self.clock.now - self.retention();
        let ended = self.batches.iter().filter_map(|(name, batch)| Some((batch.ended_at?, name)));
        let Some(name) = ended.filter(|(at, _)| *at <= limit).min().map(|(_, name)| name.clone()) else {
            return false;
        };
        let finished = &mut self.batches.entry(name.clone()).or_default().finished;
        let entries: Vec<Entry> = finished.drain(..ENTRIES.min(finished.len())).collect();
        for entry in &entries {
            self.forget(entry, Some(&name));
        }
        if entries.len() < ENTRIES {
            self.batches.remove(&name);
        }
        true
    }

    fn sweep_dead(&mut self) -> bool {
        let limit = self.clock.now - self.settings.dead_retention.unwrap_or(30 * DAY);
        let dead = self.ids_in(State::Failed, |task| task.finished_at);
        let old: Vec<String> =
            dead.into_iter().take(STEP).filter(|id| self.tasks[id].finished_at <= Some(limit)).collect();
        for id in &old {
            self.tasks.remove(id);
            // The attempt is not looked up.
            self.note(Some(State::Failed), None, Reason::Forgotten, id, 0);
        }
        old.len() == STEP
    }
}
