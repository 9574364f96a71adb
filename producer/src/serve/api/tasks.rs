//! Tasks: looking at them, waiting for them, and what people do to them.

use axum::{
    Json as Send,
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use windlass_shared::model::{
    BatchName, Priority, QueueName, State as TaskState, TaskId, TaskRecord, TaskRef, TaskView, TenantName,
    Transition, TypeName,
};

use crate::{
    commands::{
        keys,
        operate::{self, Failed, Fate},
        search::{self, Wanted},
    },
    serve::{
        app::App,
        auth::Caller,
        cursor::{self, Page},
        extract::{Json, Limit, MOST, Path, Query, Wait},
        problem::{Answer, Problem},
    },
    steps::Pause,
};

pub(super) fn looking() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(one))
        .routes(routes!(events))
        .routes(routes!(file))
        .routes(routes!(status))
        .routes(routes!(wait))
}

pub(super) fn acting() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(cancel)).routes(routes!(retry)).routes(routes!(priority))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Search {
    /// Of this queue; all queues unless given.
    queue: Option<QueueName>,
    /// In this state; those that are not finished unless given.
    state: Option<TaskState>,
    /// Of this type.
    #[serde(rename = "type")]
    task_type: Option<TypeName>,
    /// Of this tenant.
    tenant: Option<TenantName>,
    /// Of this batch.
    batch: Option<BatchName>,
    /// The id contains this.
    q: Option<String>,
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 1000)]
    limit: Limit,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// List tasks
