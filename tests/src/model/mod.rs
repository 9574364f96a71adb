//! The protocol of a queue as plain data and obvious code: what `shared/PROTOCOL.md` says, executable.
//!
//! It takes the calls that the scripts take, and the moment at which each ran, and gives the answers that they give. A
//! task has one state, and everything else is read from that: there are no sorted sets to keep in step, no counts beside
//! what is counted, no lease apart from its task. Random schedules hold Redis against it (`tests/protocol/schedule`), so
//! where it and the scripts differ, one of them is wrong.
//!
//! What it leaves out: partitions (each is a queue like this one), heartbeats and inboxes, `maxmemory`, trimmed logs.

mod batch;
mod claim;
mod extend;
mod operate;
mod order;
mod settle;
mod submit;
mod task;
mod upkeep;
mod view;

use std::collections::{BTreeMap, BTreeSet};

use windlass_shared::model::{Reason, State, state::word};

use self::{
    batch::{Batch, Entry},
    order::Order,
    settle::Remembered,
};
pub use self::{claim::Answer, extend::Beat, settle::Call, view::View};
use task::Task;

/// Microseconds of the queue's one clock.
pub type Moment = i64;

const SECOND: i64 = 1_000_000;
/// The longest time between two upkeeps, and the lease while no node said one.
const TEN_SECONDS: i64 = 10 * SECOND;
const DAY: i64 = 24 * 3600 * SECOND;
/// The most tasks that a step of the upkeep moves in one call.
const STEP: usize = 100;

/// What an operator set; `None` is the default.
#[derive(Debug, Clone, Default)]
struct Settings {
    paused: bool,
    max_length: Option<usize>,
    concurrency: Option<usize>,
    key_concurrency: Option<usize>,
    retention: Option<i64>,
    dead_retention: Option<i64>,
}

/// What the queue knows of time.
#[derive(Debug, Clone, Default)]
struct Clock {
    /// The moment of the call that runs.
    now: Moment,
    /// When a call ran last.
    seen_at: Option<Moment>,
    /// No lease is recovered before this: Redis was away.
    recover_after: Moment,
    /// When the next upkeep is due.
    upkeep_at: Moment,
    /// The longest lease in use.
    lease: Option<i64>,
}

/// What one call did, for the logs.
#[derive(Debug, Clone, Default)]
struct Done {
    /// `FROM>TO REASON` and `ID#ATTEMPT`, in order.
    moves: Vec<(String, String)>,
    /// Tasks that reached a final state: which, its id, its batch.
    finished: Vec<(State, String, Option<String>)>,
    batches: BTreeSet<String>,
    /// Whether a waiting node may have something to do.
    wakes: bool,
}

/// A queue.
#[derive(Debug, Clone, Default)]
pub struct Queue {
    settings: Settings,
    tasks: BTreeMap<String, Task>,
    order: Order,
    batches: BTreeMap<String, Batch>,
    /// The log of finished tasks.
    finished: Vec<Entry>,
    counters: BTreeMap<&'static str, i64>,
    /// The last call of each node.
    remembered: BTreeMap<String, Remembered>,
    clock: Clock,
    /// Whether the doorbell is rung.
    bell: bool,
    done: Done,
    /// Entries of the event log, and the last one.
    events: usize,
    event: (String, Vec<(String, String)>),
}

impl Queue {
    /// A queue that has given so many turns in every band.
    pub fn aged(turns: u64) -> Self {
        Self { order: Order::aged(turns), ..Self::default() }
    }

    /// Every call begins with this: was Redis away?
    fn begin(&mut self, now: Moment) {
        let clock = &mut self.clock;
        let lease = clock.lease.unwrap_or(TEN_SECONDS);
        let silence = now - clock.seen_at.unwrap_or(now);
        if silence > lease / 2 {
            // Nobody could extend. Owners get one lease to come back before anything is recovered.
            clock.recover_after = now + lease;
        }
        // Never further away than one lease, whatever was noted.
        clock.recover_after = clock.recover_after.min(now + lease);
        (clock.now, clock.seen_at) = (now, Some(now));
        self.done = Done::default();
    }

