//! Reviews: people decide on drafts that no validator passed.

use axum::{Extension, extract::State};
use serde_json::{json, value::RawValue};
use windlass_shared::model::{QueueName, TaskId, TaskRef};

use super::task;
use crate::{
    commands::review::{
        self,
        draft::{Draft, Waiting},
    },
    serve::{
        api::reviews::{Decision, Verdict, settle, waiting},
        app::App,
        problem::Problem,
        web::{
            filters::indent,
            page::{Ask, Path, Shown, value},
            session::{Sent, Who},
        },
    },
};

const PAGE: usize = 100;
/// A larger draft is edited with the command line: a text field of that size is no pleasure.
const EDITABLE: usize = 500_000;

pub(in crate::serve::web) async fn list(State(app): State<App>, Extension(visitor): Who) -> Shown {
    let (rows, more) = review::waiting(&app.store, app.store.queues().await?, PAGE).await?;
    visitor.page("reviews.html", "Reviews", json!({ "rows": value(&rows), "more": more }))
}

pub(in crate::serve::web) async fn one(
    State(app): State<App>,
    Extension(visitor): Who,
    Path((queue, id)): Path<(QueueName, TaskId)>,
) -> Shown {
    let reference = TaskRef { queue, id };
    let found = waiting(&app, &reference).await?;
    let draft = Draft::of(&found);
    let editable = found.result.as_deref().filter(|text| text.len() <= EDITABLE).map(indent);
    visitor.page(
        "review.html",
        &format!("Review {reference}"),
        json!({
            "review": value(&Waiting::of(&found, &draft)), "work": task::work(&draft), "files": task::files(&draft),
            "payload": task::shown(&found.payload), "draft": editable, "result": found.result.as_deref().map(task::shown),
        }),
    )
}

pub(in crate::serve::web) async fn decide(
    State(app): State<App>,
    Extension(visitor): Who,
    Extension(form): Sent,
    Path((queue, id)): Path<(QueueName, TaskId)>,
) -> Shown {
    let reference = TaskRef { queue, id };
    let named = reference.to_string();
    let (decision, result, did) = match form.get("decision") {
        Some("approve") => (Verdict::Approve, None, "approved: the draft is the result"),
        Some("reject") => (Verdict::Reject, None, "rejected: the task failed"),
        Some("edit") => {
            let text = form.get("result").unwrap_or_default().to_owned();
            let json = RawValue::from_string(text).map_err(|error| {
                Problem::invalid(format!(
                    "what you wrote is not JSON: {error}. Go back, the browser may still have it"
                ))
            })?;
            (Verdict::Edit, Some(json), "settled with your result")
        }
        _ => return Err(Problem::invalid("decision: approve, reject or edit").into()),
    };
    if decision == Verdict::Reject {
        let text = format!("{named} fails and goes to the dead letter, from where it can be retried.");
        if let Some(asked) = visitor
            .asks(&form, &Ask { title: "Reject this draft?".into(), text, verb: "Reject", typed: None })?
        {
            return Ok(asked);
        }
    }
    let note = form.get("note").map(str::to_owned);
    settle(&app, &visitor.caller, reference, Decision { decision, result, note }).await?;
    Ok(visitor.back(&form, "/reviews", &format!("{named} was {did}.")))
}
