//! One attempt of one task, in named steps: decode, find its type, execute under guard, decide.

use std::{panic::AssertUnwindSafe, pin::pin, sync::Arc, time::Duration};

use futures_util::FutureExt;
use serde_json::value::RawValue;
use tokio::{sync::oneshot, time::Instant};
use tracing::Instrument;
use windlass_shared::{
    model::{ErrorClass, NodeRecord, TaskRecord, Trace, TypeName, Why},
    store::Settle,
};
use windlass_telemetry::otel::{At, Span};

use crate::{
    catalog::Known,
    decide::{Outcome, decide},
    executor::{Carry, Failure, Job, Progress},
    metrics::{self, exemplar, metrics},
    node::Node,
    running::Cause,
    spans,
};

mod objects;

/// What an attempt came to.
#[derive(Debug, Default)]
pub(crate) struct Over {
    /// What is told to Redis; `None` if the lease was lost on the way.
    pub(crate) settle: Option<Settle>,
    /// Its span, for that of the settle.
    pub(crate) at: Option<At>,
}

/// Runs the attempt to its end.
pub(crate) async fn run(
    node: Arc<Node>,
    task: TaskRecord,
    claimed_at: Instant,
    progress: Progress,
    stopped: oneshot::Receiver<Cause>,
) -> Over {
    let span = spans::attempt(&node, &task);
    let trace = spans::trace(&span, &task);
    let log = tracing::info_span!(
        "attempt",
        task = %task.reference,
        r#type = %task.task_type,
        attempt = task.attempt,
        trace_id = tracing::field::Empty,
    );
    if let Some(parent) = trace.as_ref().and_then(Trace::parent) {
        log.record("trace_id", tracing::field::display(format_args!("{:032x}", parent.trace)));
    }
    let claim = Claim { claimed_at, trace, span: &span };
    let settle = span.around(steps(&node, task, claim, progress, stopped).instrument(log)).await;
    Over { settle, at: span.at() }
}

/// What is known of an attempt besides its task.
struct Claim<'a> {
    claimed_at: Instant,
    trace: Option<Trace>,
    span: &'a Span,
}

async fn steps(
    node: &Arc<Node>,
    mut task: TaskRecord,
    claim: Claim<'_>,
    progress: Progress,
    mut stopped: oneshot::Receiver<Cause>,
) -> Option<Settle> {
    let known = node.catalog.get(&task.task_type);
    let trace = exemplar(claim.trace.as_ref());
    let mut ran = None;
    let outcome = match objects::fetch(node, &mut task, &mut stopped).await {
        Some(outcome) => outcome,
        None => match (decode(&mut task, claim.trace, progress), known) {
            (Err(Unfit::Failed(failure)), _) => Outcome::Failed(failure),
            (Err(Unfit::NoKey(key)), _) => missing_key(node, &task, key).await,
            (Ok(_), None) => unknown_type(node, &task).await,
            (Ok(job), Some(known)) => {
                let start = Instant::now();
                metrics().starts(start.duration_since(claim.claimed_at), trace);
                let outcome = execute(&job, known, known.timeout(&task), &mut stopped).await;
                ran = Some(start.elapsed());
                outcome
            }
        },
    };
    // Told to stop already, it cannot be told again.
    let stopped = (!matches!(outcome, Outcome::Stopped(..))).then_some(stopped);
    log(node, &task, &outcome);
    let failed = if let Outcome::Failed(failure) = &outcome { Some(failure.class) } else { None };
    if let Outcome::Failed(failure) = &outcome {
        // The message may quote what is sealed.
        let why = if node.store.payloads().seals() { "" } else { &failure.message };
        claim.span.fail(failure.class.as_str(), why);
    }
    let policy = known.filter(|_| failed.is_some()).map(|known| known.policy(&task)).unwrap_or_default();
    let settle = decide(&task, &policy, outcome, &node.limits, fastrand::f64());
    let told = metrics::outcome(settle.as_ref());
    claim.span.set("windlass.outcome", told);
    if let Some(took) = ran {
        metrics().ran(&task.task_type, told, took, trace);
    }
    if let (Some(class), "retried") = (failed, told) {
        metrics().retried(class.as_str());
    }
    objects::put_away(node, &task.reference, settle?, stopped).await
}

