//! The dispatcher: grants free slots to queues by weight, and to a queue's partitions in turn, claims for them, starts attempts, and settles what ended.
//!
//! A slot is free as soon as its executor ends. What ends while a call is in flight goes with the next one, so batches
//! form by themselves under load and a lone result goes out at once. Where there is much to say, a few calls are in
//! flight, so that Redis and this node do not wait for each other.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};
use windlass_shared::{
    model::{TaskId, id::new_id},
    store::{Claimed, Settle, SettleAndClaim, Settled, SettledAndClaimed},
};

use windlass_telemetry::otel::Span;

use crate::{
    attempt::{self, Over},
    executor::Progress,
    metrics::{LOST, metrics, outcome},
    node::{Hint, Node, Phase, Served},
    spans,
};

/// Settled or claimed in one call at the most, so that Redis is never busy with it for long.
const MOST_PER_CALL: usize = 100;
/// Bytes of payloads or results in one call, about, if there are several: Redis copies each through Lua.
const MOST_BYTES: usize = 1 << 20;
/// Claimed by the first call, which cannot know yet how large payloads are here.
const FIRST_CLAIM: usize = 16;
/// Calls in flight for a queue.
const CALLS: usize = 3;
/// The same of a queue that is divided: enough to keep several servers busy, and no more, so that calls stay large.
const CALLS_OF_PARTITIONS: usize = 5;
/// Slots that one of several partitions is granted in a row, so that its calls stay worth their while.
const IN_A_ROW: usize = MOST_PER_CALL;
/// A further call goes out while another is in flight only if it settles so many, or claims so many of plenty.
const WORTH_A_CALL: usize = MOST_PER_CALL / 2;

/// How often an idle dispatcher turns.
const PULSE: Duration = Duration::from_secs(2);

/// What the dispatcher knows of a partition.
struct Lane {
    served: Arc<Served>,
    /// Lanes of one queue have the same number here.
    queue: usize,
    /// A claim may find something.
    work: bool,
    /// The last claim found all that it asked for.
    plenty: bool,
    /// How many tasks fit into one reply, as far as the largest payload of the last one tells.
    fit: usize,
    /// When something falls due.
    due: Option<Instant>,
    /// Slots granted and not used yet.
    credit: usize,
    /// Attempts that ended and are not settled yet.
    ready: Vec<Settle>,
    /// Since when, for each of them.
    ready_since: Vec<Since>,
    /// How many tasks each call in flight asks for.
    in_flight: [Option<usize>; CALLS],
    /// State of the smooth weighted rotation.
    turn: i64,
}

impl Lane {
    fn new(served: Arc<Served>, queue: usize) -> Self {
        Self {
            served,
            queue,
            work: true,
            plenty: false,
            fit: FIRST_CLAIM,
            due: None,
            credit: 0,
            ready: Vec::new(),
            ready_since: Vec::new(),
            in_flight: [None; CALLS],
            turn: 0,
        }
    }

    /// Which of the calls goes out now, if any has enough to say.
    fn next_call(&self) -> Option<usize> {
        let worth = if self.is_silent() {
            self.credit > 0 || !self.ready.is_empty()
        } else {
            self.ready.len() >= WORTH_A_CALL || (self.plenty && self.credit >= WORTH_A_CALL.min(self.fit))
        };
        worth.then(|| self.in_flight.iter().position(Option::is_none)).flatten()
    }

    /// Attempts to settle in one call, and since when each waits for it.
    fn take_ready(&mut self) -> (Vec<Settle>, Vec<Since>) {
        let mut bytes = 0;
        let fits = |settle: &&Settle| {
            bytes += settle.result.len() + settle.error.len();
            bytes <= MOST_BYTES
        };
        let n = self.ready.iter().take(MOST_PER_CALL).take_while(fits).count().max(1);
        if n >= self.ready.len() {
            return (std::mem::take(&mut self.ready), std::mem::take(&mut self.ready_since));
        }
        (self.ready.drain(..n).collect(), self.ready_since.drain(..n).collect())
    }

    fn is_silent(&self) -> bool {
        self.in_flight.iter().all(Option::is_none)
    }

    /// Something falls due this long from now; what falls due earlier stays.
    fn due_in(&mut self, wait: Duration) {
        let at = Instant::now() + wait;
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }
}

