//! The fleet as a whole: at a glance, for autoscalers, for those who look for what is wrong.

use std::collections::BTreeMap;

use axum::{Json as Send, extract::State};
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use windlass_shared::{
    PROTOCOL_VERSION,
    model::{Micros, QueueName},
    store::{
        Store,
        inspect::{NodeView, QueueView},
    },
};

use crate::{
    cli,
    commands::{doctor, metrics},
    serve::{
        app::App,
        cursor::Page,
        extract::Query,
        fleet::Look,
        problem::{Answer, Problem},
    },
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(overview))
        .routes(routes!(autoscale))
        .routes(routes!(totals))
        .routes(routes!(diagnosis))
        .routes(routes!(version))
}

/// The fleet at a glance.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Overview {
    pub(crate) at: Micros,
    /// Tasks that wait for a slot, by priority.
    pub(crate) pending: BTreeMap<&'static str, u64>,
    pub(crate) scheduled: u64,
    pub(crate) running: u64,
    pub(crate) parked: u64,
    pub(crate) blocked: u64,
    /// In dead letters.
    pub(crate) failed: u64,
    /// The oldest head of a queue, milliseconds.
    #[schema(required)]
    pub(crate) oldest_pending_ms: Option<u64>,
    /// Of all queues, since each was first used.
    pub(crate) totals: BTreeMap<String, u64>,
    /// Nodes by state.
    pub(crate) nodes: BTreeMap<String, u64>,
    pub(crate) slots: u64,
    pub(crate) slots_used: u64,
    /// Queues with tasks that wait, not paused, that no node claims from.
    pub(crate) unserved: Vec<QueueName>,
    pub(crate) paused: Vec<QueueName>,
}

impl Overview {
    pub(crate) fn of(look: &Look) -> Self {
        let mut pending = BTreeMap::new();
        let mut totals = BTreeMap::new();
        for queue in &look.queues {
            for (priority, count) in &queue.pending {
                *pending.entry(*priority).or_default() += count;
            }
            for (name, count) in &queue.totals {
                *totals.entry(name.clone()).or_default() += count;
            }
        }
        let sum = |count: fn(&QueueView) -> u64| look.queues.iter().map(count).sum();
        let (slots, slots_used) = look.slots();
        let named =
            |queues: &mut dyn Iterator<Item = &QueueView>| queues.map(|queue| queue.queue.clone()).collect();
        let waits = |queue: &&QueueView| {
            !queue.paused && queue.pending_count() > 0 && look.claiming(&queue.queue) == 0
        };
        Self {
            at: look.at,
            pending,
            scheduled: sum(|queue| queue.scheduled),
            running: sum(|queue| queue.running),
            parked: sum(|queue| queue.parked),
            blocked: sum(|queue| queue.blocked),
            failed: sum(|queue| queue.failed),
            oldest_pending_ms: look.queues.iter().filter_map(|queue| queue.oldest_pending_ms).max(),
            totals,
            nodes: look
                .nodes_by_state()
                .into_iter()
                .map(|(state, count)| (state.to_owned(), count))
                .collect(),
            slots,
            slots_used,
            unserved: named(&mut look.queues.iter().filter(waits)),
            paused: named(&mut look.queues.iter().filter(|queue| queue.paused)),
        }
    }
}

/// The fleet at a glance
#[utoipa::path(get, path = "/v1/overview", tag = "fleet", responses((status = 200, body = Overview)))]
async fn overview(State(app): State<App>) -> Answer<Send<Overview>> {
    Ok(Send(Overview::of(&*app.fleet.look().await?)))
}

/// What an autoscaler needs to know of the queues that a pool of workers serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Scale {
    /// `ready + due + leased`: work for which there should be slots now. A busy worker's tasks count, so that it is not taken away.
    pub(crate) backlog: u64,
    /// Tasks that wait for a slot; none of a paused queue.
    pub(crate) ready: u64,
    /// Tasks that fall due within the look-ahead; none of a paused queue.
    pub(crate) due: u64,
    /// Tasks that run.
    pub(crate) leased: u64,
    /// Age of the oldest that waits, milliseconds; 0 if none does.
    pub(crate) oldest_pending_ms: u64,
    /// Nodes that claim from one of the queues.
    pub(crate) live_nodes: u64,
    /// Their slots.
    pub(crate) slots: u64,
    pub(crate) slots_used: u64,
    /// `backlog / slots of a node`, rounded up.
    pub(crate) desired_nodes: u64,
}

/// For how long before it falls due a task counts: about what a new worker needs to start.
const LOOKAHEAD_SECONDS: i64 = 30;
/// Slots of a node unless the question says: those of a worker unless configured.
const SLOTS: u64 = 8;
/// Slots that a node may be said to have.
const MOST_SLOTS: u32 = 1_000_000;
/// Queues that one question may name.
const MOST_QUEUES: usize = 100;