    /// Every call ends with this: what it did is counted and logged, and a waiting node is woken.
    fn end(&mut self, by: &str) {
        self.close_batches();
        self.log_finished();
        if !self.done.moves.is_empty() {
            self.events += 1;
            self.event = (by.to_owned(), std::mem::take(&mut self.done.moves));
        }
        if self.done.wakes && self.has_work() {
            self.bell = true;
        }
    }

    /// A claim would find something.
    fn has_work(&self) -> bool {
        let full = self.settings.concurrency.is_some_and(|limit| self.running() >= limit);
        !self.settings.paused && !full && self.tasks.values().any(|task| task.state == State::Pending)
    }

    fn running(&self) -> usize {
        self.tasks.values().filter(|task| task.state == State::Running).count()
    }

    fn upkeep_by(&mut self, moment: Moment) {
        self.clock.upkeep_at = self.clock.upkeep_at.min(moment);
    }

    fn count(&mut self, name: &'static str) {
        *self.counters.entry(name).or_default() += 1;
    }

    /// The task that is meant by `id`, which must exist.
    fn task(&mut self, id: &str) -> &mut Task {
        self.tasks.get_mut(id).expect("the caller looked")
    }

    fn note(&mut self, from: Option<State>, to: Option<State>, reason: Reason, id: &str, attempt: u32) {
        self.done.moves.push((format!("{}>{} {reason}", word(from), word(to)), format!("{id}#{attempt}")));
    }

    /// A task goes on in another state.
    fn go(&mut self, id: &str, to: State, reason: Reason) {
        let task = self.task(id);
        let (from, attempt) = (task.state, task.attempt);
        (task.state, task.reason) = (to, reason);
        self.note(Some(from), Some(to), reason, id, attempt);
    }

    /// A task reaches a final state.
    fn finish(&mut self, id: &str, to: State, reason: Reason) {
        self.go(id, to, reason);
        let now = self.clock.now;
        let task = self.task(id);
        task.finished_at = Some(now);
        let batch = task.batch.clone();
        self.count(to.as_str());
        if let Some(batch) = &batch {
            *self.batch(batch).of(to) += 1;
        }
        self.done.finished.push((to, id.to_owned(), batch));
    }

    /// A task becomes pending, at the place `score`.
    fn make_pending(&mut self, id: &str, reason: Reason, score: u64) {
        self.go(id, State::Pending, reason);
        self.task(id).score = Some(score);
        self.done.wakes = true;
    }

    /// Ids in this state, by `rank`, then by id.
    fn ids_in<R: Ord>(&self, state: State, rank: impl Fn(&Task) -> R) -> Vec<String> {
        let mut ids: Vec<(R, &String)> = self
            .tasks
            .iter()
            .filter(|(_, task)| task.state == state)
            .map(|(id, task)| (rank(task), id))
            .collect();
        ids.sort();
        ids.into_iter().map(|(_, id)| id.clone()).collect()
    }

    fn exists(&self, id: &str) -> bool {
        self.tasks.contains_key(id)
    }
}

/// What happens to a queue beside its calls.
impl Queue {
    /// Others spoke to Redis until now.
    pub fn others_spoke(&mut self, now: Moment) {
        self.clock.seen_at = Some(now);
    }

    /// The lease of a task ends with the last call, and the next call looks.
    pub fn lapse(&mut self, id: &str) {
        let now = self.clock.seen_at;
        if let (Some(task), Some(now)) = (self.tasks.get_mut(id).filter(|t| t.state == State::Running), now) {
            task.lease_until = now;
        }
        self.clock.upkeep_at = 0;
    }

    /// A waiting node hears the bell, if it is rung.
    pub fn hear(&mut self) -> bool {
        std::mem::take(&mut self.bell)
    }

    /// The state of each task.
    pub fn states(&self) -> BTreeMap<&str, State> {
        self.tasks.iter().map(|(id, task)| (id.as_str(), task.state)).collect()
    }

    /// Transitions of the last call that moved anything, as the event log names them.
    pub fn last_moves(&self) -> impl Iterator<Item = &str> {
        self.event.1.iter().map(|(name, _)| name.as_str())
    }

    /// Entries of the event log so far.
    pub fn events(&self) -> usize {
        self.events
    }
}
