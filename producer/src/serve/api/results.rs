//! Results: finished tasks in order of finishing, as JSON Lines that go on for as long as somebody reads them.

use std::collections::HashMap;

use axum::{extract::State, response::Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use windlass_shared::{
    config::Role,
    model::{BatchName, QueueName, State as TaskState, TaskRecord, TaskRef, TaskView},
    store::inspect::FinishedLog,
};

use crate::{
    commands::keys,
    serve::{
        app::App,
        auth::Caller,
        cursor,
        extract::{Path, Query},
        problem::{Answer, Kind, Problem},
        stream::{self, Lines, Places},
    },
    steps::{Pause, patiently},
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(of_batch)).routes(routes!(of_queue))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Params {
    /// Only those in this state.
    #[param(inline)]
    state: Option<Final>,
    /// Go on until the batch is over; of a queue, until the client leaves.
    #[serde(default)]
    follow: bool,
    /// `cursor` of the last line that was read, to go on after it.
    cursor: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Final {
    Completed,
    Failed,
    Cancelled,
    Expired,
}

impl Final {
    fn state(self) -> TaskState {
        match self {
            Self::Completed => TaskState::Completed,
            Self::Failed => TaskState::Failed,
            Self::Cancelled => TaskState::Cancelled,
            Self::Expired => TaskState::Expired,
        }
    }
}

/// A line: a task, and from where to go on.
#[derive(Serialize, ToSchema)]
struct Line<'a> {
    #[serde(flatten)]
    task: TaskView,
    /// Of the last line of a round trip; null in those before it.
    #[schema(required)]
    cursor: Option<&'a str>,
}

/// Finished tasks of a batch, in order of finishing
#[utoipa::path(get, path = "/v1/batches/{batch}/results", tag = "batches", params(("batch" = BatchName, Path), Params), responses((status = 200, body = Line, content_type = "application/x-ndjson")))]
async fn of_batch(
    State(app): State<App>,
    caller: Caller,
    Path(batch): Path<BatchName>,
    Query(params): Query<Params>,
) -> Answer<Response> {
    if app.store.batch_queues(&batch).await?.is_empty() {
        return Err(Problem::not_found(format!("no batch {batch}")));
    }
    Reader::open(app, caller, Whose::Batch(batch), &params).map(Reader::response)
}

/// Finished tasks of a queue, in order of finishing
#[utoipa::path(get, path = "/v1/queues/{queue}/results", tag = "queues", params(("queue" = QueueName, Path), Params), responses((status = 200, body = Line, content_type = "application/x-ndjson")))]
async fn of_queue(
    State(app): State<App>,
    caller: Caller,
    Path(queue): Path<QueueName>,
    Query(params): Query<Params>,
) -> Answer<Response> {
    app.known_queue(&queue).await?;
    Reader::open(app, caller, Whose::Queue(queue), &params).map(Reader::response)
}

/// All that a batch has brought so far, as a download.
pub(crate) async fn download(app: App, caller: Caller, batch: BatchName) -> Answer<Response> {
    let params = Params { state: None, follow: false, cursor: None };
    of_batch(State(app), caller, Path(batch), Query(params)).await
}

enum Whose {
    Batch(BatchName),
    Queue(QueueName),
}

struct Reader {
    app: App,
    caller: Caller,
    whose: Whose,
    state: Option<TaskState>,
    follow: bool,
    places: Places,
    /// Tasks that were retried stand in the log more than once; they alone are remembered, with the life that was told.
    told: HashMap<TaskRef, u32>,
}

/// Tasks read in one round trip.
const PAGE: usize = 200;
/// Retried tasks that are remembered; a stream without an end may tell one again after so many.
const MOST_REMEMBERED: usize = 100_000;

impl Reader {
    fn open(app: App, caller: Caller, whose: Whose, params: &Params) -> Answer<Self> {
        let places = cursor::decode(params.cursor.as_deref())?.unwrap_or_default();
        let state = params.state.map(Final::state);
        Ok(Self { app, caller, whose, state, follow: params.follow, places, told: HashMap::new() })
    }

    fn response(self) -> Response {
        let (lines, response) = stream::lines();
        tokio::spawn(async move {
            if let Err(problem) = self.run(&lines).await {
                stream::break_off(&lines, &problem).await;
            }
        });
        response
    }

    /// Until all is told, or nobody reads any more. An answer that ends in order is whole; from one that is broken off the client
    /// goes on with the last cursor.
    async fn run(mut self, lines: &Lines) -> Answer<()> {
        let mut pause = Pause::new();
        loop {
            self.app.guard.check(&self.caller, Role::Read)?;
            // Asked before reading: what finishes afterwards is not missed.
            let over = self.is_over().await?;
            match self.round(lines).await? {
                None => return Ok(()),
                Some(true) => pause.reset(),
                Some(false) => {}
            }
            if over {
                return Ok(());
            }
            tokio::select! {
                () = pause.wait() => {}
                () = lines.closed() => return Ok(()),
                () = self.app.leaving.cancelled() => {
                    return Err(Problem::new(Kind::TooMany, "the server leaves; ask again"));
                }
            }
        }
    }

    async fn is_over(&self) -> Answer<bool> {
        match &self.whose {
            _ if !self.follow => Ok(true),
            Whose::Queue(_) => Ok(false),
            Whose::Batch(batch) => {
                let counts = patiently(|| self.app.store.batch(batch)).await?;
                Ok(counts.is_none_or(|counts| counts.finished() >= counts.total))
            }
        }
    }

    /// Reads each log to its present end: whether there was anything; none if nobody reads.
    async fn round(&mut self, lines: &Lines) -> Answer<Option<bool>> {
        let (log, queues) = match &self.whose {
            Whose::Queue(queue) => (FinishedLog::Queue, vec![queue.clone()]),
            Whose::Batch(batch) => {
                let queues = patiently(|| self.app.store.batch_queues(batch)).await?;
                (FinishedLog::Batch(batch.clone()), queues)
            }
        };
        let mut any = false;
        for name in queues {
            let queue = patiently(|| self.app.store.queue(&name)).await?;
            for partition in queue.partitions() {
                loop {
                    let before = self.places.of(partition).clone();
                    let read = patiently(|| partition.finished(&log, &before)).await?;
                    if read.cursor == before {
                        break;
                    }
                    any = true;
                    *self.places.of(partition) = read.cursor;
                    if !self.tell(&read.tasks, lines).await? {
                        return Ok(None);
                    }
                }
            }
        }
        Ok(Some(any))
    }

    /// Writes the lines of what was read. False if nobody reads.
    async fn tell(&mut self, references: &[TaskRef], lines: &Lines) -> Answer<bool> {
        let place = cursor::encode(&self.places);
        let pages = references.len().div_ceil(PAGE);
        for (number, page) in references.chunks(PAGE).enumerate() {
            let found = patiently(|| self.app.store.tasks(page)).await?;
            let mut wanted: Vec<TaskRecord> =
                found.into_iter().flatten().filter(|task| self.wanted(task)).collect();
            keys::fetch(&self.app.store, wanted.iter_mut()).await;
            let mut text = Vec::new();
            for (index, task) in wanted.iter().enumerate() {
                let last = number + 1 == pages && index + 1 == wanted.len();
                let line = Line { task: task.view(), cursor: last.then_some(place.as_str()) };
                if serde_json::to_writer(&mut text, &line).is_ok() {
                    text.push(b'\n');
                }
            }
            if !text.is_empty() && lines.send(Ok(text.into())).await.is_err() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn wanted(&mut self, task: &TaskRecord) -> bool {
        let state = task.state.filter(|state| state.is_final());
        let matches = state.is_some() && self.state.is_none_or(|wanted| Some(wanted) == state);
        if !matches || task.requeues == 0 {
            return matches;
        }
        if self.told.len() >= MOST_REMEMBERED {
            self.told.clear();
        }
        self.told.insert(task.reference.clone(), task.requeues) != Some(task.requeues)
    }
}
