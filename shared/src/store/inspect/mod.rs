//! Looking at the fleet: listings and counts. Nothing here is needed to run a task.

mod batches;
pub(super) mod events;
mod failures;
mod nodes;
mod queues;
mod results;
mod sealing;
mod tasks;

pub use batches::BatchCounts;
pub use nodes::{NodeView, SeenNode};
pub use queues::QueueView;
pub use results::{Finished, FinishedLog};
pub use sealing::SealedWith;
pub use tasks::TaskPage;
