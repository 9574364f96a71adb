//! `results`: finished tasks in order of finishing.

use std::collections::HashMap;

use windlass_shared::{
    model::{BatchName, State, TaskRecord, TaskRef, TaskView},
    store::{
        Partition, Store,
        inspect::{Finished, FinishedLog},
    },
};

use super::{keys, tasks, wait};
use crate::{
    cli,
    context::Context,
    exit::{Done, Failure},
    lay::Writer,
    output::{self, Format},
    steps::{Pause, bounded, patiently},
};

/// `windlass results`.
pub(crate) async fn run(context: &Context, args: cli::Results) -> Done {
    let state = args.state.map(|text| text.parse::<State>().map_err(Failure::Usage)).transpose()?;
    if state.is_some_and(|state| !state.is_final()) {
        return Err(Failure::Usage("--state: use completed, failed, cancelled or expired".into()));
    }
    if args.write.root.is_some() && state.is_some_and(|state| state != State::Completed) {
        return Err(Failure::Usage("--write: only completed tasks have files; leave --state out".into()));
    }
    let batch = args.batch.as_deref().map(BatchName::new).transpose()?;
    let store = context.store().await?;
    let writer = Writer::open(&args.write)?;
    let mut reader = Reader { state, quiet: args.quiet, writer, ..Reader::new(context, store, batch) };
    reader.open().await?;
    let done = bounded(None, reader.run(args.follow)).await;
    match (done, reader.writer) {
        (Ok(()), Some(writer)) => writer.finish(),
        (Err(failure), Some(writer)) => {
            writer.tell();
            Err(failure)
        }
        (done, None) => done,
    }
}

/// Lays down the files of a batch that is finished.
pub(crate) async fn lay_down(
    context: &Context,
    store: &Store,
    batch: &BatchName,
    writer: Option<Writer>,
) -> Done {
    let Some(writer) = writer else { return Ok(()) };
    let batch = Some(batch.clone());
    let mut reader =
        Reader { quiet: true, writer: Some(writer), ..Reader::new(context, store.clone(), batch) };
    reader.open().await?;
    bounded(None, reader.run(false)).await?;
    reader.writer.map_or(Ok(()), Writer::finish)
}

/// Reads the logs of one or several queues in turn, each from its cursor.
struct Reader<'a> {
    context: &'a Context,
    store: Store,
    state: Option<State>,
    batch: Option<BatchName>,
    /// Partition of a queue, and the cursor in its log.
    logs: Vec<(Partition, String)>,
    /// Tasks that were retried stand in the log more than once; they alone are remembered, with the life that was printed.
    printed: HashMap<TaskRef, u32>,
    /// For the formats that need all at once.
    collected: Vec<TaskView>,
    writer: Option<Writer>,
    /// Nothing is printed.
    quiet: bool,
}

impl<'a> Reader<'a> {
    fn new(context: &'a Context, store: Store, batch: Option<BatchName>) -> Self {
        let (logs, printed, collected) = (Vec::new(), HashMap::new(), Vec::new());
        Self { context, store, state: None, batch, logs, printed, collected, writer: None, quiet: false }
    }

    /// Finds the queues of the batch; new ones may join while we follow.
    async fn open(&mut self) -> Done {
        let queues = match &self.batch {
            None => vec![self.context.queue()],
            Some(batch) => {
                let queues = patiently(|| self.store.batch_queues(batch)).await?;
                if queues.is_empty() {
                    return Err(wait::unknown(batch));
                }
                queues
            }
        };
        for name in queues {
            let queue = patiently(|| self.store.queue(&name)).await?;
            for partition in queue.partitions() {
                if !self.logs.iter().any(|(known, _)| known.is(partition)) {
                    self.logs.push((partition.clone(), "0".into()));
                }
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
            self.write_meanwhile(follow)?;
            if over {
                break;
            }
            pause.wait().await;
            self.open().await?;
        }
        match self.context.format {
            _ if self.quiet => Ok(()),
            None | Some(Format::Jsonl) => Ok(()),
            Some(format) => tasks::print(format, false, &self.collected),
        }
    }

    /// A queue that is followed never ends, so its files are laid down as they come; those of a batch all together.
    fn write_meanwhile(&mut self, follow: bool) -> Done {
        match &mut self.writer {
            Some(writer) if follow && self.batch.is_none() => writer.commit_meanwhile(),
            _ => Ok(()),
        }
    }

    async fn is_over(&self) -> Done<bool> {
        let Some(batch) = &self.batch else { return Ok(false) };
        let counts = patiently(|| self.store.batch(batch)).await?;
        Ok(counts.is_none_or(|counts| counts.finished() >= counts.total))
    }

    /// Reads every log to its present end. True if there was anything.
    async fn read_all(&mut self) -> Done<bool> {
        let log = self.batch.clone().map_or(FinishedLog::Queue, FinishedLog::Batch);
        let mut any = false;
        for index in 0..self.logs.len() {
            loop {
                let (partition, cursor) = &self.logs[index];
                let Finished { tasks, cursor } = patiently(|| partition.finished(&log, cursor)).await?;
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
            let found = patiently(|| self.store.tasks(page)).await?;
            let mut wanted: Vec<TaskRecord> =
                found.into_iter().flatten().filter(|task| self.wanted(task)).collect();
            keys::fetch(&self.store, wanted.iter_mut()).await;
            keys::hint(wanted.iter());
            let wanted: Vec<TaskView> = wanted.iter().map(TaskRecord::view).collect();
            if let Some(writer) = &mut self.writer {
                wanted.iter().try_for_each(|task| writer.add(task))?;
            }
            match self.context.format {
                _ if self.quiet => {}
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
        // Each life is printed once.
        matches
            && (task.requeues == 0
                || self.printed.insert(task.reference.clone(), task.requeues) != Some(task.requeues))
    }
}