/// Why a task cannot be run here.
enum Unfit {
    Failed(Failure),
    /// It is sealed with a key that this node does not hold.
    NoKey(String),
}

/// What an executor is given of a task.
const GIVEN: [&str; 3] = ["payload", "ledger", "metadata"];

/// The record as an executor sees it, or why it cannot be read. Takes the payload out of it.
fn decode(task: &mut TaskRecord, trace: Option<Trace>, progress: Progress) -> Result<Job, Unfit> {
    let bad = |why: String| Unfit::Failed(Failure::new(ErrorClass::Undecodable, why));
    if let Some(fault) = &task.fault {
        return Err(bad(fault.clone()));
    }
    if let Some(unread) = task.unread.iter().find(|unread| GIVEN.contains(&unread.field)) {
        return Err(match &unread.why {
            Why::NoKey(key) => Unfit::NoKey(key.clone()),
            why => bad(format!("its {} cannot be used: {why}", unread.field)),
        });
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
        crashes: task.crashes,
        ledger: task.ledger.clone(),
        carry: Carry::default(),
        metadata: task.options.metadata.clone(),
        trace,
        progress,
    })
}

/// Ends with the executor, its time-out, its panic, or a word from outside. Whatever ends it drops the executor's
/// future, which stops what it started.
async fn execute(
    job: &Job,
    known: &Known,
    timeout: Duration,
    stopped: &mut oneshot::Receiver<Cause>,
) -> Outcome {
    let mut guarded = pin!(AssertUnwindSafe(known.executor.execute(job)).catch_unwind());
    tokio::select! {
        biased;
        // Nobody holds the other end any more: a later attempt took this one's place.
        cause = stopped => Outcome::Stopped(cause.unwrap_or(Cause::Lost), job.carry.get()),
        () = job.progress.silence(known.progress_deadline) => {
            let limit = known.progress_deadline.map(windlass_shared::model::time::human).unwrap_or_default();
            let message = format!("no sign of life for {limit} (progress_deadline of the type)");
            Outcome::Failed(Failure { ledger: job.carry.get(), ..Failure::new(ErrorClass::Timeout, message) })
        }
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

/// Given up only when it was handed on for a minute and no live node of its queue can take it.
async fn given_up(node: &Node, task: &TaskRecord, can_take: impl Fn(&NodeRecord) -> bool) -> bool {
    let known_for = task.unknown_since.zip(task.started_at).map(|(since, now)| now.since(since));
    if known_for.is_none_or(|time| time < UNKNOWN_TYPE_LIMIT) {
        return false;
    }
    let Ok((nodes, _)) = node.store.nodes().await else { return false };
    let mut live = nodes.iter().filter(|node| node.alive).filter_map(|node| node.record.as_ref());
    !live.any(|record| record.queues.contains_key(&task.reference.queue) && can_take(record))
}

async fn unknown_type(node: &Node, task: &TaskRecord) -> Outcome {
    let knows = |record: &NodeRecord| record.types.iter().any(|name| name.as_str() == task.task_type);
    Outcome::UnknownType { given_up: given_up(node, task, knows).await }
}

async fn missing_key(node: &Node, task: &TaskRecord, key: String) -> Outcome {
    let given_up = given_up(node, task, |record| record.keys.contains(&key)).await;
    Outcome::MissingKey { key, given_up }
}

fn log(node: &Node, task: &TaskRecord, outcome: &Outcome) {
    match outcome {
        Outcome::Done(_) => tracing::debug!("the attempt succeeded"),
        // The message may quote what is sealed.
        Outcome::Failed(failure) if node.store.payloads().seals() => {
            tracing::warn!(class = %failure.class, retries = task.retries, "the attempt failed; why is sealed with the task");
        }
        Outcome::Failed(failure) => {
            tracing::warn!(class = %failure.class, error = %failure.message, retries = task.retries, "the attempt failed");
        }
        Outcome::UnknownType { given_up } => {
            tracing::warn!(
                given_up,
                "this node does not know the task's type; is it declared in the configuration?"
            );
        }
        Outcome::MissingKey { key, given_up } => {
            tracing::warn!(%key, given_up, "this node does not hold the key that the task is sealed with (setting sealing.keys)");
        }
        Outcome::Stopped(cause, _) => tracing::info!(?cause, "the attempt was stopped"),
    }
}
