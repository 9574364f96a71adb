//! `POST /v1/tasks`: one task.

use axum::{
    Json as Send,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use windlass_shared::{
    model::{NewTask, QueueName, State as TaskState, Submission, submission::Inherited},
    store::Accepted,
};

use crate::{
    commands::inherited,
    serve::{
        app::App,
        auth::Caller,
        extract::Json,
        idempotency,
        problem::{Answer, Kind, Problem, ProblemBody},
        traced::trace_of,
    },
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(submit))
}

/// A task that was taken.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Submitted {
    /// `QUEUE/ID`.
    #[serde(rename = "ref")]
    reference: String,
    id: String,
    queue: String,
    /// Its state now.
    #[schema(required)]
    state: Option<TaskState>,
    /// It was there before: submitting the same twice is one task.
    duplicate: bool,
}

/// Submit one task
///
/// The fields are those of `windlass submit`. With an `Idempotency-Key`, and neither `id` nor `key`, the task's id is
/// derived from that header: sent again it is one task.
#[utoipa::path(post, path = "/v1/tasks", tag = "tasks", request_body = Submission, params(("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to send again", min_length = 1, max_length = 255, pattern = "^[!-~]([ -~]*[!-~])?$")), responses(
    (status = 201, body = Submitted, description = "Taken", headers(("Location" = String, description = "Where the task is"))),
    (status = 200, body = Submitted, description = "It was there before"),
    (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "A task with this id exists with other content"),
    (status = 429, body = ProblemBody, content_type = "application/problem+json", description = "The queue is full"),
))]
async fn submit(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Json(mut submission): Json<Submission>,
) -> Answer<Response> {
    let key = idempotency::key(&headers)?;
    let key = key.filter(|_| submission.id.is_none() && submission.key.is_none());
    let key = key.map(|key| derived(&caller, &key));
    submission.key = submission.key.or_else(|| key.clone());
    let trace = trace_of(&headers);
    let inherited = Inherited { trace, ..inherited(&app.context, &submission.task_type) };
    let task =
        submission.resolve(&inherited, app.context.config.submit.max_payload).map_err(Problem::invalid)?;
    if let Some(key) = key {
        one_queue(&app, &key, &task.queue).await?;
    }
    app.registered.make(&app.store, &task).await?;
    let accepted = app.store.queue(&task.queue).await?.submit(&[&task]).await?;
    match accepted.into_iter().next() {
        Some(accepted) => answer(&task, accepted),
        None => Err(Problem::new(Kind::Internal, "Redis answered nothing")),
    }
}

/// Ids are unique in a queue: in another one the same key would be another task.
async fn one_queue(app: &App, key: &str, queue: &QueueName) -> Answer<()> {
    let Some(other) = app.store.used_before(key, queue.as_str()).await? else { return Ok(()) };
    let detail = format!(
        "a task of queue {other} was submitted with this Idempotency-Key, not of {queue}; use a new one"
    );
    Err(Problem::new(Kind::KeyReused, detail))
}

/// A key of the client's is its own: another client with the same one means another task.
pub(super) fn derived(caller: &Caller, key: &str) -> String {
    format!("http\n{}\n{key}", caller.name)
}

fn answer(task: &NewTask, accepted: Accepted) -> Answer<Response> {
    let reference = format!("{}/{}", task.queue, task.id);
    let (status, state, duplicate) = match accepted {
        Accepted::New(state) => (StatusCode::CREATED, Some(state), false),
        Accepted::Duplicate(state) => (StatusCode::OK, state, true),
        Accepted::Conflict(_) => {
            let detail =
                format!("{reference} exists with other content: use another id, key or Idempotency-Key");
            return Err(Problem::new(Kind::Conflict, detail));
        }
        Accepted::Full => {
            return Err(Problem::new(Kind::QueueFull, format!("queue {} is full: try later", task.queue)));
        }
    };
    let location = format!("/v1/tasks/{reference}");
    let (id, queue) = (task.id.to_string(), task.queue.to_string());
    let body = Submitted { reference, id, queue, state, duplicate };
    Ok((status, [(header::LOCATION, location)], Send(body)).into_response())
}
