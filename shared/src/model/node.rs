//! What a node says of itself in each heartbeat.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use super::{Micros, NodeId, QueueName, SandboxRecord, TaskId, TypeName};

/// What a node is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// Registered, does not claim yet.
    Starting,
    /// Claims and runs tasks.
    Active,
    /// Was told to claim nothing; finishes what runs, and stays.
    Quiet,
    /// Claims nothing, finishes what runs, then leaves.
    Draining,
}

impl fmt::Display for NodeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(["starting", "active", "quiet", "draining"][*self as usize])
    }
}

/// The JSON behind a node's heartbeat key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NodeRecord {
    /// New at each boot; the second half of the fencing token.
    pub id: NodeId,
    /// What it is doing.
    pub state: NodeState,
    /// Host name.
    pub host: String,
    /// Process id on that host.
    pub pid: u32,
    /// Version of the binary.
    pub version: String,
    /// Version of the protocol that it speaks.
    pub protocol: u32,
    /// When it registered (Redis's clock, microseconds).
    pub started_at: i64,
    /// Queues it serves, with their weights.
    pub queues: BTreeMap<QueueName, u32>,
    /// Task types it knows.
    pub types: Vec<TypeName>,
    /// Tasks it can run at once.
    pub slots: u32,
    /// How many it runs.
    pub running_count: u32,
    /// What it runs: the longest-running first, at most [`RUNNING_LISTED`].
    pub running: Vec<RunningTask>,
    /// Results it offered that were refused because its lease was gone.
    pub stale_commits: u64,
    /// Labels from its configuration, such as zone or pod.
    pub labels: BTreeMap<String, String>,
    /// What it keeps the commands that it runs from; absent in the records of older nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<SandboxRecord>,
    /// Ids of the keys that it holds, never the keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
}

/// A heartbeat lists no more running tasks than this.
pub const RUNNING_LISTED: usize = 100;

/// A task that a node runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunningTask {
    /// The task.
    pub id: TaskId,
    /// Its queue.
    pub queue: QueueName,
    /// Its type.
    #[serde(rename = "type")]
    pub task_type: String,
    /// The number of this lease.
    pub attempt: u32,
    /// When the node claimed it (Redis's clock, microseconds).
    pub started_at: i64,
}

impl NodeRecord {
    /// When it registered.
    pub fn started(&self) -> Micros {
        Micros(self.started_at)
    }
}
