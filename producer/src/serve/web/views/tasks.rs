//! Looking for tasks.

use axum::{
    Extension,
    extract::State,
    response::{IntoResponse, Redirect},
};
use serde_json::{Value, json};
use windlass_shared::model::{
    BatchName, QueueName, State as TaskState, TaskId, TaskRecord, TaskRef, TenantName, TypeName,
};

use crate::{
    commands::{
        search::{self, Wanted},
        tasks::short,
    },
    serve::{
        app::App,
        cursor,
        problem::{Answer, Problem},
        web::{
            form::{Form, task_path},
            page::{Shown, value},
            session::Who,
        },
    },
};

const PAGE: usize = 100;
/// Queues in which a whole id is looked up.
const LOOKED_UP: usize = 200;
/// Characters of an outcome that a row shows.
const SHORT: usize = 120;

fn wanted(query: &Form) -> Answer<Wanted> {
    Ok(Wanted {
        queue: query.get("queue").map(QueueName::new).transpose()?,
        state: query.get("state").map(str::parse::<TaskState>).transpose().map_err(Problem::invalid)?,
        task_type: query.get("type").map(TypeName::new).transpose()?,
        tenant: query.get("tenant").map(TenantName::new).transpose()?,
        batch: query.get("batch").map(BatchName::new).transpose()?,
        id_part: query.get("q").map(str::to_owned),
    })
}

/// Tasks with this whole id, in whatever state.
async fn exact(app: &App, id: &str, queues: &[QueueName]) -> Answer<Vec<TaskRecord>> {
    let Ok(id) = TaskId::new(id) else { return Ok(Vec::new()) };
    let named = |queue: &QueueName| TaskRef { queue: queue.clone(), id: id.clone() };
    let references: Vec<TaskRef> = queues.iter().take(LOOKED_UP).map(named).collect();
    Ok(app.store.tasks(&references).await?.into_iter().flatten().collect())
}

pub(in crate::serve::web) async fn list(State(app): State<App>, Extension(visitor): Who) -> Shown {
    let query = &visitor.query;
    if let Some(reference) =
        query.get("q").filter(|q| q.contains('/')).and_then(|q| TaskRef::parse(q, &app.context.queue()).ok())
    {
        return Ok(Redirect::to(&task_path(&reference.to_string())).into_response());
    }
    let wanted = wanted(query)?;
    let place = cursor::decode(query.get("cursor"))?.unwrap_or_default();
    let found = search::tasks(&app.store, &wanted, place, PAGE).await?;
    let queues = app.store.queues().await?;
    let mut rows: Vec<Value> = Vec::new();
    if let (Some(id), None) = (query.get("q"), query.get("cursor")) {
        let matches: Vec<TaskRecord> = exact(&app, id, &queues).await?;
        let listed = |task: &&TaskRecord| !found.tasks.iter().any(|other| other.reference == task.reference);
        rows.extend(matches.iter().filter(listed).map(row));
    }
    rows.extend(found.tasks.iter().map(row));
    let next = found.next.as_ref().map(|place| {
        query.without(&["part", "did", "mark"]).with("cursor", &cursor::encode(place)).url("/tasks")
    });
    let given = |name: &str| query.get(name);
    let filtered =
        ["q", "queue", "state", "type", "tenant", "batch"].iter().any(|name| given(name).is_some());
    visitor.page(
        "tasks.html",
        "Tasks",
        json!({
            "rows": rows, "next": next, "went_on": given("cursor").is_some(), "queues": queues,
            "begin": query.without(&["part", "did", "mark", "cursor"]).url("/tasks"),
            "f": { "q": given("q"), "queue": given("queue"), "state": given("state"), "type": given("type"), "tenant": given("tenant"), "batch": given("batch") },
            "filtered": filtered,
            "states": TaskState::ALL.iter().map(|state| state.as_str()).collect::<Vec<_>>(),
        }),
    )
}

/// A task of a list: what it carries is on its own page.
pub(in crate::serve::web) fn row(task: &TaskRecord) -> Value {
    let outcome = match (&task.error, &task.progress) {
        (Some(error), _) => format!("{}: {}", error.class, error.message),
        (None, Some(progress)) => progress.clone(),
        (None, None) => String::new(),
    };
    json!({
        "ref": task.reference.to_string(), "id": task.reference.id, "queue": task.reference.queue, "type": task.task_type,
        "state": task.state, "reason": task.reason, "priority": task.priority, "tenant": task.tenant, "batch": task.batch,
        "attempt": task.attempt, "node": task.node, "outcome": short(&outcome.replace('\n', " "), SHORT), "class": task.error.as_ref().map(|error| &error.class),
        "created_at": value(&task.created_at), "started_at": value(&task.started_at), "finished_at": value(&task.finished_at),
        "due_at": value(&task.due_at),
    })
}
