//! A Windlass worker: claims tasks, runs each in a slot, commits the results under a lease.
//!
//! The binary `windlass-worker` is [`Worker`] with the built-in executors. A program that has executors of its own
//! registers them by task type:
//!
//! ```no_run
//! use windlass_worker::{executor::{Failure, Job}, handler, Worker};
//!
//! # async fn example() -> Result<(), windlass_worker::WorkerError> {
//! let config = windlass_shared::config::Config::load(Default::default())?;
//! Worker::new(config)
//!     .handler("greet", handler(|job: Job| async move {
//!         let name: String = job.read_payload()?;
//!         Ok::<_, Failure>(format!("hello {name}"))
//!     }))
//!     .run()
//!     .await
//! # }
//! ```

mod admin;
mod attempt;
#[doc(hidden)]
pub mod bench;
mod built_in;
mod catalog;
mod decide;
mod dispatch;
#[cfg(feature = "embedded")]
mod embedded;
pub mod executor;
#[cfg(feature = "fuzz")]
#[doc(hidden)]
pub mod fuzz;
mod gateway;
mod handler;
mod loops;
mod metrics;
mod node;
pub mod pipeline;
mod pulse;
mod push;
mod run_file;
mod running;
mod sandbox;
mod shutdown;
mod spans;
mod worker;
mod workspace;

pub use handler::handler;
pub use sandbox::{Sandbox, prepare};
pub use worker::{Worker, WorkerError, check_alive, check_types, runtime};
