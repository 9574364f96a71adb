//! Batches: tasks submitted and reported together.

use axum::{Json as Send, extract::State};
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use windlass_shared::{
    model::{BatchName, Micros, QueueName},
    store::{BatchCost, Store, inspect::BatchCounts},
};

use crate::{
    money::Usd,
    serve::{
        app::App,
        cursor::{self, Page},
        extract::{Limit, Path, Query, Wait},
        problem::{Answer, Problem},
    },
    steps::Pause,
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(one))
}

/// How far a batch is.
#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the names are those of the answer")]
pub(crate) struct Batch {
    pub(crate) batch: BatchName,
    pub(crate) queues: Vec<QueueName>,
    #[serde(flatten)]
    pub(crate) counts: BatchCounts,
    /// Tasks in a final state.
    pub(crate) finished: u64,
    /// All of its tasks are.
    pub(crate) over: bool,
    /// What calls to models cost so far, and how many there were.
    pub(crate) cost_usd: Usd,
    pub(crate) calls: u64,
    /// When a queue joined it last; null where that is not known any more.
    #[schema(required)]
    pub(crate) listed_at: Option<Micros>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct List {
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 1000)]
    limit: Limit,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// List batches, the newest first
#[utoipa::path(get, path = "/v1/batches", tag = "batches", params(List), responses((status = 200, body = Page<Batch>)))]
async fn list(State(app): State<App>, Query(list): Query<List>) -> Answer<Send<Page<Batch>>> {
    Ok(Send(page(&app.store, list.cursor.as_deref(), list.limit.0).await?))
}

/// A page of the batches.
pub(crate) async fn page(store: &Store, cursor: Option<&str>, limit: usize) -> Answer<Page<Batch>> {
    let first: usize = cursor::decode(cursor)?.unwrap_or(0);
    let listed = store.batches(first, limit).await?;
    let next_cursor = (listed.len() == limit).then(|| cursor::encode(&(first + limit)));
    let views = try_join_all(listed.into_iter().map(|(batch, at)| view(store, batch, Some(at)))).await?;
    Ok(Page { items: views.into_iter().flatten().collect(), next_cursor })
}

/// A batch; none if it is forgotten.
pub(crate) async fn view(
    store: &Store,
    batch: BatchName,
    listed_at: Option<Micros>,
) -> Answer<Option<Batch>> {
    let Some(counts) = store.batch(&batch).await? else { return Ok(None) };
    let queues = store.batch_queues(&batch).await?;
    let finished = counts.finished();
    let over = finished >= counts.total;
    let BatchCost { cost, calls } = store.gate().batch_cost(&batch).await?;
    Ok(Some(Batch { batch, queues, counts, finished, over, cost_usd: Usd(cost), calls, listed_at }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Waiting {
    /// Answer when it is over, or after this long (at most `60s`).
    #[serde(default)]
    #[param(value_type = Option<String>, pattern = "^(0|[0-9]{1,4}ms|([0-9]|[1-5][0-9]|60)s|1m)$", example = "30s")]
    wait: Wait,
}

/// How far a batch is
#[utoipa::path(get, path = "/v1/batches/{batch}", tag = "batches", params(("batch" = BatchName, Path), Waiting), responses((status = 200, body = Batch)))]
async fn one(
    State(app): State<App>,
    Path(batch): Path<BatchName>,
    Query(waiting): Query<Waiting>,
) -> Answer<Send<Batch>> {
    let (deadline, mut pause) = (waiting.wait.deadline(), Pause::new());
    loop {
        let view = view(&app.store, batch.clone(), None).await?;
        let view = view.ok_or_else(|| Problem::not_found(format!("no batch {batch}")))?;
        if view.over || tokio::time::Instant::now() >= deadline || app.leaving.is_cancelled() {
            return Ok(Send(view));
        }
        tokio::select! {
            () = pause.wait() => {}
            () = tokio::time::sleep_until(deadline) => {}
        }
    }
}
