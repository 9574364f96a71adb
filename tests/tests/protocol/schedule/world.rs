//! A queue in Redis and its model side by side, with the nodes that speak to both: each thing that happens is done to
//! both, and both must answer and look alike.

use std::{fmt::Debug, time::Duration};

use windlass_shared::{
    model::{State, TaskId, state::TABLE, state::word},
    store::{Held, QueueSettings, Settle, Settled, all_scripts},
};
use windlass_tests::model::{self, Answer, Beat, Moment, Queue};

use super::{
    Check,
    op::{CALLS, GHOSTS, NODES, Op, Outcome, POOL, Shape, Verdict, Voice, name},
    seen::{Seen, moment},
};
use crate::{
    draft::id,
    node::{self, MAX_CRASHES, Node, names},
    scene::Scene,
};

/// A node, and what it believes to hold.
struct Worker {
    node: Node,
    lease: Duration,
    held: Vec<(String, u32)>,
    /// Attempts that it settled.
    said: Vec<(String, u32)>,
    /// Its last calls, the newest first.
    calls: Vec<model::Call>,
}

pub(super) struct World<'a> {
    t: &'a Scene,
    model: Queue,
    /// How much later it is for the model: time was moved by so much.
    ahead: i64,
    now: Moment,
    workers: Vec<Worker>,
    /// Nodes that crashed. Some of them were only slow.
    ghosts: Vec<Worker>,
    boots: usize,
}

/// The answers, and what is told where they differ.
fn same<T: PartialEq + Debug>(redis: &T, model: &T) -> Check {
    if redis == model { Ok(()) } else { Err(format!("answers: Redis says {redis:?}, the model {model:?}")) }
}

impl<'a> World<'a> {
    pub(super) async fn new(t: &'a Scene, turns: u64) -> Self {
        t.redis::<()>(&["FLUSHALL"]).await;
        if turns > 0 {
            let turns = turns.to_string();
            let stats = t.key("stats");
            t.redis::<()>(&["HSET", &stats, "v0", &turns, "v1", &turns, "v2", &turns, "v3", &turns]).await;
        }
        let model = if turns > 0 { Queue::aged(turns) } else { Queue::default() };
        let (workers, ghosts) = (Vec::new(), Vec::new());
        let mut world = Self { t, model, ahead: 0, now: 0, workers, ghosts, boots: 0 };
        world.workers = (0..NODES).map(|_| world.boot()).collect();
        world
    }

    /// Every third node says a longer lease.
    fn boot(&mut self) -> Worker {
        self.boots += 1;
        let lease = if self.boots.is_multiple_of(3) { Duration::from_secs(30) } else { node::LEASE };
        let node = self.t.node(&format!("n{}", self.boots)).with_lease(lease);
        Worker { node, lease, held: Vec::new(), said: Vec::new(), calls: Vec::new() }
    }

    fn worker(&mut self, number: usize) -> &mut Worker {
        let live = number % NODES;
        let ghost = number.checked_sub(NODES).filter(|ghost| *ghost < self.ghosts.len());
        match ghost {
            Some(ghost) => &mut self.ghosts[ghost],
            None => &mut self.workers[live],
        }
    }

    pub(super) async fn apply(&mut self, op: &Op) -> Check {
        let before = self.model.events();
        self.happen(op).await?;
        self.compare().await?;
        if self.model.events() > before { self.legal(op.scripts()) } else { Ok(()) }
    }

