//! What shuts commands in: `command` tasks, the stages and validators of pipelines, and the code that models wrote.
//!
//! A command is not started by the worker itself but by a helper: the worker's own program, run again as
//! `windlass-worker sandbox-exec`. The helper has one thread, so what it gives up holds for all that comes after.
//!
//! ```text
//! worker ── sandbox-exec ──────────────────────────────── program
//!             gives up rights, starts it, watches              (Landlock, seccomp)
//! worker ── sandbox-exec ── bwrap ── sandbox-apply, then ─ program
//!             watches         namespaces  gives up rights      (where bubblewrap works)
//! ```
//!
//! The order (what to run, with which variables, under which policy) comes through standard input, before what the
//! program reads there: so it stands in no argument, and a variable such as `LD_PRELOAD` reaches the program only.
//! The helper stays beside the program: it ends all that the program started when that ends, when it has too many
//! processes, and when the worker is gone, however that ended.
//!
//! What the host enforces is found out at the start, by trying what must fail ([`Host::probe`]).

#[cfg(target_os = "linux")]
mod apply;
#[cfg(target_os = "linux")]
mod bubblewrap;
mod explain;
#[cfg(target_os = "linux")]
mod files;
mod helper;
mod host;
#[cfg(target_os = "linux")]
mod network;
mod order;
mod paths;
mod policy;
#[cfg(target_os = "linux")]
mod probe;
mod report;
#[cfg(target_os = "linux")]
mod supervise;
mod tree;

pub use helper::prepare;
pub use policy::Sandbox;

pub(crate) use explain::explain;
pub(crate) use helper::{EXEC, PROGRAM};
pub(crate) use host::Host;
pub(crate) use order::Order;
pub(crate) use paths::of_program;
pub(crate) use policy::{Author, Policy};
pub(crate) use report::taken;
pub(crate) use tree::descendants;
