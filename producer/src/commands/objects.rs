//! `objects`: large payloads and results in the object store.

use std::time::Duration;

use serde::Serialize;
use windlass_shared::{
    model::{Micros, Owner, TaskRef},
    objects::Listed,
    store::Store,
};

use crate::{
    cli::ObjectsCommand,
    context::Context,
    exit::{Done, Failure},
    output::{self, Format, say},
    steps::duration,
};

/// A task that is submitted again gets an object with the name of its day. After a day no program writes a name that is
/// found here, so none is deleted just when it is needed again.
const YOUNGEST: Duration = Duration::from_hours(24);

/// An object whose task is gone.
#[derive(Serialize)]
struct Left {
    path: String,
    task: String,
    size: u64,
    written_at: Micros,
    deleted: bool,
}

/// `windlass objects`.
pub(crate) async fn run(context: &Context, command: ObjectsCommand) -> Done {
    let ObjectsCommand::Sweep { older_than, delete } = command;
    let age = duration("--older-than", &older_than)?;
    if age < YOUNGEST {
        return Err(Failure::Usage(
            "--older-than: use at least 1d, so that nothing goes that is being written just now".into(),
        ));
    }
    sweep(context, age, delete).await
}

async fn sweep(context: &Context, age: Duration, delete: bool) -> Done {
    let store = context.store().await?;
    let Some(objects) = store.objects() else {
        return Err(Failure::Usage("no object store is configured (setting claim_check.url)".into()));
    };
    let before = store.now().await?.0 / 1_000_000 - i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
    let namespace = context.config.namespace.to_string();
    let (mut left, mut seen) = (Vec::new(), 0);
    let page = async |listed: Vec<Listed>| -> Done {
        seen += listed.len();
        let old: Vec<(Listed, TaskRef)> = listed
            .into_iter()
            .filter(|object| object.written < before)
            .filter_map(|object| {
                let owner = Owner::of(&object.path).filter(|owner| owner.namespace == namespace)?;
                Some((object, owner.task))
            })
            .collect();
        for (object, task) in gone(&store, old).await? {
            if delete {
                objects.delete(&object.path).await?;
            }
            left.push(Left {
                path: object.path,
                task: task.to_string(),
                size: object.size,
                written_at: Micros(object.written * 1_000_000),
                deleted: delete,
            });
        }
        Ok(())
    };
    objects.list(&namespace, page).await?;
    output::list(
        context.format.unwrap_or(Format::Table),
        &left,
        &["OBJECT", "BYTES", "WRITTEN"],
        |object| vec![object.path.clone(), object.size.to_string(), object.written_at.to_string()],
    )?;
    let bytes: u64 = left.iter().map(|object| object.size).sum();
    let done = if delete { "were deleted" } else { "would be deleted with --delete" };
    say!("windlass: {} of {seen} objects ({bytes} bytes) {done}: their tasks are gone", left.len());
    Ok(())
}

/// Those whose tasks are in no state any more. What a task refers to is never among them.
async fn gone(store: &Store, objects: Vec<(Listed, TaskRef)>) -> Done<Vec<(Listed, TaskRef)>> {
    let tasks: Vec<TaskRef> = objects.iter().map(|(_, task)| task.clone()).collect();
    let there = store.exist(&tasks).await?;
    Ok(objects.into_iter().zip(there).filter(|(_, there)| !there).map(|(object, _)| object).collect())
}
