//! Reviews: people decide on drafts that no validator passed.

use axum::{Json as Send, extract::State};
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use windlass_shared::{
    model::{QueueName, TaskId, TaskRecord, TaskRef},
    store::Review,
};

use crate::{
    commands::{
        keys,
        operate::Fate,
        review::{
            self, LONGEST_NOTE,
            draft::{Draft, Shown, Waiting},
        },
    },
    serve::{
        app::App,
        auth::Caller,
        cursor::Page,
        extract::{Json, Limit, Path, Query},
        problem::{Answer, Kind, Problem},
    },
};

pub(super) fn looking() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(one))
}

pub(super) fn acting() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(decide))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Of this queue; all queues unless given.
    queue: Option<QueueName>,
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 1000)]
    limit: Limit,
}

/// Tasks that wait for people
#[utoipa::path(get, path = "/v1/reviews", tag = "reviews", params(Which), responses((status = 200, body = Page<Waiting>)))]
async fn list(State(app): State<App>, Query(which): Query<Which>) -> Answer<Send<Page<Waiting>>> {
    let queues = match which.queue {
        Some(queue) => vec![queue],
        None => app.store.queues().await?,
    };
    Ok(Send(Page::whole(review::waiting(&app.store, queues, which.limit.0).await?.0)))
}

/// A task that waits for people, or why there is none.
pub(crate) async fn waiting(app: &App, reference: &TaskRef) -> Answer<TaskRecord> {
    let found = app.store.tasks(std::slice::from_ref(reference)).await?.into_iter().flatten().next();
    let Some(mut task) = found else { return Err(Problem::not_found(format!("no task {reference}"))) };
    if !review::is_escalated(&task) {
        return Err(Problem::new(Kind::Conflict, format!("{reference} does not wait for review")));
    }
    keys::fetch(&app.store, std::iter::once(&mut task)).await;
    Ok(task)
}

/// A draft with what was asked
#[utoipa::path(get, path = "/v1/reviews/{queue}/{id}", tag = "reviews", params(("queue" = QueueName, Path), ("id" = TaskId, Path)), responses((status = 200, body = Shown)))]
async fn one(State(app): State<App>, Path((queue, id)): Path<(QueueName, TaskId)>) -> Answer<Send<Shown>> {
    let task = waiting(&app, &TaskRef { queue, id }).await?;
    Ok(Send(Shown::of(&task, &Draft::of(&task))))
}

/// What a person decides.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "the names are those of the request")]
pub(crate) struct Decision {
    pub(crate) decision: Verdict,
    /// The result, with `edit`.
    #[schema(value_type = Option<serde_json::Value>)]
    pub(crate) result: Option<Box<RawValue>>,
    /// For the record.
    #[schema(max_length = 4000)]
    pub(crate) note: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// The draft is the result.
    Approve,
    /// It failed.
    Reject,
    /// `result` is the result.
    Edit,
}

/// Decide on a draft
#[utoipa::path(post, path = "/v1/reviews/{queue}/{id}", tag = "reviews", params(("queue" = QueueName, Path), ("id" = TaskId, Path)), request_body = Decision, responses((status = 200, body = Fate)))]
async fn decide(
    State(app): State<App>,
    caller: Caller,
    Path((queue, id)): Path<(QueueName, TaskId)>,
    Json(decision): Json<Decision>,
) -> Answer<Send<Fate>> {
    settle(&app, &caller, TaskRef { queue, id }, decision).await.map(Send)
}

/// Carries a decision out.
pub(crate) async fn settle(
    app: &App,
    caller: &Caller,
    reference: TaskRef,
    decision: Decision,
) -> Answer<Fate> {
    if decision.note.as_ref().is_some_and(|note| note.len() > LONGEST_NOTE) {
        return Err(Problem::invalid(format!("note: it has more than {LONGEST_NOTE} bytes")));
    }
    let (action, review) = match (decision.decision, decision.result) {
        (Verdict::Approve, None) => ("review approve", Review::Approve),
        (Verdict::Reject, None) => ("review reject", Review::Reject),
        (Verdict::Edit, Some(result)) => ("review edit", Review::Edit(result.get().to_owned())),
        _ => return Err(Problem::invalid("result: it goes with edit, and edit needs it")),
    };
    waiting(app, &reference).await?;
    let references = [reference];
    let work = async {
        let note = decision.note.as_deref();
        let fates = review::decide_on(&app.store, &references, &caller.name, note, &review).await?;
        match fates.into_iter().next() {
            Some(fate) if fate.outcome == "refused" => {
                Err(Problem::new(Kind::Conflict, "somebody else decided in the meantime"))
            }
            Some(fate) => Ok(fate),
            None => Err(Problem::new(Kind::Internal, "Redis answered nothing")),
        }
    };
    app.act(caller, action, vec![references[0].to_string()], &[], work).await
}