/// How many workers the queues need
///
/// Always answered with numbers: a queue that nobody knows yet has none of anything. For KEDA's `metrics-api` scaler and the like; name
/// each queue of the pool as `queue=NAME`.
#[utoipa::path(get, path = "/v1/autoscale", tag = "fleet", params(("queue" = Vec<QueueName>, Query, description = "May be given again", min_items = 1, max_items = 100), ("slots" = Option<u32>, Query, description = "Slots of one node, times the part of them that should be used", minimum = 1, maximum = 1_000_000)), responses((status = 200, body = Scale)))]
async fn autoscale(
    State(app): State<App>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Answer<Send<Scale>> {
    let (mut queues, mut slots) = (Vec::new(), SLOTS);
    for (name, value) in pairs {
        match name.as_str() {
            "queue" => {
                queues.push(QueueName::new(&value).map_err(|error| Problem::malformed(error.to_string()))?);
            }
            "slots" => {
                let number = value.parse::<u32>().ok().filter(|number| (1..=MOST_SLOTS).contains(number));
                slots = number
                    .ok_or_else(|| Problem::malformed(format!("slots: use a number from 1 to {MOST_SLOTS}")))?
                    .into();
            }
            other => {
                return Err(Problem::malformed(format!("unknown parameter {other:?}: use queue and slots")));
            }
        }
    }
    if queues.is_empty() || queues.len() > MOST_QUEUES {
        return Err(Problem::malformed(format!("queue: name 1 to {MOST_QUEUES} of them")));
    }
    let look = app.fleet.look().await?;
    Ok(Send(scale(&app.store, &look, &queues, slots).await?))
}

/// What these queues need, in nodes with so many slots.
pub(crate) async fn scale(
    store: &Store,
    look: &Look,
    queues: &[QueueName],
    slots_of_node: u64,
) -> Answer<Scale> {
    let known: Vec<&QueueView> = queues.iter().filter_map(|name| look.queue(name)).collect();
    let work = try_join_all(known.iter().map(|queue| Work::of(store, look, queue))).await?;
    let sum = |part: fn(&Work) -> u64| work.iter().map(part).sum();
    let (ready, due, leased) = (sum(|work| work.ready), sum(|work| work.due), sum(|work| work.leased));
    let serves = |node: &&NodeView| {
        node.is_claiming() && queues.iter().any(|queue| node.queues.contains_key(queue.as_str()))
    };
    let (live_nodes, slots, slots_used) =
        look.live().filter(serves).fold((0, 0, 0), |(nodes, slots, used), node| {
            (nodes + 1, slots + u64::from(node.slots), used + u64::from(node.running_count))
        });
    let open = known.iter().filter(|queue| !queue.paused);
    let backlog: u64 = ready + due + leased;
    Ok(Scale {
        backlog,
        ready,
        due,
        leased,
        oldest_pending_ms: open.filter_map(|queue| queue.oldest_pending_ms).max().unwrap_or(0),
        live_nodes,
        slots,
        slots_used,
        desired_nodes: backlog.div_ceil(slots_of_node.max(1)),
    })
}

/// What there is to do in a queue. What waits in a paused one needs nobody.
pub(crate) struct Work {
    ready: u64,
    due: u64,
    leased: u64,
}

impl Work {
    pub(crate) async fn of(store: &Store, look: &Look, queue: &QueueView) -> Answer<Self> {
        let leased = queue.running;
        if queue.paused {
            return Ok(Self { ready: 0, due: 0, leased });
        }
        let until = Micros(look.at.0 + LOOKAHEAD_SECONDS * 1_000_000);
        let parts = store.queue(&queue.queue).await?;
        let due = try_join_all(parts.partitions().iter().map(|partition| partition.due(until))).await?;
        Ok(Self { ready: queue.pending_count(), due: due.into_iter().sum(), leased })
    }

    pub(crate) fn backlog(&self) -> u64 {
        self.ready + self.due + self.leased
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Days {
    /// How many days, in UTC, up to and with today.
    #[serde(default = "week")]
    #[param(minimum = 1, maximum = 40)]
    days: u8,
}

fn week() -> u8 {
    7
}

/// Totals by model, type and tenant: calls, errors, tokens, money, time, quality; and what queues did
#[utoipa::path(get, path = "/v1/metrics", tag = "fleet", params(Days), responses((status = 200, body = metrics::Metrics)))]
async fn totals(State(app): State<App>, Query(Days { days }): Query<Days>) -> Answer<Send<metrics::Metrics>> {
    if !(1..=40).contains(&days) {
        return Err(Problem::malformed("days: use 1 to 40"));
    }
    Ok(Send(metrics::read(&app.context, &app.store, &cli::Metrics { by: Vec::new(), days }).await?))
}

/// Is Redis fit for tasks, is the fleet alive
#[utoipa::path(get, path = "/v1/doctor", tag = "fleet", responses((status = 200, body = Page<doctor::Check>)))]
async fn diagnosis(State(app): State<App>) -> Answer<Send<Page<doctor::Check>>> {
    let args = cli::Doctor { verify: false, repair: false, yes: false };
    Ok(Send(Page::whole(doctor::diagnose(&app.context, &app.store, &args).await?.0)))
}

/// The versions of program and protocol.
#[derive(Debug, Serialize, ToSchema)]
struct Version {
    version: &'static str,
    protocol: u32,
}

/// The version of the server
#[utoipa::path(get, path = "/v1/version", tag = "fleet", responses((status = 200, body = Version)))]
async fn version() -> Send<Version> {
    Send(Version { version: env!("CARGO_PKG_VERSION"), protocol: PROTOCOL_VERSION })
}