/// Since when a result waits for Redis's answer.
struct Since {
    ended: Instant,
    span: Span,
}

struct Reply {
    lane: usize,
    call: usize,
    want: usize,
    settles: Vec<Settle>,
    since: Vec<Since>,
    answer: SettledAndClaimed,
}

/// An attempt that ended: its partition's lane, the task, and what to tell Redis.
struct Ended {
    lane: usize,
    task: TaskId,
    attempt: u32,
    over: Over,
}

pub(crate) struct Dispatcher {
    node: Arc<Node>,
    lanes: Vec<Lane>,
    executing: usize,
    /// The partition that has its turn, and how many more slots it is granted.
    in_a_row: (usize, usize),
    /// The lane that called last.
    called: usize,
    /// How many partitions of each queue are served; a partition that was served alone once may know of no other.
    parts: Vec<usize>,
    ended: (mpsc::UnboundedSender<Ended>, mpsc::UnboundedReceiver<Ended>),
    calls: FuturesUnordered<BoxFuture<'static, Reply>>,
}

impl Dispatcher {
    pub(crate) fn new(node: Arc<Node>) -> Self {
        let ended = mpsc::unbounded_channel();
        let calls = FuturesUnordered::new();
        Self {
            node,
            lanes: Vec::new(),
            executing: 0,
            in_a_row: (0, 0),
            called: 0,
            parts: Vec::new(),
            ended,
            calls,
        }
    }

