//! Queues: what they hold, their limits, pausing, purging, their dead letters.

use std::collections::BTreeMap;

use axum::{Json as Send, extract::State};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use windlass_shared::{
    model::{
        Micros, QueueName, State as TaskState, TaskRecord,
        time::{micros, parse_duration},
    },
    store::{MOST_PARTITIONS, Queue, QueueSettings, inspect::QueueView},
};

use crate::{
    commands::{self, operate},
    serve::{
        app::App,
        auth::Caller,
        cursor::Page,
        extract::{Json, Limit, Path, Query},
        problem::{Answer, Problem},
    },
};

pub(super) fn looking() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(one)).routes(routes!(failures))
}

pub(super) fn acting() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(change))
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(purge))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct List {
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 1000)]
    limit: Limit,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// List queues
#[utoipa::path(get, path = "/v1/queues", tag = "queues", params(List), responses((status = 200, body = Page<QueueView>)))]
async fn list(State(app): State<App>, Query(list): Query<List>) -> Answer<Send<Page<QueueView>>> {
    let look = app.fleet.look().await?;
    Ok(Send(Page::of(look.queues.iter().cloned(), list.cursor.as_deref(), list.limit.0)?))
}

/// A queue
#[utoipa::path(get, path = "/v1/queues/{queue}", tag = "queues", params(("queue" = QueueName, Path)), responses((status = 200, body = QueueView)))]
async fn one(State(app): State<App>, Path(queue): Path<QueueName>) -> Answer<Send<QueueView>> {
    Ok(Send(app.known_queue(&queue).await?.view().await?))
}

/// What to change; null goes back to the default.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Change {
    /// Tasks that may wait; more are refused.
    #[serde(default)]
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 1_000_000_000_000_u64)]
    max_length: Said<u64>,
    /// Tasks that may run at once, in the whole fleet.
    #[serde(default)]
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 1_000_000_000_000_u64)]
    concurrency: Said<u64>,
    /// Tasks with the same concurrency key that may run at once.
    #[serde(default)]
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 1_000_000_000_000_u64)]
    key_concurrency: Said<u64>,
    /// How long finished tasks are kept, such as `24h`.
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = "^[0-9]{1,4}[smhd]$")]
    retention: Said<String>,
    /// How long failed tasks are kept.
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = "^[0-9]{1,4}[smhd]$")]
    dead_retention: Said<String>,
    /// Entries that the event log keeps, about.
    #[serde(default)]
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 1_000_000_000_000_u64)]
    events: Said<u64>,
    /// Into how many it is divided; only while it is empty.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 256)]
    partitions: Option<u16>,
}

/// What is said of a setting.
#[derive(Debug, Clone, Default)]
enum Said<T> {
    /// Nothing: it stays.
    #[default]
    Nothing,
    /// Null: back to the default.
    Default,
    Value(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Said<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Default, Self::Value))
    }
}

impl<T> Said<T> {
    /// As the store takes it.
    fn read(self, read: impl Fn(T) -> Result<u64, String>, name: &str) -> Answer<Setting> {
        match self {
            Self::Nothing => Ok(None),
            Self::Default => Ok(Some(None)),
            Self::Value(value) => match read(value) {
                Ok(number) => Ok(Some(Some(number))),
                Err(why) => Err(Problem::invalid(format!("{name}: {why}"))),
            },
        }
    }
}

/// As in [`QueueSettings`].
type Setting = Option<Option<u64>>;

/// Scripts count in doubles, which know each number up to here.
const MOST: u64 = 1_000_000_000_000;

fn above_zero(number: u64) -> Result<u64, String> {
    match number {
        1..=MOST => Ok(number),
        _ => Err(format!("use a number from 1 to {MOST}, or null for the default")),
    }
}

fn microseconds(text: &str) -> Result<u64, String> {
    Ok(u64::try_from(micros(parse_duration(text)?)).unwrap_or(u64::MAX))
}

impl Change {
    fn settings(self) -> Answer<QueueSettings> {
        if self.partitions.is_some_and(|count| count == 0 || count > MOST_PARTITIONS) {
            return Err(Problem::invalid(format!("partitions: use 1 to {MOST_PARTITIONS}")));
        }
        Ok(QueueSettings {
            paused: None,
            max_length: self.max_length.read(above_zero, "max_length")?,
            concurrency: self.concurrency.read(above_zero, "concurrency")?,
            key_concurrency: self.key_concurrency.read(above_zero, "key_concurrency")?,
            retention: self.retention.read(|text| microseconds(&text), "retention")?,
            dead_retention: self.dead_retention.read(|text| microseconds(&text), "dead_retention")?,
            events: self.events.read(above_zero, "events")?,
        })
    }
}

/// Change the limits of a queue; it is made if it is not there
#[utoipa::path(patch, path = "/v1/queues/{queue}", tag = "queues", params(("queue" = QueueName, Path)), request_body = Change, responses((status = 200, body = QueueView)))]
async fn change(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<QueueName>,
    Json(change): Json<Change>,
) -> Answer<Send<QueueView>> {
    let (with, partitions) = ([("settings", format!("{change:?}"))], change.partitions);
    let settings = change.settings()?;
    app.act(&caller, "queues set", vec![name.to_string()], &with, async {
        app.store.register_queue(&name).await?;
        let mut queue = app.store.queue(&name).await?;
        match partitions {
            Some(count) => queue = queue.divide(count, &settings).await?,
            None => queue.configure(&settings).await?,
        }
        Ok(Send(queue.view().await?))
    })
    .await
}

