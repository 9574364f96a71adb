//! What the benchmark and Windlass' adapter for it share: what a task of the benchmark carries, and the log that its
//! handler writes.

pub mod record;
