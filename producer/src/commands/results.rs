//! `results`: finished tasks in order of finishing.

use std::collections::HashSet;

use windlass_shared::{
    model::{BatchName, QueueName, State, TaskRecord, TaskRef, TaskView},
    store::{
        Store,
        inspect::{Finished, FinishedLog},
    },
};

use super::{tasks, wait};
use crate::{
    cli,
    context::Context,
    exit::{Done, Failure},
    output::{self, Format},
    steps::{Pause, bounded, patiently},
};

/// `windlass results`.
pub(crate) async fn run(context: &Context, args: cli::Results) -> Done {
    let state = args.state.map(|text| text.parse::<State>().map_err(Failure::Usage)).transpose()?;
    if state.is_some_and(|state| !state.is_final()) {
        return Err(Failure::Usage("--state: use completed, failed, cancelled or expired".into()));
    }
    let batch = args.batch.as_deref().map(BatchName::new).transpose()?;
    let store = context.store().await?;
    let mut reader = Reader {
        store,
        state,
        batch,
        logs: Vec::new(),
        printed: HashSet::new(),
        context,
        collected: Vec::new(),
    };
    reader.open().await?;
    bounded(None, reader.run(args.follow)).await
}

/// Reads the logs of one or several queues in turn, each from its cursor.
struct Reader<'a> {
    context: &'a Context,
    store: Store,
    state: Option<State>,
    batch: Option<BatchName>,
    /// Queue, and the cursor in its log.
    logs: Vec<(QueueName, String)>,
    /// Tasks that were retried stand in the log more than once; they alone are remembered.
    printed: HashSet<TaskRef>,
    /// For the formats that need all at once.
    collected: Vec<TaskView>,
}

impl Reader<'_> {
    /// Finds the queues of the batch; new ones may join while we follow.
    async fn open(&mut self) -> Done {
        let queues = match &self.batch {
            None => vec![self.context.queue()],
            Some(batch) => {
                let queues = patiently(async || self.store.batch_queues(batch).await).await?;
                if queues.is_empty() {
                    return Err(wait::unknown(batch));
                }
                queues
            }
        };
        for queue in queues {
            if !self.logs.iter().any(|(known, _)| *known == queue) {
                self.logs.push((queue, "0".into()));
            }
        }
        Ok(())
    }

    async fn run(&mut self, follow: bool) -> Done {
        let mut pause = Pause::new();
        loop {
            // Asked before reading: what finishes afterwards is not missed.
            let over = !follow || self.is_over().await?;
            if self.read_all().await? {
                pause.reset();
            }
            output::flush()?;
            if over {
                break;
            }
            pause.wait().await;
            self.open().await?;
        }
        match self.context.format {
            None | Some(Format::Jsonl) => Ok(()),
            Some(format) => tasks::print(format, false, &self.collected),
        }
    }

    async fn is_over(&self) -> Done<bool> {
        let Some(batch) = &self.batch else { return Ok(false) };
        let counts = patiently(async || self.store.batch(batch).await).await?;
        Ok(counts.is_none_or(|counts| counts.finished() >= counts.total))
    }

    /// Reads every log to its present end. True if there was anything.
    async fn read_all(&mut self) -> Done<bool> {
        let log = self.batch.clone().map_or(FinishedLog::Queue, FinishedLog::Batch);
        let mut any = false;
        for index in 0..self.logs.len() {
            loop {
                let (queue, cursor) = &self.logs[index];
                let Finished { tasks, cursor } =
                    patiently(async || self.store.queue(queue).finished(&log, cursor).await).await?;
                if cursor == self.logs[index].1 {
                    break;
                }
                any = true;
                self.logs[index].1 = cursor;
                self.print(&tasks).await?;
            }
        }
        Ok(any)
    }

    async fn print(&mut self, references: &[TaskRef]) -> Done {
        for page in references.chunks(200) {
            let found = patiently(async || self.store.tasks(page).await).await?;
            let wanted: Vec<TaskView> = found
                .into_iter()
                .flatten()
                .filter(|task| self.wanted(task))
                .map(|task| task.view())
                .collect();
            match self.context.format {
                None | Some(Format::Jsonl) => output::jsonl(&wanted)?,
                Some(_) => self.collected.extend(wanted),
            }
        }
        Ok(())
    }

    fn wanted(&mut self, task: &TaskRecord) -> bool {
        let state = task.state.filter(|state| state.is_final());
        // Retried since it was logged, and not finished again: it will stand in the log anew.
        let matches = state.is_some() && self.state.is_none_or(|wanted| Some(wanted) == state);
        matches && (task.requeues == 0 || self.printed.insert(task.reference.clone()))
    }
}
