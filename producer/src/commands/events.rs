//! `events`: the event log, one line a transition.

use windlass_shared::{
    model::{QueueName, Transition},
    store::Store,
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
    for queue in queues {
        let cursor = if args.follow { store.queue(&queue).newest_event().await? } else { "0".into() };
        cursors.push((queue, cursor));
    }
    let wanted = |transition: &Transition| {
        let Some(kind) = args.kind.as_deref() else { return true };
        transition.reason.as_str() == kind || transition.to.is_some_and(|state| state.as_str() == kind)
    };
    bounded(None, async {
        let mut pause = Pause::new();
        loop {
            if args.follow && context.named_queue().is_none() {
                // A queue that was made since is followed from its beginning.
                for queue in patiently(async || store.queues().await).await? {
                    if !cursors.iter().any(|(known, _)| *known == queue) {
                        cursors.push((queue, "0".into()));
                    }
                }
            }
            let any = read(context, &store, &mut cursors, &wanted).await?;
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

async fn read(
    context: &Context,
    store: &Store,
    cursors: &mut [(QueueName, String)],
    wanted: &impl Fn(&Transition) -> bool,
) -> Done<bool> {
    let mut any = false;
    for (queue, cursor) in cursors {
        loop {
            let events = patiently(async || store.queue(queue).events(cursor, 100).await).await?;
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
