//! The spans of a task, as OpenTelemetry's conventions for messaging and for generative models name them. They are none
//! where tracing is off.

use windlass_llm::Usage;
use windlass_shared::{
    model::{Micros, TaskRecord, Trace},
    store::Settle,
};
use windlass_telemetry::otel::{At, Kind, Parent, Span, Start, attempt_span, is_on, span, trace_of};

use crate::node::Node;

/// Of a queue's work: what all its spans tell.
fn of_queue(what: &'static str, kind: Kind, queue: &str, id: &str) -> Start {
    Start::new(format!("{what} {queue}"), kind)
        .with("messaging.system", "windlass")
        .with("messaging.operation.name", what)
        .with("messaging.destination.name", queue.to_owned())
        .with("messaging.message.id", id.to_owned())
}

/// Begins the span of an attempt, after one that tells how long the task waited for it. The attempt before, if there was
/// one, is linked to: its span has an id that can be computed.
pub(crate) fn attempt(node: &Node, task: &TaskRecord) -> Span {
    if !is_on() {
        return Span::none();
    }
    let (queue, id) = (task.reference.queue.as_str(), task.reference.id.as_str());
    let from = task.options.trace.as_ref().and_then(At::of);
    let trace = from.as_ref().map_or_else(|| trace_of(queue, id, task.created_at.0), |at| at.trace);
    let flags = from.as_ref().map_or(1, |at| at.flags);
    let parent = from.map_or(Parent::Nothing(Some(trace)), Parent::Of);
    waited(task, queue, id, parent.clone());
    let called = |attempt| attempt_span(trace, queue, id, attempt);
    let former = task.attempt.checked_sub(1).filter(|former| *former > 0);
    span(|| {
        of_queue("process", Kind::Consumer, queue, id)
            .within(parent)
            .called(called(task.attempt))
            .after(former.map(|former| At { trace, span: called(former), flags, state: String::new() }))
            .with("messaging.operation.type", "process")
            .with("windlass.task.type", task.task_type.clone())
            .with("windlass.task.attempt", i64::from(task.attempt))
            .with("windlass.task.retries", i64::from(task.retries))
            .with("windlass.node.id", node.id.as_str().to_owned())
            .with_text("windlass.task.tenant", task.tenant.as_deref().unwrap_or_default())
            .with_text("windlass.task.batch", task.batch.as_deref().unwrap_or_default())
    })
}

/// From the moment at which the task could have started, by Redis's clock, to the claim.
fn waited(task: &TaskRecord, queue: &str, id: &str, parent: Parent) {
    let Some(Micros(claimed)) = task.started_at else { return };
    // The end of the attempt before is not in the record, unless it said when the next one is due.
    let known = if task.attempt > 1 { task.due_at } else { Some(task.due_at.unwrap_or(task.created_at)) };
    let Some(Micros(since)) = known.filter(|since| since.0 <= claimed) else { return };
    let wait = span(|| {
        of_queue("wait", Kind::Internal, queue, id)
            .within(parent)
            .since(since)
            .with("windlass.task.attempt", i64::from(task.attempt))
    });
    wait.end_at(claimed);
}

/// The trace that an attempt is a part of, for its executor: its own span, or what was submitted where tracing is off.
pub(crate) fn trace(span: &Span, task: &TaskRecord) -> Option<Trace> {
    span.at().map_or_else(|| task.options.trace.clone(), |at| Some(at.into()))
}

/// From the end of an attempt to Redis's answer to its result.
pub(crate) fn settle(attempt: Option<At>, queue: &str, settle: &Settle) -> Span {
    let Some(at) = attempt else { return Span::none() };
    span(|| {
        of_queue("settle", Kind::Client, queue, settle.id.as_str())
            .within(Parent::Of(at))
            .with("messaging.operation.type", "settle")
            .with("windlass.task.state", settle.to.to_string())
            .with("windlass.task.reason", settle.reason.to_string())
    })
}

/// A stage or a validator of a pipeline.
pub(crate) fn step(what: &'static str, name: &str) -> Span {
    span(|| Start::new(format!("{what} {name}"), Kind::Internal))
}

/// A call to a service. Its address's path and query are left out: they may hold secrets.
pub(crate) fn request(method: &str, url: &reqwest::Url) -> Span {
    span(|| {
        Start::new(method.to_owned(), Kind::Client)
            .with("http.request.method", method.to_owned())
            .with("url.scheme", url.scheme().to_owned())
            .with_text("server.address", url.host_str().unwrap_or_default())
            .with("server.port", i64::from(url.port_or_known_default().unwrap_or(0)))
    })
}

/// A call to a model: `chat` or `embeddings`.
pub(crate) fn call(operation: &'static str, provider: &str, model: &str) -> Span {
    span(|| {
        Start::new(format!("{operation} {model}"), Kind::Client)
            .with("gen_ai.operation.name", operation)
            .with("gen_ai.provider.name", provider.to_owned())
            .with("gen_ai.request.model", model.to_owned())
    })
}

/// What came of a call.
pub(crate) fn called(span: &Span, error: Option<&str>, usage: &Usage, cost: Option<i64>) {
    let number = |key, tokens: Option<u64>| {
        if let Some(tokens) = tokens {
            span.set(key, i64::try_from(tokens).unwrap_or(i64::MAX));
        }
    };
    number("gen_ai.usage.input_tokens", usage.input);
    number("gen_ai.usage.output_tokens", usage.output);
    number("gen_ai.usage.cache_read.input_tokens", usage.cached);
    if let Some(cost) = cost {
        span.set("windlass.llm.cost_dollars", cost as f64 / 1e9);
    }
    if let Some(class) = error {
        span.fail(class, "");
    }
}
