//! Looking at what the gateway keeps, for people and for the selector. Reads only, but for the settings of budgets and
//! the catalog.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;

use super::{BudgetRule, Gate, OnLimit};
use crate::{
    model::{BatchName, Micros, time::micros},
    store::{Result, StoreError},
};

/// What calls of a model in a category taught, each figure decayed over time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LiveRecord {
    /// When it was last told.
    pub at: Micros,
    /// Calls.
    pub calls: f64,
    /// Of which succeeded.
    pub successes: f64,
    /// Mean of the successful ones.
    pub latency: Duration,
    /// Answers that were validated.
    pub scored: f64,
    /// Their mean score, 0 to 1.
    pub score: f64,
    /// Mean output tokens.
    pub output_tokens: f64,
}

/// A circuit breaker as Redis holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BreakerState {
    /// `closed`, `open` or `half_open`.
    pub state: &'static str,
    /// Failures in a row.
    pub failures: u64,
    /// When it opened last.
    pub opened_at: Option<Micros>,
    /// How often it opened.
    pub opens: u64,
}

/// What calls of a model for a type and a tenant added up to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRecord {
    /// The catalog's name.
    pub model: String,
    /// Type of the tasks.
    pub task_type: String,
    /// Empty: tasks without a tenant.
    pub tenant: String,
    /// By the names that workers give them, such as `calls` and `cost_nano`.
    pub figures: BTreeMap<String, i64>,
}

/// What was spent of a budget in a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetUse {
    /// Who.
    pub scope: String,
    /// Start of the window; none: for ever.
    pub since: Option<Micros>,
    /// Length of the window; zero: for ever.
    pub every: Duration,
    /// Nano-dollars, as they were when the window began.
    pub limit: i64,
    /// Spent and reserved.
    pub charged: i64,
    /// Spent for certain.
    pub settled: i64,
    /// Calls that are still open.
    pub open: i64,
    /// Calls that were settled.
    pub calls: i64,
}

/// What the calls of a batch's tasks add up to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BatchCost {
    /// Nano-dollars.
    pub cost: i64,
    /// Calls to models.
    pub calls: u64,
}

fn numbers(packed: &str) -> Vec<f64> {
    packed.split_whitespace().map(|word| word.parse().unwrap_or(0.0)).collect()
}

fn at(numbers: &[f64], index: usize) -> f64 {
    numbers.get(index).copied().unwrap_or(0.0)
}

impl Gate {
    async fn hash(&self, name: &str) -> Result<BTreeMap<String, String>> {
        self.store.command(redis::cmd("HGETALL").arg(self.store.keys.gate_key(name))).await
    }

    /// Figures by model and category (empty: all categories together).
    pub async fn live(&self) -> Result<BTreeMap<(String, String), LiveRecord>> {
        Ok(self.hash("live").await?.into_iter().filter_map(read_live).collect())
    }

    /// Breakers by name.
    pub async fn breakers(&self) -> Result<BTreeMap<String, BreakerState>> {
        let read = |(name, packed): (String, String)| (name, read_breaker(&packed));
        Ok(self.hash("breakers").await?.into_iter().map(read).collect())
    }

    /// Who cools down: until when, and why.
    pub async fn cooldowns(&self) -> Result<BTreeMap<String, (Micros, String)>> {
        let read = |(name, text): (String, String)| Some((name, read_cooldown(&text)?));
        Ok(self.hash("cooldowns").await?.into_iter().filter_map(read).collect())
    }