    async fn happen(&mut self, op: &Op) -> Check {
        match op {
            Op::Submit(shapes) => self.submit(shapes).await,
            Op::Call { node, settle, want, lost } => self.call(*node, settle, *want, *lost).await,
            Op::Repeat { node, back } => self.repeat(*node, *back).await,
            Op::Extend { node, progress } => self.extend(*node, *progress).await,
            Op::Crash { node } => {
                let new = self.boot();
                let old = std::mem::replace(&mut self.workers[*node], new);
                self.ghosts.insert(0, old);
                self.ghosts.truncate(GHOSTS);
                Ok(())
            }
            Op::Hear => same(&self.t.bell().await, &self.model.hear()),
            Op::Cancel(ids) => {
                let answer = self.t.queue.cancel(&task_ids(ids)).await.expect("cancel");
                let now = self.look().await;
                same(&answer, &self.model.cancel(now, &task_ids(ids)))
            }
            Op::Retry(ids) => {
                let answer = self.t.queue.retry(&task_ids(ids)).await.expect("retry");
                let now = self.look().await;
                same(&answer, &self.model.retry(now, &task_ids(ids)))
            }
            Op::Review(ids, verdict) => self.review(ids, *verdict).await,
            Op::Prioritise(ids, priority) => {
                let answer = self.t.queue.prioritise(&task_ids(ids), *priority).await.expect("prioritise");
                let now = self.look().await;
                same(&answer, &self.model.prioritise(now, &task_ids(ids), *priority))
            }
            Op::Purge(state) => self.purge(*state).await,
            Op::Configure(settings) => {
                self.configure(settings).await;
                Ok(())
            }
            Op::Lapse(number) => {
                self.lapse(usize::from(*number)).await;
                Ok(())
            }
            Op::Pass(seconds) => self.pass(*seconds, "").await,
            Op::Outage(seconds) => self.pass(*seconds, "outage").await,
        }
    }

    /// When the call that was just made ran, by the model's clock: it is noted with the queue.
    async fn look(&mut self) -> Moment {
        let seen_at: i64 = self.t.stat("seen_at").await;
        self.now = seen_at + self.ahead;
        self.now
    }

    /// All that can be seen is alike, and the invariants hold.
    async fn compare(&self) -> Check {
        let seen = Seen::read(self.t, self.ahead).await;
        let differences = seen.view.differences(&self.model.view());
        if !differences.is_empty() {
            return Err(format!("state (of Redis and of the model):\n  {}", differences.join("\n  ")));
        }
        let faults = self.t.faults().await;
        if faults.is_empty() { Ok(()) } else { Err(format!("audit: {faults:?}")) }
    }

    /// The call did only what the state table allows, and what the headers of its scripts name.
    fn legal(&self, scripts: &[&str]) -> Check {
        let named: Vec<&str> = all_scripts()
            .into_iter()
            .filter(|script| scripts.contains(&script.name))
            .flat_map(|script| script.own.lines().filter_map(|line| line.strip_prefix("--   transition: ")))
            .collect();
        let row = |row: &windlass_shared::model::state::Row| {
            format!("{}>{} {}", word(row.from), word(row.to), row.reason)
        };
        for step in self.model.last_moves() {
            if !TABLE.iter().any(|allowed| row(allowed) == step) {
                return Err(format!("table: `{step}` is not in the state table"));
            }
            if !named.contains(&step) {
                return Err(format!("headers: `{step}` is in no header of {scripts:?}"));
            }
        }
        Ok(())
    }

    async fn submit(&mut self, shapes: &[Shape]) -> Check {
        let drafts: Vec<_> = shapes.iter().map(Shape::draft).collect();
        let answers = self.t.submit(drafts.clone()).await;
        let now = self.look().await;
        let tasks: Vec<_> = drafts.iter().map(crate::draft::Draft::new_task).collect();
        same(&answers, &self.model.submit(now, &tasks))
    }

    async fn review(&mut self, ids: &[u8], verdict: Verdict) -> Check {
        let (ids, review) = (task_ids(ids), verdict.review());
        let answers = self.t.queue.review(&ids, &review, "ann", None).await.expect("review");
        let words = serde_json::json!({ "verdict": review.reason().as_str(), "by": "ann", "note": null });
        let now = self.look().await;
        same(&answers, &self.model.review(now, &ids, &review, &words.to_string()))
    }

