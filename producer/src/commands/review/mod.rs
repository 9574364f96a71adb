//! `review`: people decide on drafts that no validator passed.

pub(crate) mod draft;
mod show;

use std::io::Read;

use serde_json::value::RawValue;
use windlass_shared::{
    model::{QueueName, Reason, State, TaskId, TaskRecord, TaskRef},
    store::{Review, Reviewed, Store},
};

use self::draft::{Draft, Shown, Waiting};
use super::{
    keys,
    operate::{self, Fate},
    tasks,
};
use crate::{
    cli::{self, Decide, Edit, ReviewCommand, Signature},
    context::Context,
    exit::{Done, Failure},
    operator,
    output::{self, Format, say},
};

/// Tasks of a page.
const PAGE: usize = 100;
/// Longest name and note, bytes: they are kept with each task.
const LONGEST_NAME: usize = 200;
pub(crate) const LONGEST_NOTE: usize = 4000;

const HEAD: [&str; 7] = ["TASK", "TYPE", "SUBMITTED", "MODEL", "SCORE", "FILES", "WHY"];

fn row(task: &Waiting) -> Vec<String> {
    vec![
        task.reference.clone(),
        task.task_type.clone(),
        task.created_at.to_string(),
        task.model.clone().unwrap_or_default(),
        task.score.map(|score| format!("{score:.2}")).unwrap_or_default(),
        task.files.len().to_string(),
        tasks::short(&show::plain(task.why.as_deref().unwrap_or_default()).replace('\n', " "), 80),
    ]
}

/// `windlass review`.
pub(crate) async fn run(context: &Context, args: cli::Review) -> Done {
    match args.command {
        ReviewCommand::List(args) => list(context, usize::from(args.limit)).await,
        ReviewCommand::Show(args) => show(context, args.task).await,
        ReviewCommand::Approve(args) => decide(context, &args, &Review::Approve).await,
        ReviewCommand::Reject(args) => decide(context, &args, &Review::Reject).await,
        ReviewCommand::Edit(args) => edit(context, args).await,
    }
}

/// The task waits for people, and not for other tasks.
pub(crate) fn is_escalated(task: &TaskRecord) -> bool {
    task.state == Some(State::Blocked) && task.reason == Reason::Escalated.as_str()
}

async fn list(context: &Context, limit: usize) -> Done {
    let store = context.store().await?;
    let queues = match context.named_queue() {
        Some(queue) => vec![queue.clone()],
        None => store.queues().await?,
    };
    let (waiting, more) = waiting(&store, queues, limit).await?;
    output::list(context.format.unwrap_or(Format::Table), &waiting, &HEAD, row)?;
    if more {
        say!("more wait: see --limit");
    }
    if waiting.is_empty() {
        say!("no task waits for people");
    }
    Ok(())
}

/// Tasks of these queues that wait for people, and whether there are more than `limit`.
pub(crate) async fn waiting(
    store: &Store,
    mut queues: Vec<QueueName>,
    limit: usize,
) -> Done<(Vec<Waiting>, bool)> {
    let one_queue = queues.len() == 1;
    let mut waiting = Vec::new();
    let mut more = false;
    for name in queues.drain(..) {
        let queue = store.queue(&name).await?;
        let (mut cursor, mut found) = (None::<String>, 0);
        loop {
            let page = queue.list(State::Blocked, PAGE, cursor.as_deref()).await?;
            for task in page.tasks.iter().filter(|task| is_escalated(task)) {
                found += 1;
                if found <= limit {
                    waiting.push(Waiting::of(task, &Draft::of(task)));
                }
            }
            cursor = page.cursor.filter(|_| found <= limit);
            if cursor.is_none() {
                break;
            }
        }
        more |= found > limit;
    }
    // Of one queue they come in the order in which they began to wait.
    if !one_queue {
        waiting.sort_by_key(|task| task.started_at);
    }
    more |= waiting.len() > limit;
    waiting.truncate(limit);
    Ok((waiting, more))
}

async fn show(context: &Context, task: String) -> Done {
    let references = context.references(&[task])?;
    let store = context.store().await?;
    let found = store.tasks(&references).await?.into_iter().flatten().next();
    let Some(mut task) = found else { return Err(tasks::unknown_tasks(&[references[0].to_string()])) };
    if !is_escalated(&task) {
        return Err(not_waiting(&[(references[0].to_string(), task.state)]));
    }
    keys::fetch(&store, std::iter::once(&mut task)).await;
    let draft = Draft::of(&task);
    keys::hint(std::iter::once(&task));
    match context.format {
        Some(Format::Json | Format::Jsonl) => output::json(&Shown::of(&task, &draft)),
        _ => show::print(&Waiting::of(&task, &draft), &draft),
    }
}

/// Tasks that nobody asks people about.
fn not_waiting(tasks: &[(String, Option<State>)]) -> Failure {
    let told: Vec<String> = tasks
        .iter()
        .map(|(reference, state)| match state {
            Some(State::Blocked) => format!("{reference} waits for other tasks"),
            Some(state) => format!("{reference} is {state}"),
            None => reference.clone(),
        })
        .collect();
    Failure::Refused(format!(
        "not waiting for review: {}. `windlass review list` shows those that are, `windlass status TASK` the others",
        told.join(", ")
    ))
}

