//! `/metrics`: the fleet and this server, for Prometheus. The fleet is read from Redis once a scrape, at most about once a
//! second, however many scrape and however many workers there are.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::{HeaderMap, header},
    response::IntoResponse,
};
use futures_util::future::try_join_all;
use windlass_shared::{
    PROTOCOL_VERSION,
    store::{Figures, ServerFacts, inspect::QueueView, timing},
};
use windlass_telemetry::{
    Common, Redis, Times,
    fleet::{BudgetFigures, Fleet, QueueFigures, RedisServer, render},
    http,
    list::NODE_STATES,
};

use super::{
    api::fleet::Work,
    app::App,
    fleet::Look,
    problem::{Answer, Problem},
};
use crate::commands::budgets;

/// The page. What cannot be read is left out, and said to be; the rest is told.
pub(super) async fn page(State(app): State<App>, headers: HeaderMap) -> impl IntoResponse {
    let fleet = figures(&app).await;
    let common = Common { version: env!("CARGO_PKG_VERSION"), protocol: PROTOCOL_VERSION, redis };
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let page = render(&Arc::new(fleet), &common, accept);
    ([(header::CONTENT_TYPE, page.content_type)], page.body)
}

/// How Redis answered this process.
fn redis() -> Redis {
    let times = |figures: Figures| Times { buckets: figures.buckets, sum: figures.sum };
    let timing = timing();
    Redis {
        round_trip: times(timing.round_trip),
        scripts: timing.scripts.into_iter().map(|(name, figures)| (name, times(figures))).collect(),
        errors: timing.errors,
    }
}

/// What was read, or `None`, which is logged and counted.
fn read<T>(what: &str, answer: Result<T, impl Into<Problem>>) -> Option<T> {
    let said = answer.map_err(Into::into);
    said.inspect_err(|problem| {
        tracing::warn!(what, detail = problem.detail(), "a part of /metrics could not be read");
        http::scrape_failed();
    })
    .ok()
}

/// How long Redis may take to say that it is there, when it did not say more.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);

async fn figures(app: &App) -> Fleet {
    let Some(look) = read("nodes and queues", app.fleet.look().await) else {
        let answered = tokio::time::timeout(SIGN_OF_LIFE, app.store.now()).await;
        return Fleet { redis_up: matches!(answered, Ok(Ok(_))), ..Fleet::default() };
    };
    let queues = try_join_all(look.queues.iter().map(|queue| of_queue(app, &look, queue))).await;
    let states = look.nodes_by_state();
    let (slots, slots_used) = look.slots();
    let oldest = look.live().map(|node| node.last_beat_ms).max().unwrap_or(0);
    let breakers = read("breakers", app.store.gate().breakers().await).unwrap_or_default();
    let servers = read("servers", app.store.servers().await).unwrap_or_default();
    Fleet {
        redis_up: true,
        read: true,
        queues: read("queues", queues).unwrap_or_default(),
        nodes: std::array::from_fn(|at| {
            NODE_STATES.get(at).and_then(|state| states.get(*state)).copied().unwrap_or(0)
        }),
        slots,
        slots_used,
        oldest_heartbeat: oldest as f64 / 1000.0,
        budgets: read("budgets", money(app).await).unwrap_or_default(),
        breakers: breakers.into_iter().map(|(name, breaker)| (name, breaker.state != "closed")).collect(),
        redis: servers.iter().map(server).collect(),
    }
}

async fn of_queue(app: &App, look: &Look, queue: &QueueView) -> Answer<QueueFigures> {
    let total = |name: &str| queue.totals.get(name).copied().unwrap_or(0);
    Ok(QueueFigures {
        queue: queue.queue.to_string(),
        pending: ["critical", "high", "normal", "low"]
            .map(|name| queue.pending.get(name).copied().unwrap_or(0)),
        scheduled: queue.scheduled,
        running: queue.running,
        parked: queue.parked,
        blocked: queue.blocked,
        failed: queue.failed,
        backlog: Work::of(&app.store, look, queue).await?.backlog(),
        oldest_pending: queue.oldest_pending_ms.unwrap_or(0) as f64 / 1000.0,
        paused: queue.paused,
        nodes: look.claiming(&queue.queue),
        submitted: total("submitted"),
        finished: ["completed", "failed", "cancelled", "expired"].map(total),
        recovered: total("recovered"),
        stale: total("stale"),
    })
}

/// Budgets of which there are few: of tenants and batches there is no end.
async fn money(app: &App) -> Answer<Vec<BudgetFigures>> {
    let dollars = |amount: crate::money::Usd| amount.0 as f64 / 1e9;
    let present = budgets::present(&app.context, &app.store).await?;
    let few = present
        .into_iter()
        .filter(|budget| !budget.scope.starts_with("tenant:") && !budget.scope.starts_with("batch:"));
    Ok(few
        .map(|budget| BudgetFigures {
            scope: budget.scope,
            limit: dollars(budget.limit_usd),
            spent: dollars(budget.spent_usd),
        })
        .collect())
}

fn server(facts: &ServerFacts) -> RedisServer {
    // Only nodes of a cluster say where they are.
    let server = if facts.address.is_empty() { "redis".to_owned() } else { facts.address.clone() };
    RedisServer { server, used: facts.used_memory, max: facts.maxmemory }
}