    async fn purge(&mut self, state: State) -> Check {
        let (mut cursor, mut after) = (None, 0);
        for _ in 0..1000 {
            let purged = self.t.queue.purge(state, cursor.as_deref()).await.expect("purge");
            let now = self.look().await;
            let (deleted, next) = self.model.purge(now, state, after);
            same(&(purged.deleted, purged.cursor.is_some()), &(deleted, next.is_some()))?;
            (cursor, after) = (purged.cursor, next.unwrap_or_default());
            if cursor.is_none() {
                return Ok(());
            }
        }
        Err(format!("stuck: the purge of {state} does not end"))
    }

    async fn configure(&mut self, settings: &QueueSettings) {
        self.t.configure(settings.clone()).await;
        let now = self.look().await;
        self.model.configure(now, settings);
    }

    /// One of the leases ends with the last call, and the next one looks.
    async fn lapse(&mut self, number: usize) {
        let states = self.model.states();
        let running: Vec<&str> =
            states.iter().filter(|(_, state)| **state == State::Running).map(|(id, _)| *id).collect();
        let Some(name) = running.get(number % running.len().max(1)).map(ToString::to_string) else { return };
        let seen_at = self.t.stat("seen_at").await.to_string();
        self.t.redis::<()>(&["ZADD", &self.t.key("running"), "XX", &seen_at, &name]).await;
        self.t.upkeep_now().await;
        self.model.lapse(&name);
    }

    /// Time passes. A few milliseconds more than was said, since logs cut their moments off: so no sum of such times is
    /// exactly a lease, a delay or a retention.
    async fn pass(&mut self, seconds: u64, how: &str) -> Check {
        let time = Duration::from_millis(seconds * 1000 + 3);
        let spoke: String = self.t.shift(time, how).await;
        self.ahead += time.as_micros() as i64;
        if let Ok(spoke) = spoke.parse::<i64>() {
            self.model.others_spoke(spoke + self.ahead);
        }
        Ok(())
    }

