//! Ids of traces and spans. Most are random. Those of attempts are made from the task and the number of the attempt, so
//! that the node that makes the next attempt, or settles one after a crash, knows the former one's without asking anybody.

use std::cell::Cell;

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};

thread_local! {
    static NEXT_TRACE: Cell<Option<u128>> = const { Cell::new(None) };
    static NEXT_SPAN: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Gives the ids that were asked for, else random ones.
#[derive(Debug, Default)]
pub(super) struct Ids(RandomIdGenerator);

impl Ids {
    /// What the next span of this thread is called.
    pub(super) fn next(trace: Option<u128>, span: Option<u64>) {
        NEXT_TRACE.set(trace);
        NEXT_SPAN.set(span);
    }
}

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        NEXT_TRACE.take().map_or_else(|| self.0.new_trace_id(), TraceId::from)
    }

    fn new_span_id(&self) -> SpanId {
        NEXT_SPAN.take().map_or_else(|| self.0.new_span_id(), SpanId::from)
    }
}

/// The span of an attempt of a task, within its trace. It is the same wherever it is computed, and differs between attempts,
/// since no task ever has two attempts of one number.
pub fn attempt_span(trace: u128, queue: &str, id: &str, attempt: u32) -> u64 {
    let hash =
        hash("attempt", &[&trace.to_be_bytes(), queue.as_bytes(), id.as_bytes(), &attempt.to_be_bytes()]);
    // Zero is no id.
    u64::from_be_bytes(std::array::from_fn(|at| hash[at])).max(1)
}

/// The trace of a task that was submitted in none: all its attempts are in this one, whichever nodes make them.
pub fn trace_of(queue: &str, id: &str, created_micros: i64) -> u128 {
    let hash = hash("trace", &[queue.as_bytes(), id.as_bytes(), &created_micros.to_be_bytes()]);
    u128::from_be_bytes(std::array::from_fn(|at| hash[at])).max(1)
}

fn hash(what: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for part in [what.as_bytes()].iter().chain(parts) {
        // With its length, so that no two lists of parts are the same text.
        hasher.update(&(part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_attempt_of_each_task_has_an_id_of_its_own_that_anybody_can_compute() {
        let mut ids = BTreeSet::new();
        for (trace, queue, id) in [(1, "a", "bc"), (1, "ab", "c"), (2, "a", "bc")] {
            ids.extend((1..=100).map(|attempt| attempt_span(trace, queue, id, attempt)));
        }
        assert_eq!(ids.len(), 300);
        assert_eq!(attempt_span(1, "a", "bc", 7), attempt_span(1, "a", "bc", 7));
        assert_ne!(trace_of("a", "bc", 5), trace_of("a", "bc", 6));
    }
}
