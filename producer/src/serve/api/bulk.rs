//! `POST /v1/tasks/bulk`: a stream of tasks, in flat memory both ways.
//!
//! The body is read by the same reader as `windlass submit --file`, on a thread of its own, and goes to Redis in the same
//! chunks. While Redis is slow, or nobody reads the answer, nothing more of the body is read.

use std::{
    collections::HashSet,
    io::{BufReader, Write},
    sync::Arc,
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, header},
    response::Response,
};
use futures_util::{Stream, StreamExt, stream::FuturesOrdered};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::io::{StreamReader, SyncIoBridge};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use windlass_shared::{
    config::Role,
    model::{BatchName, Priority, QueueName, Submission, TypeName},
};

use crate::{
    bulk::{
        read::{Chunk, Reader},
        send::{How, Sent, send},
    },
    cli::OnFull,
    exit::Done,
    serve::{
        api::submit::derived,
        app::App,
        auth::Caller,
        extract::Query,
        idempotency,
        problem::{Answer, Kind, Problem, ProblemBody},
        stream::{Lines, lines},
        traced::trace_of,
    },
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(submit))
}

/// Chunks in flight, as of the command line.
const IN_FLIGHT: usize = 4;
/// Streams at once; each has a thread.
const STREAMS: usize = 32;

static ROOM: std::sync::LazyLock<Arc<Semaphore>> =
    std::sync::LazyLock::new(|| Arc::new(Semaphore::new(STREAMS)));

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Params {
    /// Report the tasks together. Ids are derived from the batch and the line's number, so that the same lines sent again are the
    /// same tasks.
    batch: Option<BatchName>,
    /// For lines that name no queue.
    queue: Option<QueueName>,
    /// For lines that name no priority.
    priority: Option<Priority>,
    /// What to do while a queue is full.
    #[serde(default)]
    #[param(inline)]
    on_full: Full,
    /// Which lines are answered: all, or those that are rejected. Who asks for all must read while sending.
    #[serde(default)]
    #[param(inline)]
    answers: Which,
    /// The number of the first line, for a stream that is sent in parts.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1)]
    first_line: First,
}

#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Full {
    /// Wait for room.
    #[default]
    Wait,
    /// Reject the line.
    Fail,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Which {
    #[default]
    Rejects,
    All,
}

#[derive(Debug, Clone, Copy)]
struct First(u64);

impl Default for First {
    fn default() -> Self {
        Self(1)
    }
}

impl<'de> Deserialize<'de> for First {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.parse::<u32>() {
            Ok(number) if number > 0 => Ok(Self(number.into())),
            _ => Err(serde::de::Error::custom(format!("first_line: {text:?} is not a number above zero"))),
        }
    }
}

/// A line of the answer: what became of one line, or at the end of all.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "describes the stream in the document; lines are written as they come")]
enum BulkLine {
    Taken { line: u64, r#ref: String, state: Option<windlass_shared::model::State>, duplicate: bool },
    Rejected { line: u64, error: BulkError },
    Summary { accepted: u64, duplicates: u64, rejected: u64 },
}

#[derive(Debug, Serialize, ToSchema)]
struct BulkError {
    class: String,
    message: String,
}

/// Submit many tasks as JSON Lines
///
/// One submission a line; the answer is JSON Lines too. Its last line has the counts, and `error` if it ended early: then what
/// was counted is submitted, and sending the same again is safe (with a batch or an `Idempotency-Key`).
#[utoipa::path(post, path = "/v1/tasks/bulk", operation_id = "submit_many", tag = "tasks", params(Params, ("Idempotency-Key" = Option<String>, Header, description = "Ids are derived from it and the line's number", min_length = 1, max_length = 255, pattern = "^[!-~]([ -~]*[!-~])?$")), request_body(content = String, content_type = "application/x-ndjson", description = "A submission a line"), responses(
    (status = 200, body = BulkLine, content_type = "application/x-ndjson"),
    (status = 415, body = ProblemBody, content_type = "application/problem+json"),
))]
async fn submit(
    State(app): State<App>,
    caller: Caller,
    Query(how): Query<Params>,
    headers: HeaderMap,
    body: Body,
) -> Answer<Response> {
    check_type(&headers)?;
    let key = idempotency::key(&headers)?.map(|key| derived(&caller, &key));
    let Ok(room) = Arc::clone(&ROOM).try_acquire_owned() else {
        return Err(Problem::new(
            Kind::TooMany,
            format!("{STREAMS} streams are submitted already; come again"),
        ));
    };
    let mut flags = Submission::new(TypeName::new("any")?, RawValue::NULL.to_owned());
    (flags.queue, flags.priority) = (how.queue, how.priority);
    let input = StreamReader::new(Box::pin(in_time(body)));
    let input = Box::new(BufReader::with_capacity(1 << 16, SyncIoBridge::new(input)));
    let reader = Reader::of(&app.context, input, how.batch, flags)
        .numbered(how.first_line.0, key)
        .traced(trace_of(&headers).as_ref());
    let on_full = if matches!(how.on_full, Full::Wait) { OnFull::Wait } else { OnFull::Fail };
    let how = How { on_full, each: how.answers == Which::All };
    let (lines, response) = lines();
    let work = Run { app, caller, how, seen: HashSet::new(), counts: Counts::default(), _room: room };
    tokio::spawn(run(work, reader, lines));
    Ok(response)
}

