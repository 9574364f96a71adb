//! Settling attempts and claiming tasks in one call: `settle_and_claim.lua`.

use std::{collections::HashMap, time::Duration};

use redis::{FromRedisValue, RedisWrite};

use super::{Partition, Result, StoreError, packed, payloads::Texts, script::SETTLE_AND_CLAIM, spec};
use crate::model::{Micros, NodeId, QueueName, Reason, State, TaskId, TaskRecord, TaskRef, time::micros};

/// How an attempt ended, as the node that ran it says.
#[derive(Debug, Clone)]
pub struct Settle {
    /// The task.
    pub id: TaskId,
    /// The attempt: with the node's id, the fencing token.
    pub attempt: u32,
    /// Where it goes: completed, failed, cancelled, scheduled (after `delay`) or pending.
    pub to: State,
    /// Why.
    pub reason: Reason,
    /// For `scheduled`.
    pub delay: Duration,
    /// JSON text, or empty.
    pub error: String,
    /// JSON text, or empty. Of an attempt that did not complete: its ledger, or the draft that people decide on.
    pub result: String,
}

impl Settle {
    /// Ended as nearly all do. Such attempts go first in a call, with no more than their result.
    fn is_plain(&self) -> bool {
        self.to == State::Completed && self.reason == Reason::Completed && self.error.is_empty()
    }

    /// The field of the record that its result becomes.
    pub fn kept_as(&self) -> &'static str {
        if matches!(self.to, State::Completed | State::Blocked) { "result" } else { "ledger" }
    }
}

/// What a node asks in one call.
#[derive(Debug)]
pub struct SettleAndClaim<'a> {
    /// Who asks.
    pub node: &'a NodeId,
    /// Which of the node's calls it is, from 0: of each number one is in flight.
    pub number: usize,
    /// New for each call, the same when a call is repeated because its reply was lost.
    pub nonce: &'a str,
    /// For how long claimed tasks are leased.
    pub lease: Duration,
    /// How many tasks it can start.
    pub want: usize,
    /// Lost leases after which a task is given up.
    pub max_crashes: u32,
    /// Attempts that ended. Of two words about one attempt, a completion counts.
    pub settles: &'a [Settle],
}

/// What became of a settled attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It is committed.
    Ok,
    /// Refused: the lease belongs to another attempt or to nobody.
    Stale,
    /// Refused: the task was deleted.
    Gone,
}

/// A task that the node may run until its lease ends.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// The record, payload included, as of the claim.
    pub task: TaskRecord,
}

/// What Redis answered.
#[derive(Debug)]
pub struct SettledAndClaimed {
    /// One for each settled attempt, in order.
    pub settled: Vec<Settled>,
    /// Tasks to run, in order.
    pub claimed: Vec<Claimed>,
    /// When a task falls due or a lease runs out, if fewer tasks came than were wanted.
    pub next: Option<Micros>,
    /// Redis's clock.
    pub now: Micros,
}

struct Args<'a>(&'a SettleAndClaim<'a>, Texts<'a>);

impl redis::ToRedisArgs for Args<'_> {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        let Self(call, texts) = self;
        out.write_arg(call.node.as_str().as_bytes());
        out.write_arg(call.nonce.as_bytes());
        out.write_arg_fmt(micros(call.lease));
        out.write_arg_fmt(call.want);
        out.write_arg_fmt(call.max_crashes);
        let plain = call.settles.iter().filter(|settle| settle.is_plain());
        out.write_arg_fmt(plain.clone().count());
        for settle in plain {
            out.write_arg(settle.id.as_str().as_bytes());
            out.write_arg_fmt(settle.attempt);
            out.write_arg(&texts.field(settle.id.as_str(), "result", &settle.result));
        }
        for settle in call.settles.iter().filter(|settle| !settle.is_plain()) {
            out.write_arg(settle.id.as_str().as_bytes());
            out.write_arg_fmt(settle.attempt);
            out.write_arg(settle.to.as_str().as_bytes());
            out.write_arg(settle.reason.as_str().as_bytes());
            out.write_arg_fmt(micros(settle.delay));
            let id = settle.id.as_str();
            out.write_arg(texts.member(id, "error", &settle.error, "message").as_bytes());
            out.write_arg(&texts.field(id, settle.kept_as(), &settle.result));
        }
    }
}

/// The script answers plain attempts first: brings the answers into the order of the call.
fn in_order(settles: &[Settle], answers: Vec<Settled>) -> Vec<Settled> {
    if answers.len() != settles.len() {
        return answers; // those of an earlier call with this nonce
    }
    let (plain, others) = answers.split_at(settles.iter().filter(|settle| settle.is_plain()).count());
    let (mut plain, mut others) = (plain.iter(), others.iter());
    settles
        .iter()
        .filter_map(|settle| if settle.is_plain() { plain.next() } else { others.next() })
        .copied()
        .collect()
}

