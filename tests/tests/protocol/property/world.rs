//! A queue with its nodes: how each thing that may happen is done to it, and what must be answered.

use windlass_shared::{
    model::{NodeId, State, TaskId, TaskRecord},
    store::{Accepted, QueueSettings, Reviewed, Settle, Settled},
};

use super::{
    Check,
    op::{NODES, Op, Outcome, POOL, Shape, Verdict, Voice, name},
};
use crate::{
    draft::id,
    node::{self, Node, names},
    scene::Scene,
};

/// A node, and what it believes to hold.
struct Worker {
    node: Node,
    held: Vec<(String, u32)>,
    /// Its last call, to be repeated: nonce, what it wanted and what it settled, and the answers.
    last: Option<(String, usize, Vec<Settle>, Vec<Settled>)>,
}

pub(super) struct World<'a> {
    pub(super) t: &'a Scene,
    workers: Vec<Worker>,
    boots: u32,
    /// Tasks that were taken.
    pub(super) accepted: i64,
    /// Results that were taken.
    pub(super) completed: i64,
    /// Entries of the event log that were looked at.
    pub(super) looked_at: usize,
}

pub(super) fn ensure(holds: bool, why: impl FnOnce() -> String) -> Check {
    if holds { Ok(()) } else { Err(why()) }
}

impl<'a> World<'a> {
    pub(super) fn new(t: &'a Scene) -> Self {
        let mut world = Self { t, workers: Vec::new(), boots: 0, accepted: 0, completed: 0, looked_at: 0 };
        world.workers = (0..NODES).map(|_| world.boot()).collect();
        world
    }

    fn boot(&mut self) -> Worker {
        self.boots += 1;
        Worker { node: self.t.node(&format!("n{}", self.boots)), held: Vec::new(), last: None }
    }

    pub(super) async fn apply(&mut self, op: &Op) -> Check {
        match op {
            Op::Submit(shapes) => self.submit(shapes).await,
            Op::Call { node, settle, want } => self.call(*node, settle, *want).await?,
            Op::Repeat { node } => self.repeat(*node).await?,
            Op::Extend { node } => self.extend(*node).await?,
            Op::Crash { node } => self.workers[*node] = self.boot(),
            Op::Cancel(ids) => drop(self.t.queue.cancel(&task_ids(ids)).await.expect("cancel")),
            Op::Retry(ids) => drop(self.t.queue.retry(&task_ids(ids)).await.expect("retry")),
            Op::Review(ids, verdict) => self.review(ids, *verdict).await?,
            Op::Prioritise(ids, priority) => {
                self.t.queue.prioritise(&task_ids(ids), *priority).await.expect("prioritise");
            }
            Op::Purge(state) => self.purge(*state).await,
            Op::Configure(settings) => self.t.configure(settings.clone()).await,
            Op::Lapse(id) => self.t.lapse(&name(*id)).await,
            Op::Pass(seconds) => self.t.pass_seconds(*seconds).await,
            Op::Outage(seconds) => self.t.outage(*seconds).await,
        }
        self.check(op.scripts()).await
    }

    async fn submit(&mut self, shapes: &[Shape]) {
        for answer in self.t.submit(shapes.iter().map(Shape::draft)).await {
            self.accepted += i64::from(matches!(answer, Accepted::New(_)));
        }
    }

    /// People decide about what waits for them, and about nothing else.
    async fn review(&mut self, ids: &[u8], verdict: Verdict) -> Check {
        let mut expected = Vec::new();
        for (i, number) in ids.iter().enumerate() {
            let state = self.t.find(&name(*number)).await.and_then(|task| task.state);
            expected.push(!ids[..i].contains(number) && state == Some(State::Blocked));
        }
        let answers =
            self.t.queue.review(&task_ids(ids), &verdict.review(), "ann", None).await.expect("review");
        let told: Vec<bool> = answers.iter().map(|answer| *answer == Reviewed::Done).collect();
        ensure(told == expected, || format!("{verdict:?} of {ids:?} said {answers:?}"))?;
        if !matches!(verdict, Verdict::Reject) {
            self.completed += told.iter().filter(|done| **done).count() as i64;
        }
        Ok(())
    }

    async fn purge(&self, state: State) {
        let mut cursor = None;
        for _ in 0..1000 {
            cursor = self.t.queue.purge(state, cursor.as_deref()).await.expect("purge").cursor;
            if cursor.is_none() {
                return;
            }
        }
        panic!("the purge of {state} does not end");
    }

    /// What a node says of the attempts that it believes to hold.
    fn words(&self, worker: usize, outcomes: &[(Outcome, Voice)]) -> Vec<Settle> {
        let others = self.workers.iter().flat_map(|worker| &worker.held);
        let own = &self.workers[worker].held;
        let mut words: Vec<Settle> = outcomes
            .iter()
            .enumerate()
            .filter_map(|(i, (outcome, voice))| {
                let (id, attempt) = match voice {
                    Voice::Stranger => others.clone().nth(i)?,
                    _ => own.get(i)?,
                };
                let off = if let Voice::OffBy(off) = voice { i32::from(*off) } else { 0 };
                Some(outcome.settle(id, attempt.saturating_add_signed(off)))
            })
            .collect();
        // Of two words about one attempt in one call, the completion counts: the script takes completions first.
        words.sort_by_key(|word| word.to != State::Completed);
        words
    }

