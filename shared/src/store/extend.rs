//! A node's beat on a queue: `extend.lua`.

use std::time::Duration;

use redis::RedisWrite;

use super::{Partition, Result, payloads::Texts, script::EXTEND};
use crate::model::{Micros, NodeId, TaskId, time::micros};

/// A task that the node holds.
#[derive(Debug, Clone)]
pub struct Held {
    /// The task.
    pub id: TaskId,
    /// The attempt.
    pub attempt: u32,
    /// A new progress report, JSON text, or empty.
    pub progress: String,
}

/// What a node asks.
#[derive(Debug)]
pub struct Extend<'a> {
    /// Who asks.
    pub node: &'a NodeId,
    /// How much longer, from now.
    pub lease: Duration,
    /// Lost leases after which a task is given up.
    pub max_crashes: u32,
    /// What it holds in this queue; at most 500 a call.
    pub held: &'a [Held],
}

/// What Redis answered.
#[derive(Debug)]
pub struct Extended {
    /// Held no more: another node has it, or it is final. The node drops these attempts.
    pub lost: Vec<TaskId>,
    /// To be cancelled.
    pub cancelled: Vec<TaskId>,
    /// Whether a claim would find something.
    pub work: bool,
    /// When a task falls due or a lease runs out.
    pub next: Option<Micros>,
    /// Redis's clock.
    pub now: Micros,
    /// How many partitions the queue has, as its first one says.
    pub partitions: u16,
    /// Others were here a moment ago, and nothing was overdue.
    pub spare: bool,
}

struct Args<'a>(&'a Extend<'a>, Texts<'a>);

impl redis::ToRedisArgs for Args<'_> {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        out.write_arg(self.0.node.as_str().as_bytes());
        out.write_arg_fmt(micros(self.0.lease));
        out.write_arg_fmt(self.0.max_crashes);
        out.write_arg_fmt(self.0.held.len());
        for held in self.0.held {
            out.write_arg(held.id.as_str().as_bytes());
            out.write_arg_fmt(held.attempt);
            out.write_arg(&self.1.field(held.id.as_str(), "progress", &held.progress));
        }
    }
}

/// Lost, to cancel, `work` or `idle`, next moment, now, partitions, `spare` or `needed`.
type Reply = (Vec<String>, Vec<String>, String, i64, i64, u16, String);

impl Partition {
    /// Extends leases, delivers progress, does the upkeep of the queue. Safe to repeat.
    pub async fn extend(&self, call: &Extend<'_>) -> Result<Extended> {
        let (lost, cancelled, work, next, now, partitions, spare): Reply =
            self.run(&EXTEND, &Args(call, self.texts())).await?;
        let ids = |texts: Vec<String>| texts.into_iter().filter_map(|text| TaskId::new(text).ok()).collect();
        Ok(Extended {
            lost: ids(lost),
            cancelled: ids(cancelled),
            work: work == "work",
            next: (next > 0).then_some(Micros(next)),
            now: Micros(now),
            partitions,
            spare: spare == "spare",
        })
    }
}