///
/// A page looks at a bounded number of tasks: with filters it may hold fewer than `limit`, even none, and have a next one.
#[utoipa::path(get, path = "/v1/tasks", tag = "tasks", params(Search), responses((status = 200, body = Page<TaskView>)))]
async fn list(State(app): State<App>, Query(search): Query<Search>) -> Answer<Send<Page<TaskView>>> {
    let wanted = Wanted {
        queue: search.queue,
        state: search.state,
        task_type: search.task_type,
        tenant: search.tenant,
        batch: search.batch,
        id_part: search.q,
    };
    let place = cursor::decode(search.cursor.as_deref())?.unwrap_or_default();
    let found = search::tasks(&app.store, &wanted, place, search.limit.0).await?;
    let items = found.tasks.iter().map(TaskRecord::view).collect();
    Ok(Send(Page { items, next_cursor: found.next.as_ref().map(cursor::encode) }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Waiting {
    /// Answer when it is finished, or after this long (at most `60s`).
    #[serde(default)]
    #[param(value_type = Option<String>, pattern = "^(0|[0-9]{1,4}ms|([0-9]|[1-5][0-9]|60)s|1m)$", example = "30s")]
    wait: Wait,
}

/// A task with its result
#[utoipa::path(get, path = "/v1/tasks/{queue}/{id}", tag = "tasks", params(("queue" = QueueName, Path), ("id" = TaskId, Path), Waiting), responses((status = 200, body = TaskView)))]
async fn one(
    State(app): State<App>,
    Path((queue, id)): Path<(QueueName, TaskId)>,
    Query(Waiting { wait }): Query<Waiting>,
) -> Answer<Send<TaskView>> {
    let reference = TaskRef { queue, id };
    let found = finished(&app, std::slice::from_ref(&reference), wait.deadline()).await?;
    let task = found.into_iter().flatten().next().ok_or_else(|| unknown(&reference))?;
    Ok(Send(task.view()))
}

/// A reference without a task.
fn unknown(reference: &TaskRef) -> Problem {
    Problem::not_found(format!(
        "no task {reference}. A finished task is forgotten after its queue's retention (24 h unless set)"
    ))
}

/// The tasks when all of them are finished or unknown, or as they are at the deadline.
async fn finished(app: &App, references: &[TaskRef], deadline: Instant) -> Answer<Vec<Option<TaskRecord>>> {
    let mut pause = Pause::new();
    loop {
        let over = Instant::now() >= deadline || app.leaving.is_cancelled();
        // The tasks themselves may be large, and are read once.
        let states = if over { Vec::new() } else { app.store.states(references).await? };
        if over || states.iter().all(|state| state.is_none_or(TaskState::is_final)) {
            let mut found = app.store.tasks(references).await?;
            keys::fetch(&app.store, found.iter_mut().flatten()).await;
            return Ok(found);
        }
        tokio::select! {
            () = pause.wait() => {}
            () = tokio::time::sleep_until(deadline) => {}
            () = app.leaving.cancelled() => {}
        }
    }
}

/// What the event log still knows of a task
#[utoipa::path(get, path = "/v1/tasks/{queue}/{id}/events", tag = "tasks", params(("queue" = QueueName, Path), ("id" = TaskId, Path)), responses((status = 200, body = Page<Transition>)))]
async fn events(
    State(app): State<App>,
    Path((queue, id)): Path<(QueueName, TaskId)>,
) -> Answer<Send<Page<Transition>>> {
    Ok(Send(Page::whole(search::story(&app.store, &queue, &id).await?)))
}

#[derive(Deserialize)]
struct Files {
    files: std::collections::BTreeMap<String, String>,
}

/// A file of a task's result
#[utoipa::path(get, path = "/v1/tasks/{queue}/{id}/files/{path}", tag = "tasks", params(("queue" = QueueName, Path), ("id" = TaskId, Path), ("path" = String, Path, description = "May hold slashes, written %2F")), responses((status = 200, body = String, content_type = "text/plain")))]
async fn file(
    State(app): State<App>,
    Path((queue, id, path)): Path<(QueueName, TaskId, String)>,
) -> Answer<Response> {
    let reference = TaskRef { queue, id };
    let found = finished(&app, std::slice::from_ref(&reference), Instant::now()).await?;
    let task = found.into_iter().flatten().next().ok_or_else(|| unknown(&reference))?;
    let files: Option<Files> = task.result.as_deref().and_then(|text| serde_json::from_str(text).ok());
    let text = files.and_then(|mut files| files.files.remove(&path));
    let text =
        text.ok_or_else(|| Problem::not_found(format!("the result of {reference} has no file {path:?}")))?;
    let mut response = text.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    Ok(response)
}

/// How a task is named: `QUEUE/ID`, or an id in the queue that the server is configured with.
#[derive(ToSchema)]
#[schema(pattern = "^([A-Za-z0-9._-]{1,64}/)?[A-Za-z0-9._:@-]{1,128}$")]
#[expect(dead_code, reason = "describes what references look like, in the document")]
struct Reference(String);

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Named {
    /// References: `QUEUE/ID`; at most 1000.
    #[schema(min_items = 1, max_items = 1000, value_type = Vec<Reference>)]
    tasks: Vec<String>,
}

impl Named {
    fn references(&self, app: &App) -> Answer<Vec<TaskRef>> {
        if self.tasks.is_empty() || self.tasks.len() > MOST {
            return Err(Problem::invalid(format!("tasks: name 1 to {MOST} of them")));
        }
        app.references(&self.tasks)
    }
}

/// Tasks in the order in which they were named; null for one that is not there.
#[derive(Debug, Serialize, ToSchema)]
struct Tasks {
    items: Vec<Option<TaskView>>,
}

fn tasks(found: &[Option<TaskRecord>]) -> Send<Tasks> {
    Send(Tasks { items: found.iter().map(|task| task.as_ref().map(TaskRecord::view)).collect() })
}

/// Many tasks at once
#[utoipa::path(post, path = "/v1/tasks/status", tag = "tasks", request_body = Named, responses((status = 200, body = Tasks)))]
async fn status(State(app): State<App>, Json(named): Json<Named>) -> Answer<Send<Tasks>> {
    Ok(tasks(&finished(&app, &named.references(&app)?, Instant::now()).await?))
}

/// Many tasks, when all are finished or the time is over
#[utoipa::path(post, path = "/v1/tasks/wait", tag = "tasks", params(Waiting), request_body = Named, responses((status = 200, body = Tasks)))]
async fn wait(
    State(app): State<App>,
    Query(waiting): Query<Waiting>,
    Json(named): Json<Named>,
) -> Answer<Send<Tasks>> {
    Ok(tasks(&finished(&app, &named.references(&app)?, waiting.wait.deadline()).await?))
}

/// What became of each task.
#[derive(Debug, Serialize, ToSchema)]
struct Fates {
    items: Vec<Fate>,
}

/// Cancel tasks; one that runs is stopped
#[utoipa::path(post, path = "/v1/tasks/cancel", tag = "tasks", request_body = Named, responses((status = 200, body = Fates)))]
async fn cancel(State(app): State<App>, caller: Caller, Json(named): Json<Named>) -> Answer<Send<Fates>> {
    let references = named.references(&app)?;
    let work = async { Ok(Send(Fates { items: operate::cancel_tasks(&app.store, &references).await? })) };
    app.act(&caller, "cancel", named.tasks.clone(), &[], work).await
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Retry {
    /// These tasks…
    #[schema(min_items = 1, max_items = 1000, value_type = Option<Vec<Reference>>)]
    tasks: Option<Vec<String>>,
    /// …or the failed ones of a batch…
    batch: Option<BatchName>,
    /// …or the dead letter of a queue…
    queue: Option<QueueName>,
    /// …of which only those with this class of error.
    class: Option<String>,
}

/// What was retried: each task that was named, or how many.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
enum Retried {
    Named(Fates),
    Counted { retried: u64 },
}

/// Give failed, cancelled or expired tasks another life
#[utoipa::path(post, path = "/v1/tasks/retry", tag = "tasks", request_body = Retry, responses((status = 200, body = Retried)))]
async fn retry(State(app): State<App>, caller: Caller, Json(retry): Json<Retry>) -> Answer<Send<Retried>> {
    match retry {
        Retry { tasks: Some(tasks), batch: None, queue: None, class: None } => {
            let named = Named { tasks };
            let references = named.references(&app)?;
            let work = async {
                Ok(Send(Retried::Named(Fates {
                    items: operate::retry_tasks(&app.store, &references).await?,
                })))
            };
            app.act(&caller, "retry", named.tasks.clone(), &[], work).await
        }
        Retry { tasks: None, batch: Some(batch), queue: None, class: None } => {
            if app.store.batch_queues(&batch).await?.is_empty() {
                return Err(Problem::not_found(format!("no batch {batch}")));
            }
            let work = async {
                Ok(Send(Retried::Counted { retried: operate::retry_batch(&app.store, &batch).await? }))
            };
            app.act(&caller, "retry", vec![format!("batch:{batch}")], &[], work).await
        }
        Retry { tasks: None, batch: None, queue: Some(queue), class } => {
            app.known_queue(&queue).await?;
            let with = class.clone().map(|class| ("class", class));
            let with: Vec<_> = with.into_iter().chain([("state", "failed".to_owned())]).collect();
            let failed = Failed { class: class.as_deref(), task_type: None };
            let work = async {
                let retried = operate::retry_dead(&app.store, &queue, failed).await?;
                Ok(Send(Retried::Counted { retried }))
            };
            app.act(&caller, "retry", vec![queue.to_string()], &with, work).await
        }
        _ => Err(Problem::invalid("give one of tasks, batch and queue; class goes with queue")),
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Prioritise {
    /// References: `QUEUE/ID`; at most 1000.
    #[schema(min_items = 1, max_items = 1000, value_type = Vec<Reference>)]
    tasks: Vec<String>,
    priority: Priority,
}

/// Change the priority of waiting tasks
#[utoipa::path(post, path = "/v1/tasks/priority", tag = "tasks", request_body = Prioritise, responses((status = 200, body = Fates)))]
async fn priority(
    State(app): State<App>,
    caller: Caller,
    Json(body): Json<Prioritise>,
) -> Answer<Send<Fates>> {
    let (named, priority) = (Named { tasks: body.tasks }, body.priority);
    let references = named.references(&app)?;
    let work = async {
        Ok(Send(Fates { items: operate::prioritise_tasks(&app.store, &references, priority).await? }))
    };
    app.act(&caller, "priority", named.tasks.clone(), &[("priority", priority.to_string())], work).await
}
