//! What runs a task. An [`Executor`] is given one attempt of one task and gives back a result or a [`Failure`].
//!
//! * A task is cancelled, or runs out of time, by dropping the future. Everything must stop then: an executor leaves
//!   neither a process, nor a call, nor a file behind.
//! * An executor does not retry. It names the class of its failure, and the task's policy decides.
//! * Built in are [`noop`], [`sleep`], [`command`], [`http`] and [`llm`]. A type from the configuration is one of them
//!   behind a [`template`], so a new type needs no new code.

mod collect;
pub mod command;
mod failure;
pub mod http;
mod json;
pub(crate) mod llm;
pub mod noop;
pub(crate) mod process;
mod progress;
#[cfg(feature = "fuzz")]
pub(crate) mod read;
pub mod sleep;
mod stderr;
pub mod template;
#[cfg(test)]
pub(crate) mod testing;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use windlass_shared::model::{Priority, TaskRef, Trace, TypeName};

pub use failure::{Failure, Next};
pub use progress::{Progress, Reports};

/// One attempt of one task, as an executor sees it.
#[derive(Debug, Clone)]
pub struct Job {
    /// The task.
    pub reference: TaskRef,
    /// Its type.
    pub task_type: TypeName,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// What to do. Behind a template this is what the template made.
    pub payload: Box<RawValue>,
    /// What was submitted, where a template stands in between; the payload itself otherwise.
    pub submitted: Option<Box<RawValue>>,
    /// Whose work it is.
    pub tenant: Option<String>,
    /// The batch that it belongs to.
    pub batch: Option<String>,
    /// Its priority.
    pub priority: Priority,
    /// How often it gave its slot back to wait for a limit.
    pub waits: u32,
    /// How many nodes were lost while they ran it.
    pub crashes: u32,
    /// What earlier attempts left in [`Failure::ledger`].
    pub ledger: Option<String>,
    /// What the next attempt must know of this one, should it be ended from outside.
    pub carry: Carry,
    /// What the submitter attached for their own use.
    pub metadata: Option<Box<RawValue>>,
    /// The trace that the attempt is a part of.
    pub trace: Option<Trace>,
    /// Where to report progress.
    pub progress: Progress,
}

impl Job {
    /// Reads the payload as a `T`. What does not fit is a bad request.
    pub fn read_payload<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_str(self.payload.get())
            .map_err(|error| Failure::bad_request(format!("the payload is not valid: {error}")))
    }

    /// The payload as it was submitted.
    pub fn submitted(&self) -> &RawValue {
        self.submitted.as_ref().unwrap_or(&self.payload)
    }
}

/// What the next attempt is told of one that was ended from outside (its time-out, a hand-back, a panic), which cannot
/// say it in [`Failure::ledger`]. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Carry(Arc<Mutex<Carried>>);

#[derive(Debug, Default)]
struct Carried {
    ledger: String,
    /// The attempt is ended because it took longer than this.
    out_of_time: Option<Duration>,
}

impl Carry {
    /// Replaces what would be told, JSON text.
    pub fn set(&self, ledger: String) {
        self.lock().ledger = ledger;
    }

    /// What is to be told; empty: nothing.
    pub fn get(&self) -> String {
        self.lock().ledger.clone()
    }

    /// Says, before the attempt is dropped, that it took longer than it may.
    pub fn out_of_time(&self, limit: Duration) {
        self.lock().out_of_time = Some(limit);
    }

    /// Whether what ran for so long is the reason that the attempt ran out of time: it had at least half of it.
    pub fn was_late(&self, ran_for: Duration) -> bool {
        self.lock().out_of_time.is_some_and(|limit| ran_for * 2 >= limit)
    }

    fn lock(&self) -> MutexGuard<'_, Carried> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs tasks.
#[async_trait]
pub trait Executor: Send + Sync + 'static {
    /// Runs one attempt. Dropping the future stops all of it.
    async fn execute(&self, job: &Job) -> Result<Box<RawValue>, Failure>;
}
