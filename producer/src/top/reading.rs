//! What was read of the fleet at one moment, made ready to be shown: off the task that draws.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use serde::{Serialize, Serializer};
use windlass_shared::{
    model::{Micros, QueueName, TaskRecord, TaskRef, Transition},
    store::inspect::{NodeView, QueueView},
};

/// The fleet at one moment.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Reading {
    /// By Redis's clock.
    pub(super) at: Micros,
    pub(super) fleet: Fleet,
    pub(super) nodes: Vec<NodeRow>,
    pub(super) queues: Vec<QueueRow>,
    pub(super) running: Vec<RunningRow>,
    pub(super) failures: Vec<FailureRow>,
}

/// The fleet in a line.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Fleet {
    /// By state.
    pub(super) nodes: BTreeMap<String, u64>,
    /// Of live nodes.
    pub(super) slots: u64,
    pub(super) slots_used: u64,
    pub(super) pending: u64,
    pub(super) scheduled: u64,
    pub(super) failed: u64,
    pub(super) oldest_pending_ms: Option<u64>,
    /// Completed or failed; none in the first reading.
    pub(super) done_per_second: Option<f64>,
}

/// A node.
#[derive(Debug, Clone, Serialize)]
pub(super) struct NodeRow {
    #[serde(flatten)]
    pub(super) view: NodeView,
    /// For how long it has been there, or was.
    pub(super) up_ms: Option<u64>,
}

/// A queue, and who serves it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct QueueRow {
    #[serde(flatten)]
    pub(super) view: QueueView,
    /// Live nodes that claim from it.
    pub(super) nodes: u64,
    pub(super) done_per_second: Option<f64>,
}

impl QueueRow {
    /// Tasks wait, and nobody will ever take them.
    pub(super) fn is_deserted(&self) -> bool {
        self.nodes == 0 && !self.view.paused && self.view.pending_count() > 0
    }
}

/// A running task, as its node's heartbeat tells of it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct RunningRow {
    #[serde(rename = "ref")]
    pub(super) reference: String,
    #[serde(rename = "type")]
    pub(super) task_type: String,
    #[serde(serialize_with = "shared")]
    pub(super) node: Arc<str>,
    #[serde(serialize_with = "shared")]
    pub(super) host: Arc<str>,
    pub(super) attempt: u32,
    pub(super) elapsed_ms: u64,
}

fn shared<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

impl RunningRow {
    pub(super) fn queue(&self) -> &str {
        self.reference.split('/').next().unwrap_or_default()
    }
}

/// A task of the dead letter.
#[derive(Debug, Clone, Serialize)]
pub(super) struct FailureRow {
    #[serde(rename = "ref")]
    pub(super) reference: String,
    #[serde(rename = "type")]
    pub(super) task_type: String,
    pub(super) class: String,
    pub(super) message: String,
    pub(super) attempt: u32,
    pub(super) node: String,
    pub(super) finished_at: Option<Micros>,
    pub(super) age_ms: u64,
}

impl FailureRow {
    pub(super) fn of(task: TaskRecord) -> Self {
        let (class, message) = task.error.map(|error| (error.class, error.message)).unwrap_or_default();
        Self {
            reference: task.reference.to_string(),
            task_type: task.task_type,
            class,
            message,
            attempt: task.attempt,
            node: task.node.unwrap_or_default(),
            finished_at: task.finished_at,
            age_ms: 0,
        }
    }
}

/// One task, whole, and what the event log still knows of it.
#[derive(Debug, Clone)]
pub(super) struct Story {
    pub(super) reference: TaskRef,
    /// None: there is no such task any more.
    pub(super) record: Option<Box<TaskRecord>>,
    pub(super) events: Vec<Transition>,
    /// By Redis's clock.
    pub(super) at: Micros,
}

/// What queues had done when they were read last.
#[derive(Debug, Default)]
pub(super) struct Before {
    at: Micros,
    done: HashMap<QueueName, u64>,
}

