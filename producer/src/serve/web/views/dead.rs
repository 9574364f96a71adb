//! The dead letter in groups: what fails for one reason is retried together.

use axum::{Extension, extract::State};
use serde_json::{Value, json};
use windlass_shared::model::QueueName;

use crate::{
    commands::operate::{self, Failed},
    serve::{
        api::queues::grouped,
        app::App,
        problem::Problem,
        web::{
            page::{Ask, Shown, value},
            session::{Sent, Who},
        },
    },
};

/// Queues whose dead letters are grouped on one page: those with the most in them.
const GROUPED: usize = 20;

pub(in crate::serve::web) async fn page(State(app): State<App>, Extension(visitor): Who) -> Shown {
    let look = app.fleet.look().await?;
    let only = visitor.query.get("queue");
    let wanted = |name: &QueueName| only.is_none_or(|only| only == name.as_str());
    let mut dead: Vec<_> =
        look.queues.iter().filter(|queue| queue.failed > 0 && wanted(&queue.queue)).collect();
    dead.sort_by_key(|queue| std::cmp::Reverse(queue.failed));
    let (total, more) =
        (dead.iter().map(|queue| queue.failed).sum::<u64>(), dead.len().saturating_sub(GROUPED));
    let mut queues: Vec<Value> = Vec::new();
    for queue in dead.into_iter().take(GROUPED) {
        let failures = grouped(&app.store.queue(&queue.queue).await?).await?;
        queues.push(json!({ "name": queue.queue, "failures": value(&failures) }));
    }
    visitor.page(
        "dead.html",
        "Dead letter",
        json!({ "queues": queues, "total": total, "more": more, "only": only }),
    )
}

pub(in crate::serve::web) async fn retry(
    State(app): State<App>,
    Extension(visitor): Who,
    Extension(form): Sent,
) -> Shown {
    let name = QueueName::new(form.get("queue").unwrap_or_default())?;
    let class = form.get("class").ok_or_else(|| Problem::invalid("class: say which"))?;
    let task_type = form.get("type");
    app.known_queue(&name).await?;
    let of = task_type.map(|of| format!(" of type {of}")).unwrap_or_default();
    let text = format!(
        "Every task{of} in the dead letter of {name} that failed with {class} gets another life, with all of its attempts. See first that the cause is gone."
    );
    let ask =
        Ask { title: format!("Retry all that failed with {class}?"), text, verb: "Retry all", typed: None };
    if let Some(asked) = visitor.asks(&form, &ask)? {
        return Ok(asked);
    }
    let with: Vec<(&str, String)> = [("class", Some(class)), ("type", task_type)]
        .into_iter()
        .filter_map(|(name, text)| Some((name, text?.to_owned())))
        .collect();
    let work =
        async { Ok(operate::retry_dead(&app.store, &name, Failed { class: Some(class), task_type }).await?) };
    let retried = app.act(&visitor.caller, "retry", vec![name.to_string()], &with, work).await?;
    Ok(visitor.back(&form, "/dead", &format!("{retried} tasks of {name} were retried.")))
}
