//! The calls that a task made: one list over all attempts, models and repairs, so that retries cannot multiply, and
//! every answer can be explained.

use futures_util::FutureExt;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use windlass_llm::{ChatAnswer, ChatError, Usage};

use crate::executor::Carry;

/// One call, or one answer that needed none, as the result tells of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct CallRecord {
    /// The model that answered, as its provider names it; the one that was asked if none did.
    pub(crate) model: String,
    /// The model that was asked, as the catalog names it.
    pub(crate) asked: String,
    pub(crate) provider: String,
    /// The attempt of the task.
    pub(crate) attempt: u32,
    /// Class of the error; null for an answer.
    pub(crate) error: Option<String>,
    pub(crate) input_tokens: Option<u64>,
    pub(crate) output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cached_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reasoning_tokens: Option<u64>,
    /// Null: unknown, which is not zero.
    pub(crate) cost_usd: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) first_token_ms: Option<u64>,
    pub(crate) duration_ms: u64,
    /// The answer was known: nothing was called and nothing paid.
    pub(crate) cached: bool,
    /// How it was known: `exact` or `semantic`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cache: Option<String>,
    /// `length` says that the answer was cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) finish_reason: Option<String>,
    /// What for, if not for an answer: `embedding`, to compare the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) purpose: Option<String>,
    /// Why this model.
    pub(crate) why: String,
}

impl CallRecord {
    pub(crate) fn answered(&mut self, answer: &ChatAnswer) {
        self.used(&answer.usage);
        self.first_token_ms = answer.first_token.map(millis);
        self.duration_ms = millis(answer.duration);
        self.finish_reason = Some(answer.finish.as_str().to_owned());
        self.model.clone_from(&answer.model);
    }

    pub(crate) fn failed(&mut self, error: &ChatError) {
        self.used(&error.usage);
        self.error = Some(error.class.as_str().to_owned());
    }

    pub(crate) fn used(&mut self, usage: &Usage) {
        self.input_tokens = usage.input;
        self.output_tokens = usage.output;
        self.cached_tokens = usage.cached.filter(|n| *n > 0);
        self.reasoning_tokens = usage.reasoning.filter(|n| *n > 0);
    }
}

pub(crate) fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The calls of a task, those of earlier attempts included.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    calls: Vec<CallRecord>,
    /// The attempt that runs now.
    pub(crate) attempt: u32,
    /// No more calls than this.
    most: usize,
    /// Reports to Redis whose reply is not here yet.
    reports: Vec<JoinHandle<()>>,
    /// Where they go on when the task has ended.
    tracker: TaskTracker,
    /// For an end from outside.
    carry: Carry,
}

/// Its form in Redis.
#[derive(Serialize, Deserialize)]
struct Stored<T> {
    calls: T,
}

impl Ledger {
    /// Goes on with what earlier attempts left. What cannot be read counts as nothing.
    pub(crate) fn open(
        left: Option<&str>,
        attempt: u32,
        most: usize,
        carry: Carry,
        tracker: TaskTracker,
    ) -> Self {
        let read = |text| serde_json::from_str::<Stored<Vec<CallRecord>>>(text).ok();
        let calls = left.and_then(read).map(|stored| stored.calls).unwrap_or_default();
        let ledger = Self { calls, attempt, most, reports: Vec::new(), tracker, carry };
        ledger.carry_on();
        ledger
    }

    pub(crate) fn add(&mut self, record: CallRecord) {
        self.calls.push(record);
        self.carry_on();
    }

    /// A call is about to be made: should the attempt end before its answer, it still counts.
    pub(crate) fn under_way(&self, record: &CallRecord) {
        let mut cut = record.clone();
        cut.error = Some("cancelled".to_owned());
        let calls: Vec<&CallRecord> = self.calls.iter().chain([&cut]).collect();
        self.carry.set(serde_json::to_string(&Stored { calls }).unwrap_or_default());
    }

    fn carry_on(&self) {
        if !self.calls.is_empty() {
            self.carry.set(self.to_json());
        }
    }

    /// For what must be known of an end from outside.
    pub(crate) fn carry(&self) -> &Carry {
        &self.carry
    }

    pub(crate) fn calls(&self) -> &[CallRecord] {
        &self.calls
    }

    /// No further call may be made.
    pub(crate) fn is_full(&self) -> bool {
        self.calls.iter().filter(|call| !call.cached && call.purpose.is_none()).count() >= self.most
    }

    /// Tells Redis something beside the work. It is sent before this returns, so that Redis hears of it before anything
    /// that this node says later, such as the task's result; its reply is nobody's concern but [`Self::reported`]'s.
    pub(crate) fn report(&mut self, report: impl Future<Output = ()> + Send + 'static) {
        let mut report = Box::pin(report);
        if report.as_mut().now_or_never().is_none() {
            self.reports.push(self.tracker.spawn(report));
        }
    }

    /// Waits until Redis has answered everything that it was told.
    pub(crate) async fn reported(&mut self) {
        while let Some(report) = self.reports.last_mut() {
            _ = report.await;
            self.reports.pop();
        }
    }

    /// For the next attempt.
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(&Stored { calls: &self.calls }).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::{Carry, Ledger, TaskTracker};

    #[tokio::test]
    async fn reports_begin_in_order_before_anything_else_and_outlive_the_task() {
        let tracker = TaskTracker::new();
        let mut ledger = Ledger::open(None, 1, 1, Carry::default(), tracker.clone());
        let told = Arc::new(Mutex::new(Vec::new()));
        for i in 0..3 {
            let told = Arc::clone(&told);
            ledger.report(async move {
                told.lock().unwrap().push(format!("{i} sent"));
                tokio::task::yield_now().await;
                told.lock().unwrap().push("answered".to_owned());
            });
        }
        assert_eq!(*told.lock().unwrap(), ["0 sent", "1 sent", "2 sent"]);
        drop(ledger);
        tracker.close();
        tracker.wait().await;
        assert_eq!(told.lock().unwrap().len(), 6);
    }
}