/// Puts a reading together, with the rates since the one before.
pub(super) fn assemble(
    at: Micros,
    nodes: Vec<NodeView>,
    queues: Vec<QueueView>,
    mut failures: Vec<FailureRow>,
    before: &mut Before,
) -> Reading {
    let passed = at.since(before.at).as_secs_f64();
    let rate = |queue: &QueueName, done: u64| {
        let was = before.done.get(queue)?;
        (passed > 0.0).then(|| done.saturating_sub(*was) as f64 / passed)
    };
    let served = served(&nodes);
    let row = |view: QueueView| QueueRow {
        nodes: served.get(view.queue.as_str()).copied().unwrap_or(0),
        done_per_second: rate(&view.queue, done(&view)),
        view,
    };
    let queues: Vec<QueueRow> = queues.into_iter().map(row).collect();
    *before =
        Before { at, done: queues.iter().map(|row| (row.view.queue.clone(), done(&row.view))).collect() };
    for failure in &mut failures {
        failure.age_ms = failure.finished_at.map_or(0, |then| millis(at.since(then)));
    }
    let (fleet, running) = (fleet(&nodes, &queues), running(&nodes));
    let row = |view: NodeView| NodeRow { up_ms: view.started_at.map(|then| up(at, then, &view)), view };
    Reading { at, fleet, nodes: nodes.into_iter().map(row).collect(), queues, running, failures }
}

/// What is lost was there until its last beat.
fn up(at: Micros, started: Micros, node: &NodeView) -> u64 {
    let silent = if node.state == "lost" { node.last_beat_ms } else { 0 };
    millis(at.since(started)).saturating_sub(silent)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn done(queue: &QueueView) -> u64 {
    ["completed", "failed"].iter().filter_map(|name| queue.totals.get(*name)).sum()
}

/// How many live nodes claim from each queue.
fn served(nodes: &[NodeView]) -> HashMap<String, u64> {
    let mut served = HashMap::new();
    for node in nodes.iter().filter(|node| matches!(node.state.as_str(), "active" | "starting")) {
        for queue in node.queues.keys() {
            match served.get_mut(queue) {
                Some(count) => *count += 1,
                None => _ = served.insert(queue.clone(), 1),
            }
        }
    }
    served
}

fn fleet(nodes: &[NodeView], queues: &[QueueRow]) -> Fleet {
    let mut fleet = Fleet::default();
    for node in nodes {
        match fleet.nodes.get_mut(&node.state) {
            Some(count) => *count += 1,
            None => _ = fleet.nodes.insert(node.state.clone(), 1),
        }
        if node.state != "lost" {
            fleet.slots += u64::from(node.slots);
            fleet.slots_used += u64::from(node.running_count);
        }
    }
    for queue in queues {
        fleet.pending += queue.view.pending_count();
        fleet.scheduled += queue.view.scheduled;
        fleet.failed += queue.view.failed;
        fleet.oldest_pending_ms = fleet.oldest_pending_ms.max(queue.view.oldest_pending_ms);
    }
    let rates: Vec<f64> = queues.iter().filter_map(|queue| queue.done_per_second).collect();
    fleet.done_per_second = (!rates.is_empty()).then(|| rates.iter().sum());
    fleet
}

fn running(nodes: &[NodeView]) -> Vec<RunningRow> {
    let mut rows = Vec::new();
    for node in nodes.iter().filter(|node| !node.running.is_empty()) {
        let (id, host): (Arc<str>, Arc<str>) = (node.id.as_str().into(), node.host.as_str().into());
        rows.extend(node.running.iter().map(|task| RunningRow {
            reference: task.reference.clone(),
            task_type: task.task_type.clone(),
            node: Arc::clone(&id),
            host: Arc::clone(&host),
            attempt: task.attempt,
            elapsed_ms: task.elapsed_ms,
        }));
    }
    rows
}
