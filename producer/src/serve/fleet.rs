//! The fleet as it was a moment ago: read once for all who ask, however many look.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::try_join_all;
use tokio::sync::Mutex;
use windlass_shared::{
    model::{Micros, QueueName},
    store::{
        Result, Store,
        inspect::{NodeView, QueueView},
    },
};

/// For how long a look counts as one at the present.
const FRESH: Duration = Duration::from_millis(900);

/// What is looked at together.
#[derive(Debug)]
pub(crate) struct Look {
    /// Redis's clock.
    pub(crate) at: Micros,
    pub(crate) queues: Vec<QueueView>,
    pub(crate) nodes: Vec<NodeView>,
    /// How many nodes claim from each queue.
    claiming: HashMap<String, u64>,
}

/// Looks at the fleet, at most about once a second.
pub(crate) struct Fleet {
    store: Store,
    /// When the last look ended, and what it saw.
    last: Mutex<Option<(Instant, Result<Arc<Look>>)>>,
}

impl Fleet {
    pub(super) fn new(store: Store) -> Self {
        Self { store, last: Mutex::new(None) }
    }

    /// The last look, or a new one. Who asks meanwhile waits for the same one, and hears of its failure, too.
    pub(crate) async fn look(&self) -> Result<Arc<Look>> {
        let asked = Instant::now();
        let mut last = self.last.lock().await;
        let recent = |(when, look): &&(Instant, Result<Arc<Look>>)| {
            *when >= asked || (look.is_ok() && when.elapsed() < FRESH)
        };
        if let Some((_, look)) = last.as_ref().filter(recent) {
            return look.clone();
        }
        let look = look(&self.store).await.map(Arc::new);
        *last = Some((Instant::now(), look.clone()));
        look
    }
}

async fn look(store: &Store) -> Result<Look> {
    let names = store.queues().await?;
    let queues = try_join_all(names.iter().map(|name| view(store, name))).await?;
    let (nodes, at) = store.nodes().await?;
    let nodes: Vec<NodeView> = nodes.into_iter().map(|node| node.view(at)).collect();
    let mut claiming = HashMap::new();
    for queue in nodes.iter().filter(|node| node.is_claiming()).flat_map(|node| node.queues.keys()) {
        *claiming.entry(queue.clone()).or_default() += 1;
    }
    Ok(Look { at, queues, nodes, claiming })
}

async fn view(store: &Store, name: &QueueName) -> Result<QueueView> {
    store.queue(name).await?.view().await
}

impl Look {
    pub(crate) fn queue(&self, name: &QueueName) -> Option<&QueueView> {
        self.queues.iter().find(|queue| queue.queue == *name)
    }

    /// How many nodes claim from a queue.
    pub(crate) fn claiming(&self, queue: &QueueName) -> u64 {
        self.claiming.get(queue.as_str()).copied().unwrap_or(0)
    }

    /// Nodes by state.
    pub(crate) fn nodes_by_state(&self) -> BTreeMap<&str, u64> {
        let mut states: BTreeMap<&str, u64> =
            ["starting", "active", "quiet", "draining", "lost"].map(|state| (state, 0)).into();
        for node in &self.nodes {
            *states.entry(node.state.as_str()).or_default() += 1;
        }
        states
    }

    /// Nodes whose heartbeat is there.
    pub(crate) fn live(&self) -> impl Iterator<Item = &NodeView> {
        self.nodes.iter().filter(|node| node.state != "lost")
    }

    /// Slots of live nodes, and how many of them are used.
    pub(crate) fn slots(&self) -> (u64, u64) {
        self.live().fold((0, 0), |(slots, used), node| {
            (slots + u64::from(node.slots), used + u64::from(node.running_count))
        })
    }
}
