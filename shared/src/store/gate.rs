//! What the fleet knows together about calls to models: limits, circuit breakers, budgets, cached answers, figures.
//! One script before a call (`llm/admit.lua`) and one after it (`llm/settle_call.lua`).

pub(super) mod look;
mod secrecy;
pub(super) mod semantic;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize, Serializer};

use super::{
    Result, Store, StoreError,
    script::{ADMIT, GUARD, JUDGE, RENEW, SETTLE_CALL, Script},
};
use crate::model::time::micros;

pub use look::{BatchCost, BreakerState, BudgetUse, LiveRecord, UsageRecord};
pub use semantic::SemanticEntry;

/// The gateway's part of Redis. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Gate {
    store: Store,
    keys: Arc<[String; 10]>,
}

impl Store {
    /// The gateway's part of Redis.
    pub fn gate(&self) -> Gate {
        Gate { store: self.clone(), keys: Arc::new(self.keys.gate()) }
    }
}

/// Thresholds of a circuit breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerRule {
    /// Failures in a row that open it.
    pub threshold: u32,
    /// How long it stays open.
    pub recovery: Duration,
    /// Calls that may go while it is half-open, and successes that close it.
    pub probes: u32,
}

impl Default for BreakerRule {
    fn default() -> Self {
        Self { threshold: 5, recovery: Duration::from_secs(60), probes: 3 }
    }
}

impl Serialize for BreakerRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        (self.threshold, micros(self.recovery), self.probes).serialize(serializer)
    }
}

/// What happens when a budget has no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnLimit {
    /// The task fails.
    #[default]
    Refuse,
    /// The task waits for the next window.
    Wait,
    /// The next model of the route is asked for, which may cost less; if none fits, the task fails.
    Cheaper,
}

/// A budget: who, how much, for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetRule {
    /// `tenant:NAME`, `queue:NAME`, `batch:NAME`, each also with `*` for any name, or `fleet:`.
    pub scope: String,
    /// Nano-dollars.
    pub limit: i64,
    /// The window, aligned to the epoch; zero: for ever.
    pub every: Duration,
    /// What happens when it is spent.
    pub on_limit: OnLimit,
}

impl Serialize for BudgetRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        (&self.scope, self.limit, micros(self.every), self.on_limit).serialize(serializer)
    }
}

/// A model that may be called.
#[derive(Debug, Clone, PartialEq)]
pub struct AskModel {
    /// Provider and model: what the breaker is named after.
    pub breaker: String,
    /// Provider, key and model: who is called.
    pub lane: String,
    /// Provider and key: what a refused key is named after.
    pub key: String,
    /// Requests, input tokens, output tokens.
    pub need: [u64; 3],
    /// The most that the call can cost, nano-dollars; `None`: unknown.
    pub cost: Option<i64>,
    /// Buckets with their limits a minute: requests, input tokens, output tokens; and calls at once. 0: no limit.
    pub buckets: Vec<(String, [u64; 4])>,
}

impl Serialize for AskModel {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        (&self.breaker, &self.lane, &self.key, self.need, self.cost.unwrap_or(-1), &self.buckets)
            .serialize(serializer)
    }
}

/// The question before a call.
#[derive(Debug, Clone, Serialize)]
pub struct Ask<'a> {
    /// New for each call that was let through, and after a lost reply.
    pub call: &'a str,
    /// When the reservation lapses.
    #[serde(serialize_with = "as_micros")]
    pub hold: Duration,
    /// It is made now or not at all: it neither stands in line nor comes back.
    pub once: bool,
    /// The longest wait that the caller spends in its slot.
    #[serde(serialize_with = "as_micros")]
    pub slot_wait: Duration,
    /// 0 (critical) to 3 (low).
    pub rank: u8,
    /// What the first answer said; 0 before.
    pub asked: u64,
    /// The task gave its slot back before.
    pub returning: bool,
    /// Where it stands in line; empty before the first answer.
    pub waiting: &'a str,
    /// Hash of the request; empty: not cached.
    pub cache: &'a str,
    /// Wait for the same request if somebody else makes it.
    pub flight: bool,
    /// The tenant, or empty.
    pub tenant: &'a str,
    /// The batch, or empty.
    pub batch: &'a str,
    /// The queue.
    pub queue: &'a str,
    /// The worker's own budgets; those in Redis go before them.
    pub budgets: &'a [BudgetRule],
    /// In order of preference.
    pub models: &'a [AskModel],
    /// Thresholds.
    pub breaker: BreakerRule,
}

fn as_micros<S: Serializer>(duration: &Duration, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    micros(*duration).serialize(serializer)
}

/// Why a model is not called now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Its place in the question, from 0.
    pub index: usize,
    /// `limit`, `too_large`, `breaker`, a class of error that it cools down after, `budget`, `budget_wait`,
    /// `budget_held`, `budget_cheaper` or `unpriced`.
    pub reason: String,
    /// For how long; zero if waiting does not help.
    pub wait: Duration,
    /// The bucket, breaker or budget.
    pub detail: String,
}