/// Stop claims from a queue; submitting to it goes on
#[utoipa::path(post, path = "/v1/queues/{queue}/pause", tag = "queues", params(("queue" = QueueName, Path)), responses((status = 200, body = QueueView)))]
async fn pause(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<QueueName>,
) -> Answer<Send<QueueView>> {
    set_paused(&app, &caller, &name, true).await.map(Send)
}

/// Let a paused queue go on
#[utoipa::path(post, path = "/v1/queues/{queue}/resume", tag = "queues", params(("queue" = QueueName, Path)), responses((status = 200, body = QueueView)))]
async fn resume(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<QueueName>,
) -> Answer<Send<QueueView>> {
    set_paused(&app, &caller, &name, false).await.map(Send)
}

/// Pauses a queue, or lets it go on.
pub(crate) async fn set_paused(
    app: &App,
    caller: &Caller,
    name: &QueueName,
    paused: bool,
) -> Answer<QueueView> {
    let queue = app.known_queue(name).await?;
    let action = if paused { "pause" } else { "resume" };
    app.act(caller, action, vec![name.to_string()], &[], async {
        commands::set_paused(&app.store, name, paused).await?;
        Ok(queue.view().await?)
    })
    .await
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Purge {
    state: TaskState,
}

#[derive(Debug, Serialize, ToSchema)]
struct Purged {
    purged: u64,
}

/// Delete all tasks of a queue that are in a state, with their records
#[utoipa::path(post, path = "/v1/queues/{queue}/purge", tag = "queues", params(("queue" = QueueName, Path)), request_body = Purge, responses((status = 200, body = Purged)))]
async fn purge(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<QueueName>,
    Json(Purge { state }): Json<Purge>,
) -> Answer<Send<Purged>> {
    purge_state(&app, &caller, &name, state).await.map(|purged| Send(Purged { purged }))
}

/// Deletes all tasks of a queue that are in a state.
pub(crate) async fn purge_state(
    app: &App,
    caller: &Caller,
    name: &QueueName,
    state: TaskState,
) -> Answer<u64> {
    if state == TaskState::Running {
        return Err(Problem::invalid("running tasks cannot be purged; cancel them first"));
    }
    app.known_queue(name).await?;
    let with = [("state", state.to_string())];
    let work = async { Ok(operate::purge_tasks(&app.store, name, state).await?) };
    app.act(caller, "purge", vec![name.to_string()], &with, work).await
}

/// Failed tasks of one type with one class of error.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Group {
    pub(crate) class: String,
    #[serde(rename = "type")]
    pub(crate) task_type: String,
    pub(crate) count: u64,
    /// The one that failed last.
    pub(crate) sample: String,
    /// Its message.
    pub(crate) message: String,
    #[schema(required)]
    pub(crate) last_finished_at: Option<Micros>,
}

/// A dead letter in groups.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Failures {
    /// The largest first.
    pub(crate) items: Vec<Group>,
    /// Tasks that were looked at: the newest ones.
    pub(crate) counted: u64,
    /// Tasks that are there.
    pub(crate) total: u64,
}

/// The dead letter in groups, by class of error and type
#[utoipa::path(get, path = "/v1/queues/{queue}/failures", tag = "queues", params(("queue" = QueueName, Path)), responses((status = 200, body = Failures)))]
async fn failures(State(app): State<App>, Path(name): Path<QueueName>) -> Answer<Send<Failures>> {
    let queue = app.known_queue(&name).await?;
    Ok(Send(grouped(&queue).await?))
}

/// Tasks that are looked at, and in one round trip.
const MOST_GROUPED: u64 = 2000;
const PAGE: usize = 100;
/// Bytes of tasks after which it is enough.
const MOST_BYTES: usize = 16 << 20;

/// Looks at the newest of a dead letter.
pub(crate) async fn grouped(queue: &Queue) -> Answer<Failures> {
    let mut groups: BTreeMap<(String, String), Group> = BTreeMap::new();
    let (mut counted, mut bytes, mut cursor) = (0, 0, None::<String>);
    loop {
        let page = queue.list(TaskState::Failed, PAGE, cursor.as_deref()).await?;
        counted += page.tasks.len() as u64;
        bytes += page.tasks.iter().map(TaskRecord::size).sum::<usize>();
        for task in page.tasks {
            let class = operate::class_of(&task).to_owned();
            let message = task.error.as_ref().map(|error| error.message.clone()).unwrap_or_default();
            let group = groups.entry((class.clone(), task.task_type.clone())).or_insert_with(|| Group {
                class,
                task_type: task.task_type.clone(),
                count: 0,
                sample: task.reference.to_string(),
                message,
                last_finished_at: task.finished_at,
            });
            group.count += 1;
        }
        cursor = page.cursor.filter(|_| counted < MOST_GROUPED && bytes < MOST_BYTES);
        if cursor.is_none() {
            break;
        }
    }
    let mut items: Vec<Group> = groups.into_values().collect();
    items.sort_by_key(|group| std::cmp::Reverse(group.count));
    Ok(Failures { items, counted, total: queue.view().await?.failed.max(counted) })
}
