//! `/`: is the fleet alive, does it keep up, what fails, what does it cost.

use std::sync::Arc;

use axum::{Extension, extract::State};
use serde_json::json;

use crate::serve::{
    api::fleet::Overview,
    app::App,
    web::{
        live::Live,
        page::{Shown, value},
        session::Who,
    },
};

/// Queues that are shown: those with the most that waits.
const BUSIEST: usize = 8;

pub(in crate::serve::web) async fn page(
    State(app): State<App>,
    Extension(live): Extension<Arc<Live>>,
    Extension(visitor): Who,
) -> Shown {
    let look = app.fleet.look().await?;
    let overview = Overview::of(&look);
    let seldom = live.seldom(&look).await?;
    let mut queues: Vec<_> = look.queues.iter().collect();
    queues.sort_by_key(|queue| std::cmp::Reverse((queue.pending_count() + queue.running, queue.failed)));
    let (live, pending) = (look.live().count(), overview.pending.values().sum::<u64>());
    let waits = pending + overview.scheduled > 0;
    let busiest: Vec<_> = queues
        .iter()
        .take(BUSIEST)
        .map(|queue| json!({ "name": queue.queue, "pending": queue.pending_count(), "running": queue.running, "failed": queue.failed, "paused": queue.paused }))
        .collect();
    visitor.page(
        "overview.html",
        "Overview",
        json!({
            "o": value(&overview), "seldom": value(&seldom), "live": live, "pending": pending, "waits": waits,
            "queues": busiest, "queue_count": queues.len(), "node_count": look.nodes.len(),
        }),
    )
}
