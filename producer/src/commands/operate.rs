//! `cancel`, `retry`, `priority`, `purge`: what people do to tasks.

use serde::Serialize;
use windlass_shared::{
    model::{BatchName, Priority, QueueName, State, TaskId, TaskRef},
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
#[derive(Debug, Serialize)]
pub(super) struct Fate {
    #[serde(rename = "ref")]
    pub(super) reference: String,
    /// Its state now; none if there is no such task.
    pub(super) state: Option<State>,
    /// What was done.
    pub(super) outcome: &'static str,
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
pub(super) async fn each<T>(
    store: &Store,
    references: &[TaskRef],
    act: impl AsyncFn(Queue, Vec<TaskId>) -> Done<Vec<T>>,
) -> Done<Vec<T>> {
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
    let cancelled = each(&store, &references, async |queue, ids| Ok(queue.cancel(&ids).await?)).await?;
    for (reference, cancelled) in references.iter().zip(&cancelled) {
        if let Cancelled::Asked(Some(node)) = cancelled {
            store.tell(node, &NodeCommand::Cancel(reference.clone())).await?;
        }
    }
    let fates: Vec<Fate> = references
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
        .collect();
    print(context, &fates, "were finished already")
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
        let states = each(&store, &references, async |queue, ids| Ok(queue.retry(&ids).await?)).await?;
        let fates = fates(&references, states, "retried", |state| state == State::Pending);
        return print(context, &fates, "are not failed, cancelled or expired");
    }
    let retried = match (batch, context.named_queue()) {
        (Some(batch), _) => retry_batch(&store, &batch).await?,
        (None, queue) => retry_dead(&store, queue.unwrap_or(&context.queue())).await?,
    };
    count(context, "retried", retried)
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

/// Every task that is in the dead letter now; one that fails again meanwhile is not taken twice.
async fn retry_dead(store: &Store, name: &QueueName) -> Done<u64> {
    let queue = store.queue(name).await?;
    let mut ids = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let page = queue.list(State::Failed, PAGE, cursor.as_deref()).await?;
        ids.extend(page.tasks.into_iter().map(|task| task.reference.id));
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

async fn retry_batch(store: &Store, batch: &BatchName) -> Done<u64> {
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
    let states =
        each(&store, &references, async |queue, ids| Ok(queue.prioritise(&ids, priority).await?)).await?;
    print(
        context,
        &fates(&references, states, "changed", |state| !state.is_final() && state != State::Blocked),
        "are finished or wait for review",
    )
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
    let queue = context.store().await?.queue(name).await?;
    let mut deleted = 0;
    let mut cursor: Option<String> = None;
    loop {
        let step = queue.purge(state, cursor.as_deref()).await?;
        deleted += step.deleted;
        cursor = step.cursor;
        if cursor.is_none() {
            return count(context, "purged", deleted);
        }
    }
}
