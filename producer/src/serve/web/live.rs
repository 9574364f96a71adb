//! What happens now, once a second, for everybody who watches: one look at the fleet, however many pages are open; none while
//! nobody watches.

use std::{
    collections::{BTreeMap, VecDeque},
    convert::Infallible,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Extension,
    extract::State,
    response::{
        IntoResponse,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::{StreamExt, stream};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::broadcast;

use super::{
    page::{Shown, value},
    session::Who,
};
use crate::{
    money::Usd,
    serve::{
        api::{fleet::Overview, queues::grouped},
        app::App,
        fleet::Look,
        problem::Answer,
    },
};

/// How often the fleet is looked at.
const EVERY: Duration = Duration::from_secs(1);
/// Moments that are remembered: a quarter of an hour.
const REMEMBERED: usize = 900;
/// How often what costs more is looked at: dead letters in groups, money.
const SELDOM: Duration = Duration::from_secs(10);
/// Queues whose dead letters are grouped: those with the most in them.
const GROUPED: usize = 8;
const DAY: i64 = 24 * 3600 * 1_000_000;

/// A moment of the charts.
#[derive(Debug, Clone, Serialize)]
struct Point {
    /// Milliseconds since 1970, by Redis's clock.
    t: i64,
    /// Tasks a second that completed, and that ended otherwise.
    good: f64,
    bad: f64,
    pending: BTreeMap<&'static str, u64>,
    oldest: u64,
    used: u64,
    slots: u64,
}

/// Counters at one moment, from which rates are made.
#[derive(Debug, Clone, Copy)]
struct Counted {
    t: i64,
    good: u64,
    bad: u64,
}

#[derive(Default)]
struct Memory {
    points: VecDeque<Point>,
    last: Option<Counted>,
    seldom: Option<(Instant, Seldom)>,
}

/// What is looked at seldom.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Seldom {
    /// Tasks in dead letters by class of error, the most first.
    failures: Vec<(String, u64)>,
    /// Today's calls to models, in UTC.
    cost_usd: Value,
    calls: i64,
}

pub(super) struct Live {
    app: App,
    memory: Mutex<Memory>,
    told: broadcast::Sender<Arc<str>>,
    awake: AtomicBool,
}

impl Live {
    pub(super) fn new(app: App) -> Arc<Self> {
        let (told, _) = broadcast::channel(4);
        Arc::new(Self { app, memory: Mutex::default(), told, awake: AtomicBool::new(false) })
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was seen so far, and each second from now on.
    fn watch(self: &Arc<Self>) -> (String, broadcast::Receiver<Arc<str>>) {
        let receiver = self.told.subscribe();
        if !self.awake.swap(true, Ordering::SeqCst) {
            tokio::spawn(Arc::clone(self).look_on());
        }
        let past = json!({ "points": self.memory().points }).to_string();
        (past, receiver)
    }

    /// Until nobody watches.
    async fn look_on(self: Arc<Self>) {
        loop {
            if self.told.receiver_count() == 0 {
                self.awake.store(false, Ordering::SeqCst);
                // Somebody may have come in between.
                if self.told.receiver_count() == 0 || self.awake.swap(true, Ordering::SeqCst) {
                    return;
                }
            }
            let next = tokio::time::Instant::now() + EVERY;
            let told = match self.moment().await {
                Ok(told) => told,
                Err(problem) => json!({ "trouble": problem.detail() }),
            };
            _ = self.told.send(told.to_string().into());
            tokio::select! {
                () = tokio::time::sleep_until(next) => {}
                () = self.app.leaving.cancelled() => return,
            }
        }
    }

    async fn moment(&self) -> Answer<Value> {
        let look = self.app.fleet.look().await?;
        let overview = Overview::of(&look);
        let seldom = self.seldom(&look).await?;
        let point = self.remember(&overview);
        Ok(json!({ "point": point, "now": overview, "seldom": seldom }))
    }

    fn remember(&self, overview: &Overview) -> Point {
        let total = |name: &str| overview.totals.get(name).copied().unwrap_or(0);
        let counted = Counted {
            t: overview.at.0 / 1000,
            good: total("completed"),
            bad: total("failed") + total("cancelled") + total("expired"),
        };
        let mut memory = self.memory();
        let (good, bad) = memory.last.map_or((0.0, 0.0), |before| counted.rates(before));
        let point = Point {
            t: counted.t,
            good,
            bad,
            pending: overview.pending.clone(),
            oldest: overview.oldest_pending_ms.unwrap_or(0),
            used: overview.slots_used,
            slots: overview.slots,
        };
        // A look may be the one of the second before.
        if memory.last.is_none_or(|before| before.t < counted.t) {
            memory.last = Some(counted);
            memory.points.push_back(point.clone());
            if memory.points.len() > REMEMBERED {
                memory.points.pop_front();
            }
        }
        memory.points.back().cloned().unwrap_or(point)
    }

    /// Dead letters in groups and money, as they were some seconds ago.
    pub(super) async fn seldom(&self, look: &Look) -> Answer<Seldom> {
        if let Some((when, seldom)) = &self.memory().seldom
            && when.elapsed() < SELDOM
        {
            return Ok(seldom.clone());
        }
        let seldom = Seldom::read(&self.app, look).await?;
        self.memory().seldom = Some((Instant::now(), seldom.clone()));
        Ok(seldom)
    }
}

impl Counted {
    /// Per second since an earlier moment. A counter that went back began anew.
    fn rates(self, before: Self) -> (f64, f64) {
        let seconds = (self.t - before.t) as f64 / 1000.0;
        if seconds <= 0.0 {
            return (0.0, 0.0);
        }
        let rate = |now: u64, then: u64| (now.saturating_sub(then) as f64 / seconds * 10.0).round() / 10.0;
        (rate(self.good, before.good), rate(self.bad, before.bad))
    }
}

impl Seldom {
    async fn read(app: &App, look: &Look) -> Answer<Self> {
        let mut dead: Vec<_> = look.queues.iter().filter(|queue| queue.failed > 0).collect();
        dead.sort_by_key(|queue| std::cmp::Reverse(queue.failed));
        let mut classes: BTreeMap<String, u64> = BTreeMap::new();
        for queue in dead.into_iter().take(GROUPED) {
            for group in grouped(&app.store.queue(&queue.queue).await?).await?.items {
                *classes.entry(group.class).or_default() += group.count;
            }
        }
        let mut failures: Vec<_> = classes.into_iter().collect();
        failures.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let records = app.store.gate().usage(look.at.0.div_euclid(DAY)).await?;
        let sum = |name: &str| records.iter().filter_map(|record| record.figures.get(name)).sum::<i64>();
        Ok(Self { failures, cost_usd: value(&Usd(sum("cost_nano"))), calls: sum("calls") })
    }
}

/// So that proxies do not take a quiet stream for a dead one.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// `GET /live`: first what was seen, then each second what is seen.
pub(super) async fn stream(
    State(app): State<App>,
    Extension(live): Extension<Arc<Live>>,
    Extension(visitor): Who,
) -> Shown {
    let (past, receiver) = live.watch();
    let first = stream::once(async move { Ok::<_, Infallible>(Event::default().event("past").data(past)) });
    let known = app.clone();
    let moments = stream::unfold(receiver, move |mut receiver| {
        let (app, visitor) = (known.clone(), visitor.clone());
        async move {
            loop {
                match receiver.recv().await {
                    // A token that was taken back ends what it opened.
                    Ok(_) if !visitor.is_known(&app) => return None,
                    Ok(told) => return Some((Ok(Event::default().event("now").data(&*told)), receiver)),
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return None,
                }
            }
        }
    });
    let leaving = app.leaving.clone().cancelled_owned();
    let events = first.chain(moments).take_until(Box::pin(leaving));
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_differences_over_the_time_between() {
        let then = Counted { t: 1000, good: 10, bad: 1 };
        let now = Counted { t: 3000, good: 30, bad: 1 };
        assert_eq!(now.rates(then), (10.0, 0.0));
        let restarted = Counted { t: 4000, good: 2, bad: 0 };
        assert_eq!(restarted.rates(now), (0.0, 0.0), "a counter that went back tells no rate");
        assert_eq!(now.rates(now), (0.0, 0.0));
    }
}
