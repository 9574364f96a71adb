//! Warns of task types that no live node knows, or refuses them with `--strict`.

use std::collections::HashMap;

use windlass_shared::{model::TypeName, store::Store};

use super::{read::Chunk, rejects::Reject};
use crate::{
    exit::{Done, Failure},
    output::say,
};

/// Types that were asked about.
pub(crate) struct Known {
    strict: bool,
    known: HashMap<TypeName, bool>,
}

fn nobody(task_type: &TypeName) -> String {
    format!(
        "no live node knows the type {task_type:?}: declare it in the workers' configuration as [types.{task_type}], or start such a worker",
        task_type = task_type.as_str()
    )
}

impl Known {
    pub(crate) fn new(strict: bool) -> Self {
        Self { strict, known: HashMap::new() }
    }

    /// Asks once for each type. A fleet without any live node is not judged: its workers may start later.
    async fn ask(&mut self, store: &Store, task_type: &TypeName) -> Done<bool> {
        if let Some(known) = self.known.get(task_type) {
            return Ok(*known);
        }
        let (nodes, _) = store.nodes().await?;
        let mut live =
            nodes.iter().filter(|node| node.alive).filter_map(|node| node.record.as_ref()).peekable();
        let nobody_lives = live.peek().is_none();
        let known = live.any(|record| record.types.contains(task_type)) || (nobody_lives && !self.strict);
        if !known && !self.strict {
            say!("windlass: {}", nobody(task_type));
        }
        self.known.insert(task_type.clone(), known);
        Ok(known)
    }

    /// With `--strict`, takes tasks of unknown types out of the chunk.
    pub(super) async fn check(&mut self, store: &Store, chunk: &mut Chunk) -> Done {
        for (_, task) in &chunk.tasks {
            self.ask(store, &task.task_type).await?;
        }
        if self.strict {
            let (known, unknown): (Vec<_>, Vec<_>) = std::mem::take(&mut chunk.tasks)
                .into_iter()
                .partition(|(_, task)| self.known.get(&task.task_type).copied().unwrap_or(false));
            chunk.tasks = known;
            chunk.rejects.extend(unknown.into_iter().map(|(line, task)| {
                Reject::new(line, "unknown_type", nobody(&task.task_type), task.payload.get().as_bytes())
            }));
        }
        Ok(())
    }
}

/// Checks the type of a single task.
pub(crate) async fn check_one(store: &Store, task_type: &TypeName, strict: bool) -> Done {
    let known = Known::new(strict).ask(store, task_type).await?;
    if known || !strict { Ok(()) } else { Err(Failure::Refused(nobody(task_type))) }
}