/// For how long nothing may come while we wait for it; a client that was lost would keep its place.
const SILENCE: Duration = Duration::from_secs(60);

fn in_time(body: Body) -> impl Stream<Item = std::io::Result<Bytes>> {
    futures_util::stream::unfold(body.into_data_stream(), |mut body| async move {
        let late = || std::io::Error::new(std::io::ErrorKind::TimedOut, "nothing came for a minute");
        match tokio::time::timeout(SILENCE, body.next()).await {
            Ok(piece) => piece.map(|piece| (piece.map_err(std::io::Error::other), body)),
            Err(_) => Some((Err(late()), body)),
        }
    })
}

fn check_type(headers: &HeaderMap) -> Answer<()> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = given.split(';').next().unwrap_or_default().trim();
    if ["application/x-ndjson", "application/jsonl", "application/json-lines"].contains(&media) {
        return Ok(());
    }
    Err(Problem::new(
        Kind::UnsupportedMediaType,
        "send JSON Lines, with `Content-Type: application/x-ndjson`",
    ))
}

#[derive(Default)]
struct Counts {
    accepted: u64,
    duplicates: u64,
    rejected: u64,
}

struct Run {
    app: App,
    caller: Caller,
    how: How,
    /// Where lines went so far.
    seen: HashSet<(QueueName, Option<BatchName>)>,
    counts: Counts,
    /// Given back at the end.
    _room: OwnedSemaphorePermit,
}

/// Writes the answer while the body is read. Nobody to read it ends everything: the channel of chunks closes, and with it the thread.
async fn run(mut run: Run, reader: Reader, lines: Lines) {
    let ended = tokio::select! {
        ended = run.all(reader, &lines) => ended,
        // While a queue is full there may be no line to write for long, and the place is somebody else's.
        () = lines.closed() => return,
    };
    _ = lines.send(Ok(run.summary(ended.err()))).await;
}

impl Run {
    async fn all(&mut self, reader: Reader, lines: &Lines) -> Answer<()> {
        let (chunks, mut checked) = mpsc::channel::<Done<Chunk>>(IN_FLIGHT);
        tokio::task::spawn_blocking(move || reader.run(&chunks));
        let mut in_flight = FuturesOrdered::new();
        let mut open = true;
        while open || !in_flight.is_empty() {
            tokio::select! {
                biased;
                Some(sent) = in_flight.next(), if !in_flight.is_empty() => self.take(sent?, lines).await?,
                chunk = checked.recv(), if open && in_flight.len() < IN_FLIGHT => match chunk {
                    Some(chunk) => {
                        let chunk = chunk?;
                        self.app.guard.check(&self.caller, Role::Submit)?;
                        self.register(&chunk).await?;
                        in_flight.push_back(send(self.app.store.clone(), chunk, self.how));
                    }
                    None => open = false,
                },
            }
        }
        Ok(())
    }

    async fn register(&mut self, chunk: &Chunk) -> Answer<()> {
        for (_, task) in &chunk.tasks {
            let place = (task.queue.clone(), task.batch.clone());
            if self.seen.insert(place) {
                self.app.registered.make(&self.app.store, task).await?;
            }
        }
        Ok(())
    }

    async fn take(&mut self, mut sent: Sent, lines: &Lines) -> Answer<()> {
        self.counts.accepted += sent.accepted;
        self.counts.duplicates += sent.duplicates;
        self.counts.rejected += sent.rejects.len() as u64;
        let text = answers(&mut sent);
        let gone = |_| Problem::new(Kind::TooMany, "nobody reads the answer");
        if text.is_empty() { Ok(()) } else { lines.send(Ok(text.into())).await.map_err(gone) }
    }

    fn summary(&self, ended: Option<Problem>) -> Bytes {
        let Counts { accepted, duplicates, rejected } = self.counts;
        let mut summary =
            serde_json::json!({ "accepted": accepted, "duplicates": duplicates, "rejected": rejected });
        if let Some(problem) = ended {
            tracing::warn!(detail = problem.detail(), "a bulk submission ended early");
            summary["error"] = serde_json::to_value(problem.body()).unwrap_or_default();
        }
        format!("{summary}\n").into()
    }
}

/// What became of the lines of a chunk, in their order.
fn answers(sent: &mut Sent) -> Vec<u8> {
    let mut text = Vec::new();
    sent.taken.sort_by_key(|taken| taken.line);
    let mut rejects = std::mem::take(&mut sent.rejects).into_iter().peekable();
    let mut reject = |until: u64, text: &mut Vec<u8>| {
        while let Some(reject) = rejects.next_if(|reject| reject.line < until) {
            let line = serde_json::json!({ "line": reject.line, "error": reject.error });
            _ = writeln!(text, "{line}");
        }
    };
    for taken in &sent.taken {
        reject(taken.line, &mut text);
        // References and states hold nothing that JSON escapes.
        let state = taken.state.map_or("null".to_owned(), |state| format!("\"{state}\""));
        _ = writeln!(
            text,
            r#"{{"line":{},"ref":"{}","state":{state},"duplicate":{}}}"#,
            taken.line, taken.task, taken.duplicate
        );
    }
    reject(u64::MAX, &mut text);
    text
}
