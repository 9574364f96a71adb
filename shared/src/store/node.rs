//! Nodes: register, beat (`beat.lua`), leave, and the commands that people send them.

use std::{fmt, str::FromStr, time::Duration};

use super::{
    Result, Store, StoreError,
    script::{BEAT, TELL},
};
use crate::model::{Micros, NodeId, NodeRecord, QueueName, TaskRef};

/// What a node is told to do. Travels as text: `cancel QUEUE/ID`, `quiet`, `drain`, `resume`, `stop`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeCommand {
    /// Cancel a task that it runs.
    Cancel(TaskRef),
    /// Claim nothing; finish what runs, and stay.
    Quiet,
    /// Claim nothing, finish what runs, leave.
    Drain,
    /// Claim again.
    Resume,
    /// Hand back what runs, and leave at once.
    Stop,
}

impl fmt::Display for NodeCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancel(task) => write!(f, "cancel {task}"),
            Self::Quiet => f.pad("quiet"),
            Self::Drain => f.pad("drain"),
            Self::Resume => f.pad("resume"),
            Self::Stop => f.pad("stop"),
        }
    }
}

impl FromStr for NodeCommand {
    type Err = String;
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text.split_once(' ') {
            Some(("cancel", task)) => {
                TaskRef::parse(task, &QueueName::default_queue()).map(Self::Cancel).map_err(|e| e.to_string())
            }
            None if text == "quiet" => Ok(Self::Quiet),
            None if text == "drain" => Ok(Self::Drain),
            None if text == "resume" => Ok(Self::Resume),
            None if text == "stop" => Ok(Self::Stop),
            _ => Err(format!("unknown command {text:?}")),
        }
    }
}

/// What Redis answered to a heartbeat.
#[derive(Debug)]
pub struct Beaten {
    /// Redis's clock.
    pub now: Micros,
    /// Nodes that beat within the last two minutes.
    pub nodes: u32,
    /// Commands that waited.
    pub commands: Vec<String>,
}

impl Store {
    /// Refreshes a node's heartbeat. `changed`: something other than its running tasks changed since the last one.
    pub async fn beat(&self, record: &NodeRecord, ttl: Duration, changed: bool) -> Result<Beaten> {
        let json = serde_json::to_string(record).map_err(|e| StoreError::Unexpected(e.to_string()))?;
        let (node, index, inbox, seen) = (
            self.keys.node(&record.id),
            self.keys.nodes(),
            self.keys.inbox(&record.id),
            self.keys.nodes_seen(),
        );
        let ttl = ttl.as_millis().to_string();
        let args: &[&str] = &[record.id.as_str(), &json, &ttl, if changed { "changed" } else { "" }];
        let mut reply: Vec<String> = self.run(&BEAT, &[&node, &index, &inbox, &seen], &args).await?;
        let number = |index: usize| reply.get(index).and_then(|text| text.parse::<i64>().ok());
        let (Some(now), Some(nodes)) = (number(0), number(1)) else {
            return Err(StoreError::Unexpected("beat gave no time".into()));
        };
        let nodes = u32::try_from(nodes).unwrap_or(u32::MAX);
        Ok(Beaten { now: Micros(now), nodes, commands: reply.split_off(2) })
    }

    /// Removes a node that leaves. Each step alone is harmless, so no transaction, which Redis refuses at maxmemory.
    pub async fn leave(&self, node: &NodeId) -> Result<()> {
        let mut pipeline = redis::pipe();
        pipeline
            .del(&[self.keys.node(node), self.keys.inbox(node)])
            .ignore()
            .zrem(self.keys.nodes(), node.as_str())
            .ignore()
            .hdel(self.keys.nodes_seen(), node.as_str())
            .ignore();
        self.pipeline(&pipeline).await
    }

    /// Sends a command to a node, which waits for it. A command to a node that is gone disappears after an hour.
    pub async fn tell(&self, node: &NodeId, command: &NodeCommand) -> Result<()> {
        let (inbox, index) = (self.keys.inbox(node), self.keys.nodes());
        let args: &[String] = &[command.to_string()];
        self.run::<String>(&TELL, &[&inbox, &index], &args).await.map(drop)
    }

    /// Whether the node's heartbeat key is there.
    pub async fn is_alive(&self, node: &NodeId) -> Result<bool> {
        self.command(redis::cmd("EXISTS").arg(self.keys.node(node))).await
    }
}