async fn decide(context: &Context, args: &Decide, review: &Review) -> Done {
    let references = context.references(&args.tasks)?;
    settle(context, &references, &args.signature, review).await
}

async fn edit(context: &Context, args: Edit) -> Done {
    let references = context.references(&[args.task])?;
    let result = result(args.result.as_deref(), args.result_json, context.config.submit.max_payload)?;
    settle(context, &references, &args.signature, &Review::Edit(result)).await
}

/// The result that a person gives: JSON of a bearable size.
fn result(file: Option<&str>, text: Option<String>, most: usize) -> Done<String> {
    let (flag, bytes) = match (file, text) {
        (None, text) => ("--result-json", text.unwrap_or_default().into_bytes()),
        (Some("-"), _) => ("--result", read(std::io::stdin().lock(), "standard input", most)?),
        (Some(path), _) => {
            let file = std::fs::File::open(path)
                .map_err(|error| Failure::Usage(format!("--result: {path} cannot be read: {error}")))?;
            ("--result", read(file, path, most)?)
        }
    };
    if bytes.len() > most {
        return Err(Failure::Refused(format!(
            "{flag}: the result has more than {most} bytes (settings submit.max_payload, claim_check)"
        )));
    }
    let json: Box<RawValue> = serde_json::from_slice(&bytes)
        .map_err(|error| Failure::Usage(format!("{flag}: it is not JSON: {error}")))?;
    Ok(json.get().to_owned())
}

/// At most one byte more than may be.
fn read(from: impl Read, name: &str, most: usize) -> Done<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(most as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::Usage(format!("--result: {name} cannot be read: {error}")))?;
    Ok(bytes)
}

async fn settle(context: &Context, references: &[TaskRef], signature: &Signature, review: &Review) -> Done {
    let by = name(context, signature)?;
    let note = signature.note.as_deref();
    if note.is_some_and(|note| note.len() > LONGEST_NOTE) {
        return Err(Failure::Usage(format!("--note: it has more than {LONGEST_NOTE} bytes")));
    }
    let store = context.store().await?;
    refuse_others(&store, references).await?;
    let fates = decide_on(&store, references, &by, note, review).await?;
    operate::show(context, &fates)?;
    let of = |outcome: &str| fates.iter().filter(move |fate| fate.outcome == outcome).collect::<Vec<_>>();
    let unknown: Vec<String> = of("unknown").iter().map(|fate| fate.reference.clone()).collect();
    if !unknown.is_empty() {
        return Err(tasks::unknown_tasks(&unknown));
    }
    let refused: Vec<_> = of("refused").iter().map(|fate| (fate.reference.clone(), fate.state)).collect();
    if refused.is_empty() { Ok(()) } else { Err(not_waiting(&refused)) }
}

/// Settles tasks that wait for people.
pub(crate) async fn decide_on(
    store: &Store,
    references: &[TaskRef],
    by: &str,
    note: Option<&str>,
    review: &Review,
) -> Done<Vec<Fate>> {
    let each = |queue: windlass_shared::store::Queue, ids: Vec<TaskId>| async move {
        Ok(queue.review(&ids, review, by, note).await?)
    };
    let reviewed = operate::each(store, references, each).await?;
    let (outcome, state) = match review {
        Review::Approve => ("approved", State::Completed),
        Review::Edit(_) => ("edited", State::Completed),
        Review::Reject => ("rejected", State::Failed),
    };
    let fate = |(reference, reviewed): (&TaskRef, Reviewed)| {
        let (state, outcome) = match reviewed {
            Reviewed::Done => (Some(state), outcome),
            Reviewed::NotWaiting(state) => (Some(state), "refused"),
            Reviewed::Unknown => (None, "unknown"),
        };
        Fate { reference: reference.to_string(), state, outcome }
    };
    Ok(references.iter().zip(reviewed).map(fate).collect())
}

/// A task that waits for other tasks is `blocked` too; it has no draft to decide on.
pub(crate) async fn refuse_others(store: &Store, references: &[TaskRef]) -> Done {
    let mut others = Vec::new();
    for page in references.chunks(PAGE) {
        for task in store.tasks(page).await?.into_iter().flatten() {
            if task.state == Some(State::Blocked) && !is_escalated(&task) {
                others.push((task.reference.to_string(), task.state));
            }
        }
    }
    if others.is_empty() { Ok(()) } else { Err(not_waiting(&others)) }
}

/// Who decides: what was said, or who is configured to act, or the user.
fn name(context: &Context, signature: &Signature) -> Done<String> {
    let said = signature.by.clone().or_else(|| context.config.operator.clone());
    let name = said.filter(|name| !name.trim().is_empty()).unwrap_or_else(operator::user);
    if name.len() > LONGEST_NAME {
        return Err(Failure::Usage(format!("--by: the name has more than {LONGEST_NAME} bytes")));
    }
    Ok(name)
}