    /// Runs until the node leaves and everything it held is settled.
    pub(crate) async fn run(mut self, mut hints: mpsc::UnboundedReceiver<Hint>) {
        let node = Arc::clone(&self.node);
        let (mut phase, mut served) = (node.phase.subscribe(), node.served.subscribe());
        self.take_served(&served.borrow_and_update());
        let mut pulse = interval(PULSE);
        pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            node.pulses.dispatcher.beat();
            self.grant();
            self.call();
            self.tell_hunger();
            if self.over() {
                return;
            }
            let due = self.lanes.iter().filter_map(|lane| lane.due).min();
            tokio::select! {
                Some(ended) = self.ended.1.recv() => self.take_ended(ended),
                Some(reply) = self.calls.next() => self.take_reply(reply),
                Some(hint) = hints.recv() => self.take_hint(&hint),
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => self.take_due(),
                _ = phase.changed() => {}
                // With nothing to do it turns all the same, to show that it can.
                _ = pulse.tick() => {}
                Ok(()) = served.changed() => self.take_served(&served.borrow_and_update()),
            }
            while let Ok(ended) = self.ended.1.try_recv() {
                self.take_ended(ended);
            }
        }
    }

    /// Leaving, and nothing is left to run or to tell.
    fn over(&self) -> bool {
        self.node.phase() >= Phase::Draining
            && self.executing == 0
            && self.calls.is_empty()
            && self.lanes.iter().all(|lane| lane.ready.is_empty())
    }

    fn free(&self) -> usize {
        let asked = |lane: &Lane| lane.in_flight.iter().flatten().sum::<usize>();
        let promised: usize = self.lanes.iter().map(|lane| lane.credit + asked(lane)).sum();
        self.node.limits.concurrency.saturating_sub(self.executing + promised)
    }

    fn take_served(&mut self, served: &[Arc<Served>]) {
        for served in served.iter().skip(self.lanes.len()) {
            let same = |lane: &Lane| lane.served.partition.name() == served.partition.name();
            let queue = self.lanes.iter().position(same).unwrap_or(self.lanes.len());
            self.lanes.push(Lane::new(Arc::clone(served), queue));
            self.parts.push(0);
            self.parts[queue] += 1;
        }
    }

    /// Whether the lane is one of several of its queue.
    fn is_divided(&self, lane: usize) -> bool {
        self.parts[self.lanes[lane].queue] > 1
    }

    /// Grants each free slot to the queue whose turn it is, among those that may have work.
    fn grant(&mut self) {
        if self.node.phase() != Phase::Active {
            self.lanes.iter_mut().for_each(|lane| lane.credit = 0);
            return;
        }
        let mut free = self.free();
        if free == 0 {
            return;
        }
        let weights = self.weights();
        match weights[..] {
            [] => return,
            [(only, _)] => {
                self.lanes[only].credit += free;
                return;
            }
            _ => {}
        }
        while free > 0 {
            let (lane, left) = self.in_a_row;
            let lane = if left > 0 && self.lanes[lane].work { lane } else { self.next_turn(&weights) };
            let row = if self.is_divided(lane) { IN_A_ROW } else { 1 };
            let left = if lane == self.in_a_row.0 && left > 0 { left } else { row };
            let granted = left.min(free);
            self.in_a_row = (lane, left - granted);
            self.lanes[lane].credit += granted;
            free -= granted;
        }
    }

    /// The lane whose turn it is, by smooth weighted rotation. A lane that is granted several slots in a row has a turn
    /// for all of them, so it pays for as many.
    fn next_turn(&mut self, weights: &[(usize, i64)]) -> usize {
        let total: i64 = weights.iter().map(|(_, weight)| weight).sum();
        let next = weights.iter().max_by_key(|(index, weight)| self.lanes[*index].turn + weight);
        let next = next.map_or(0, |(index, _)| *index);
        let slots = if self.is_divided(next) { IN_A_ROW as i64 } else { 1 };
        for (index, weight) in weights {
            self.lanes[*index].turn += weight * slots;
        }
        self.lanes[next].turn -= total * slots;
        next
    }

    /// The lanes that may have work, each with its part of its queue's weight.
    fn weights(&self) -> Vec<(usize, i64)> {
        /// Divided among at most 256 partitions without a large error.
        const WHOLE: i64 = 1 << 20;
        let mut parts = vec![0; self.lanes.len()];
        let open = || self.lanes.iter().enumerate().filter(|(_, lane)| lane.work);
        open().for_each(|(_, lane)| parts[lane.queue] += 1);
        let weight = |lane: &Lane| i64::from(lane.served.weight) * WHOLE / parts[lane.queue];
        open().map(|(index, lane)| (index, weight(lane))).collect()
    }

    /// Starts the calls that have something to say. The partitions of a queue share its calls in flight: what ends
    /// meanwhile is said together, as in a queue that is not divided.
    fn call(&mut self) {
        while let Some((index, call)) = self.next_call() {
            self.called = index;
            let lane = &mut self.lanes[index];
            let want = lane.credit.min(lane.fit);
            let ready = lane.take_ready();
            lane.credit -= want;
            lane.in_flight[call] = Some(want);
            let (node, served) = (Arc::clone(&self.node), Arc::clone(&lane.served));
            self.calls.push(Box::pin(ask(node, served, index, call, want, ready)));
        }
    }

    /// The next lane after the one that called last, so that none waits for ever, among those that may.
    fn next_call(&self) -> Option<(usize, usize)> {
        let mut in_flight = vec![0; self.lanes.len()];
        for lane in &self.lanes {
            in_flight[lane.queue] += lane.in_flight.iter().flatten().count();
        }
        let after = |index: &usize| (index + self.lanes.len() - self.called - 1) % self.lanes.len();
        let most = |lane| if self.is_divided(lane) { CALLS_OF_PARTITIONS } else { CALLS };
        let open = (0..self.lanes.len()).filter(|lane| in_flight[self.lanes[*lane].queue] < most(*lane));
        let calls = open.filter_map(|index| self.lanes[index].next_call().map(|call| (index, call)));
        calls.min_by_key(|(index, _)| after(index))
    }

    fn take_reply(&mut self, reply: Reply) {
        let Reply { lane: index, call, want, settles, since, answer } = reply;
        let claimed_at = Instant::now();
        let served = Arc::clone(&self.lanes[index].served);
        let queue = served.partition.name();
        metrics().claimed(queue.as_str(), answer.claimed.len());
        for ((settle, since), settled) in settles.into_iter().zip(since).zip(&answer.settled) {
            let task_type = self.node.running.remove(index, &settle.id, settle.attempt).unwrap_or_default();
            metrics().settled(claimed_at.duration_since(since.ended));
            let told = if *settled == Settled::Ok { outcome(Some(&settle)) } else { LOST };
            metrics().ended(queue.as_str(), &task_type, told);
            if *settled != Settled::Ok {
                metrics().stale_commit();
                since.span.fail("stale", "the lease was gone");
                self.node.stale_commits.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                tracing::warn!(%queue, id = %settle.id, attempt = settle.attempt, to = %settle.to, "the result was refused: the lease was gone");
            }
        }
        let lane = &mut self.lanes[index];
        lane.in_flight[call] = None;
        if want > 0 {
            lane.plenty = answer.claimed.len() == want;
        }
        if let Some(largest) = answer.claimed.iter().map(|claimed| claimed.task.payload.len()).max() {
            lane.fit = (MOST_BYTES / largest.max(1)).clamp(1, MOST_PER_CALL);
        }
        if answer.claimed.len() < want {
            lane.work = false;
            lane.credit = 0;
            lane.due = None;
        }
        if let Some(next) = answer.next {
            self.falls_due(index, next.since(answer.now));
        }
        for claimed in answer.claimed {
            self.start(index, claimed, claimed_at);
        }
    }

    fn start(&mut self, lane: usize, Claimed { task }: Claimed, claimed_at: Instant) {
        let (progress, reports) = Progress::channel();
        let stopped = self.node.running.add(lane, &task, reports);
        self.executing += 1;
        metrics().slots_used(self.executing);
        let (node, ended) = (Arc::clone(&self.node), self.ended.0.clone());
        let (id, number) = (task.reference.id.clone(), task.attempt);
        let attempt =
            AssertUnwindSafe(attempt::run(node, task, claimed_at, progress, stopped)).catch_unwind();
        tokio::spawn(async move {
            // Panics of executors are caught within; one of our own loses the attempt to its lease, not the slot.
            let over = attempt.await.unwrap_or_default();
            _ = ended.send(Ended { lane, task: id, attempt: number, over });
        });
    }

    fn take_ended(&mut self, Ended { lane, task, attempt, over }: Ended) {
        self.executing -= 1;
        metrics().slots_used(self.executing);
        let of = &mut self.lanes[lane];
        match over.settle {
            Some(settle) => {
                let span = spans::settle(over.at, of.served.partition.name().as_str(), &settle);
                of.ready_since.push(Since { ended: Instant::now(), span });
                of.ready.push(settle);
            }
            None => {
                let task_type = self.node.running.remove(lane, &task, attempt).unwrap_or_default();
                metrics().ended(of.served.partition.name().as_str(), &task_type, LOST);
            }
        }
    }

    fn take_hint(&mut self, hint: &Hint) {
        // It may be of a partition that is served since a moment ago.
        self.take_served(&self.node.served());
        match *hint {
            Hint::Work(lane) => self.lanes[lane].work = true,
            Hint::Due(lane, wait) => self.falls_due(lane, wait),
        }
    }

    /// What falls due later than the next visits of the queue, they tell in time. If each idle node waited for each lease to end,
    /// all of a large fleet would claim for every one.
    fn falls_due(&mut self, lane: usize, wait: Duration) {
        if wait <= self.node.rhythm().base() {
            self.lanes[lane].due_in(wait);
        }
    }

    fn take_due(&mut self) {
        let now = Instant::now();
        for lane in &mut self.lanes {
            if lane.due.is_some_and(|due| due <= now) {
                lane.due = None;
                lane.work = true;
            }
        }
    }

    /// The bell is listened to while a slot is free and the queue was found empty.
    fn tell_hunger(&self) {
        let can_claim = self.node.phase() == Phase::Active && self.free() > 0;
        for lane in &self.lanes {
            let hungry = can_claim && !lane.work && lane.is_silent();
            lane.served.hungry.send_if_modified(|was| std::mem::replace(was, hungry) != hungry);
        }
    }
}

/// One call, repeated with the same nonce until Redis answered: only the report is retried, never the work.
async fn ask(
    node: Arc<Node>,
    served: Arc<Served>,
    lane: usize,
    number: usize,
    want: usize,
    (settles, since): (Vec<Settle>, Vec<Since>),
) -> Reply {
    let nonce = new_id().to_string();
    let call = SettleAndClaim {
        node: &node.id,
        number,
        nonce: &nonce,
        lease: node.limits.lease,
        want,
        max_crashes: node.limits.max_crashes,
        settles: &settles,
    };
    let mut pause = Duration::from_millis(20);
    let answer = loop {
        match served.partition.settle_and_claim(&call).await {
            Ok(answer) => break answer,
            Err(error) => {
                tracing::warn!(queue = %served.partition.name(), %error, "cannot settle and claim; trying again");
                tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
                pause = (pause * 2).min(Duration::from_secs(1));
            }
        }
    };
    Reply { lane, call: number, want, settles, since, answer }
}
