//! What a worker counts, for `/metrics` of its admin port and for a push gateway.

use std::{fmt, sync::Arc, time::Duration};

use crate::{
    common::Common,
    family::{Amount, Counter, Family, Gauge, Histogram},
    list,
    render::{self, Page, Sheet, Source},
    trace::Trace,
};

/// The figures of this process.
#[derive(Debug)]
pub struct Worker {
    state: Family<Gauge, 1>,
    slots: Family<Gauge, 0>,
    slots_used: Family<Gauge, 0>,
    claimed: Family<Counter, 1>,
    tasks: Family<Counter, 3>,
    retries: Family<Counter, 1>,
    claim_to_start: Family<Histogram, 0>,
    run: Family<Histogram, 2>,
    settle: Family<Histogram, 0>,
    stale_commits: Family<Counter, 0>,
    lost_leases: Family<Counter, 0>,
    heartbeats: Family<Counter, 1>,
    heartbeat: Family<Histogram, 0>,
    calls: Family<Counter, 2>,
    call: Family<Histogram, 1>,
    tokens: Family<Counter, 2>,
    cost: Family<Amount, 1>,
    cache_hits: Family<Counter, 1>,
    breaker_open: Family<Gauge, 1>,
}

impl Default for Worker {
    fn default() -> Self {
        Self {
            state: Family::new(&list::WORKER_STATE),
            slots: Family::new(&list::WORKER_SLOTS),
            slots_used: Family::new(&list::WORKER_SLOTS_USED),
            claimed: Family::new(&list::WORKER_CLAIMED),
            tasks: Family::new(&list::WORKER_TASKS),
            retries: Family::new(&list::WORKER_RETRIES),
            claim_to_start: Family::new(&list::WORKER_CLAIM_TO_START),
            run: Family::new(&list::WORKER_RUN),
            settle: Family::new(&list::WORKER_SETTLE),
            stale_commits: Family::new(&list::WORKER_STALE_COMMITS),
            lost_leases: Family::new(&list::WORKER_LOST_LEASES),
            heartbeats: Family::new(&list::WORKER_HEARTBEATS),
            heartbeat: Family::new(&list::WORKER_HEARTBEAT),
            calls: Family::new(&list::LLM_CALLS),
            call: Family::new(&list::LLM_CALL),
            tokens: Family::new(&list::LLM_TOKENS),
            cost: Family::new(&list::LLM_COST),
            cache_hits: Family::new(&list::LLM_CACHE_HITS),
            breaker_open: Family::new(&list::LLM_BREAKER_OPEN),
        }
    }
}

/// A call to a model that ended.
#[derive(Debug, Clone, Copy, Default)]
pub struct Call<'a> {
    /// The catalog's name of the model.
    pub model: &'a str,
    /// Class of the error; none if it answered.
    pub error: Option<&'a str>,
    /// How long it took.
    pub took: Duration,
    /// Tokens: input, output, and of these cached and reasoning.
    pub tokens: [u64; 4],
    /// Nano-dollars; none: unknown.
    pub cost: Option<i64>,
    /// The trace that it belongs to.
    pub trace: Option<Trace>,
}

impl Worker {
    /// The node is in another state.
    pub fn state(&self, state: &str) {
        for other in list::LIVE_STATES {
            self.state.of([other]).set(i64::from(*other == state));
        }
    }

    /// So many attempts may run at once.
    pub fn slots(&self, slots: usize) {
        self.slots.of([]).set(i64::try_from(slots).unwrap_or(i64::MAX));
    }

    /// So many run.
    pub fn slots_used(&self, used: usize) {
        self.slots_used.of([]).set(i64::try_from(used).unwrap_or(i64::MAX));
    }

    /// So many tasks of a queue were claimed.
    pub fn claimed(&self, queue: &str, count: usize) {
        if count > 0 {
            self.claimed.of([queue]).inc_by(count as u64);
        }
    }

    /// An attempt ended, and Redis knows.
    pub fn ended(&self, queue: &str, task_type: &str, outcome: &str) {
        self.tasks.of([queue, task_type, outcome]).inc();
    }

    /// An attempt failed with this class of error and is repeated.
    pub fn retried(&self, class: &str) {
        self.retries.of([class]).inc();
    }

    /// An executor starts, so long after the claim.
    pub fn starts(&self, after: Duration, trace: Option<Trace>) {
        self.claim_to_start.of([]).observe(after.as_secs_f64(), trace, None);
    }

    /// An executor ended.
    pub fn ran(&self, task_type: &str, outcome: &str, took: Duration, trace: Option<Trace>) {
        self.run.of([task_type, outcome]).observe(took.as_secs_f64(), trace, None);
    }

    /// Redis answered to a result, so long after the attempt ended.
    pub fn settled(&self, after: Duration) {
        self.settle.of([]).observe(after.as_secs_f64(), None, None);
    }

    /// A result was refused.
    pub fn stale_commit(&self) {
        self.stale_commits.of([]).inc();
    }

    /// The lease of a running attempt is gone.
    pub fn lost_lease(&self) {
        self.lost_leases.of([]).inc();
    }

    /// A heartbeat was sent.
    pub fn beat(&self, ok: bool, took: Duration) {
        self.heartbeats.of([if ok { "ok" } else { "failed" }]).inc();
        self.heartbeat.of([]).observe(took.as_secs_f64(), None, None);
    }

    /// A call to a model ended.
    pub fn called(&self, call: &Call<'_>) {
        self.calls.of([call.model, call.error.unwrap_or("ok")]).inc();
        self.call.of([call.model]).observe(call.took.as_secs_f64(), call.trace, None);
        for (direction, tokens) in ["input", "output", "cached", "reasoning"].into_iter().zip(call.tokens) {
            if tokens > 0 {
                self.tokens.of([call.model, direction]).inc_by(tokens);
            }
        }
        if let Some(cost) = call.cost.filter(|cost| *cost > 0) {
            self.cost.of([call.model]).inc_by(cost as f64 / 1e9);
        }
    }

    /// An answer was known.
    pub fn cache_hit(&self, model: &str) {
        self.cache_hits.of([model]).inc();
    }

    /// The breaker of a model or a host let a call through, or did not.
    pub fn breaker(&self, name: &str, open: bool) {
        self.breaker_open.of([name]).set(i64::from(open));
    }
}

impl Source for Worker {
    fn write(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        self.state.write(sheet)?;
        self.slots.write(sheet)?;
        self.slots_used.write(sheet)?;
        self.claimed.write(sheet)?;
        self.tasks.write(sheet)?;
        self.retries.write(sheet)?;
        self.claim_to_start.write(sheet)?;
        self.run.write(sheet)?;
        self.settle.write(sheet)?;
        self.stale_commits.write(sheet)?;
        self.lost_leases.write(sheet)?;
        self.heartbeats.write(sheet)?;
        self.heartbeat.write(sheet)?;
        self.calls.write(sheet)?;
        self.call.write(sheet)?;
        self.tokens.write(sheet)?;
        self.cost.write(sheet)?;
        self.cache_hits.write(sheet)?;
        self.breaker_open.write(sheet)
    }
}

/// The page of a worker.
pub fn render(worker: &Arc<Worker>, common: &Common, accept: Option<&str>) -> Page {
    render::page(vec![Arc::new(*common), Arc::<Worker>::clone(worker)], accept)
}
