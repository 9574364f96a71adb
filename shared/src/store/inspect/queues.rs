//! What a queue holds.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    model::{Micros, Priority, QueueName, TaskId},
    store::{Partition, Result, Store, spec},
};

/// A queue as it is printed.
#[derive(Debug, Clone, Serialize)]
#[allow(
    missing_docs,
    reason = "counts of tasks by the state they are named after; settings as in QueueSettings"
)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct QueueView {
    pub queue: QueueName,
    /// Into how many it is divided; 1 is not divided.
    pub partitions: u64,
    pub paused: bool,
    /// By priority.
    pub pending: BTreeMap<&'static str, u64>,
    pub scheduled: u64,
    pub running: u64,
    pub parked: u64,
    pub blocked: u64,
    /// In the dead letter.
    pub failed: u64,
    /// Age of the oldest head of a band, milliseconds; none if nothing is pending.
    pub oldest_pending_ms: Option<u64>,
    /// Counted since the queue was first used: submitted, completed, failed, cancelled, expired, recovered, stale.
    pub totals: BTreeMap<String, u64>,
    pub max_length: Option<u64>,
    pub concurrency: Option<u64>,
    pub key_concurrency: u64,
    /// How long finished tasks are kept, milliseconds.
    pub retention_ms: u64,
    /// How long failed tasks are kept, milliseconds.
    pub dead_retention_ms: u64,
    /// Entries that the event log keeps, about.
    pub events: u64,
}

impl QueueView {
    /// Tasks that wait for a slot.
    pub fn pending_count(&self) -> u64 {
        self.pending.values().sum()
    }

    /// The view of a queue, given those of its partitions, of which there is one at least.
    pub(in crate::store) fn together(views: Vec<Self>) -> Option<Self> {
        let mut views = views.into_iter();
        let mut all = views.next()?;
        for view in views {
            all.partitions += 1;
            all.paused &= view.paused;
            let numbers = [
                (&mut all.scheduled, view.scheduled),
                (&mut all.running, view.running),
                (&mut all.parked, view.parked),
                (&mut all.blocked, view.blocked),
                (&mut all.failed, view.failed),
            ];
            for (sum, n) in numbers {
                *sum = sum.saturating_add(n);
            }
            for (priority, n) in view.pending {
                let sum = all.pending.entry(priority).or_default();
                *sum = sum.saturating_add(n);
            }
            for (name, n) in view.totals {
                let sum = all.totals.entry(name).or_default();
                *sum = sum.saturating_add(n);
            }
            all.oldest_pending_ms = all.oldest_pending_ms.max(view.oldest_pending_ms);
            // A limit is shared out among the partitions.
            for (sum, share) in
                [(&mut all.max_length, view.max_length), (&mut all.concurrency, view.concurrency)]
            {
                *sum = sum.zip(share).map(|(sum, share)| sum.saturating_add(share));
            }
        }
        Some(all)
    }
}

/// 2^51: the width of a priority's band of scores.
const WIDTH: u64 = 1 << 51;
const DAY_MS: u64 = 24 * 3600 * 1000;
const TOTALS: [&str; 7] = ["submitted", "completed", "failed", "cancelled", "expired", "recovered", "stale"];

impl Store {
    /// Whether a queue was ever submitted to or served.
    pub async fn is_queue(&self, name: &QueueName) -> Result<bool> {
        self.command(redis::cmd("SISMEMBER").arg(self.keys.queues()).arg(name.as_str())).await
    }

    /// Every queue that was ever submitted to or served.
    pub async fn queues(&self) -> Result<Vec<QueueName>> {
        let names: Vec<String> = self.command(redis::cmd("SMEMBERS").arg(self.keys.queues())).await?;
        let mut queues: Vec<QueueName> =
            names.into_iter().filter_map(|name| QueueName::new(name).ok()).collect();
        queues.sort();
        Ok(queues)
    }
}

