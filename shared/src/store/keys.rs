//! Every key of Windlass in Redis is made here. A queue's keys carry its hash tag, so that one script works on one slot.

use super::slot::{SLOTS, slot};
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

    /// First part of every key.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The keys of a queue: of all of it, or of its first partition.
    pub fn queue(&self, queue: &QueueName) -> QueueKeys {
        self.tagged(queue.as_str())
    }

    /// The keys of each of a queue's partitions.
    pub fn partitions(&self, queue: &QueueName, count: u16) -> Vec<QueueKeys> {
        tags(queue, count).iter().map(|tag| self.tagged(tag)).collect()
    }

    /// A pattern for the keys of all partitions of a queue, and of queues whose names go on after this one.
    pub(super) fn any_of(&self, queue: &QueueName) -> String {
        format!("{}:{{{queue}*", self.namespace)
    }

    fn tagged(&self, tag: &str) -> QueueKeys {
        let prefix = format!("{}:{{{tag}}}:", self.namespace);
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

    /// Stream: what operators did.
    pub fn actions(&self) -> String {
        format!("{}:{{operators}}:actions", self.namespace)
    }

    /// The answer to a request of the HTTP API, with a TTL. `key` may be any text.
    pub(super) fn answer(&self, key: &str) -> String {
        format!("{}:{{operators}}:answer:{}", self.namespace, blake3::hash(key.as_bytes()).to_hex())
    }

    /// A sorted set that is always empty: to take something out of it needs no memory.
    pub(super) fn nothing(&self) -> String {
        format!("{}:{{operators}}:nothing", self.namespace)
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

    /// Sorted set: batch, when its first task of some queue was submitted.
    pub fn batches(&self) -> String {
        format!("{}:{{batches}}:index", self.namespace)
    }

    /// Set of the queues that hold a part of a batch.
    pub fn batch_queues(&self, batch: &BatchName) -> String {
        format!("{}:{{batch:{batch}}}:queues", self.namespace)
    }
}

/// The hash tags of a queue's partitions. The first has the queue's own name; each of the others is named `QUEUE#n`,
/// with the smallest number that puts it into its own stretch of the slots. Stretches are as long as there are
/// partitions, so a cluster whose primaries have equal stretches has equally many partitions on each.
fn tags(queue: &QueueName, count: u16) -> Vec<String> {
    let stretch = |tag: &str| u32::from(slot(tag)) * u32::from(count) / u32::from(SLOTS);
    let first = stretch(queue.as_str());
    let mut tags = vec![queue.to_string()];
    for index in 1..u32::from(count) {
        let wanted = (first + index) % u32::from(count);
        let found = (1..1 << 20).map(|n| format!("{queue}#{n}")).find(|tag| stretch(tag) == wanted);
        tags.extend(found);
    }
    tags
}

/// A key with the same tag as this one, which never exists (`Store::run` says what for).
pub(super) fn moving(key: &str) -> String {
    let tagged = key.find('}').map_or(key, |end| &key[..=end]);
    format!("{tagged}:moving")
}

/// Makes the keys of one queue, or of one of its partitions.
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

    /// The fixed keys, as every script gets them.
    pub(super) fn every(&self) -> Vec<&str> {
        self.fixed.iter().map(String::as_str).collect()
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

    /// String: what is written to have something that replicas and files get after all else (`durable.rs`).
    pub(super) fn written(&self) -> String {
        format!("{}written", self.prefix)
    }

    /// Hash: the counters of a batch's part in this queue.
    pub fn batch(&self, batch: &BatchName) -> String {
        format!("{}batch:{batch}", self.prefix)
    }

    /// Stream: the batch's finished tasks of this queue in order of finishing.
    pub fn batch_finished(&self, batch: &BatchName) -> String {
        format!("{}batch-finished:{batch}", self.prefix)
    }

    /// The task whose spec or record a key is, if it is one of ours.
    pub(super) fn id_in<'a>(&self, key: &'a str) -> Option<&'a str> {
        let name = key.strip_prefix(&self.prefix)?;
        name.strip_prefix("spec:").or_else(|| name.strip_prefix("task:"))
    }

    /// The key of this name, such as `spec:ID`.
    pub(super) fn named(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// What all of them begin with. It holds no character that is special in a pattern.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn partitions_lie_evenly_over_the_slots() {
        for name in ["default", "q", "a-queue.with_a_long_name-0123456789"] {
            let queue = QueueName::new(name).unwrap();
            for count in [1_u16, 2, 3, 6, 12, 64, 256] {
                let tags = tags(&queue, count);
                let stretch = |tag: &String| u32::from(slot(tag)) * u32::from(count) / u32::from(SLOTS);
                assert_eq!(tags.iter().map(stretch).collect::<BTreeSet<_>>().len(), usize::from(count));
                assert_eq!(tags[0], name, "an undivided queue is its first partition");
            }
        }
    }

    #[test]
    fn a_partition_never_moves() {
        let tags = tags(&QueueName::default_queue(), 6);
        assert_eq!(tags, ["default", "default#4", "default#1", "default#11", "default#2", "default#3"]);
    }
}
