//! `cancel`, `retry`, `priority`, `purge`: what people do to tasks.

use serde::Serialize;
use utoipa::ToSchema;
use windlass_shared::{
    model::{BatchName, Priority, QueueName, State, TaskId, TaskRecord, TaskRef},
    store::{Cancelled, NodeCommand, Queue, Store, inspect::FinishedLog},
};

use super::wait;
use crate::{
    cli,
    context::{Context, by_queue},
    exit::{Done, Failure},
    output::{self, Format, say},
};

/// Tasks that one call of a script takes.
const PAGE: usize = 500;

/// What became of one task.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Fate {
    /// `QUEUE/ID`.
    #[serde(rename = "ref")]
    pub(crate) reference: String,
    /// Its state now; null if there is no such task.
    #[schema(required)]
    pub(crate) state: Option<State>,
    /// What was done; or `refused`, or `unknown`.
    pub(crate) outcome: &'static str,
}

/// Prints what became of tasks.
pub(super) fn show(context: &Context, fates: &[Fate]) -> Done {
    let one = fates.len() == 1;
    output::asked(
        context.format.unwrap_or(Format::Table),
        one,
        fates,
        &["TASK", "STATE", "OUTCOME"],
        |fate| {
            vec![
                fate.reference.clone(),
                fate.state.map(|s| s.to_string()).unwrap_or_default(),
                fate.outcome.to_owned(),
            ]
        },
    )
}

fn print(context: &Context, fates: &[Fate], bad: &str) -> Done {
    show(context, fates)?;
    let unknown = fates.iter().filter(|fate| fate.outcome == "unknown").count();
    let refused = fates.iter().filter(|fate| fate.outcome == "refused").count();
    match (unknown, refused) {
        (0, 0) => Ok(()),
        (0, refused) => Err(Failure::NotDone(format!("{refused} tasks {bad}"))),
        (unknown, _) => Err(Failure::NotDone(format!("{unknown} of the tasks are unknown"))),
    }
}

/// Applies `act` to the ids of each queue, a page at a time, and gives what it gave in the order of `references`.
pub(super) async fn each<T, F>(
    store: &Store,
    references: &[TaskRef],
    act: impl Fn(Queue, Vec<TaskId>) -> F,
) -> Done<Vec<T>>
where
    F: Future<Output = Done<Vec<T>>>,
{
    let mut results: Vec<(usize, T)> = Vec::with_capacity(references.len());
    for (queue, indices) in by_queue(references) {
        for page in indices.chunks(PAGE) {
            let ids = page.iter().map(|index| references[*index].id.clone()).collect();
            results.extend(page.iter().copied().zip(act(store.queue(&queue).await?, ids).await?));
        }
    }
    results.sort_by_key(|(index, _)| *index);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}

/// `windlass cancel`.
pub(crate) async fn cancel(context: &Context, ids: &[String]) -> Done {
    let references = context.references(ids)?;
    let store = context.store().await?;
    print(context, &cancel_tasks(&store, &references).await?, "were finished already")
}

/// Cancels tasks; the nodes of those that run are told.
pub(crate) async fn cancel_tasks(store: &Store, references: &[TaskRef]) -> Done<Vec<Fate>> {
    let cancelled =
        each(store, references, |queue, ids| async move { Ok(queue.cancel(&ids).await?) }).await?;
    for (reference, cancelled) in references.iter().zip(&cancelled) {
        if let Cancelled::Asked(Some(node)) = cancelled {
            store.tell(node, &NodeCommand::Cancel(reference.clone())).await?;
        }
    }
    Ok(references
        .iter()
        .zip(cancelled)
        .map(|(reference, cancelled)| {
            let (state, outcome) = match cancelled {
                Cancelled::Done => (Some(State::Cancelled), "cancelled"),
                Cancelled::Asked(_) => (Some(State::Running), "cancelling"),
                Cancelled::Final(state) => (Some(state), "refused"),
                Cancelled::Unknown => (None, "unknown"),
            };
            Fate { reference: reference.to_string(), state, outcome }
        })
        .collect())
}

fn fates(
    references: &[TaskRef],
    states: Vec<Option<State>>,
    done: &'static str,
    good: fn(State) -> bool,
) -> Vec<Fate> {
    let fate = |(reference, state): (&TaskRef, Option<State>)| {
        let outcome = state.map_or("unknown", |state| if good(state) { done } else { "refused" });
        Fate { reference: reference.to_string(), state, outcome }
    };
    references.iter().zip(states).map(fate).collect()
}

/// `windlass retry`.
pub(crate) async fn retry(context: &Context, args: cli::Retry) -> Done {
    let references = context.references(&args.tasks)?;
    let batch = args.batch.as_deref().map(BatchName::new).transpose()?;
    if references.is_empty() && batch.is_none() && context.named_queue().is_none() {
        return Err(Failure::Usage("name tasks, or --batch, or --queue for its whole dead letter".into()));
    }
    let store = context.store().await?;
    if !references.is_empty() {
        let fates = retry_tasks(&store, &references).await?;
        return print(context, &fates, "are not failed, cancelled or expired");
    }
    let retried = match (batch, context.named_queue()) {
        (Some(batch), _) => retry_batch(&store, &batch).await?,
        (None, queue) => retry_dead(&store, queue.unwrap_or(&context.queue()), Failed::default()).await?,
    };
    count(context, "retried", retried)
}

