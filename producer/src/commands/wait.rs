//! `wait`: until tasks or a batch are finished.

use std::collections::HashSet;

use windlass_shared::{
    model::{BatchName, Reason, State, TaskRecord, TaskRef},
    store::{Store, inspect::BatchCounts},
};

use super::{keys, results, tasks};
use crate::{
    cli,
    context::Context,
    exit::{Done, Failure},
    lay::Writer,
    output::{self, Format, say},
    steps::{Pause, bounded, duration, patiently},
};

/// `windlass wait`.
pub(crate) async fn run(context: &Context, args: cli::Wait) -> Done {
    let timeout = args.timeout.as_deref().map(|text| duration("--timeout", text)).transpose()?;
    let batch = args.batch.as_deref().map(BatchName::new).transpose()?;
    let references = context.references(&args.tasks)?;
    let store = context.store().await?;
    let writer = Writer::open(&args.write)?;
    match batch {
        Some(batch) => {
            let counts = bounded(timeout, self::batch(&store, &batch)).await?;
            let reported = report_batch(context, &batch, counts);
            results::lay_down(context, &store, &batch, writer).await?;
            reported
        }
        None => {
            let found = bounded(timeout, self::tasks(&store, &references)).await?;
            let reported = report(context, &references, &found);
            lay_down(&found, writer)?;
            reported
        }
    }
}

/// Lays down the files of tasks that are finished.
pub(super) fn lay_down(found: &[Option<TaskRecord>], writer: Option<Writer>) -> Done {
    let Some(mut writer) = writer else { return Ok(()) };
    found.iter().flatten().try_for_each(|task| writer.add(&task.view()))?;
    writer.finish()
}

/// Waits until all are in a final state, or unknown.
pub(crate) async fn tasks(store: &Store, references: &[TaskRef]) -> Done<Vec<Option<TaskRecord>>> {
    let mut pause = Pause::new();
    let mut told = HashSet::new();
    loop {
        let mut found = patiently(|| store.tasks(references)).await?;
        if found.iter().all(|task| task.as_ref().is_none_or(|task| task.state.is_some_and(State::is_final))) {
            keys::fetch(store, found.iter_mut().flatten()).await;
            return Ok(found);
        }
        for task in found.iter().flatten().filter(|task| task.reason == Reason::Escalated.as_str()) {
            if told.insert(task.reference.clone()) {
                say!("windlass: {0} waits for people: windlass review show {0}", task.reference);
            }
        }
        pause.wait().await;
    }
}

/// Prints the tasks, and fails if one is unknown or not completed.
pub(crate) fn report(context: &Context, references: &[TaskRef], found: &[Option<TaskRecord>]) -> Done {
    let views: Vec<_> = found.iter().flatten().map(TaskRecord::view).collect();
    tasks::print(context.format.unwrap_or(Format::Table), references.len() == 1, &views)?;
    keys::hint(found.iter().flatten());
    let unknown: Vec<String> =
        references.iter().zip(found).filter(|(_, task)| task.is_none()).map(|(r, _)| r.to_string()).collect();
    if !unknown.is_empty() {
        return Err(tasks::unknown_tasks(&unknown));
    }
    match views.iter().filter(|task| task.state != Some(State::Completed)).count() {
        0 => Ok(()),
        bad => Err(Failure::NotDone(format!("{bad} of {} tasks did not complete", views.len()))),
    }
}

/// Waits until all tasks of a batch are finished; shows progress on a terminal.
pub(crate) async fn batch(store: &Store, batch: &BatchName) -> Done<BatchCounts> {
    let bar = progress_bar();
    let mut pause = Pause::new();
    let mut before = BatchCounts::default();
    let mut told = false;
    loop {
        let Some(counts) = patiently(|| store.batch(batch)).await? else {
            return Err(unknown(batch));
        };
        bar.set_length(counts.total);
        bar.set_position(counts.finished());
        bar.set_message(format!("{} failed", counts.failed));
        if counts.finished() >= counts.total {
            bar.finish_and_clear();
            return Ok(counts);
        }
        if counts != before {
            pause.reset();
        }
        before = counts;
        pause.wait().await;
        if pause.is_longest() && !std::mem::replace(&mut told, true) {
            tell_if_nobody_works(store).await?;
        }
    }
}

/// Whoever waits for a fleet that is not there should know.
async fn tell_if_nobody_works(store: &Store) -> Done {
    let (nodes, _) = store.nodes().await?;
    if !nodes.iter().any(|node| node.alive) {
        say!("windlass: no node is alive, so nothing is worked on: start windlass-worker, or `windlass dev`");
    }
    Ok(())
}

/// No part of the batch is left.
pub(crate) fn unknown(batch: &BatchName) -> Failure {
    Failure::NotDone(format!(
        "no such batch: {batch}. Nothing was submitted under this name, or it ended longer ago than its queues' retention"
    ))
}

/// Hidden where stderr is not a terminal.
fn progress_bar() -> indicatif::ProgressBar {
    let style = indicatif::ProgressStyle::with_template("{bar:40} {pos}/{len} finished, {msg} ({elapsed})");
    indicatif::ProgressBar::new(0)
        .with_style(style.unwrap_or_else(|_| indicatif::ProgressStyle::default_bar()))
}

/// Prints a batch's counts, and fails if a task did not complete.
pub(crate) fn report_batch(context: &Context, batch: &BatchName, counts: BatchCounts) -> Done {
    #[derive(serde::Serialize)]
    struct View<'a> {
        batch: &'a str,
        #[serde(flatten)]
        counts: BatchCounts,
    }
    let bad = counts.total - counts.completed;
    match context.format {
        Some(Format::Json | Format::Jsonl) => output::json(&View { batch: batch.as_str(), counts })?,
        _ => say!(
            "batch {batch}: {} of {} completed, {} failed, {} cancelled, {} expired",
            counts.completed,
            counts.total,
            counts.failed,
            counts.cancelled,
            counts.expired
        ),
    }
    if bad == 0 {
        Ok(())
    } else {
        Err(Failure::NotDone(format!(
            "{bad} tasks did not complete: windlass results --batch {batch} --state failed"
        )))
    }
}