/// Settings and counters as Redis holds them.
type Fields = BTreeMap<String, String>;
/// Settings, counters, the time, then counts: scheduled, running, parked, blocked, failed, and pending by priority.
type Counts = (Fields, Fields, (i64, i64), u64, u64, u64, u64, u64, u64, u64, u64, u64);

impl Partition {
    /// Counts and settings, in three round trips.
    pub async fn view(&self) -> Result<QueueView> {
        let keys = &self.keys;
        let mut pipeline = redis::pipe();
        pipeline.hgetall(keys.meta()).hgetall(keys.stats()).cmd("TIME");
        for place in [keys.scheduled(), keys.running(), keys.parked(), keys.blocked(), keys.dead()] {
            pipeline.zcard(place);
        }
        for priority in Priority::ALL {
            let first = u64::from(priority.band()) * WIDTH;
            pipeline.zcount(keys.pending(), first, first + WIDTH - 1);
        }
        let (meta, stats, now, c0, c1, c2, c3, c4, p0, p1, p2, p3): Counts =
            self.store.pipeline(&pipeline).await?;
        let oldest = self.oldest(Micros::of_time(now)).await?;
        Ok(self.assemble(&meta, &stats, [c0, c1, c2, c3, c4], [p0, p1, p2, p3], oldest))
    }

    /// Tasks that are scheduled for that moment at the latest.
    pub async fn due(&self, until: Micros) -> Result<u64> {
        let mut command = redis::cmd("ZCOUNT");
        self.store.command(command.arg(self.keys.scheduled()).arg("-inf").arg(until.0)).await
    }

    /// The first task of each priority that has any.
    async fn heads(&self) -> Result<Vec<TaskId>> {
        let mut pipeline = redis::pipe();
        for priority in Priority::ALL {
            let first = u64::from(priority.band()) * WIDTH;
            pipeline.zrangebyscore_limit(self.keys.pending(), first, first + WIDTH - 1, 0, 1);
        }
        let heads: Vec<Vec<String>> = self.store.pipeline(&pipeline).await?;
        Ok(heads.into_iter().flatten().filter_map(|id| TaskId::new(id).ok()).collect())
    }

    async fn oldest(&self, now: Micros) -> Result<Option<u64>> {
        let mut pipeline = redis::pipe();
        for id in self.heads().await? {
            pipeline.getrange(self.keys.spec(&id), 0, spec::HEAD);
        }
        if pipeline.is_empty() {
            return Ok(None);
        }
        let specs: Vec<Vec<u8>> = self.store.pipeline(&pipeline).await?;
        let created = |spec: &Vec<u8>| spec::said(spec, "created_at")?.parse::<i64>().ok();
        let oldest = specs.iter().filter_map(created).min();
        Ok(oldest.map(|at| u64::try_from(now.since(Micros(at)).as_millis()).unwrap_or(u64::MAX)))
    }

    fn assemble(
        &self,
        meta: &Fields,
        stats: &Fields,
        [scheduled, running, parked, blocked, failed]: [u64; 5],
        pending: [u64; 4],
        oldest_pending_ms: Option<u64>,
    ) -> QueueView {
        let setting = |name: &str| meta.get(name).and_then(|text| text.parse().ok());
        let total = |name: &str| stats.get(name).and_then(|text| text.parse().ok()).unwrap_or(0);
        QueueView {
            queue: self.name.clone(),
            partitions: 1,
            paused: meta.get("paused").is_some_and(|text| text == "1"),
            pending: Priority::ALL.iter().map(|p| p.as_str()).zip(pending).collect(),
            scheduled,
            running,
            parked,
            blocked,
            failed,
            oldest_pending_ms,
            totals: TOTALS.iter().map(|name| ((*name).to_owned(), total(name))).collect(),
            max_length: setting("max_length"),
            concurrency: setting("concurrency"),
            key_concurrency: setting("key_concurrency").unwrap_or(1),
            retention_ms: setting("retention").map_or(DAY_MS, |us: u64| us / 1000),
            dead_retention_ms: setting("dead_retention").map_or(30 * DAY_MS, |us: u64| us / 1000),
            events: setting("events").unwrap_or(2000),
        }
    }
}
