//! What `serve` tells of the fleet: a struct of figures, read from Redis once a scrape, that becomes a page.

use std::{collections::BTreeMap, fmt, sync::Arc};

use crate::{
    common::Common,
    family::OTHER,
    http::HTTP,
    list::{self, Label, Metric, Values},
    render::{self, Labels, Page, Sheet, Source},
};

/// Figures of a queue, all its partitions together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct QueueFigures {
    /// Its name.
    pub queue: String,
    /// Pending tasks: critical, high, normal, low.
    pub pending: [u64; 4],
    /// Tasks that wait for a moment or their next attempt.
    pub scheduled: u64,
    /// Leased tasks.
    pub running: u64,
    /// Tasks over the limit of their concurrency key.
    pub parked: u64,
    /// Tasks that wait for people or for others.
    pub blocked: u64,
    /// Tasks in the dead letter.
    pub failed: u64,
    /// Ready, due and leased; while paused, leased alone.
    pub backlog: u64,
    /// Age of the oldest pending task, seconds; 0: none.
    pub oldest_pending: f64,
    /// Nothing is claimed.
    pub paused: bool,
    /// Live nodes that claim from it.
    pub nodes: u64,
    /// Since the queue was first used.
    pub submitted: u64,
    /// The same: completed, failed, cancelled, expired.
    pub finished: [u64; 4],
    /// The same: leases that ran out.
    pub recovered: u64,
    /// The same: results that were refused.
    pub stale: u64,
}

/// A budget. Those of batches and tenants do not belong here: there is no end of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BudgetFigures {
    /// `fleet:`, `provider:…`, `model:…` or `type:…`.
    pub scope: String,
    /// Dollars.
    pub limit: f64,
    /// Dollars.
    pub spent: f64,
}

/// One figure of a budget.
type Part = fn(&BudgetFigures) -> f64;

/// A server of Redis.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RedisServer {
    /// `host:port`.
    pub server: String,
    /// Bytes.
    pub used: u64,
    /// Bytes; 0: no limit.
    pub max: u64,
}

/// What is known of the fleet. The default says that Redis does not answer, and nothing else.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fleet {
    /// Redis answered.
    pub redis_up: bool,
    /// Nodes and queues could be read; without them no other figure is told.
    pub read: bool,
    /// The queues.
    pub queues: Vec<QueueFigures>,
    /// Nodes that are starting, active, quiet, draining, lost.
    pub nodes: [u64; 5],
    /// Slots of the live ones.
    pub slots: u64,
    /// Attempts that they run.
    pub slots_used: u64,
    /// Age of the oldest last heartbeat among them, seconds.
    pub oldest_heartbeat: f64,
    /// The budgets.
    pub budgets: Vec<BudgetFigures>,
    /// Breakers by name, and whether each is open, or trying again.
    pub breakers: Vec<(String, bool)>,
    /// The servers.
    pub redis: Vec<RedisServer>,
}

/// What stands for many.
#[derive(Clone, Copy)]
enum Fold {
    Sum,
    Max,
}

/// Plain numbers of a metric, bounded as its labels say: what is beyond is folded into `other`.
struct Numbers {
    metric: &'static Metric,
    fold: Fold,
    series: BTreeMap<Vec<String>, f64>,
}

impl Numbers {
    fn of(metric: &'static Metric, fold: Fold) -> Self {
        Self { metric, fold, series: BTreeMap::new() }
    }

    /// `number` is the place of the first label's value among all, which decides whether it is told by name.
    fn add(&mut self, number: usize, values: &[&str], value: f64) {
        let name = |(at, (label, value)): (usize, (&Label, &&str))| match label.values {
            Values::AtMost(most) if at == 0 && number >= most => OTHER.to_owned(),
            _ => (*value).to_owned(),
        };
        let key = self.metric.labels.iter().zip(values).enumerate().map(name).collect();
        let fold = self.fold;
        let fold = |old: &mut f64| *old = if let Fold::Sum = fold { *old + value } else { old.max(value) };
        self.series.entry(key).and_modify(fold).or_insert(value);
    }

    fn write(self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let names = self.metric.labels.iter().map(|label| label.name);
        let labels = |values: Vec<String>| -> Labels { names.clone().zip(values).collect() };
        sheet.numbers(self.metric, self.series.into_iter().map(|(values, value)| (labels(values), value)))
    }
}

/// The values of a label of few values, in their order.
fn words(metric: &Metric, at: usize) -> &'static [&'static str] {
    match metric.labels[at].values {
        Values::Of(words) => words,
        Values::AtMost(_) => &[],
    }
}

impl Fleet {
    fn of_queues(
        &self,
        sheet: &mut Sheet<'_>,
        metric: &'static Metric,
        fold: Fold,
        value: impl Fn(&QueueFigures) -> f64,
    ) -> fmt::Result {
        let mut numbers = Numbers::of(metric, fold);
        for (number, queue) in self.queues.iter().enumerate() {
            numbers.add(number, &[&queue.queue], value(queue));
        }
        numbers.write(sheet)
    }

