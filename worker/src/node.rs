//! What all parts of a node share: who it is, what it runs, and in which phase of its life it is.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::{mpsc, watch};
use windlass_shared::{
    PROTOCOL_VERSION,
    model::{
        Micros, NodeId, NodeRecord, NodeState, QueueName, SandboxRecord, TypeName, node::RUNNING_LISTED,
    },
    store::{Partition, Result, Rhythm, Store},
};

use crate::{catalog::Catalog, metrics::metrics, pulse::Pulses, running::Running};

/// The phases of a node's life, in order but for quiet and active, between which people switch it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Registered, does not claim yet.
    Starting,
    /// Claims and runs.
    Active,
    /// Claims nothing, and stays.
    Quiet,
    /// Claims nothing, leaves when nothing runs any more.
    Draining,
    /// Hands back what runs, and leaves.
    Stopping,
}

impl Phase {
    pub(crate) fn state(self) -> NodeState {
        match self {
            Self::Starting => NodeState::Starting,
            Self::Active => NodeState::Active,
            Self::Quiet => NodeState::Quiet,
            Self::Draining | Self::Stopping => NodeState::Draining,
        }
    }
}

/// What tells the dispatcher to look at a queue again.
#[derive(Debug)]
pub(crate) enum Hint {
    /// There is work in the partition with this index.
    Work(usize),
    /// Something falls due in the partition with this index, this long from now.
    Due(usize, Duration),
}

/// A partition that the node serves; of most queues there is one.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) partition: Partition,
    /// That of the queue, which its partitions share.
    pub(crate) weight: u32,
    /// True while the node has a free slot and found nothing here: the bell is listened to.
    pub(crate) hungry: watch::Sender<bool>,
}

/// Settings of a node that do not change.
#[derive(Debug, Clone, Default)]
pub(crate) struct Limits {
    pub(crate) concurrency: usize,
    pub(crate) lease: Duration,
    pub(crate) drain_timeout: Duration,
    pub(crate) max_result: usize,
    pub(crate) max_crashes: u32,
    pub(crate) max_interruptions: u32,
}

/// What all parts of a node share.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) store: Store,
    /// Grows when a queue is divided; what is there stays at its index.
    pub(crate) served: watch::Sender<Vec<Arc<Served>>>,
    pub(crate) catalog: Catalog,
    pub(crate) limits: Limits,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) sandbox: SandboxRecord,
    pub(crate) running: Running,
    pub(crate) phase: watch::Sender<Phase>,
    pub(crate) hints: mpsc::UnboundedSender<Hint>,
    pub(crate) pulses: Pulses,
    pub(crate) rhythm: watch::Sender<Rhythm>,
    /// Results that were refused because the lease was gone.
    pub(crate) stale_commits: AtomicU64,
    pub(crate) started_at: Micros,
}

impl Node {
    /// Goes on to a later phase; never back, but from quiet to active.
    pub(crate) fn enter(&self, next: Phase) {
        let changed = self.phase.send_if_modified(|phase| {
            let allowed = next > *phase || (next == Phase::Active && *phase == Phase::Quiet);
            if allowed {
                *phase = next;
            }
            allowed
        });
        if changed {
            metrics().state(&next.state().to_string());
            tracing::info!(node = %self.id, state = %next.state(), "the node changes its state");
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// What it serves now.
    pub(crate) fn served(&self) -> Vec<Arc<Served>> {
        self.served.borrow().clone()
    }

    /// Serves those partitions of a queue that it does not serve yet.
    pub(crate) async fn serve(&self, queue: &QueueName, weight: u32) -> Result<()> {
        let queue = self.store.queue(queue).await?;
        self.served.send_if_modified(|served| {
            let before = served.len();
            for partition in queue.partitions() {
                if !served.iter().any(|served| served.partition.is(partition)) {
                    let (partition, hungry) = (partition.clone(), watch::Sender::new(false));
                    served.push(Arc::new(Served { partition, weight, hungry }));
                }
            }
            served.len() > before
        });
        Ok(())
    }

    /// How often it beats in a fleet of this size.
    pub(crate) fn rhythm(&self) -> Rhythm {
        *self.rhythm.borrow()
    }

    /// What the node says of itself in a heartbeat.
    pub(crate) fn record(self: &Arc<Self>) -> NodeRecord {
        let (running_count, running) = self.running.list(RUNNING_LISTED);
        NodeRecord {
            id: self.id.clone(),
            state: self.phase().state(),
            host: host(),
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: PROTOCOL_VERSION,
            started_at: self.started_at.0,
            queues: self.served().iter().map(|s| (s.partition.name().clone(), s.weight)).collect(),
            types: self.catalog.names().filter_map(|name| TypeName::new(name).ok()).collect(),
            slots: u32::try_from(self.limits.concurrency).unwrap_or(u32::MAX),
            running_count: u32::try_from(running_count).unwrap_or(u32::MAX),
            running,
            stale_commits: self.stale_commits.load(Ordering::Relaxed),
            labels: self.labels.clone(),
            sandbox: Some(self.sandbox.clone()),
            keys: self.store.payloads().key_ids(),
        }
    }
}

/// This machine's name; in Kubernetes the pod's.
pub(crate) fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