/// One list: the answers as words, next moment, now, number of claimed tasks; id and spec of each; then, of those that
/// have more to their record than this first claim: number among them, attempt, fields and values.
pub(super) type Reply = Vec<redis::Value>;

impl Partition {
    /// Settles attempts and claims tasks, in one step. Safe to repeat with the same nonce.
    pub async fn settle_and_claim(&self, call: &SettleAndClaim<'_>) -> Result<SettledAndClaimed> {
        let claimed_key = self.keys.claimed(call.node, call.number);
        let mut keys = self.keys.every();
        keys.push(&claimed_key);
        let args = Args(call, self.texts());
        // A claim that a failover forgets is only a claim: its result will be refused. A result must not be forgotten.
        let reply: Reply = match call.settles {
            [] => self.store.run(&SETTLE_AND_CLAIM, &keys, &args).await?,
            _ => self.run_durably(&SETTLE_AND_CLAIM, &keys, &args).await?,
        };
        read(reply, &self.name, call, self.texts())
    }
}

/// Makes sense of what the script said about `queue`.
pub(super) fn read(
    reply: Reply,
    queue: &QueueName,
    call: &SettleAndClaim<'_>,
    texts: Texts<'_>,
) -> Result<SettledAndClaimed> {
    let mut parts = reply.into_iter();
    let words: String = part(&mut parts)?;
    let (next, now): (i64, i64) = (part(&mut parts)?, part(&mut parts)?);
    let count: usize = part(&mut parts)?;
    let mut tasks = parts.by_ref().take(count.saturating_mul(2)).collect::<Vec<_>>().into_iter();
    let mut more = HashMap::new();
    while parts.len() > 0 {
        let number: usize = part(&mut parts)?;
        more.insert(number, (part(&mut parts)?, part::<Vec<Vec<u8>>>(&mut parts).unwrap_or_default()));
    }
    let mut number = 0;
    let mut claimed = Vec::with_capacity(tasks.len() / 2);
    while let (Some(id), Some(spec)) = (tasks.next(), tasks.next()) {
        number += 1;
        let (attempt, fields) = more.remove(&number).unwrap_or_else(|| ("1".to_owned(), Vec::new()));
        let task = read_claimed(id, spec, &attempt, fields, queue, texts);
        claimed.extend(task.map(|mut task| {
            (task.node, task.started_at) = (Some(call.node.to_string()), Some(Micros(now)));
            Claimed { task }
        }));
    }
    Ok(SettledAndClaimed {
        settled: in_order(call.settles, words.split_ascii_whitespace().map(parse).collect::<Result<_>>()?),
        claimed,
        next: (next > 0).then_some(Micros(next)),
        now: Micros(now),
    })
}

fn read_claimed(
    id: redis::Value,
    spec: redis::Value,
    attempt: &str,
    fields: Vec<Vec<u8>>,
    queue: &QueueName,
    texts: Texts<'_>,
) -> Option<TaskRecord> {
    let bytes = |value| redis::from_redis_value::<Vec<u8>>(value).ok();
    // An id that is not a valid name was not written by us: its lease will lapse, and the audit names it.
    let id = TaskId::new(packed::text(bytes(id)?)).ok()?;
    let spec = bytes(spec)?;
    let reference = TaskRef { queue: queue.clone(), id };
    let mut task = spec::record(reference, Some(&spec), pairs(fields.into_iter()), texts);
    match attempt.parse() {
        Ok(attempt) => task.attempt = attempt,
        Err(_) => _ = task.fault.get_or_insert_with(|| format!("its attempt {attempt:?} is no number")),
    }
    Some(task)
}

/// The next part of a reply.
fn part<T: FromRedisValue>(parts: &mut impl Iterator<Item = redis::Value>) -> Result<T> {
    let value =
        parts.next().ok_or_else(|| StoreError::Unexpected("settle_and_claim said too little".to_owned()))?;
    redis::from_redis_value(value)
        .map_err(|error| StoreError::Unexpected(format!("settle_and_claim said: {error}")))
}

fn parse(word: &str) -> Result<Settled> {
    match word {
        "ok" => Ok(Settled::Ok),
        "stale" => Ok(Settled::Stale),
        "gone" => Ok(Settled::Gone),
        other => Err(StoreError::Unexpected(format!("settle_and_claim said {other:?}"))),
    }
}

/// Field and value in turn, as pairs.
fn pairs(mut values: impl Iterator<Item = Vec<u8>>) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    std::iter::from_fn(move || values.next().zip(values.next()))
}