/// Gives tasks another life.
pub(crate) async fn retry_tasks(store: &Store, references: &[TaskRef]) -> Done<Vec<Fate>> {
    let states = each(store, references, |queue, ids| async move { Ok(queue.retry(&ids).await?) }).await?;
    Ok(fates(references, states, "retried", |state| state == State::Pending))
}

fn count(context: &Context, word: &'static str, n: u64) -> Done {
    match context.format {
        Some(Format::Json | Format::Jsonl) => output::json(&serde_json::json!({ word: n })),
        _ => {
            say!("{n} tasks {word}");
            Ok(())
        }
    }
}

/// Which tasks of a dead letter; what is not given is not asked for.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Failed<'a> {
    pub(crate) class: Option<&'a str>,
    pub(crate) task_type: Option<&'a str>,
}

impl Failed<'_> {
    fn is(self, task: &TaskRecord) -> bool {
        self.class.is_none_or(|class| class == class_of(task))
            && self.task_type.is_none_or(|task_type| task_type == task.task_type)
    }
}

/// The class of error that a failed task is listed under.
pub(crate) fn class_of(task: &TaskRecord) -> &str {
    task.error.as_ref().map_or("unknown", |error| &error.class)
}

/// Every such task that is in the dead letter now; one that fails again meanwhile is not taken twice.
pub(crate) async fn retry_dead(store: &Store, name: &QueueName, failed: Failed<'_>) -> Done<u64> {
    let queue = store.queue(name).await?;
    let mut ids = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let page = queue.list(State::Failed, PAGE, cursor.as_deref()).await?;
        ids.extend(page.tasks.into_iter().filter(|task| failed.is(task)).map(|task| task.reference.id));
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    retry_ids(&queue, &ids).await
}

async fn retry_ids(queue: &Queue, ids: &[TaskId]) -> Done<u64> {
    let mut retried = 0;
    for page in ids.chunks(PAGE) {
        retried +=
            queue.retry(page).await?.iter().filter(|state| **state == Some(State::Pending)).count() as u64;
    }
    Ok(retried)
}

/// The failed tasks of a batch.
pub(crate) async fn retry_batch(store: &Store, batch: &BatchName) -> Done<u64> {
    let queues = store.batch_queues(batch).await?;
    if queues.is_empty() {
        return Err(wait::unknown(batch));
    }
    let mut retried = 0;
    for name in queues {
        let queue = store.queue(&name).await?;
        for partition in queue.partitions() {
            let log = FinishedLog::Batch(batch.clone());
            let mut cursor = "0".to_owned();
            loop {
                let page = partition.finished(&log, &cursor).await?;
                if page.cursor == cursor {
                    break;
                }
                cursor = page.cursor;
                let found = store.tasks(&page.tasks).await?;
                let failed: Vec<TaskId> = found
                    .into_iter()
                    .flatten()
                    .filter(|task| task.state == Some(State::Failed))
                    .map(|task| task.reference.id)
                    .collect();
                retried += retry_ids(&queue, &failed).await?;
            }
        }
    }
    Ok(retried)
}

/// `windlass priority`.
pub(crate) async fn priority(context: &Context, mut words: Vec<String>) -> Done {
    let last = words.pop().unwrap_or_default();
    let priority: Priority = last.parse().map_err(Failure::Usage)?;
    let references = context.references(&words)?;
    let store = context.store().await?;
    let fates = prioritise_tasks(&store, &references, priority).await?;
    print(context, &fates, "are finished or wait for review")
}

/// Changes the priority of waiting tasks.
pub(crate) async fn prioritise_tasks(
    store: &Store,
    references: &[TaskRef],
    priority: Priority,
) -> Done<Vec<Fate>> {
    let states =
        each(store, references, |queue, ids| async move { Ok(queue.prioritise(&ids, priority).await?) })
            .await?;
    Ok(fates(references, states, "changed", |state| !state.is_final() && state != State::Blocked))
}

/// `windlass purge`.
pub(crate) async fn purge(context: &Context, state: &str) -> Done {
    let state: State = state.parse().map_err(Failure::Usage)?;
    if state == State::Running {
        return Err(Failure::Usage("--state: running tasks cannot be purged; cancel them first".into()));
    }
    let Some(name) = context.named_queue() else {
        return Err(Failure::Usage("--queue: name the queue to purge".into()));
    };
    let deleted = purge_tasks(&context.store().await?, name, state).await?;
    count(context, "purged", deleted)
}

/// Deletes all tasks of a queue that are in a state.
pub(crate) async fn purge_tasks(store: &Store, name: &QueueName, state: State) -> Done<u64> {
    let queue = store.queue(name).await?;
    let (mut deleted, mut cursor) = (0, None::<String>);
    loop {
        let step = queue.purge(state, cursor.as_deref()).await?;
        deleted += step.deleted;
        cursor = step.cursor;
        if cursor.is_none() {
            return Ok(deleted);
        }
    }
}
