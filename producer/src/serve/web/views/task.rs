//! One task's whole story.

use std::collections::BTreeMap;

use axum::{
    Extension,
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use windlass_shared::model::{
    Priority, QueueName, State as TaskState, TaskId, TaskRecord, TaskRef, Transition,
};

use crate::{
    commands::{
        keys,
        operate::{self, Fate},
        review::{draft::Draft, is_escalated},
        search,
    },
    serve::{
        app::App,
        problem::{Answer, Kind, Problem},
        web::{
            filters::indent,
            form::task_path,
            page::{Ask, Path, Shown, value},
            session::{Sent, Who},
        },
    },
};

/// Bytes of a text that a page shows; the whole can be downloaded.
const SHOWN: usize = 100_000;
/// What is longer is folded.
const FOLDED: usize = 4_000;

async fn found(app: &App, reference: &TaskRef) -> Answer<TaskRecord> {
    let task = app.store.tasks(std::slice::from_ref(reference)).await?.into_iter().flatten().next();
    let mut task = task.ok_or_else(|| {
        Problem::not_found(format!(
            "no task {reference}. A finished task is forgotten after its queue's retention (24 h unless set)"
        ))
    })?;
    keys::fetch(&app.store, std::iter::once(&mut task)).await;
    Ok(task)
}

/// A text as a page shows it.
pub(in crate::serve::web) fn shown(text: &str) -> Value {
    let mut end = text.len().min(SHOWN);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let cut = end < text.len();
    // A part of JSON is none: it is shown as it stands there.
    let body = if cut { text[..end].to_owned() } else { indent(text) };
    json!({ "text": body, "bytes": text.len(), "cut": cut, "folded": body.len() > FOLDED })
}

/// Files that a task made or drafted.
pub(in crate::serve::web) fn files(draft: &Draft) -> Value {
    let file = |(path, text): (&String, &String)| json!({ "path": path, "lines": text.lines().count(), "body": plain(text) });
    draft.files.iter().map(file).collect()
}

fn plain(text: &str) -> Value {
    let mut end = text.len().min(SHOWN);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    json!({ "text": &text[..end], "bytes": text.len(), "cut": end < text.len() })
}

/// What models were asked, and what validators said.
pub(in crate::serve::web) fn work(draft: &Draft) -> Value {
    let calls: Vec<Value> = draft
        .calls
        .iter()
        .map(|call| {
            json!({
                "model": call.model, "attempt": call.attempt, "error": call.error, "input": call.input_tokens, "output": call.output_tokens,
                "cost": call.cost_usd, "ms": call.duration_ms, "cached": call.cached, "why": call.why,
            })
        })
        .collect();
    let validation = draft.validation.as_ref().map(|validation| {
        let checks: Vec<Value> = validation
            .checks
            .iter()
            .map(|check| {
                json!({
                    "validator": check.validator, "severity": check.severity, "ran": check.ran, "passed": check.passed,
                    "score": check.score, "message": check.message,
                })
            })
            .collect();
        json!({ "score": validation.score, "threshold": validation.threshold, "checks": checks })
    });
    json!({ "calls": calls, "validation": validation, "model": draft.model, "cost": draft.cost_usd, "notes": draft.notes, "text": plain(&draft.text) })
}

/// What an attempt that did not complete left, read as a draft.
fn draft(task: &TaskRecord) -> Draft {
    if task.result.is_some() {
        return Draft::of(task);
    }
    Draft::of(&TaskRecord { result: task.ledger.clone(), ..task.clone() })
}

fn actions(task: &TaskRecord) -> Value {
    use TaskState::{Blocked, Cancelled, Expired, Failed};
    let state = task.state;
    let over = state.is_none_or(TaskState::is_final);
    json!({
        "cancel": !over && task.reason != "cancelling",
        "retry": matches!(state, Some(Failed | Cancelled | Expired)),
        "priority": !over && !matches!(state, Some(Blocked | TaskState::Running)),
        "review": is_escalated(task),
    })
}

/// The last first, with the time that passed before each.
fn story(events: &[Transition]) -> Vec<Value> {
    let mut before = None;
    let mut told: Vec<Value> = events
        .iter()
        .map(|event| {
            let mut told = value(event);
            told["after_ms"] = before.map(|before| event.at.since(before).as_millis() as u64).into();
            before = Some(event.at);
            told
        })
        .collect();
    told.reverse();
    told
}

pub(in crate::serve::web) async fn page(
    State(app): State<App>,
    Extension(visitor): Who,
    Path((queue, id)): Path<(QueueName, TaskId)>,
) -> Shown {
    let reference = TaskRef { queue, id };
    let task = found(&app, &reference).await?;
    let events = search::story(&app.store, &reference.queue, &reference.id).await?;
    let draft = draft(&task);
    let mut view = value(&task.view());
    for large in ["payload", "result", "ledger"] {
        view[large] = Value::Null;
    }
    let text = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(shown);
    let over = task.state.is_none_or(TaskState::is_final);
    let took = task.started_at.zip(task.finished_at).map(|(start, end)| end.since(start).as_millis() as u64);
    let waited = task.started_at.map(|start| start.since(task.created_at).as_millis() as u64);
    let data = json!({
        "task": view, "over": over, "took": took, "waited": waited, "can": actions(&task), "events": story(&events),
        "payload": text(Some(&task.payload)), "result": text(task.result.as_deref()), "ledger": text(task.ledger.as_deref().filter(|_| task.result.is_none())),
        "metadata": task.options.metadata.as_ref().map(|metadata| shown(metadata.get())),
        "progress": text(task.progress.as_deref()), "review": task.review.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok()),
        "files": files(&draft), "work": work(&draft), "fault": task.fault,
        "priorities": Priority::ALL.map(Priority::as_str),
    });
    visitor.page("task.html", &format!("Task {reference}"), data)
}

