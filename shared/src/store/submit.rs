//! Submitting tasks: `submit.lua`.

use std::{borrow::Cow, collections::HashMap};

use redis::RedisWrite;

use super::{PRODUCER, Partition, Result, Store, StoreError, payloads::Texts, script::SUBMIT, spec};
use crate::model::{
    BatchName, Expiry, NewTask, Priority, QueueName, Start, State, TaskId, submission::Options, time::micros,
};

/// The most tasks that one call takes: Redis is busy for about two milliseconds.
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

/// What tasks of one call usually have in common: it is sent, and made sense of, once.
#[derive(PartialEq, Eq, Hash, Clone, Copy)]
struct Kind<'a> {
    task_type: &'a str,
    priority: Priority,
    tenant: &'a str,
    weight: u32,
    start: Start,
    expiry: Expiry,
    batch: &'a str,
    concurrency_key: &'a str,
    options: &'a str,
}

impl<'a> Kind<'a> {
    fn of(task: &'a NewTask, options: &'a str) -> Self {
        Self {
            task_type: task.task_type.as_str(),
            priority: task.priority,
            tenant: task.tenant.as_ref().map_or("", |tenant| tenant.as_str()),
            weight: task.weight,
            start: task.start,
            expiry: task.expiry,
            batch: task.batch.as_ref().map_or("", |batch| batch.as_str()),
            concurrency_key: task.concurrency_key.as_ref().map_or("", |key| key.as_str()),
            options,
        }
    }

    fn write<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        out.write_arg(self.task_type.as_bytes());
        out.write_arg(self.priority.as_str().as_bytes());
        out.write_arg(self.tenant.as_bytes());
        out.write_arg_fmt(self.weight);
        match self.start {
            Start::Now => out.write_arg(b""),
            Start::After(delay) => out.write_arg_fmt(format_args!("+{}", micros(delay))),
            Start::At(at) => out.write_arg_fmt(format_args!("@{}", at.0)),
        }
        match self.expiry {
            Expiry::Never => out.write_arg(b""),
            Expiry::After(delay) => out.write_arg_fmt(format_args!("+{}", micros(delay))),
            Expiry::At(at) => out.write_arg_fmt(format_args!("@{}", at.0)),
        }
        out.write_arg(self.batch.as_bytes());
        out.write_arg(self.concurrency_key.as_bytes());
        // One line of the spec. What people attached may be laid out over several; in JSON that is mere space.
        out.write_arg(self.options.replace('\n', " ").as_bytes());
    }
}

/// The kinds of these tasks, and which one each task is of. `sealed` are their options where those are sealed.
fn kinds<'a>(tasks: &'a [&'a NewTask], sealed: &'a [Cow<'a, str>]) -> (Vec<Kind<'a>>, Vec<usize>) {
    let (mut kinds, mut of) = (Vec::<Kind<'_>>::new(), Vec::with_capacity(tasks.len()));
    let mut known = HashMap::new();
    for (number, task) in tasks.iter().enumerate() {
        let kind = Kind::of(task, sealed.get(number).map_or(&task.options, AsRef::as_ref));
        let index = match of.last() {
            Some(&last) if kinds[last] == kind => last,
            _ => *known.entry(kind).or_insert_with(|| {
                kinds.push(kind);
                kinds.len() - 1
            }),
        };
        of.push(index);
    }
    (kinds, of)
}

/// Arguments written straight into the command's buffer, without a copy of a payload.
struct Args<'a> {
    tasks: &'a [&'a NewTask],
    partitions: u16,
    texts: Texts<'a>,
    /// References to the payloads that are in the object store, by the number of their task.
    large: &'a HashMap<usize, String>,
}

impl Args<'_> {
    /// The options of each task, if there is a key to seal what was attached to it.
    fn sealed_options(&self) -> Vec<Cow<'_, str>> {
        let Some(_) = self.texts.ring() else { return Vec::new() };
        self.tasks.iter().map(|task| self.options(task)).collect()
    }

    fn options<'t>(&self, task: &'t NewTask) -> Cow<'t, str> {
        let options = serde_json::from_str::<Options>(&task.options).unwrap_or_default();
        let Some(metadata) = &options.metadata else { return Cow::Borrowed(&task.options) };
        let sealed = Some(self.texts.base64(task.id.as_str(), "metadata", metadata.get()));
        let options = Options { metadata: None, sealed, ..options };
        serde_json::to_string(&options).map_or(Cow::Borrowed(""), Cow::Owned)
    }

    fn digest<'t>(&self, task: &'t NewTask) -> Cow<'t, str> {
        match self.texts.ring() {
            Some(ring) if !task.digest.is_empty() => Cow::Owned(ring.digest(&task.digest)),
            _ => Cow::Borrowed(&task.digest),
        }
    }
}

