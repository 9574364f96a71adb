//! `submit`: one id is one task.

use windlass_shared::{
    model::{Expiry, NewTask, Reason, Start, State, time::micros},
    store::Accepted,
};

use super::{Moment, Queue, Task};

impl Queue {
    /// Takes tasks.
    pub fn submit(&mut self, now: Moment, tasks: &[&NewTask]) -> Vec<Accepted> {
        self.begin(now);
        // The upkeep comes for every moment that is named, even if its task turns out to be known.
        for task in tasks {
            let (start, expiry) = (start_of(task, now), expiry_of(task, now));
            start.into_iter().chain(expiry).for_each(|moment| self.upkeep_by(moment));
        }
        let answers = tasks.iter().map(|task| self.submit_one(task)).collect();
        self.end("producer");
        answers
    }

    fn submit_one(&mut self, new: &NewTask) -> Accepted {
        let now = self.clock.now;
        let id = new.id.as_str();
        if let Some(known) = self.tasks.get(id) {
            // An id that was made new names nothing else, whatever the content.
            let same = new.digest.is_empty() || new.digest == known.digest;
            return if same {
                Accepted::Duplicate(Some(known.state))
            } else {
                Accepted::Conflict(Some(known.state))
            };
        }
        if self.settings.max_length.is_some_and(|most| self.waiting() >= most) {
            return Accepted::Full;
        }
        let due_at = start_of(new, now);
        let state = if due_at.is_some() { State::Scheduled } else { State::Pending };
        self.tasks.insert(id.to_owned(), task(new, state, due_at, now));
        self.note(None, Some(state), Reason::Submitted, id, 0);
        if state == State::Pending {
            // A delayed task gets its place when it falls due.
            self.task(id).score = None;
            let score = self.fresh_score(id);
            self.task(id).score = Some(score);
            self.done.wakes = true;
        } else {
            // One node must learn of the new moment.
            self.bell = true;
        }
        if let Some(batch) = &new.batch {
            self.batch(batch.as_str()).total += 1;
        }
        self.count("submitted");
        Accepted::New(state)
    }

    /// Tasks that count against the maximum length.
    fn waiting(&self) -> usize {
        let waits = |task: &&Task| matches!(task.state, State::Pending | State::Scheduled | State::Parked);
        self.tasks.values().filter(waits).count()
    }
}

/// When it may start, if that is later than now.
fn start_of(task: &NewTask, now: Moment) -> Option<Moment> {
    let at = match task.start {
        Start::Now => None,
        Start::After(delay) => Some(now + micros(delay) as i64),
        Start::At(at) => Some(at.0),
    };
    at.filter(|at| *at > now)
}

fn expiry_of(task: &NewTask, now: Moment) -> Option<Moment> {
    match task.expiry {
        Expiry::Never => None,
        Expiry::After(time) => Some(now + micros(time) as i64),
        Expiry::At(at) => Some(at.0),
    }
}

fn task(new: &NewTask, state: State, due_at: Option<Moment>, now: Moment) -> Task {
    Task {
        digest: new.digest.clone(),
        payload: new.payload.get().to_owned(),
        tenant: new.tenant.as_ref().map(ToString::to_string).unwrap_or_default(),
        weight: u64::from(new.weight),
        concurrency_key: new.concurrency_key.as_ref().map(ToString::to_string),
        created_at: now,
        state,
        reason: Reason::Submitted,
        priority: new.priority,
        batch: new.batch.as_ref().map(ToString::to_string),
        score: None,
        attempt: 0,
        node: String::new(),
        started_at: None,
        lease_until: 0,
        cancel: false,
        progress: None,
        due_at,
        expires_at: expiry_of(new, now),
        blocked_since: 0,
        unknown_since: None,
        finished_at: None,
        retries: 0,
        crashes: 0,
        interruptions: 0,
        waits: 0,
        requeues: 0,
        error: None,
        result: None,
        ledger: None,
        review: None,
    }
}
