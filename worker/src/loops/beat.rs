//! The heartbeat: says that the node lives, extends its leases, learns what was lost or cancelled, and does the upkeep
//! of its queues. On a thread, a runtime and a connection of its own, so that a busy executor cannot stop it.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use tokio::{sync::watch, time::Instant};
use windlass_shared::store::{Connect, Extend, Held, Result, Rhythm, Store, Visits};

use super::inbox::obey;
use crate::{
    metrics::metrics,
    node::{Hint, Node, Phase, Served},
    running::Cause,
};

/// Tasks extended in one call at the most.
const MOST_PER_CALL: usize = 500;

/// Starts the thread. It ends when `stop` changes or is dropped.
pub(crate) fn start(
    node: Arc<Node>,
    connect: Connect,
    stop: watch::Receiver<bool>,
) -> std::io::Result<std::thread::JoinHandle<()>> {
    std::thread::Builder::new().name("beat".into()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        match runtime {
            Ok(runtime) => runtime.block_on(run(&node, &connect, stop)),
            Err(error) => tracing::error!(%error, "the heartbeat cannot start; the node will look lost"),
        }
    })
}

async fn run(node: &Arc<Node>, connect: &Connect, mut stop: watch::Receiver<bool>) {
    let (node, store) = (Arc::clone(node), None);
    let mut beat = Beat { node, store, last_said: String::new(), last: None, visits: Vec::new() };
    let mut phase = beat.node.phase.subscribe();
    loop {
        beat.node.pulses.heartbeat.beat();
        // Nodes that started together do not stay in step.
        let start = Instant::now();
        let next = start + beat.node.rhythm().base().mul_f64(0.8 + 0.2 * fastrand::f64());
        let beaten = beat.once(connect).await;
        if !matches!(beaten, Ok(false)) {
            metrics().beat(beaten.is_ok(), start.elapsed());
        }
        let wait = match beaten {
            Ok(_) => next,
            Err(error) => {
                tracing::warn!(%error, "the heartbeat failed; trying again");
                Instant::now() + Duration::from_millis(fastrand::u64(100..400))
            }
        };
        tokio::select! {
            () = tokio::time::sleep_until(wait) => {}
            _ = phase.changed() => {}
            _ = stop.changed() => return,
        }
    }
}

struct Beat {
    node: Arc<Node>,
    store: Option<Store>,
    /// State as last said, to notice a change.
    last_said: String,
    /// The last heartbeat.
    last: Option<Instant>,
    /// By the index of what is served.
    visits: Vec<Visit>,
}

/// Visits of a queue.
#[derive(Default)]
struct Visit {
    last: Option<Instant>,
    visits: Visits,
}

impl Visit {
    fn is_due(&self, rhythm: &Rhythm) -> bool {
        is_due(self.last, self.visits.pause(rhythm), rhythm)
    }
}

/// Whether it is nearer to the moment than the next turn of the loop would be.
fn is_due(last: Option<Instant>, pause: Duration, rhythm: &Rhythm) -> bool {
    last.is_none_or(|last| last.elapsed() + rhythm.base() / 2 >= pause)
}

impl Beat {
    /// What is due. False if nothing was.
    async fn once(&mut self, connect: &Connect) -> Result<bool> {
        let store = match &self.store {
            Some(open) => open,
            None => self.store.insert(connect.open().await?),
        };
        let served = self.node.served();
        self.visits.resize_with(served.len(), Visit::default);
        let beat = beat(&self.node, store, &mut self.last_said, &mut self.last);
        // One failing partition must not keep another's leases from being extended.
        let each = served.iter().zip(&mut self.visits).enumerate();
        let extensions =
            join_all(each.map(|(index, (served, visit))| extend(&self.node, store, index, served, visit)));
        let (beaten, extended) = tokio::join!(beat, extensions);
        let beaten = beaten?;
        Ok(extended.into_iter().collect::<Result<Vec<bool>>>()?.contains(&true) || beaten)
    }
}

/// The heartbeat, if it is due or there is news. False if not.
async fn beat(
    node: &Arc<Node>,
    store: &Store,
    last_said: &mut String,
    last: &mut Option<Instant>,
) -> Result<bool> {
    let (rhythm, record, start) = (node.rhythm(), node.record(), Instant::now());
    let state = record.state.to_string();
    let changed = state != *last_said;
    if !changed && !is_due(*last, rhythm.interval(), &rhythm) {
        return Ok(false);
    }
    let beaten = store.beat(&record, rhythm.ttl(), changed).await?;
    (*last_said, *last) = (state, Some(start));
    node.rhythm.send_modify(|rhythm| rhythm.told(beaten.nodes));
    node.pulses.redis.beat();
    for command in &beaten.commands {
        obey(node, command);
    }
    Ok(true)
}

/// Extends what is held in a queue; where nothing is, visits it for the upkeep from time to time. False if nothing was due.
async fn extend(
    node: &Node,
    store: &Store,
    index: usize,
    served: &Served,
    visit: &mut Visit,
) -> Result<bool> {
    let partition = served.partition.through(store);
    let (held, rhythm) = (node.running.held(index), node.rhythm());
    let mut pages: Vec<&[Held]> = held.chunks(MOST_PER_CALL).collect();
    if pages.is_empty() {
        if !visit.is_due(&rhythm) {
            return Ok(false);
        }
        pages.push(&[]);
    }
    visit.last = Some(Instant::now());
    for page in pages {
        let call = Extend {
            node: &node.id,
            lease: node.limits.lease,
            max_crashes: node.limits.max_crashes,
            held: page,
        };
        let answer = partition.extend(&call).await?;
        visit.visits.told(&rhythm, page.is_empty() && answer.spare);
        // Told of the attempts that were asked about, and of no later ones.
        for Held { id, attempt, .. } in page {
            if answer.lost.contains(id) && node.running.stop_attempt(index, id, *attempt, Cause::Lost) {
                metrics().lost_lease();
                tracing::warn!(queue = %partition.name(), %id, attempt, "the lease is lost; the attempt is dropped");
            } else if answer.cancelled.contains(id) {
                node.running.stop_attempt(index, id, *attempt, Cause::Cancelled);
            }
        }
        // The queue was divided since we asked last.
        if partition.index() == 0 && answer.partitions > partition.of() {
            node.serve(partition.name(), served.weight).await?;
        }
        if answer.work && node.phase() == Phase::Active {
            _ = node.hints.send(Hint::Work(index));
        }
        if let Some(next) = answer.next {
            _ = node.hints.send(Hint::Due(index, next.since(answer.now)));
        }
    }
    Ok(true)
}
