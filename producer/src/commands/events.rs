//! `events`: the event log, one line a transition.

use windlass_shared::{
    model::{QueueName, Transition},
    store::{Partition, Store},
};

use crate::{
    cli,
    context::Context,
    exit::Done,
    output::{self, Format},
    steps::{Pause, bounded, patiently},
};

/// `windlass events`.
pub(crate) async fn run(context: &Context, args: cli::Events) -> Done {
    let store = context.store().await?;
    let queues = match context.named_queue() {
        Some(queue) => vec![queue.clone()],
        None => store.queues().await?,
    };
    let mut cursors = Vec::new();
    for name in &queues {
        for partition in store.queue(name).await?.partitions() {
            let cursor = if args.follow { partition.newest_event().await? } else { "0".into() };
            cursors.push((partition.clone(), cursor));
        }
    }
    let wanted = |transition: &Transition| {
        let Some(kind) = args.kind.as_deref() else { return true };
        transition.reason.as_str() == kind || transition.to.is_some_and(|state| state.as_str() == kind)
    };
    bounded(None, async {
        let mut pause = Pause::new();
        loop {
            if args.follow {
                let queues = match context.named_queue() {
                    Some(_) => queues.clone(),
                    None => patiently(|| store.queues()).await?,
                };
                add_new(&store, &queues, &mut cursors).await?;
            }
            let any = read(context, &mut cursors, &wanted).await?;
            output::flush()?;
            if !args.follow {
                return Ok(());
            }
            if any {
                pause.reset();
            }
            pause.wait().await;
        }
    })
    .await
}

/// A queue that was made since, or a partition, is followed from its beginning.
async fn add_new(store: &Store, queues: &[QueueName], cursors: &mut Vec<(Partition, String)>) -> Done {
    for name in queues {
        let queue = patiently(|| store.queue(name)).await?;
        for partition in queue.partitions() {
            if !cursors.iter().any(|(known, _)| known.is(partition)) {
                cursors.push((partition.clone(), "0".into()));
            }
        }
    }
    Ok(())
}

async fn read(
    context: &Context,
    cursors: &mut [(Partition, String)],
    wanted: &impl Fn(&Transition) -> bool,
) -> Done<bool> {
    let mut any = false;
    for (partition, cursor) in cursors {
        loop {
            let events = patiently(|| partition.events(cursor, 100)).await?;
            let Some(last) = events.last() else { break };
            cursor.clone_from(&last.cursor);
            any = true;
            for transition in events.iter().flat_map(|event| &event.transitions).filter(|t| wanted(t)) {
                print(context, transition)?;
            }
        }
    }
    Ok(any)
}

fn print(context: &Context, t: &Transition) -> Done {
    if context.format != Some(Format::Table) {
        return output::json(t);
    }
    let word = windlass_shared::model::state::word;
    let task = format!("{}/{}", t.queue, t.id);
    output::line(&format!(
        "{}  {task:<44} {:>9} → {:<9} {:<14} {}",
        t.at,
        word(t.from),
        word(t.to),
        t.reason,
        t.by
    ))
}
