//! What a node of the benchmark says of itself.

use std::collections::BTreeMap;

use anyhow::Result;
use windlass_shared::{
    PROTOCOL_VERSION,
    model::{Micros, NodeRecord, NodeState, QueueName, TypeName, id::new_node_id},
};

/// A new node whose slots are full.
pub fn record(task_type: &str, started_at: Micros) -> Result<NodeRecord> {
    Ok(NodeRecord {
        id: new_node_id(),
        state: NodeState::Active,
        host: "bench".into(),
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").into(),
        protocol: PROTOCOL_VERSION,
        started_at: started_at.0,
        queues: BTreeMap::from([(QueueName::default_queue(), 1)]),
        types: vec![TypeName::new(task_type)?],
        slots: 8,
        running_count: 8,
        running: Vec::new(),
        stale_commits: 0,
        sandbox: None,
        labels: BTreeMap::new(),
        keys: Vec::new(),
    })
}