    /// Forgets why a key, a model or a host is left alone: it may be called again at once. True if there was something.
    pub async fn reset(&self, name: &str) -> Result<bool> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("HDEL").arg(self.store.keys.gate_key("cooldowns")).arg(name);
        pipeline.cmd("HDEL").arg(self.store.keys.gate_key("breakers")).arg(name);
        let gone: Vec<bool> = self.store.pipeline(&pipeline).await?;
        Ok(gone.contains(&true))
    }

    /// Figures of a day (days since 1970).
    pub async fn usage(&self, day: i64) -> Result<Vec<UsageRecord>> {
        Ok(self.hash(&format!("usage:{day}")).await?.into_iter().filter_map(read_usage).collect())
    }

    /// What the calls of a batch cost so far; nothing is known of batches that ended many days ago.
    pub async fn batch_cost(&self, batch: &BatchName) -> Result<BatchCost> {
        let key = self.store.keys.gate_key("batches");
        let packed: Option<String> =
            self.store.command(redis::cmd("HGET").arg(key).arg(batch.as_str())).await?;
        let figures = numbers(&packed.unwrap_or_default());
        Ok(BatchCost { cost: at(&figures, 1) as i64, calls: at(&figures, 2) as u64 })
    }

    /// Budgets that are set in Redis.
    pub async fn budgets(&self) -> Result<Vec<BudgetRule>> {
        Ok(self.hash("budgets").await?.into_iter().filter_map(read_budget).collect())
    }

    /// Sets a budget for the fleet.
    pub async fn set_budget(&self, rule: &BudgetRule) -> Result<()> {
        let text = super::json(rule)?;
        let key = self.store.keys.gate_key("budgets");
        self.store.command::<i64>(redis::cmd("HSET").arg(key).arg(&rule.scope).arg(text)).await.map(drop)
    }

    /// Removes a budget that was set for the fleet. True if there was one.
    pub async fn remove_budget(&self, scope: &str) -> Result<bool> {
        let key = self.store.keys.gate_key("budgets");
        self.store.command(redis::cmd("HDEL").arg(key).arg(scope)).await
    }

    /// What was spent, the latest windows first, at most `most`.
    pub async fn budget_uses(&self, most: usize) -> Result<Vec<BudgetUse>> {
        let key = self.store.keys.gate_key("budget-uses");
        let last = most.saturating_sub(1);
        let uses: Vec<String> = self.store.command(redis::cmd("ZREVRANGE").arg(key).arg(0).arg(last)).await?;
        let parsed: Vec<(String, String, u64)> = uses.iter().filter_map(|line| read_use(line)).collect();
        if parsed.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = redis::pipe();
        for (scope, window, _) in &parsed {
            pipeline
                .cmd("HMGET")
                .arg(self.store.keys.gate_key(&format!("spent:{scope}:{window}")))
                .arg(&["limit", "charged", "settled", "open", "calls"]);
        }
        let records: Vec<Vec<Option<i64>>> = self.store.pipeline(&pipeline).await?;
        let read = |((scope, window, every), record): ((String, String, u64), Vec<Option<i64>>)| {
            let number = |at: usize| record.get(at).copied().flatten().unwrap_or(0);
            let since = window.parse::<i64>().ok().map(|n| Micros(n.saturating_mul(every as i64)));
            let (limit, charged, settled) = (number(0), number(1), number(2));
            BudgetUse {
                scope,
                since,
                every: Duration::from_micros(every),
                limit,
                charged,
                settled,
                open: number(3),
                calls: number(4),
            }
        };
        Ok(parsed.into_iter().zip(records).map(read).collect())
    }

    /// The catalog that workers read from their providers, JSON text; with when that was.
    pub async fn catalog(&self) -> Result<Option<(Micros, String)>> {
        let text: Option<String> =
            self.store.command(redis::cmd("GET").arg(self.store.keys.gate_key("catalog"))).await?;
        Ok(text.and_then(|text| read_catalog(&text)))
    }

    /// Keeps the catalog for the fleet.
    pub async fn set_catalog(&self, json: &str) -> Result<()> {
        let text = format!("{}\n{json}", self.store.now().await?.0);
        let key = self.store.keys.gate_key("catalog");
        self.store.command::<redis::Value>(redis::cmd("SET").arg(key).arg(text)).await.map(drop)
    }

    /// Whether this process is the one that reads a provider's list now: one in `every`.
    pub async fn may_refresh_catalog(&self, provider: &str, every: Duration) -> Result<bool> {
        let key = self.store.keys.gate_key(&format!("catalog-refresh:{provider}"));
        let mut command = redis::cmd("SET");
        command.arg(key).arg(1).arg("NX").arg("PX").arg(micros(every) / 1000);
        let reply: Option<String> = self.store.command(&command).await?;
        Ok(reply.is_some())
    }

    /// The latest events of breakers and cooldowns, newest first: moment, then words in pairs.
    pub async fn events(&self, most: usize) -> Result<Vec<(Micros, Vec<(String, String)>)>> {
        let key = self.store.keys.gate_key("events");
        let mut command = redis::cmd("XREVRANGE");
        command.arg(key).arg("+").arg("-").arg("COUNT").arg(most);
        let entries: Vec<(String, Vec<(String, String)>)> = self.store.command(&command).await?;
        let read = |(id, words): (String, Vec<(String, String)>)| {
            let at = Micros::of_entry(&id).ok_or_else(|| StoreError::Unexpected(format!("event {id:?}")))?;
            Ok((at, words))
        };
        entries.into_iter().map(read).collect()
    }
}