impl redis::ToRedisArgs for Args<'_> {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        let sealed = self.sealed_options();
        let (kinds, of) = kinds(self.tasks, &sealed);
        out.write_arg(PRODUCER.as_bytes());
        out.write_arg_fmt(self.partitions);
        out.write_arg_fmt(self.tasks.len());
        out.write_arg_fmt(kinds.len());
        for kind in &kinds {
            kind.write(out);
        }
        for (number, (task, kind)) in self.tasks.iter().zip(of).enumerate() {
            out.write_arg_fmt(kind + 1);
            let id = task.id.as_str();
            let payload = self.large.get(&number).map_or(task.payload.get(), String::as_str);
            out.write_arg(id.as_bytes());
            out.write_arg(self.digest(task).as_bytes());
            out.write_arg(&self.texts.payload(id, task.task_type.as_str(), payload));
        }
    }
}

impl Partition {
    /// Submits tasks of this partition, at most [`MOST_PER_SUBMIT`], in one step. Safe to repeat: tasks have identities.
    pub async fn submit(&self, tasks: &[&NewTask]) -> Result<Vec<Accepted>> {
        debug_assert!(tasks.len() <= MOST_PER_SUBMIT && tasks.iter().all(|task| task.queue == self.name));
        let large = self.put_payloads(tasks).await?;
        let args = Args { tasks, partitions: self.of, texts: self.texts(), large: &large };
        let words: Vec<String> = self.run_durably(&SUBMIT, &self.keys.every(), &args).await?;
        let parse = |word: &String| {
            Accepted::parse(word).ok_or_else(|| StoreError::Unexpected(format!("submit said {word:?}")))
        };
        let mut accepted = words.iter().map(parse).collect::<Result<Vec<Accepted>>>()?;
        for (task, accepted) in tasks.iter().zip(&mut accepted) {
            if let Accepted::Conflict(state) = *accepted
                && self.is_same(task).await?
            {
                *accepted = Accepted::Duplicate(state);
            }
        }
        Ok(accepted)
    }

    /// Whether what is there under the task's id is the same task, submitted under another key or before there was one.
    async fn is_same(&self, task: &NewTask) -> Result<bool> {
        let Some(ring) = self.texts().ring() else { return Ok(false) };
        let stored = self.digest_of(&task.id).await?;
        Ok(stored.is_some_and(|stored| ring.is_digest_of(&stored, &task.digest)))
    }

    async fn digest_of(&self, id: &TaskId) -> Result<Option<String>> {
        let mut command = redis::cmd("GETRANGE");
        command.arg(self.keys.spec(id)).arg(0).arg(spec::HEAD);
        let head: Vec<u8> = self.store.command(&command).await?;
        let line = head.split(|byte| *byte == b'\n').nth(1);
        Ok(line.map(|line| String::from_utf8_lossy(line).into_owned()))
    }
}

impl Store {
    /// Makes a queue known to the fleet (listings, `doctor`). Done before the first submission to it.
    pub async fn register_queue(&self, queue: &QueueName) -> Result<()> {
        let key = self.keys.queues();
        match self.command(redis::cmd("SADD").arg(&key).arg(queue.as_str())).await {
            // Without room it cannot be noted; where it stands there already, that is well.
            Err(full @ (StoreError::OutOfMemory | StoreError::DiskFailed(_))) => {
                let known: bool = self.command(redis::cmd("SISMEMBER").arg(&key).arg(queue.as_str())).await?;
                if known { Ok(()) } else { Err(full) }
            }
            other => other,
        }
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
        self.pipeline::<()>(&pipeline).await?;
        match self.list_batch(batch).await {
            // Only listings need it, and they come when there is room again.
            Err(StoreError::OutOfMemory | StoreError::DiskFailed(_) | StoreError::Refused(_)) => Ok(()),
            other => other,
        }
    }

    /// Puts a batch into the list of batches, which keeps the latest ones.
    async fn list_batch(&self, batch: &BatchName) -> Result<()> {
        /// Batches that are listed.
        const MOST: i64 = 10_000;
        let (key, now) = (self.keys.batches(), self.now().await?);
        let mut pipeline = redis::pipe();
        pipeline.zadd(&key, batch.as_str(), now.0).ignore();
        pipeline.cmd("ZREMRANGEBYRANK").arg(&key).arg(0).arg(-MOST - 1).ignore();
        self.pipeline(&pipeline).await
    }
}