    async fn call(&mut self, worker: usize, outcomes: &[(Outcome, Voice)], want: usize) -> Check {
        let settles = self.words(worker, outcomes);
        let node = self.workers[worker].node.id.clone();
        let mut expected = Vec::new();
        for (i, settle) in settles.iter().enumerate() {
            let earlier =
                settles[..i].iter().zip(&expected).any(|(s, e)| s.id == settle.id && *e == Settled::Ok);
            expected.push(self.verdict(&node, settle, earlier).await);
        }
        let nonce = self.workers[worker].node.nonce();
        let answer = self.workers[worker].node.call(&nonce, want, &settles).await;
        ensure(answer.settled == expected, || {
            format!("{settles:?} got {:?}, not {expected:?}", answer.settled)
        })?;
        ensure(answer.claimed.len() <= want, || format!("{} tasks for {want}", answer.claimed.len()))?;
        for (settle, verdict) in settles.iter().zip(&expected) {
            self.completed += i64::from(*verdict == Settled::Ok && settle.to == State::Completed);
        }
        let worker = &mut self.workers[worker];
        let mine = |(id, attempt): &(String, u32)| {
            settles.iter().any(|s| s.id.as_str() == id && s.attempt == *attempt)
        };
        worker.held.retain(|held| !mine(held));
        worker.held.extend(answer.claimed.iter().map(|c| (c.task.reference.id.to_string(), c.task.attempt)));
        worker.last = Some((nonce, want, settles, answer.settled));
        Ok(())
    }

    /// What the store must answer to a node's word: only the attempt that holds the lease may settle.
    async fn verdict(&self, node: &NodeId, settle: &Settle, earlier: bool) -> Settled {
        match self.t.find(settle.id.as_str()).await {
            None => Settled::Gone,
            Some(task) if !earlier && holds(&task, node, settle.attempt) => Settled::Ok,
            Some(_) => Settled::Stale,
        }
    }

    async fn repeat(&mut self, worker: usize) -> Check {
        let worker = &self.workers[worker];
        let Some((nonce, want, settles, settled)) = &worker.last else { return Ok(()) };
        let before = self.t.snapshot().await;
        let answer = worker.node.call(nonce, *want, settles).await;
        ensure(answer.settled == *settled, || {
            format!("{:?} the first time, then {:?}", settled, answer.settled)
        })?;
        let surplus: Vec<_> = names(&answer.claimed)
            .into_iter()
            .filter(|id| !worker.held.iter().any(|held| held.0 == *id))
            .collect();
        ensure(surplus.is_empty(), || format!("a repeated call gave {surplus:?} anew"))?;
        let changed = before.changes(&self.t.snapshot().await);
        ensure(changed.is_empty(), || format!("a repeated call changed {changed:?}"))
    }

    async fn extend(&mut self, worker: usize) -> Check {
        let worker = &mut self.workers[worker];
        let (mut kept, mut lost) = (Vec::new(), Vec::new());
        for (name, attempt) in std::mem::take(&mut worker.held) {
            let task = self.t.find(&name).await;
            let list = if task.is_some_and(|task| holds(&task, &worker.node.id, attempt)) {
                &mut kept
            } else {
                &mut lost
            };
            list.push((name, attempt));
        }
        let held: Vec<(String, u32)> = lost.iter().chain(&kept).cloned().collect();
        let told = worker
            .node
            .extend(&held.iter().map(|(name, n)| (name.as_str(), *n)).collect::<Vec<_>>())
            .await
            .lost;
        let told: Vec<&str> = told.iter().map(TaskId::as_str).collect();
        let expected: Vec<&str> = lost.iter().map(|(name, _)| name.as_str()).collect();
        ensure(told == expected, || format!("it lost {expected:?}, and was told {told:?}"))?;
        worker.held = kept;
        Ok(())
    }

    /// Lifts every limit and lets a healthy node work: everything must come to an end.
    pub(super) async fn work_off(&mut self) -> Check {
        let lifted = QueueSettings {
            paused: Some(false),
            concurrency: Some(None),
            max_length: Some(None),
            ..QueueSettings::default()
        };
        self.t.configure(lifted).await;
        for _ in 0..40 {
            let last = self.t.node("last");
            for _ in 0..100 {
                let claimed = last.claim_ids(20).await;
                if claimed.is_empty() && !last.extend(&[]).await.work {
                    break;
                }
                for name in claimed {
                    let attempt = self.t.record(&name).await.attempt;
                    let answer = last.settle(node::completed(&name, attempt)).await;
                    ensure(answer == Settled::Ok, || format!("{name}: {answer:?}"))?;
                    self.completed += 1;
                }
            }
            if self.open().await.is_empty() {
                return self.check(&[]).await;
            }
            self.review(&(0..POOL).collect::<Vec<_>>(), Verdict::Approve).await?;
            self.t.pass_seconds(601).await;
        }
        Err(format!("stuck: {:?}", self.open().await))
    }

    async fn open(&self) -> Vec<(String, State)> {
        let mut open = Vec::new();
        for i in 0..POOL {
            let state = self.t.find(&name(i)).await.and_then(|task| task.state);
            open.extend(state.filter(|state| !state.is_final()).map(|state| (name(i), state)));
        }
        open
    }
}

fn holds(task: &TaskRecord, node: &NodeId, attempt: u32) -> bool {
    task.state == Some(State::Running)
        && task.attempt == attempt
        && task.node.as_deref() == Some(node.as_str())
}

fn task_ids(ids: &[u8]) -> Vec<TaskId> {
    ids.iter().map(|i| id(name(*i))).collect()
}
