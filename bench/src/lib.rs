//! What the programs of the benchmark share: what a task of it carries, the log that its handler writes, what a node says,
//! and what a process used.

pub mod node;
pub mod record;
pub mod usage;
