//! Sends one chunk: a call for each of its queues, repeated while the queue is full or Redis is briefly away.

use std::time::Duration;

use windlass_shared::{
    model::{NewTask, QueueName, State, TaskRef},
    store::{Accepted, Queue, Store},
};

use super::{read::Chunk, rejects::Reject};
use crate::{
    cli::OnFull,
    exit::{Done, Failure},
    output::say,
    steps::{Pause, patiently},
};

/// What became of a chunk.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    pub(crate) accepted: u64,
    pub(crate) duplicates: u64,
    /// In the order of their lines.
    pub(crate) rejects: Vec<Reject>,
    /// Each line that was taken, in no order, if that was asked for.
    pub(crate) taken: Vec<Taken>,
    pub(super) read: u64,
}

/// A line that was taken.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) line: u64,
    pub(crate) task: TaskRef,
    pub(crate) state: Option<State>,
    pub(crate) duplicate: bool,
}

/// How a chunk is sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct How {
    pub(crate) on_full: OnFull,
    /// What became of each line is asked for, and not only how many were taken.
    pub(crate) each: bool,
}

/// For how long a chunk is sent again when Redis does not answer. Safe: tasks have identities.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn send(store: Store, chunk: Chunk, how: How) -> Done<Sent> {
    let mut sent = Sent { read: chunk.read, rejects: chunk.rejects, ..Sent::default() };
    let mut groups: Vec<(QueueName, Vec<&(u64, NewTask)>)> = Vec::new();
    for task in &chunk.tasks {
        match groups.iter_mut().find(|(queue, _)| *queue == task.1.queue) {
            Some((_, tasks)) => tasks.push(task),
            None => groups.push((task.1.queue.clone(), vec![task])),
        }
    }
    for (name, tasks) in groups {
        send_group(&queue(&store, &name).await?, tasks, how, &mut sent).await?;
    }
    sent.rejects.sort_by_key(|reject| reject.line);
    Ok(sent)
}

async fn send_group(queue: &Queue, mut tasks: Vec<&(u64, NewTask)>, how: How, sent: &mut Sent) -> Done {
    let mut pause = Pause::new();
    let mut told = false;
    while !tasks.is_empty() {
        let answers = submit(queue, &tasks).await?;
        let before = tasks.len();
        let mut left = Vec::new();
        for (task, answer) in tasks.into_iter().zip(answers) {
            if how.each {
                sent.taken.extend(taken(task, answer));
            }
            match answer {
                Accepted::New(_) => sent.accepted += 1,
                Accepted::Duplicate(_) => sent.duplicates += 1,
                Accepted::Conflict(_) => sent.rejects.push(reject(
                    task,
                    "conflict",
                    "a task with this id exists with other content",
                )),
                Accepted::Full if how.on_full == OnFull::Fail => {
                    sent.rejects.push(reject(task, "queue_full", "the queue is full"));
                }
                Accepted::Full => left.push(task),
            }
        }
        tasks = left;
        if !tasks.is_empty() {
            if !std::mem::replace(&mut told, true) {
                say!("windlass: queue {} is full; waiting for room", queue.name());
            }
            if tasks.len() < before {
                pause.reset();
            }
            pause.wait().await;
        }
    }
    Ok(())
}

fn taken((line, task): &(u64, NewTask), answer: Accepted) -> Option<Taken> {
    let (state, duplicate) = match answer {
        Accepted::New(state) => (Some(state), false),
        Accepted::Duplicate(state) => (state, true),
        Accepted::Conflict(_) | Accepted::Full => return None,
    };
    let task = TaskRef { queue: task.queue.clone(), id: task.id.clone() };
    Some(Taken { line: *line, task, state, duplicate })
}

fn reject((line, task): &(u64, NewTask), class: &'static str, message: &str) -> Reject {
    Reject::new(*line, class, format!("{}/{}: {message}", task.queue, task.id), task.payload.get().as_bytes())
}

/// Asks, with patience, what partitions the queue has.
async fn queue(store: &Store, name: &QueueName) -> Done<Queue> {
    patiently(|| store.queue(name)).await
}

async fn submit(queue: &Queue, tasks: &[&(u64, NewTask)]) -> Done<Vec<Accepted>> {
    let tasks: Vec<&NewTask> = tasks.iter().map(|(_, task)| task).collect();
    let mut pause = Pause::new();
    let start = tokio::time::Instant::now();
    loop {
        match queue.submit(&tasks).await {
            Err(error) if error.is_temporary() && start.elapsed() < PATIENCE => pause.wait().await,
            other => return other.map_err(Failure::from),
        }
    }
}