    /// What a node says of the attempts that it believes to hold.
    fn words(&mut self, number: usize, outcomes: &[(Outcome, Voice)]) -> Vec<Settle> {
        let boots = self.boots;
        let all = self.workers.iter().chain(&self.ghosts);
        let of_others: Vec<_> = all.flat_map(|worker| &worker.held).cloned().collect();
        let worker = self.worker(number);
        let mut settles = Vec::new();
        for (i, (outcome, voice)) in outcomes.iter().enumerate() {
            let attempts = match voice {
                Voice::Stranger => &of_others,
                Voice::Again => &worker.said,
                Voice::Owner | Voice::OffBy(_) => &worker.held,
            };
            let Some((id, attempt)) = attempts.get(i) else { continue };
            let off = if let Voice::OffBy(off) = voice { i32::from(*off) } else { 0 };
            let mut settle = outcome.settle(id, attempt.saturating_add_signed(off));
            if settle.to == State::Completed {
                // Tells whose word it is.
                let nonce = worker.node.nonce();
                settle.result = format!(r#"{{"by":"{}","call":"{nonce}","of":{boots}}}"#, worker.node.id);
            }
            settles.push(settle);
        }
        settles
    }

    async fn call(&mut self, number: usize, outcomes: &[(Outcome, Voice)], want: usize, lost: bool) -> Check {
        let settles = self.words(number, outcomes);
        let worker = self.worker(number);
        let call = model::Call {
            node: worker.node.id.to_string(),
            nonce: worker.node.nonce(),
            lease: worker.lease.as_micros() as i64,
            want,
            max_crashes: MAX_CRASHES,
            settles,
        };
        worker.calls.insert(0, call.clone());
        worker.calls.truncate(CALLS);
        self.send(number, call, lost).await
    }

    async fn repeat(&mut self, number: usize, back: usize) -> Check {
        let Some(call) = self.worker(number).calls.get(back).cloned() else { return Ok(()) };
        self.send(number, call, false).await
    }

    /// A call arrives. The node believes the reply, if it comes.
    async fn send(&mut self, number: usize, call: model::Call, lost: bool) -> Check {
        let reply = self.worker(number).node.call(&call.nonce, call.want, &call.settles).await;
        let now = self.look().await;
        let expected = self.model.settle_and_claim(now, &call);
        let answer = Answer {
            settled: reply.settled.clone(),
            claimed: names(&reply.claimed)
                .into_iter()
                .zip(reply.claimed.iter().map(|c| c.task.attempt))
                .collect(),
            next: moment(reply.next, self.ahead),
        };
        same(&answer, &expected)?;
        self.told_records(&reply.claimed)?;
        if lost {
            return Ok(());
        }
        let worker = self.worker(number);
        for (settle, settled) in call.settles.iter().zip(&answer.settled) {
            let attempt = (settle.id.to_string(), settle.attempt);
            worker.held.retain(|held| *held != attempt);
            if *settled == Settled::Ok && !worker.said.contains(&attempt) {
                worker.said.insert(0, attempt);
            }
        }
        for claimed in answer.claimed {
            if !worker.held.contains(&claimed) {
                worker.held.push(claimed);
            }
        }
        Ok(())
    }

    /// A claimed task comes with the record that it has.
    fn told_records(&self, claimed: &[windlass_shared::store::Claimed]) -> Check {
        let view = self.model.view();
        for claimed in claimed {
            let task = &claimed.task;
            let of =
                |field: &str| view.get(&format!("task {} {field}", task.reference.id)).unwrap_or_default();
            let number = |field: &str| of(field).parse().unwrap_or(0_u32);
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            let told = (
                (&task.payload[..], text(&task.node), text(&task.ledger), text(&task.batch)),
                (task.attempt, task.retries, task.crashes, task.interruptions, task.waits, task.requeues),
            );
            let is = (
                (of("payload"), of("node").into(), of("ledger").into(), of("batch").into()),
                (
                    number("attempt"),
                    number("retries"),
                    number("crashes"),
                    number("interruptions"),
                    number("waits"),
                    number("requeues"),
                ),
            );
            same(&told, &is)?;
        }
        Ok(())
    }

    async fn extend(&mut self, number: usize, progress: bool) -> Check {
        let worker = self.worker(number);
        let progress = if progress { r#"{"done":1}"# } else { "" };
        let held: Vec<Held> = worker
            .held
            .iter()
            .map(|(name, attempt)| Held { id: id(name), attempt: *attempt, progress: progress.into() })
            .collect();
        let call = model::Call {
            node: worker.node.id.to_string(),
            nonce: String::new(),
            lease: worker.lease.as_micros() as i64,
            want: 0,
            max_crashes: MAX_CRASHES,
            settles: Vec::new(),
        };
        let reply = worker.node.extend_held(&held).await;
        let now = self.look().await;
        let expected = self.model.extend(now, &call, &held);
        let texts = |ids: &[TaskId]| ids.iter().map(ToString::to_string).collect();
        let answer = Beat {
            lost: texts(&reply.lost),
            cancelled: texts(&reply.cancelled),
            work: reply.work,
            next: moment(reply.next, self.ahead),
        };
        same(&answer, &expected)?;
        self.worker(number).held.retain(|(name, _)| !answer.lost.contains(name));
        Ok(())
    }

    /// Lifts every limit and lets a healthy node work: everything must come to an end.
    pub(super) async fn work_off(&mut self) -> Check {
        self.configure(&QueueSettings {
            paused: Some(false),
            concurrency: Some(None),
            max_length: Some(None),
            ..QueueSettings::default()
        })
        .await;
        for _ in 0..40 {
            for _ in 0..20 {
                let held = self.workers[0].held.len();
                let completed = vec![(Outcome::Completed, Voice::Owner); held];
                self.call(0, &completed, 20, false).await?;
                if self.workers[0].held.is_empty() {
                    break;
                }
            }
            self.compare().await?;
            if self.model.states().values().all(|state| state.is_final()) {
                return Ok(());
            }
            let everybody: Vec<u8> = (0..POOL).collect();
            self.review(&everybody, Verdict::Approve).await?;
            self.pass(601, "").await?;
        }
        Err(format!("stuck: {:?}", self.model.states()))
    }
}

fn task_ids(ids: &[u8]) -> Vec<TaskId> {
    ids.iter().map(|i| id(name(*i))).collect()
}
