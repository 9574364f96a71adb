//! Queues: what they hold; pausing and purging.

use axum::{Extension, extract::State};
use serde_json::{Value, json};
use windlass_shared::{
    model::{QueueName, State as TaskState},
    store::inspect::{NodeView, QueueView},
};

use crate::serve::{
    api::queues::{grouped, purge_state, set_paused},
    app::App,
    fleet::Look,
    problem::Problem,
    web::{
        form::segment,
        page::{Ask, Path, Shown, value},
        session::{Sent, Who},
    },
};

fn row(look: &Look, queue: &QueueView) -> Value {
    let serves = |node: &&NodeView| node.queues.contains_key(queue.queue.as_str());
    let mut row = value(queue);
    row["waiting"] = queue.pending_count().into();
    row["nodes"] = look.live().filter(serves).count().into();
    row
}

pub(in crate::serve::web) async fn list(State(app): State<App>, Extension(visitor): Who) -> Shown {
    let look = app.fleet.look().await?;
    let wanted = visitor.query.get("q");
    let named = |queue: &&QueueView| wanted.is_none_or(|part| queue.queue.as_str().contains(part));
    let rows: Vec<Value> = look.queues.iter().filter(named).map(|queue| row(&look, queue)).collect();
    visitor.page("queues.html", "Queues", json!({ "rows": rows, "all": look.queues.len(), "q": wanted }))
}

pub(in crate::serve::web) async fn one(
    State(app): State<App>,
    Extension(visitor): Who,
    Path(name): Path<QueueName>,
) -> Shown {
    let queue = app.known_queue(&name).await?;
    let look = app.fleet.look().await?;
    let view = queue.view().await?;
    let failures = grouped(&queue).await?;
    let serves = |node: &&NodeView| node.queues.contains_key(name.as_str());
    let nodes: Vec<Value> = look
        .live()
        .filter(serves)
        .take(20)
        .map(|node| json!({ "id": node.id, "state": node.state, "slots": node.slots, "used": node.running_count, "weight": node.queues.get(name.as_str()) }))
        .collect();
    let data = json!({ "queue": row(&look, &view), "failures": value(&failures), "nodes": nodes });
    visitor.page("queue.html", &format!("Queue {name}"), data)
}

fn home(name: &QueueName) -> String {
    format!("/queues/{}", segment(name.as_str()))
}

pub(in crate::serve::web) async fn pause(
    State(app): State<App>,
    Extension(visitor): Who,
    Extension(form): Sent,
    Path(name): Path<QueueName>,
) -> Shown {
    let text = format!(
        "No node claims from {name} until somebody resumes it. What runs goes on, and tasks can still be submitted."
    );
    let ask = Ask { title: format!("Pause {name}?"), text, verb: "Pause", typed: None };
    if let Some(asked) = visitor.asks(&form, &ask)? {
        return Ok(asked);
    }
    set_paused(&app, &visitor.caller, &name, true).await?;
    Ok(visitor.back(&form, &home(&name), &format!("{name} is paused.")))
}

pub(in crate::serve::web) async fn resume(
    State(app): State<App>,
    Extension(visitor): Who,
    Extension(form): Sent,
    Path(name): Path<QueueName>,
) -> Shown {
    set_paused(&app, &visitor.caller, &name, false).await?;
    Ok(visitor.back(&form, &home(&name), &format!("{name} goes on.")))
}

pub(in crate::serve::web) async fn purge(
    State(app): State<App>,
    Extension(visitor): Who,
    Extension(form): Sent,
    Path(name): Path<QueueName>,
) -> Shown {
    let state: TaskState = form.get("state").unwrap_or_default().parse().map_err(Problem::invalid)?;
    let text = format!(
        "Every task of {name} that is {state} is deleted with its payload, result and history. This cannot be undone."
    );
    let ask = Ask {
        title: format!("Purge all {state} tasks of {name}?"),
        text,
        verb: "Purge",
        typed: Some(name.as_str()),
    };
    if let Some(asked) = visitor.asks(&form, &ask)? {
        return Ok(asked);
    }
    let purged = purge_state(&app, &visitor.caller, &name, state).await?;
    Ok(visitor.back(&form, &home(&name), &format!("{purged} {state} tasks of {name} were deleted.")))
}
