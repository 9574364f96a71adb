//! One attempt of one task, in named steps: decode, find its type, execute under guard, decide.

use std::{panic::AssertUnwindSafe, pin::pin, sync::Arc, time::Duration};

use futures_util::FutureExt;
use serde_json::value::RawValue;
use tokio::sync::oneshot;
use tracing::Instrument;
use windlass_shared::{
    model::{ErrorClass, TaskRecord, TypeName},
    store::Settle,
};

use crate::{
    catalog::Known,
    decide::{Outcome, decide},
    executor::{Carry, Failure, Job, Progress},
    node::Node,
    running::Cause,
};

/// Runs the attempt to its end. What it gives is told to Redis; `None` if the lease was lost on the way.
pub(crate) async fn run(
    node: Arc<Node>,
    mut task: TaskRecord,
    progress: Progress,
    stopped: oneshot::Receiver<Cause>,
) -> Option<Settle> {
    let span = tracing::info_span!("attempt", task = %task.reference, r#type = %task.task_type, attempt = task.attempt);
    async move {
        let known = node.catalog.get(&task.task_type);
        let outcome = match (decode(&mut task, progress), known) {
            (Err(failure), _) => Outcome::Failed(failure),
            (Ok(_), None) => unknown_type(&node, &task).await,
            (Ok(job), Some(known)) => execute(&job, known, known.timeout(&task), stopped).await,
        };
        log(&task, &outcome);
        let failed = matches!(outcome, Outcome::Failed(_));
        let policy = known.filter(|_| failed).map(|known| known.policy(&task)).unwrap_or_default();
        decide(&task, &policy, outcome, node.limits.max_result, fastrand::f64())
    }
    .instrument(span)
    .await
}

/// The record as an executor sees it, or why it cannot be read. Takes the payload out of it.
fn decode(task: &mut TaskRecord, progress: Progress) -> Result<Job, Failure> {
    let bad = |why: String| Failure::new(ErrorClass::Undecodable, why);
    if let Some(fault) = &task.fault {
        return Err(bad(fault.clone()));
    }
    let payload = RawValue::from_string(std::mem::take(&mut task.payload))
        .map_err(|error| bad(format!("its payload is not JSON: {error}")))?;
    Ok(Job {
        reference: task.reference.clone(),
        task_type: TypeName::new(&task.task_type).map_err(|error| bad(error.to_string()))?,
        attempt: task.attempt,
        payload,
        submitted: None,
        tenant: task.tenant.clone(),
        batch: task.batch.clone(),
        priority: task.priority,
        waits: task.waits,
        ledger: task.ledger.clone(),
        carry: Carry::default(),
        metadata: task.options.metadata.clone(),
        progress,
    })
}

/// Ends with the executor, its time-out, its panic, or a word from outside. Whatever ends it drops the executor's
/// future, which stops what it started.
async fn execute(job: &Job, known: &Known, timeout: Duration, stopped: oneshot::Receiver<Cause>) -> Outcome {
    let mut guarded = pin!(AssertUnwindSafe(known.executor.execute(job)).catch_unwind());
    tokio::select! {
        biased;
        // Nobody holds the other end any more: a later attempt took this one's place.
        cause = stopped => Outcome::Stopped(cause.unwrap_or(Cause::Lost), job.carry.get()),
        ended = tokio::time::timeout(timeout, &mut guarded) => match ended {
            Ok(Ok(Ok(result))) => Outcome::Done(result),
            Ok(Ok(Err(failure))) => Outcome::Failed(failure),
            Ok(Err(panic)) => Outcome::Failed(Failure {
                ledger: job.carry.get(),
                ..Failure::new(ErrorClass::Panic, panic_text(panic.as_ref()))
            }),
            Err(_) => {
                job.carry.out_of_time(timeout);
                let limit = windlass_shared::model::time::human(timeout);
                Outcome::Failed(Failure {
                    ledger: job.carry.get(),
                    ..Failure::new(ErrorClass::Timeout, format!("the attempt took longer than {limit}"))
                })
            }
        },
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("the executor panicked: {}", text.unwrap_or("without a message"))
}

/// How long a task of an unknown type is handed on before anyone may give it up.
const UNKNOWN_TYPE_LIMIT: Duration = Duration::from_secs(60);

/// Given up only when it was handed on for a minute and no live node of its queue knows the type.
async fn unknown_type(node: &Node, task: &TaskRecord) -> Outcome {
    let known_for = task.unknown_since.zip(task.started_at).map(|(since, now)| now.since(since));
    if known_for.is_none_or(|time| time < UNKNOWN_TYPE_LIMIT) {
        return Outcome::UnknownType { given_up: false };
    }
    let given_up = match node.store.nodes().await {
        Ok((nodes, _)) => !nodes.iter().filter(|n| n.alive).filter_map(|n| n.record.as_ref()).any(|record| {
            record.queues.contains_key(&task.reference.queue)
                && record.types.iter().any(|name| name.as_str() == task.task_type)
        }),
        Err(_) => false,
    };
    Outcome::UnknownType { given_up }
}

fn log(task: &TaskRecord, outcome: &Outcome) {
    match outcome {
        Outcome::Done(_) => tracing::debug!("the attempt succeeded"),
        Outcome::Failed(failure) => {
            tracing::warn!(class = %failure.class, error = %failure.message, retries = task.retries, "the attempt failed");
        }
        Outcome::UnknownType { given_up } => {
            tracing::warn!(
                given_up,
                "this node does not know the task's type; is it declared in the configuration?"
            );
        }
        Outcome::Stopped(cause, _) => tracing::info!(?cause, "the attempt was stopped"),
    }
}
