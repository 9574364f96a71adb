//! What the benchmark and Windlass' adapter for it share: what a task of the benchmark carries, the log that its handler
//! writes, and what a node says.

pub mod node;
pub mod record;
