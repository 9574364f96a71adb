//! Who is alive.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;

use crate::{
    model::{Micros, NodeId, NodeRecord, SandboxRecord},
    store::{Result, Store},
};

/// A node of the index: alive, or lost within the last day.
#[derive(Debug, Clone)]
pub struct SeenNode {
    /// Its id.
    pub id: NodeId,
    /// Its last beat.
    pub last_beat: Micros,
    /// What it said last; none if that cannot be read.
    pub record: Option<NodeRecord>,
    /// Its heartbeat key is there.
    pub alive: bool,
}

/// A node as it is printed.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs, reason = "the fields are those of NodeRecord; times as in every other output")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NodeView {
    pub id: NodeId,
    /// `starting`, `active`, `quiet`, `draining`, or `lost`.
    pub state: String,
    pub host: String,
    pub pid: u32,
    pub version: String,
    pub started_at: Option<Micros>,
    /// Since the last beat.
    pub last_beat_ms: u64,
    pub queues: BTreeMap<String, u32>,
    pub types: Vec<String>,
    pub slots: u32,
    pub running_count: u32,
    pub running: Vec<RunningView>,
    pub stale_commits: u64,
    pub labels: BTreeMap<String, String>,
    /// What it keeps commands from; none of a node from before this was published.
    pub sandbox: Option<SandboxRecord>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
}

impl NodeView {
    /// It takes new tasks.
    pub fn is_claiming(&self) -> bool {
        self.state == "active"
    }
}

/// A task that a node runs, as it is printed.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs, reason = "the fields are those of RunningTask")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunningView {
    pub id: String,
    #[serde(rename = "ref")]
    pub reference: String,
    #[serde(rename = "type")]
    pub task_type: String,
    pub attempt: u32,
    pub elapsed_ms: u64,
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl SeenNode {
    /// As it is printed, at Redis's time `now`.
    pub fn view(&self, now: Micros) -> NodeView {
        let record = self.record.as_ref();
        let state = record.filter(|_| self.alive).map_or_else(|| "lost".into(), |r| r.state.to_string());
        NodeView {
            id: self.id.clone(),
            state,
            host: record.map(|r| r.host.clone()).unwrap_or_default(),
            pid: record.map_or(0, |r| r.pid),
            version: record.map(|r| r.version.clone()).unwrap_or_default(),
            started_at: record.map(NodeRecord::started),
            last_beat_ms: millis(now.since(self.last_beat)),
            queues: record
                .map(|r| r.queues.iter().map(|(q, w)| (q.to_string(), *w)).collect())
                .unwrap_or_default(),
            types: record.map(|r| r.types.iter().map(ToString::to_string).collect()).unwrap_or_default(),
            slots: record.map_or(0, |r| r.slots),
            running_count: record.filter(|_| self.alive).map_or(0, |r| r.running_count),
            running: record.filter(|_| self.alive).map(|r| running(r, now)).unwrap_or_default(),
            stale_commits: record.map_or(0, |r| r.stale_commits),
            labels: record.map(|r| r.labels.clone()).unwrap_or_default(),
            sandbox: record.and_then(|r| r.sandbox.clone()),
            keys: record.map(|r| r.keys.clone()).unwrap_or_default(),
        }
    }
}

fn running(record: &NodeRecord, now: Micros) -> Vec<RunningView> {
    let view = |task: &crate::model::RunningTask| RunningView {
        id: task.id.to_string(),
        reference: format!("{}/{}", task.queue, task.id),
        task_type: task.task_type.clone(),
        attempt: task.attempt,
        elapsed_ms: millis(now.since(Micros(task.started_at))),
    };
    record.running.iter().map(view).collect()
}

/// A node that has not beaten for longer is not listed.
const DAY: Duration = Duration::from_hours(24);
/// Nodes read in one round trip.
const PAGE: usize = 1000;

impl Store {
    /// Every node that beat within a day, the last to beat first, and Redis's clock. Cost grows with the nodes only.
    pub async fn nodes(&self) -> Result<(Vec<SeenNode>, Micros)> {
        let now = self.now().await?;
        let index: Vec<(String, f64)> = self
            .command(redis::cmd("ZRANGE").arg(self.keys.nodes()).arg(&["0", "-1", "REV", "WITHSCORES"]))
            .await?;
        let ids: Vec<(NodeId, Micros)> = index
            .into_iter()
            .filter_map(|(id, at)| NodeId::new(id).ok().map(|id| (id, Micros(at as i64))))
            .filter(|(_, at)| now.since(*at) < DAY)
            .collect();
        let mut nodes = Vec::with_capacity(ids.len());
        for page in ids.chunks(PAGE) {
            let keys: Vec<String> = page.iter().map(|(id, _)| self.keys.node(id)).collect();
            let alive: Vec<Option<String>> = self.command(redis::cmd("MGET").arg(keys)).await?;
            nodes.extend(page.iter().zip(alive).map(|((id, last_beat), json)| SeenNode {
                id: id.clone(),
                last_beat: *last_beat,
                alive: json.is_some(),
                record: json.and_then(|json| serde_json::from_str(&json).ok()),
            }));
        }
        self.recall_lost(&mut nodes).await?;
        Ok((nodes, now))
    }

    /// What lost nodes last said of themselves.
    async fn recall_lost(&self, nodes: &mut [SeenNode]) -> Result<()> {
        let mut lost: Vec<&mut SeenNode> = nodes.iter_mut().filter(|node| !node.alive).collect();
        for page in lost.chunks_mut(PAGE) {
            let ids: Vec<&str> = page.iter().map(|node| node.id.as_str()).collect();
            let records: Vec<Option<String>> =
                self.command(redis::cmd("HMGET").arg(self.keys.nodes_seen()).arg(ids)).await?;
            for (node, json) in page.iter_mut().zip(records) {
                node.record = json.and_then(|json| serde_json::from_str(&json).ok());
            }
        }
        Ok(())
    }
}
