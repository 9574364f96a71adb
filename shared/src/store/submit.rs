//! Submitting tasks: `submit.lua`.

use redis::RedisWrite;

use super::{PRODUCER, Queue, Result, Store, StoreError, script::SUBMIT};
use crate::model::{BatchName, Expiry, NewTask, QueueName, Start, State, time::micros};

/// The most tasks that one call takes: Redis is busy for about a millisecond and a half.
pub const MOST_PER_SUBMIT: usize = 500;

/// What became of a submitted task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// It is new, and now in this state.
    New(State),
    /// The same task was submitted before; it is in this state. Nothing changed.
    Duplicate(Option<State>),
    /// Another task has this id; it is in this state. Nothing changed.
    Conflict(Option<State>),
    /// The queue is at its maximum length. Nothing changed.
    Full,
}

impl Accepted {
    fn parse(word: &str) -> Option<Self> {
        Some(match word.split_once(' ') {
            Some(("duplicate", state)) => Self::Duplicate(state.parse().ok()),
            Some(("conflict", state)) => Self::Conflict(state.parse().ok()),
            None if word == "full" => Self::Full,
            None => Self::New(word.parse().ok()?),
            Some(_) => return None,
        })
    }
}

/// Arguments written straight into the command's buffer, without a copy of a payload.
struct Args<'a>(&'a [&'a NewTask]);

impl redis::ToRedisArgs for Args<'_> {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        out.write_arg(PRODUCER.as_bytes());
        out.write_arg_fmt(self.0.len());
        for task in self.0 {
            out.write_arg(task.id.as_str().as_bytes());
            out.write_arg(task.digest.as_bytes());
            out.write_arg(task.task_type.as_str().as_bytes());
            out.write_arg(task.payload.get().as_bytes());
            out.write_arg(task.priority.as_str().as_bytes());
            out.write_arg(task.tenant.as_ref().map_or("", |t| t.as_str()).as_bytes());
            out.write_arg_fmt(task.weight);
            match task.start {
                Start::Now => out.write_arg(b""),
                Start::After(delay) => out.write_arg_fmt(format_args!("+{}", micros(delay))),
                Start::At(at) => out.write_arg_fmt(format_args!("@{}", at.0)),
            }
            match task.expiry {
                Expiry::Never => out.write_arg(b""),
                Expiry::After(delay) => out.write_arg_fmt(format_args!("+{}", micros(delay))),
                Expiry::At(at) => out.write_arg_fmt(format_args!("@{}", at.0)),
            }
            out.write_arg(task.batch.as_ref().map_or("", |b| b.as_str()).as_bytes());
            out.write_arg(task.concurrency_key.as_ref().map_or("", |k| k.as_str()).as_bytes());
            out.write_arg(task.options.as_bytes());
        }
    }
}

impl Queue {
    /// Submits tasks of this queue, at most [`MOST_PER_SUBMIT`], in one step. Safe to repeat: tasks have identities.
    pub async fn submit(&self, tasks: &[&NewTask]) -> Result<Vec<Accepted>> {
        debug_assert!(tasks.len() <= MOST_PER_SUBMIT && tasks.iter().all(|task| task.queue == self.name));
        let words: Vec<String> = self.run(&SUBMIT, &Args(tasks)).await?;
        words
            .iter()
            .map(|word| {
                Accepted::parse(word).ok_or_else(|| StoreError::Unexpected(format!("submit said {word:?}")))
            })
            .collect()
    }
}

impl Store {
    /// Makes a queue known to the fleet (listings, `doctor`). Done before the first submission to it.
    pub async fn register_queue(&self, queue: &QueueName) -> Result<()> {
        self.command(redis::cmd("SADD").arg(self.keys.queues()).arg(queue.as_str())).await
    }

    /// Notes that a queue holds a part of a batch. Done before the first of its tasks is submitted there.
    pub async fn register_batch(&self, batch: &BatchName, queue: &QueueName) -> Result<()> {
        /// A batch that got no task for this long is forgotten by name; its parts went a day after they ended.
        const SECONDS: u64 = 100 * 24 * 3600;
        let key = self.keys.batch_queues(batch);
        let mut pipeline = redis::pipe();
        // No transaction: at maxmemory Redis would refuse it as a whole, and hide why.
        pipeline.sadd(&key, queue.as_str()).ignore();
        pipeline.cmd("EXPIRE").arg(&key).arg(SECONDS).ignore();
        self.pipeline(&pipeline).await
    }
}
