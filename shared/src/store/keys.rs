//! Every key of Windlass in Redis is made here. A queue's keys carry its hash tag, so that one script works on one slot.

use crate::model::{BatchName, Namespace, NodeId, QueueName, TaskId};

/// The keys that every script of a queue gets, in this order (`lua/queue.lua` names them).
pub(super) const FIXED: [&str; 15] = [
    "meta",
    "stats",
    "pending",
    "running",
    "scheduled",
    "parked",
    "expiring",
    "dead",
    "finished",
    "events",
    "bell",
    "fair",
    "keys",
    "batches",
    "blocked",
];

/// The keys that every script of the gateway to models gets, in this order (`lua/llm.lua` names them).
const GATE: [&str; 10] = [
    "breakers",
    "cooldowns",
    "buckets",
    "calls",
    "deadlines",
    "budgets",
    "live",
    "events",
    "learned",
    "budget-uses",
];

/// Makes the keys of one fleet.
#[derive(Debug, Clone)]
pub struct Keys {
    namespace: Namespace,
}

impl Keys {
    /// Keys below `namespace`.
    pub fn new(namespace: Namespace) -> Self {
        Self { namespace }
    }

    /// The keys of a queue.
    pub fn queue(&self, queue: &QueueName) -> QueueKeys {
        let prefix = format!("{}:{{{queue}}}:", self.namespace);
        QueueKeys { fixed: FIXED.map(|name| format!("{prefix}{name}")), prefix }
    }

    /// A node's heartbeat: JSON with a TTL.
    pub fn node(&self, node: &NodeId) -> String {
        format!("{}:{{nodes}}:node:{node}", self.namespace)
    }

    /// The list on which a node waits for commands.
    pub fn inbox(&self, node: &NodeId) -> String {
        format!("{}:{{nodes}}:inbox:{node}", self.namespace)
    }

    /// Sorted set: node, last beat.
    pub fn nodes(&self) -> String {
        format!("{}:{{nodes}}:index", self.namespace)
    }

    /// Hash: node, its record as of its last change; tells of lost nodes.
    pub fn nodes_seen(&self) -> String {
        format!("{}:{{nodes}}:seen", self.namespace)
    }

    /// The version of the protocol that the fleet speaks.
    pub fn protocol(&self) -> String {
        format!("{}:{{nodes}}:protocol", self.namespace)
    }

    /// Set of the queues that were ever submitted to or served.
    pub fn queues(&self) -> String {
        format!("{}:{{queues}}:index", self.namespace)
    }

    /// The fixed keys of the gateway to models, in the order of `lua/llm.lua`.
    pub fn gate(&self) -> [String; 10] {
        GATE.map(|name| self.gate_key(name))
    }

    /// A key of the gateway to models.
    pub fn gate_key(&self, name: &str) -> String {
        format!("{}:{{llm}}:{name}", self.namespace)
    }

    /// Set of the queues that hold a part of a batch.
    pub fn batch_queues(&self, batch: &BatchName) -> String {
        format!("{}:{{batch:{batch}}}:queues", self.namespace)
    }
}

/// Makes the keys of one queue.
#[derive(Debug, Clone)]
pub struct QueueKeys {
    /// The keys that every script gets.
    pub fixed: [String; 15],
    prefix: String,
}

macro_rules! fixed {
    ($($(#[$doc:meta])* $method:ident = $index:literal;)*) => {
        $($(#[$doc])* pub fn $method(&self) -> &str { &self.fixed[$index] })*
    };
}

impl QueueKeys {
    fixed! {
        /// Hash: settings.
        meta = 0;
        /// Hash: counters and the scripts' own figures.
        stats = 1;
        /// Sorted set: tasks that wait for a slot, by score.
        pending = 2;
        /// Sorted set: leases, by deadline.
        running = 3;
        /// Sorted set: tasks that wait for a moment.
        scheduled = 4;
        /// Sorted set: tasks over the limit of their concurrency key.
        parked = 5;
        /// Sorted set: the dead letter, by the moment of failure.
        dead = 7;
        /// Stream: finished tasks in order of finishing.
        finished = 8;
        /// Stream: the event log.
        events = 9;
        /// Sorted set with one mark at most, on which idle nodes wait.
        bell = 10;
        /// Hash: running tasks by concurrency key.
        key_counts = 12;
        /// Sorted set: batches with a part here; 0 while open, else when they ended.
        batches = 13;
        /// Sorted set: tasks that wait for people, by the moment they began to.
        blocked = 14;
    }

    /// Hash: the task's record, what became of it.
    pub fn task(&self, id: &TaskId) -> String {
        format!("{}task:{id}", self.prefix)
    }

    /// String: what was submitted.
    pub fn spec(&self, id: &TaskId) -> String {
        format!("{}spec:{id}", self.prefix)
    }

    /// String with a TTL: what the node's last call of this number claimed, for a reply that got lost.
    pub fn claimed(&self, node: &NodeId, number: usize) -> String {
        match number {
            0 => format!("{}claimed:{node}", self.prefix),
            _ => format!("{}claimed:{node}:{number}", self.prefix),
        }
    }

    /// Hash: the counters of a batch's part in this queue.
    pub fn batch(&self, batch: &BatchName) -> String {
        format!("{}batch:{batch}", self.prefix)
    }

    /// Stream: the batch's finished tasks of this queue in order of finishing.
    pub fn batch_finished(&self, batch: &BatchName) -> String {
        format!("{}batch-finished:{batch}", self.prefix)
    }

    /// A pattern for all task records of the queue, for a scan.
    pub fn task_pattern(&self) -> String {
        // A queue's name holds no character that is special in a pattern; the namespace neither.
        format!("{}task:*", self.prefix)
    }

    /// All specs of the queue, for `SCAN`.
    pub fn spec_pattern(&self) -> String {
        format!("{}spec:*", self.prefix)
    }
}