/// The answer before a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// The answer is known.
    Hit(String),
    /// Another call asks the same; wait for it with [`Gate::landed`], at most this long.
    Flight {
        /// The other call.
        call: String,
        /// Until it is given up.
        wait: Duration,
    },
    /// Call this one. What it needs is reserved.
    Go {
        /// Its place in the question.
        index: usize,
        /// Those before it.
        skipped: Vec<Skipped>,
    },
    /// None yet.
    Wait {
        /// For how long.
        wait: Duration,
        /// Longer than the slot should wait.
        park: bool,
        /// What it stands in line for.
        scope: String,
        /// To be repeated in the next question.
        asked: u64,
        /// All of them.
        skipped: Vec<Skipped>,
    },
    /// None, and waiting does not help.
    Refused(Vec<Skipped>),
}

/// How a call went, for the breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CallVerdict {
    /// The other side works.
    Success,
    /// It does not.
    Failure,
    /// The call says nothing about it.
    Neither,
}

/// What a provider's headers say; [`Taught::default`] is nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Taught {
    /// The bucket of the lane.
    pub scope: String,
    /// Limits a minute: requests, input tokens, output tokens; 0: not told.
    pub limits: [u64; 3],
    /// What is left of them; -1: not told.
    pub remaining: [i64; 3],
}

impl Serialize for Taught {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        if self.scope.is_empty() {
            return [(); 0].serialize(serializer);
        }
        (&self.scope, self.limits, self.remaining).serialize(serializer)
    }
}

/// What is told after a call.
#[derive(Debug, Clone, Serialize)]
pub struct Answered<'a> {
    /// The call.
    pub call: &'a str,
    /// Provider and model.
    pub model: &'a str,
    /// For the breaker.
    pub verdict: CallVerdict,
    /// Class of the error; empty for a success.
    pub class: &'a str,
    /// Input and output tokens; -1: unknown.
    pub used: [i64; 2],
    /// Nano-dollars; -1: unknown, so what was reserved.
    pub cost: i64,
    /// Who is not called for how long (microseconds), and why.
    pub cool: Vec<(&'a str, u64, &'a str)>,
    /// What the headers say.
    pub taught: Taught,
    /// Hash of the request, if others may wait for it.
    pub flight: &'a str,
    /// Hash of the request, if its answer is kept.
    pub cache: &'a str,
    /// For how long, milliseconds.
    pub ttl: u64,
    /// Thresholds.
    pub breaker: BreakerRule,
    /// Model, category, half-life in microseconds, latency in microseconds, output tokens.
    pub live: (&'a str, &'a str, u64, u64, u64),
    /// The batch that the task belongs to; empty: none.
    pub batch: &'a str,
    /// Model, type and tenant. Without a model nothing is counted.
    pub usage: (&'a str, &'a str, &'a str),
    /// Added to the day's figures of the three.
    pub counts: BTreeMap<&'a str, i64>,
}

/// What validation says of an answer.
#[derive(Debug, Clone, Serialize)]
pub struct Judged<'a> {
    /// Model or empty, category, half-life in microseconds, score (0 to 1; -1: none).
    pub live: (&'a str, &'a str, u64, f64),
    /// Cached answers that are not valid.
    pub forget: Vec<&'a str>,
    /// Model, type and tenant, as with [`Answered`].
    pub usage: (&'a str, &'a str, &'a str),
    /// Added to the day's figures of the three.
    pub counts: BTreeMap<&'a str, i64>,
}

fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| StoreError::Unexpected(error.to_string()))
}

fn unexpected(words: &[redis::Value]) -> StoreError {
    StoreError::Unexpected(format!("admit said {words:?}"))
}

impl Admission {
    /// Makes sense of what the script said; none if `open` cannot read a cached answer.
    pub(super) fn read(
        reply: &[redis::Value],
        open: impl FnOnce(Vec<u8>) -> Option<String>,
    ) -> Result<Option<Self>> {
        let text = |at: usize| -> Result<String> {
            let value = reply.get(at).cloned().ok_or_else(|| unexpected(reply))?;
            redis::from_redis_value(value).map_err(|_| unexpected(reply))
        };
        let number = |at: usize| -> Result<u64> { text(at)?.parse().map_err(|_| unexpected(reply)) };
        let skipped = |at: usize| -> Result<Vec<Skipped>> {
            let value = reply.get(at).cloned().ok_or_else(|| unexpected(reply))?;
            let lines: Vec<String> = redis::from_redis_value(value).map_err(|_| unexpected(reply))?;
            Ok(lines.iter().filter_map(|line| read_skipped(line)).collect())
        };
        Ok(Some(match text(0)?.as_str() {
            "hit" => {
                let value = reply.get(1).cloned().ok_or_else(|| unexpected(reply))?;
                let answer = redis::from_redis_value(value).map_err(|_| unexpected(reply))?;
                return Ok(open(answer).map(Self::Hit));
            }
            "flight" => Self::Flight { call: text(1)?, wait: Duration::from_micros(number(2)?) },
            "go" => Self::Go {
                index: usize::try_from(number(1)?).unwrap_or(1).saturating_sub(1),
                skipped: skipped(2)?,
            },
            word @ ("wait" | "park") => Self::Wait {
                wait: Duration::from_micros(number(1)?),
                park: word == "park",
                scope: text(2)?,
                asked: number(3)?,
                skipped: skipped(4)?,
            },
            "refused" => Self::Refused(skipped(1)?),
            _ => return Err(unexpected(reply)),
        }))
    }
}

