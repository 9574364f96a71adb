//! Pure data and pure functions. Nothing here does input or output.

pub mod action;
pub mod class;
pub mod durability;
pub mod event;
pub mod id;
pub mod name;
pub mod node;
pub mod object;
#[cfg(feature = "openapi")]
mod openapi;
pub mod priority;
pub mod protection;
pub mod retry;
pub mod state;
pub mod submission;
pub mod task;
pub mod time;
pub mod trace;
pub mod unread;

pub use action::{Action, ActionEntry, ActionLog, NewAction};
pub use class::ErrorClass;
pub use durability::Durability;
pub use event::{Event, Transition};
pub use name::{
    BatchName, ConcurrencyKey, Namespace, NodeId, QueueName, TaskId, TaskRef, TenantName, TypeName,
};
pub use node::{NodeRecord, NodeState, RunningTask};
pub use object::{ObjectRef, Owner};
pub use priority::Priority;
pub use protection::{Protection, SandboxRecord};
pub use retry::RetryPolicy;
pub use state::{Reason, State};
pub use submission::{Expiry, NewTask, Start, Submission};
pub use task::{TaskError, TaskRecord, TaskView};
pub use time::Micros;
pub use trace::{Trace, TraceParent};
pub use unread::{Unread, Why};
