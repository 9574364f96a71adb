//! `status` and `tasks`: looking at tasks.

use windlass_shared::{
    model::{QueueName, State, TaskView},
    store::Store,
};

use super::{keys, search::OPEN};
use crate::{
    cli,
    context::Context,
    exit::{Done, Failure},
    output::{self, Format, say},
};

const HEAD: [&str; 8] = ["TASK", "TYPE", "STATE", "REASON", "PRIORITY", "ATTEMPT", "NODE", "RESULT OR ERROR"];

fn row(task: &TaskView) -> Vec<String> {
    let outcome = match (&task.error, &task.result) {
        (Some(error), _) => format!("{}: {}", error.class, error.message),
        (None, Some(result)) => result.get().to_owned(),
        (None, None) => task.progress.as_ref().map(|progress| progress.get().to_owned()).unwrap_or_default(),
    };
    vec![
        task.reference.clone(),
        task.task_type.clone(),
        task.state.map(|state| state.to_string()).unwrap_or_default(),
        reason(task),
        task.priority.to_string(),
        task.attempt.to_string(),
        task.node.clone().unwrap_or_default(),
        short(&outcome.replace('\n', " "), 60),
    ]
}

/// Why it is where it is, and how often it had to wait for a limit or a budget.
fn reason(task: &TaskView) -> String {
    match task.waits {
        0 => task.reason.clone(),
        1 => format!("{}, 1 wait", task.reason),
        waits => format!("{}, {waits} waits", task.reason),
    }
}

/// At most so many characters.
pub(crate) fn short(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

/// Prints tasks as `status`, `wait` and `submit --wait` do.
pub(crate) fn print(format: Format, one: bool, tasks: &[TaskView]) -> Done {
    output::asked(format, one, tasks, &HEAD, row)
}

/// `windlass status`.
pub(crate) async fn status(context: &Context, ids: &[String]) -> Done {
    let references = context.references(ids)?;
    let store = context.store().await?;
    let mut found = store.tasks(&references).await?;
    keys::fetch(&store, found.iter_mut().flatten()).await;
    let tasks: Vec<TaskView> = found.iter().flatten().map(windlass_shared::model::TaskRecord::view).collect();
    print(context.format.unwrap_or(Format::Table), ids.len() == 1, &tasks)?;
    keys::hint(found.iter().flatten());
    let unknown: Vec<String> = references
        .iter()
        .zip(&found)
        .filter(|(_, task)| task.is_none())
        .map(|(r, _)| r.to_string())
        .collect();
    if unknown.is_empty() { Ok(()) } else { Err(unknown_tasks(&unknown)) }
}

/// Ids that no record has.
pub(crate) fn unknown_tasks(references: &[String]) -> Failure {
    Failure::NotDone(format!(
        "no such task: {}. A finished task is forgotten after its queue's retention (24 h unless set); a task of another queue is named QUEUE/ID",
        references.join(", ")
    ))
}

/// `windlass tasks`.
pub(crate) async fn list(context: &Context, args: cli::Tasks) -> Done {
    let state = args.state.map(|text| text.parse::<State>().map_err(Failure::Usage)).transpose()?;
    let store = context.store().await?;
    let queues = match context.named_queue() {
        Some(queue) => vec![queue.clone()],
        None => store.queues().await?,
    };
    let limit = args.limit as usize;
    let states = state.map_or_else(|| OPEN.to_vec(), |state| vec![state]);
    if args.cursor.is_some() && queues.len() != 1 {
        return Err(Failure::Usage("--cursor needs --queue: each queue has its own".into()));
    }
    let mut tasks = Vec::new();
    for state in states {
        for queue in &queues {
            let room = limit.saturating_sub(tasks.len());
            if room > 0 {
                collect(&store, queue, state, room, args.cursor.as_deref(), &mut tasks).await?;
            }
        }
    }
    output::list(context.format.unwrap_or(Format::Table), &tasks, &HEAD, row)
}

async fn collect(
    store: &Store,
    queue: &QueueName,
    state: State,
    room: usize,
    cursor: Option<&str>,
    tasks: &mut Vec<TaskView>,
) -> Done {
    let page = store.queue(queue).await?.list(state, room, cursor).await?;
    keys::hint(page.tasks.iter());
    tasks.extend(page.tasks.iter().map(windlass_shared::model::TaskRecord::view));
    if let Some(cursor) = page.cursor {
        say!("more: windlass tasks --queue {queue} --state {state} --cursor {cursor}");
    }
    Ok(())
}