pub(in crate::store) fn read_live(
    (field, packed): (String, String),
) -> Option<((String, String), LiveRecord)> {
    let (model, category) = field.rsplit_once('|')?;
    let n = numbers(&packed);
    let record = LiveRecord {
        at: Micros(at(&n, 0) as i64),
        calls: at(&n, 1),
        successes: at(&n, 2),
        latency: Duration::from_micros(at(&n, 3) as u64),
        scored: at(&n, 4),
        score: at(&n, 5),
        output_tokens: at(&n, 6),
    };
    Some(((model.to_owned(), category.to_owned()), record))
}

pub(in crate::store) fn read_breaker(packed: &str) -> BreakerState {
    let n = numbers(packed);
    let state = match at(&n, 0) as u64 {
        0 => "closed",
        1 => "open",
        _ => "half_open",
    };
    let opened_at = (at(&n, 2) > 0.0).then(|| Micros(at(&n, 2) as i64));
    BreakerState { state, failures: at(&n, 1) as u64, opened_at, opens: at(&n, 5) as u64 }
}

pub(in crate::store) fn read_cooldown(text: &str) -> Option<(Micros, String)> {
    let mut words = text.splitn(3, ' ');
    Some((Micros(words.next()?.parse().ok()?), words.nth(1)?.to_owned()))
}

pub(in crate::store) fn read_usage((names, packed): (String, String)) -> Option<UsageRecord> {
    let mut names = names.split('\n').map(str::to_owned);
    let words: Vec<&str> = packed.split_whitespace().collect();
    let figure = |pair: &[&str]| Some((pair[0].to_owned(), pair[1].parse().ok()?));
    Some(UsageRecord {
        model: names.next()?,
        task_type: names.next()?,
        tenant: names.next()?,
        figures: words.chunks_exact(2).filter_map(figure).collect(),
    })
}

pub(in crate::store) fn read_budget((scope, text): (String, String)) -> Option<BudgetRule> {
    let (_, limit, every, on_limit): (String, i64, u64, OnLimit) = serde_json::from_str(&text).ok()?;
    Some(BudgetRule { scope, limit, every: Duration::from_micros(every), on_limit })
}

pub(in crate::store) fn read_catalog(text: &str) -> Option<(Micros, String)> {
    let (at, json) = text.split_once('\n')?;
    Some((Micros(at.parse().ok()?), json.to_owned()))
}

pub(in crate::store) fn read_use(line: &str) -> Option<(String, String, u64)> {
    let mut words = line.rsplitn(3, ' ');
    let (every, window) = (words.next()?.parse().ok()?, words.next()?.to_owned());
    Some((words.next()?.to_owned(), window, every))
}
