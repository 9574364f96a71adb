//! Submitting through the client library, timed without the program's start.

use std::{sync::Arc, time::Instant};

use anyhow::{Result, bail};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::json;
use windlass_bench::record::Work;
use windlass_shared::{
    model::NewTask,
    store::{Accepted, MOST_PER_SUBMIT},
};

use crate::{
    Enqueue, Mode,
    fleet::{self, Tasks},
    say,
};

/// Calls on their way at the same time: while Redis takes one, others are made and read.
const IN_FLIGHT: usize = 4;
/// Payloads of a call, as `windlass submit --file` bounds them.
const MOST_BYTES: usize = 1 << 20;

pub(crate) async fn run(args: &Enqueue) -> Result<()> {
    let store = fleet::store().await?;
    let tasks = Tasks::register(&store, &args.task_type, args.bytes, args.tenants).await?;
    let tasks = Arc::new(Tasks { priorities: args.priorities, ..tasks });
    let per_call = (MOST_BYTES / args.bytes.max(1)).clamp(1, MOST_PER_SUBMIT);
    let start = Instant::now();
    if args.mode == Mode::Single {
        for idx in args.start..args.start + args.n {
            submit(&tasks, &[Work { idx, ms: args.ms }]).await?;
        }
        tell(args, start, "await submit");
        return Ok(());
    }
    stream::iter((args.start..args.start + args.n).step_by(per_call))
        .map(|first| {
            let work = (first..(args.start + args.n).min(first + per_call as u64))
                .map(|idx| Work { idx, ms: args.ms });
            let (tasks, work) = (Arc::clone(&tasks), work.collect::<Vec<_>>());
            async move { tokio::spawn(async move { submit(&tasks, &work).await }).await? }
        })
        .buffer_unordered(IN_FLIGHT)
        .try_for_each(|()| async { Ok(()) })
        .await?;
    tell(args, start, &format!("submit of {per_call}, {IN_FLIGHT} in flight"));
    Ok(())
}

fn tell(args: &Enqueue, start: Instant, how: &str) {
    say(&json!({ "n": args.n, "seconds": start.elapsed().as_secs_f64(), "how": how }).to_string());
}

/// Submits tasks in one call; all of them must be new.
async fn submit(tasks: &Tasks, work: &[Work]) -> Result<()> {
    let made = work.iter().map(|work| tasks.task(*work)).collect::<Result<Vec<NewTask>>>()?;
    let references: Vec<&NewTask> = made.iter().collect();
    let accepted = tasks.queue.submit(&references).await?;
    match accepted.iter().find(|accepted| !matches!(accepted, Accepted::New(_))) {
        Some(other) => bail!("a task was not taken: {other:?}"),
        None => Ok(()),
    }
}
