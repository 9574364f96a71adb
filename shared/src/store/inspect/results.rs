//! Finished tasks in order of finishing, from the log that is kept as long as the tasks are.

use crate::{
    model::{BatchName, TaskId, TaskRef},
    store::{Partition, Result, StoreError},
};

/// Whose finished tasks.
#[derive(Debug, Clone)]
pub enum FinishedLog {
    /// All of the queue.
    Queue,
    /// Those of a batch.
    Batch(BatchName),
}

/// A page of references in order of finishing. A task that was retried stands there once for each time it finished.
#[derive(Debug)]
pub struct Finished {
    /// The tasks.
    pub tasks: Vec<TaskRef>,
    /// Where to go on.
    pub cursor: String,
}

/// Entry id, and its fields.
pub(super) type LogEntry = (String, Vec<(String, String)>);

impl Partition {
    /// Finished tasks after `cursor` (`0` to begin), some entries of the log at a time. Empty when there is no more yet.
    pub async fn finished(&self, log: &FinishedLog, cursor: &str) -> Result<Finished> {
        let key = match log {
            FinishedLog::Queue => self.keys.finished().to_owned(),
            FinishedLog::Batch(batch) => self.keys.batch_finished(batch),
        };
        let entries = self.log_page(&key, &format!("({cursor}"), "+", false, 20).await?;
        let cursor = entries.last().map_or_else(|| cursor.to_owned(), |(id, _)| id.clone());
        let tasks = entries
            .iter()
            .flat_map(|(_, fields)| fields)
            .flat_map(|(_, ids)| ids.split(' '))
            .filter_map(|id| TaskId::new(id).ok())
            .map(|id| self.reference(id))
            .collect();
        Ok(Finished { tasks, cursor })
    }

    /// A page of a stream, forwards or backwards.
    pub(in crate::store) async fn log_page(
        &self,
        key: &str,
        from: &str,
        to: &str,
        backwards: bool,
        count: usize,
    ) -> Result<Vec<LogEntry>> {
        let verb = if backwards { "XREVRANGE" } else { "XRANGE" };
        let mut command = redis::cmd(verb);
        command.arg(key).arg(from).arg(to).arg("COUNT").arg(count);
        self.store.command::<Vec<LogEntry>>(&command).await.map_err(|error| match error {
            StoreError::Unexpected(why) => {
                StoreError::Unexpected(format!("{why} (reading the stream {key})"))
            }
            other => other,
        })
    }
}