/// A download, which no browser takes for a page of ours.
fn attachment(name: &str, kind: &'static str, text: String, inline: bool) -> Response {
    let mut response = text.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; sandbox; frame-ancestors 'none'"),
    );
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let name: String = name.rsplit('/').next().unwrap_or(name).chars().map(plain).collect();
    let how = if inline { "inline" } else { "attachment" };
    if let Ok(value) = HeaderValue::from_str(&format!("{how}; filename=\"{name}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    response
}

pub(in crate::serve::web) async fn raw(
    State(app): State<App>,
    Path((queue, id, field)): Path<(QueueName, TaskId, String)>,
) -> Shown {
    let reference = TaskRef { queue, id };
    let task = found(&app, &reference).await?;
    let text = match field.as_str() {
        "payload" => Some(task.payload).filter(|text| !text.is_empty()),
        "result" => task.result,
        "ledger" => task.ledger,
        _ => None,
    };
    let text = text.ok_or_else(|| Problem::not_found(format!("{reference} has no {field}")))?;
    Ok(attachment(&format!("{}-{field}.json", reference.id), "application/json", text, false))
}

pub(in crate::serve::web) async fn file(
    State(app): State<App>,
    Extension(visitor): Who,
    Path((queue, id, path)): Path<(QueueName, TaskId, String)>,
) -> Shown {
    let reference = TaskRef { queue, id };
    let task = found(&app, &reference).await?;
    let mut files: BTreeMap<String, String> = draft(&task).files;
    let text = files
        .remove(&path)
        .ok_or_else(|| Problem::not_found(format!("the result of {reference} has no file {path:?}")))?;
    let inline = visitor.query.get("download").is_none();
    Ok(attachment(&path, "text/plain; charset=utf-8", text, inline))
}

fn outcome(fates: Vec<Fate>, reference: &TaskRef, refused: &str) -> Answer<String> {
    match fates.into_iter().next() {
        Some(fate) if fate.outcome == "unknown" => Err(Problem::not_found(format!("no task {reference}"))),
        Some(fate) if fate.outcome == "refused" => {
            let state = fate.state.map_or("gone", TaskState::as_str);
            Err(Problem::new(Kind::Conflict, format!("{reference} is {state}: {refused}")))
        }
        Some(fate) => Ok(format!("{reference}: {}.", fate.outcome)),
        None => Err(Problem::new(Kind::Internal, "Redis answered nothing")),
    }
}

type Named = Path<(QueueName, TaskId)>;

pub(in crate::serve::web) async fn retry(
    State(app): State<App>,
    Extension(visitor): Who,
    Extension(form): Sent,
    Path((queue, id)): Named,
) -> Shown {
    let reference = TaskRef { queue, id };
    let named = reference.to_string();
    let work = async {
        let fates = operate::retry_tasks(&app.store, std::slice::from_ref(&reference)).await?;
        outcome(fates, &reference, "only failed, cancelled and expired tasks are retried")
    };
    let did = app.act(&visitor.caller, "retry", vec![named.clone()], &[], work).await?;
    Ok(visitor.back(&form, &task_path(&named), &did))
}

pub(in crate::serve::web) async fn cancel(
    State(app): State<App>,
    Extension(visitor): Who,
    Extension(form): Sent,
    Path((queue, id)): Named,
) -> Shown {
    let reference = TaskRef { queue, id };
    let named = reference.to_string();
    let text = format!(
        "{named} is not run; if it runs, its node stops it and what it did so far is lost. It can be retried later."
    );
    let ask = Ask { title: "Cancel this task?".into(), text, verb: "Cancel the task", typed: None };
    if let Some(asked) = visitor.asks(&form, &ask)? {
        return Ok(asked);
    }
    let work = async {
        let fates = operate::cancel_tasks(&app.store, std::slice::from_ref(&reference)).await?;
        outcome(fates, &reference, "it is over, and cannot be cancelled")
    };
    let did = app.act(&visitor.caller, "cancel", vec![named.clone()], &[], work).await?;
    Ok(visitor.back(&form, &task_path(&named), &did))
}

pub(in crate::serve::web) async fn priority(
    State(app): State<App>,
    Extension(visitor): Who,
    Extension(form): Sent,
    Path((queue, id)): Named,
) -> Shown {
    let reference = TaskRef { queue, id };
    let named = reference.to_string();
    let priority: Priority = form.get("priority").unwrap_or_default().parse().map_err(Problem::invalid)?;
    let work = async {
        let fates = operate::prioritise_tasks(&app.store, std::slice::from_ref(&reference), priority).await?;
        outcome(fates, &reference, "only the priority of a task that waits can be changed")
    };
    let did = app
        .act(&visitor.caller, "priority", vec![named.clone()], &[("priority", priority.to_string())], work)
        .await?;
    Ok(visitor.back(&form, &task_path(&named), &did))
}