    /// The same with a second label.
    fn by_word<const N: usize>(
        &self,
        sheet: &mut Sheet<'_>,
        metric: &'static Metric,
        values: impl Fn(&QueueFigures) -> [u64; N],
    ) -> fmt::Result {
        let mut numbers = Numbers::of(metric, Fold::Sum);
        for (number, queue) in self.queues.iter().enumerate() {
            for (word, value) in words(metric, 1).iter().zip(values(queue)) {
                numbers.add(number, &[&queue.queue, word], value as f64);
            }
        }
        numbers.write(sheet)
    }

    fn write_queues(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        self.by_word(sheet, &list::QUEUE_PENDING, |q| q.pending)?;
        self.by_word(sheet, &list::QUEUE_TASKS, |q| [q.scheduled, q.running, q.parked, q.blocked, q.failed])?;
        self.of_queues(sheet, &list::QUEUE_BACKLOG, Fold::Sum, |q| q.backlog as f64)?;
        self.of_queues(sheet, &list::QUEUE_OLDEST, Fold::Max, |q| q.oldest_pending)?;
        self.of_queues(sheet, &list::QUEUE_PAUSED, Fold::Max, |q| f64::from(u8::from(q.paused)))?;
        self.of_queues(sheet, &list::QUEUE_NODES, Fold::Max, |q| q.nodes as f64)?;
        self.of_queues(sheet, &list::QUEUE_SUBMITTED, Fold::Sum, |q| q.submitted as f64)?;
        self.by_word(sheet, &list::QUEUE_FINISHED, |q| q.finished)?;
        self.of_queues(sheet, &list::QUEUE_RECOVERED, Fold::Sum, |q| q.recovered as f64)?;
        self.of_queues(sheet, &list::QUEUE_STALE, Fold::Sum, |q| q.stale as f64)
    }

    fn write_nodes(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let mut nodes = Numbers::of(&list::NODES, Fold::Sum);
        let states = list::NODE_STATES.iter().zip(self.nodes).filter(|_| self.read);
        states.for_each(|(state, count)| nodes.add(0, &[state], count as f64));
        nodes.write(sheet)?;
        let alone = |value: f64| self.read.then_some((Vec::new(), value));
        sheet.numbers(&list::FLEET_SLOTS, alone(self.slots as f64))?;
        sheet.numbers(&list::FLEET_SLOTS_USED, alone(self.slots_used as f64))?;
        sheet.numbers(&list::FLEET_OLDEST_HEARTBEAT, alone(self.oldest_heartbeat))
    }

    fn write_money(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let used: Part = |budget| if budget.limit > 0.0 { budget.spent / budget.limit } else { 0.0 };
        let parts: [(_, _, Part); 3] = [
            (&list::BUDGET_LIMIT, Fold::Sum, |budget| budget.limit),
            (&list::BUDGET_SPENT, Fold::Sum, |budget| budget.spent),
            (&list::BUDGET_USED, Fold::Max, used),
        ];
        for (metric, fold, value) in parts {
            let mut numbers = Numbers::of(metric, fold);
            for (number, budget) in self.budgets.iter().enumerate() {
                numbers.add(number, &[&budget.scope], value(budget));
            }
            numbers.write(sheet)?;
        }
        let mut breakers = Numbers::of(&list::BREAKER_OPEN, Fold::Max);
        for (number, (name, open)) in self.breakers.iter().enumerate() {
            breakers.add(number, &[name], f64::from(u8::from(*open)));
        }
        breakers.write(sheet)
    }

    fn write_redis(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        sheet.numbers(&list::REDIS_UP, [(Vec::new(), f64::from(u8::from(self.redis_up)))])?;
        let (mut used, mut max) = (
            Numbers::of(&list::REDIS_USED_MEMORY, Fold::Sum),
            Numbers::of(&list::REDIS_MAX_MEMORY, Fold::Sum),
        );
        for (number, server) in self.redis.iter().enumerate() {
            used.add(number, &[&server.server], server.used as f64);
            max.add(number, &[&server.server], server.max as f64);
        }
        used.write(sheet)?;
        max.write(sheet)
    }
}

impl Source for Fleet {
    fn write(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        self.write_queues(sheet)?;
        self.write_nodes(sheet)?;
        self.write_money(sheet)?;
        self.write_redis(sheet)
    }
}

/// The page of `serve`. Queues are told by name in the order in which they are given, as far as the bound goes: sort them.
pub fn render(fleet: &Arc<Fleet>, common: &Common, accept: Option<&str>) -> Page {
    render::page(vec![Arc::new(*common), Arc::<Fleet>::clone(fleet), HTTP.clone()], accept)
}
