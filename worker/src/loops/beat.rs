//! The heartbeat: says that the node lives, extends its leases, learns what was lost or cancelled, and does the upkeep
//! of its queues. On a thread, a runtime and a connection of its own, so that a busy executor cannot stop it.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use tokio::{sync::watch, time::Instant};
use windlass_shared::store::{Connect, Extend, Held, Result, Store};

use super::inbox::obey;
use crate::{
    metrics::metrics,
    node::{HEARTBEAT_TTL, Hint, Node, Phase, Served},
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
    let mut beat = Beat { node: Arc::clone(node), store: None, last_said: String::new() };
    let mut phase = node.phase.subscribe();
    loop {
        node.pulses.heartbeat.beat();
        let start = Instant::now();
        let next = start + node.beat_interval();
        let beaten = beat.once(connect).await;
        metrics().beat(beaten.is_ok(), start.elapsed());
        let wait = match beaten {
            Ok(()) => next,
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
}

impl Beat {
    async fn once(&mut self, connect: &Connect) -> Result<()> {
        let store = match &self.store {
            Some(open) => open,
            None => self.store.insert(connect.open().await?),
        };
        let served = self.node.served();
        let record = self.node.record();
        let state = record.state.to_string();
        let beat = store.beat(&record, HEARTBEAT_TTL, state != self.last_said);
        // One failing partition must not keep another's leases from being extended.
        let extensions = join_all(
            served.iter().enumerate().map(|(index, served)| extend(&self.node, store, index, served)),
        );
        let (beaten, extended) = tokio::join!(beat, extensions);
        let beaten = beaten?;
        self.node.pulses.redis.beat();
        self.last_said = state;
        for command in &beaten.commands {
            obey(&self.node, command);
        }
        extended.into_iter().collect::<Result<Vec<()>>>().map(drop)
    }
}

async fn extend(node: &Node, store: &Store, index: usize, served: &Served) -> Result<()> {
    let partition = served.partition.through(store);
    let held = node.running.held(index);
    let mut pages: Vec<&[Held]> = held.chunks(MOST_PER_CALL).collect();
    if pages.is_empty() {
        pages.push(&[]); // the upkeep is due all the same
    }
    for page in pages {
        let call = Extend {
            node: &node.id,
            lease: node.limits.lease,
            max_crashes: node.limits.max_crashes,
            held: page,
        };
        let answer = partition.extend(&call).await?;
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
        // Later than the next beat would tell is soon enough to learn then.
        if let Some(wait) =
            answer.next.map(|next| next.since(answer.now)).filter(|w| *w <= node.beat_interval())
        {
            _ = node.hints.send(Hint::Due(index, wait));
        }
    }
    Ok(())
}
