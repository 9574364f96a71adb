//! `submit --dry-run`: each line is checked as a submission would, and nothing leaves this machine.

use std::collections::HashSet;

use tokio::sync::mpsc;
use windlass_shared::model::TypeName;

use super::{
    read::{Chunk, Reader},
    rejects::Rejects,
};
use crate::{
    context::Context,
    exit::{Done, Failure},
    output::{self, Format, say},
};

/// Checks all lines; fails if one would be rejected.
pub(super) async fn run(context: &Context, reader: Reader, mut rejects: Rejects) -> Done {
    let (chunks, mut checked) = mpsc::channel::<Done<Chunk>>(4);
    std::thread::Builder::new().name("read".into()).spawn(move || reader.run(&chunks))?;
    let (mut good, mut bad, mut types) = (0_u64, 0_u64, HashSet::new());
    while let Some(chunk) = checked.recv().await {
        let chunk = chunk?;
        for (_, task) in &chunk.tasks {
            good += 1;
            if types.insert(task.task_type.clone()) {
                tell_undeclared(context, &task.task_type);
            }
        }
        for reject in &chunk.rejects {
            bad += 1;
            rejects.write(reject)?;
        }
    }
    rejects.flush()?;
    match context.format {
        Some(Format::Json | Format::Jsonl) => {
            output::json(&serde_json::json!({ "good": good, "rejected": bad }))?;
        }
        _ => say!("{good} lines would be submitted, {bad} rejected"),
    }
    if bad > 0 { Err(Failure::NotDone(format!("{bad} lines would be rejected"))) } else { Ok(()) }
}

/// A type that is declared nowhere here may still be known to workers.
pub(crate) fn tell_undeclared(context: &Context, task_type: &TypeName) {
    if context.config.type_spec(task_type).is_none() {
        say!(
            "windlass: the type {:?} is not declared in this configuration; workers may know it",
            task_type.as_str()
        );
    }
}
