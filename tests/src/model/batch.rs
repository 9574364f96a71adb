//! Batches, and the logs of finished tasks, from which results are read and retention follows.

use std::collections::BTreeMap;

use windlass_shared::model::State;

use super::{Moment, Queue};

/// An entry of a log of finished tasks: one call's.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// Counts all entries, so that one can be found again.
    pub(super) number: usize,
    /// Whole milliseconds: so the log tells it.
    pub(super) at_ms: i64,
    /// The state, or `batched`, and the ids.
    pub(super) lists: BTreeMap<&'static str, Vec<String>>,
}

/// This queue's part of a batch.
#[derive(Debug, Clone, Default)]
pub(super) struct Batch {
    pub(super) created_at: Option<Moment>,
    pub(super) total: i64,
    pub(super) finals: BTreeMap<State, i64>,
    /// When its last task finished; none while one is open.
    pub(super) ended_at: Option<Moment>,
    pub(super) finished: Vec<Entry>,
}

impl Batch {
    pub(super) fn of(&mut self, state: State) -> &mut i64 {
        self.finals.entry(state).or_default()
    }
}

impl Queue {
    /// A batch whose counts this call changes.
    pub(super) fn batch(&mut self, name: &str) -> &mut Batch {
        self.done.batches.insert(name.to_owned());
        self.batches.entry(name.to_owned()).or_default()
    }

    pub(super) fn close_batches(&mut self) {
        let now = self.clock.now;
        for name in std::mem::take(&mut self.done.batches) {
            let batch = self.batches.entry(name).or_default();
            batch.created_at.get_or_insert(now);
            let open = batch.total > batch.finals.values().sum();
            batch.ended_at = (!open).then_some(now);
        }
    }

    /// One entry for what the call finished; a task of a batch stands in the batch's log as well.
    pub(super) fn log_finished(&mut self) {
        let finished = std::mem::take(&mut self.done.finished);
        if finished.is_empty() {
            return;
        }
        let number = self.finished.last().map_or(0, |entry| entry.number) + 1;
        let at_ms = self.clock.now / 1000;
        let empty = || Entry { number, at_ms, lists: BTreeMap::new() };
        let (mut all, mut of_batches) = (empty(), BTreeMap::<String, Entry>::new());
        for (state, id, batch) in finished {
            let name = if batch.is_some() { "batched" } else { state.as_str() };
            all.lists.entry(name).or_default().push(id.clone());
            if let Some(batch) = batch {
                let entry = of_batches.entry(batch).or_insert_with(empty);
                entry.lists.entry(state.as_str()).or_default().push(id);
            }
        }
        self.finished.push(all);
        for (name, entry) in of_batches {
            self.batches.entry(name).or_default().finished.push(entry);
        }
    }
}