impl Gate {
    async fn run<T: redis::FromRedisValue>(&self, script: &'static Script, args: &[&str]) -> Result<T> {
        self.run_with(script, &args).await
    }

    async fn run_with<T: redis::FromRedisValue>(
        &self,
        script: &'static Script,
        args: &(impl redis::ToRedisArgs + Sync),
    ) -> Result<T> {
        let keys: Vec<&str> = self.keys.iter().map(String::as_str).collect();
        self.store.run(script, &keys, args).await
    }

    /// Which model may be called now. What it needs is reserved until the call is settled or its reservation lapses.
    pub async fn admit(&self, ask: &Ask<'_>) -> Result<Admission> {
        match self.admit_or_recall(ask).await? {
            Some(admission) => Ok(admission),
            // The answer that is kept cannot be opened here.
            None => match self.admit_or_recall(&Ask { cache: "", flight: false, ..ask.clone() }).await? {
                Some(admission) => Ok(admission),
                None => Err(StoreError::Unexpected("admit gave an answer that nobody asked for".into())),
            },
        }
    }

    /// None if a cached answer cannot be read.
    async fn admit_or_recall(&self, ask: &Ask<'_>) -> Result<Option<Admission>> {
        let reply: Vec<redis::Value> = self.run(&ADMIT, &[&json(ask)?]).await?;
        Admission::read(&reply, |answer| self.opened("cache", ask.cache, answer))
    }

    /// Tells how a call went; `answer` is kept where `told.cache` says so. False if the reservation had lapsed.
    pub async fn settle(&self, told: &Answered<'_>, answer: &str) -> Result<bool> {
        let (told_json, answer) = (json(told)?, self.sealed("cache", told.cache, answer.as_bytes()));
        let word: String = self.run_with(&SETTLE_CALL, &[told_json.as_bytes(), &*answer].as_slice()).await?;
        Ok(word == "ok")
    }

    /// Tells what validation thought of an answer, or counts what needed no call.
    pub async fn judge(&self, judged: &Judged<'_>) -> Result<()> {
        self.run::<String>(&JUDGE, &[&json(judged)?]).await.map(drop)
    }

    /// Says that the same request, which others may wait for, is still on its way; good for 30 s.
    pub async fn renew(&self, cache: &str, call: &str) -> Result<()> {
        self.run::<String>(&RENEW, &[cache, call, "30000"]).await.map(drop)
    }

    /// Waits until another call landed, at most this long.
    pub async fn landed(&self, call: &str, wait: Duration) -> Result<()> {
        let key = self.store.keys.gate_key(&format!("landed:{call}"));
        self.store.waiter().landed(&key, wait).await
    }

    /// Whether a call to `name` may go now; else how long its breaker stays open. A call that went must be told of.
    pub async fn may_call(&self, name: &str, rule: BreakerRule) -> Result<Option<Duration>> {
        let wait = self.guard(name, "ask", "", rule).await?;
        Ok((wait > 0).then(|| Duration::from_micros(wait)))
    }

    /// Tells a breaker how a call went.
    pub async fn called(&self, name: &str, verdict: CallVerdict, why: &str, rule: BreakerRule) -> Result<()> {
        let word = match verdict {
            CallVerdict::Success => "success",
            CallVerdict::Failure => "failure",
            CallVerdict::Neither => "neither",
        };
        self.guard(name, word, why, rule).await.map(drop)
    }

    async fn guard(&self, name: &str, what: &str, why: &str, rule: BreakerRule) -> Result<u64> {
        let (threshold, probes) = (rule.threshold.to_string(), rule.probes.to_string());
        let recovery = micros(rule.recovery).to_string();
        let text: String = self.run(&GUARD, &[name, what, why, &threshold, &recovery, &probes]).await?;
        text.parse().map_err(|_| StoreError::Unexpected(format!("guard said {text:?}")))
    }
}

fn read_skipped(line: &str) -> Option<Skipped> {
    let mut words = line.splitn(4, ' ');
    Some(Skipped {
        index: words.next()?.parse::<usize>().ok()?.checked_sub(1)?,
        reason: words.next()?.to_owned(),
        wait: Duration::from_micros(words.next()?.parse().ok()?),
        detail: words.next()?.to_owned(),
    })
}
